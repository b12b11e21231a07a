"""A paper's citation as a file: `/papers/{key}.bib`, `.ris` and `.csl.json`."""

from collections.abc import Callable, Mapping
from typing import Final

from fastapi import APIRouter
from fastapi.responses import Response

from service.papers.domain.citations.bibtex import write_bibtex
from service.papers.domain.citations.citation import Citation, cite
from service.papers.domain.citations.csl_json import to_csl, write_csl
from service.papers.domain.citations.ris import write_ris
from service.papers.store.read import find_paper
from service.platform.database.engine import transaction
from service.presentation.sanitize import clean
from service.subscribers.domain.saved_exports import FORMATS
from service.web.core.admission import PAPER
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound

router = APIRouter(include_in_schema=False)

_WRITERS: Final[Mapping[str, Callable[[Citation], str]]] = {
    "bib": write_bibtex,
    "ris": write_ris,
    "json": lambda citation: write_csl([to_csl(citation)]),
}


@router.get("/papers/{key:path}.bib", dependencies=PAPER)
def show_bibtex(context: Context, key: str) -> Response:
    return _answer(context, key, "bib")


@router.get("/papers/{key:path}.ris", dependencies=PAPER)
def show_ris(context: Context, key: str) -> Response:
    return _answer(context, key, "ris")


@router.get("/papers/{key:path}.csl.json", dependencies=PAPER)
def show_csl(context: Context, key: str) -> Response:
    return _answer(context, key, "json")


def _answer(context: AppContext, key: str, form: str) -> Response:
    with transaction(context.sessions) as session:
        paper = find_paper(session, clean(key))
    if paper is None:
        raise PageNotFound("We do not know this paper", "So there is no citation of it, either.")
    citation = cite(paper)
    headers = {
        "Content-Disposition": f'attachment; filename="{citation.key}.{form}"',
        "X-Robots-Tag": "noindex",
    }
    text = _WRITERS[form](citation)
    return Response(text, media_type=FORMATS[form].media_type, headers=headers)
