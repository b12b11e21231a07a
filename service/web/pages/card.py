"""`/papers/{key}/card.png`: the picture that other sites show beside a link to a paper's page."""

from hashlib import sha256
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from service.messages.contexts.base import BRAND
from service.papers.store.read import find_paper
from service.platform.database.engine import transaction
from service.platform.release import release
from service.presentation.sanitize import clean
from service.web.core.admission import PAPER
from service.web.core.conditional import has_etag
from service.web.core.context import Context
from service.web.core.errors import PageNotFound
from service.web.paper_picture.draw import describe, draw

_MAX_AGE_SECONDS: Final = 86_400

router = APIRouter(include_in_schema=False)


@router.get("/papers/{key:path}/card.png", dependencies=PAPER)
def show_card(context: Context, request: Request, key: str) -> Response:
    with transaction(context.sessions) as session:
        paper = find_paper(session, clean(key))
    if paper is None:
        raise PageNotFound("We do not know this paper", "So there is no picture of it, either.")
    picture = describe(paper, BRAND)
    # By what it says, so that an unchanged picture is not drawn again for a 304.
    etag = f'"{sha256(f"{release()} {picture!r}".encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={_MAX_AGE_SECONDS}"}
    if has_etag(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(draw(picture), media_type="image/png", headers=headers)
