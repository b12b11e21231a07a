"""*Start from papers you have*: a file of references in, a proposal of topics out, the ticked saved.

Nothing of the file is stored: what the reader ticks comes back in the form of the proposal.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile

from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.references import MOST_BYTES, ReferenceFileError
from service.papers.reference_files.read import read_references
from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.presentation.sanitize import clean
from service.similarity.availability import is_available
from service.subscribers import lifecycle
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_named_topics
from service.subscribers.stored_form import form_of
from service.subscribers.validate import SignUpError, validate_preferences
from service.topics.domain.proposal import ProposalKind
from service.topics.propose import PreviewedTopic, preview_each, propose_topics
from service.topics.topics import MOST_TOPICS
from service.web.core.admission import FILE
from service.web.core.context import AppContext, Context
from service.web.core.signed_links import find_holder, open_link
from service.web.views.labels import volume

_TITLES: Final = 3
_MOST_ROWS: Final = 40
_HEADINGS: Final = (
    (ProposalKind.GROUP, "Papers like these"),
    (ProposalKind.WORDS, "Words they share"),
    (ProposalKind.AUTHOR, "Authors who recur"),
    (ProposalKind.CATEGORY, "Categories"),
    ("", "Topics"),
)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Row:
    """A proposed topic on the page. `total` is None where the preview would take too long."""

    number: int
    kind: str
    query: str
    name: str
    is_ticked: bool
    total: int | None = None
    days: int = 30
    volume: str = ""
    titles: tuple[str, ...] = ()
    papers: tuple[str, ...] = ()


async def _read_upload(request: Request) -> bytes:
    """Return the uploaded file, or else the pasted text; empty for neither.

    Read here, since a part that is no file has at most 1 MB by default.
    """
    limits = {"max_files": 1, "max_fields": 4, "max_part_size": MOST_BYTES + 1}
    async with request.form(**limits) as form:
        file, text = form.get("file"), form.get("text")
        payload = await file.read(MOST_BYTES + 1) if isinstance(file, UploadFile) else b""
    return payload if payload or not isinstance(text, str) else text.encode("utf-8", "replace")


@router.get("/preferences/{token}/start")
def show_start(context: Context, token: str) -> HTMLResponse:
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        saved_count = _count_topics(session, find_holder(session, link))
    return _show(context, token, saved_count=saved_count)


@router.post("/preferences/{token}/start", dependencies=FILE)
def take_file(
    context: Context, token: str, payload: Annotated[bytes, Depends(_read_upload)]
) -> HTMLResponse:
    """Show what the file suggests. Nothing is stored."""
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        saved_count = _count_topics(session, find_holder(session, link))
    try:
        file = read_references(payload)
    except ReferenceFileError as error:
        return _show(context, token, saved_count=saved_count, fault=str(error))
    with transaction(context.sessions) as session:
        can_compare = is_available(session)
        proposal = propose_topics(session, context.settings, file)
    until = announcement_date(context.clock())
    previewed = preview_each(context.sessions, context.previews.preview, proposal, until)
    rows = [_to_row(number, each) for number, each in enumerate(previewed)]
    return _show(
        context,
        token,
        saved_count=saved_count,
        proposal=proposal,
        rows=rows,
        can_compare=can_compare,
    )


@router.post("/preferences/{token}/start/save")
def save_proposed(
    context: Context,
    token: str,
    topic: Annotated[list[str] | None, Form()] = None,
    name: Annotated[list[str] | None, Form()] = None,
    pick: Annotated[list[str] | None, Form()] = None,
) -> HTMLResponse:
    """Append the ticked topics to the reader's own; those that are there already stay as they are."""
    link = open_link(context, token, Purpose.PREFERENCES)
    pairs = list(zip(map(clean, topic or ()), map(clean, name or ()), strict=False))[:_MOST_ROWS]
    picked = {
        int(each) for each in pick or () if each.isascii() and each.isdigit() and len(each) < 4
    }
    rows = [
        Row(number, "", query, title, number in picked)
        for number, (query, title) in enumerate(pairs)
    ]
    chosen = [row for row in rows if row.is_ticked]
    try:
        with transaction(context.sessions) as session:
            subscriber = find_holder(session, link, lock=True)
            if chosen:
                _append(context, session, subscriber, chosen)
            saved_count = _count_topics(session, subscriber)
    except SignUpError as error:
        with transaction(context.sessions) as session:
            saved_count = _count_topics(session, find_holder(session, link))
        return _show(context, token, saved_count=saved_count, rows=rows, fault=str(error))
    if not chosen:
        fault = "Nothing is ticked, so nothing was saved."
        return _show(context, token, saved_count=saved_count, rows=rows, fault=fault)
    return context.pages.show(
        "started.html", token=token, names=[row.name for row in chosen], saved_count=saved_count
    )


def _append(
    context: AppContext, session: Session, subscriber: Subscriber, chosen: list[Row]
) -> None:
    """Save the reader's topics with the chosen ones after them. Raises `SignUpError`."""
    own = form_of(session, subscriber)
    known = {*own.topics}
    new = [row for row in chosen if " ".join(row.query.split()) not in known]
    form = replace(
        own,
        topics=(*own.topics, *(row.query for row in new)),
        names=(*own.names, *(row.name for row in new)),
    )
    preferences = validate_preferences(session, form, subscriber.id)
    lifecycle.update_preferences(session, subscriber, preferences, context.clock())


def _count_topics(session: Session, subscriber: Subscriber) -> int:
    return len(get_named_topics(session, [subscriber.id]).get(subscriber.id, []))


def _to_row(number: int, previewed: PreviewedTopic) -> Row:
    topic, preview = previewed.topic, previewed.preview
    row = Row(number, topic.kind, topic.query, topic.name, topic.is_ticked, papers=topic.papers)
    if preview is None:
        return row
    total = preview.matched.total
    return replace(
        row,
        total=total,
        days=len(preview.matched.per_day),
        volume=volume(total, preview.days_known),
        titles=tuple(paper.title for paper in preview.matched.newest[:_TITLES]),
    )


def _to_sections(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return the headings with their rows, in the order of the headings."""
    sections = [(heading, [row for row in rows if row.kind == kind]) for kind, heading in _HEADINGS]
    return [(heading, own) for heading, own in sections if own]


def _show(context: AppContext, token: str, rows: Sequence[Row] = (), **values: Any) -> HTMLResponse:
    values = {"proposal": None, "fault": "", "can_compare": True} | values
    return context.pages.show(
        "start.html",
        status=422 if values["fault"] else 200,
        token=token,
        most_topics=MOST_TOPICS,
        sections=_to_sections(rows),
        **values,
    )
