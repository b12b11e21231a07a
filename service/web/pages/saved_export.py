"""The export of saved papers: all, or those of a search or a tag, as a file."""

from fastapi import APIRouter
from fastapi.responses import Response

from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.presentation.sanitize import clean
from service.subscribers.domain.saved import parse_filter
from service.subscribers.domain.saved_exports import FORMATS, write_export
from service.subscribers.saved_papers import load_all_saved
from service.subscribers.store.saved import find_saved_ids
from service.web.core.admission import PAPER
from service.web.core.context import Context
from service.web.core.errors import PageNotFound
from service.web.core.signed_links import find_holder, open_link

router = APIRouter(include_in_schema=False)


@router.get("/preferences/{token}/kept/export.{form}", dependencies=PAPER)
def export_saved(context: Context, token: str, form: str, q: str = "", tag: str = "") -> Response:
    """Return the file; the same saved papers make the same bytes."""
    link = open_link(context, token, Purpose.PREFERENCES)
    if form not in FORMATS:
        names = ", ".join(each.label for each in FORMATS.values())
        raise PageNotFound("There is no such format", f"Saved papers come as {names}.")
    with transaction(context.sessions) as session:
        subscriber_id = find_holder(session, link).id
        wanted = parse_filter(clean(q), clean(tag))
        ids = frozenset(find_saved_ids(session, subscriber_id, wanted))
        saved = load_all_saved(session, subscriber_id)
    content = write_export(form, saved, ids)
    headers = {"Content-Disposition": f'attachment; filename="saved-papers.{form}"'}
    return Response(content, media_type=FORMATS[form].media_type, headers=headers)
