"""*Your papers*: saved papers with tags and notes, searched, added, changed, removed; the private feed."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from service.messages.signed_links import token_url
from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.presentation.sanitize import clean
from service.subscribers import private_feed
from service.subscribers.domain import saved as limits
from service.subscribers.domain.saved import SavedFault, SavedPaper, parse_filter
from service.subscribers.domain.saved_exports import FORMATS
from service.subscribers.domain.types import Feedback
from service.subscribers.feedback import take_back_feedback
from service.subscribers.saved_papers import add_tags, find_saved, load_saved, save_by_address
from service.subscribers.store.models import Subscriber
from service.subscribers.store.saved import count_saved, count_tags, find_saved_ids, update_saved
from service.topics.edit_by_link import ChangeRefused
from service.web.core.admission import PAPER
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.signed_links import find_holder, open_link
from service.web.pages.topic_links import parse_row_id
from service.web.views.pagination import Slice, cut, parse_page_number

PAGE_SIZE = 20
_MOST_PAGES = limits.MOST_SAVED // PAGE_SIZE
# The page lists the tags that most papers have; a search finds the others.
_MOST_TAGS = 40

router = APIRouter(include_in_schema=False)


class PapersQuery(BaseModel):
    """A search in the saved papers: words, a tag, and the page of its results."""

    q: str = ""
    tag: str = ""
    page: str = "1"


@dataclass(frozen=True, slots=True)
class YourPapers:
    """The data of the page. `total` counts what the search found, `saved_count` all saved papers.

    `feed_url` and `feed_key` are empty without a feed.
    """

    listed: Slice[SavedPaper]
    total: int
    saved_count: int
    query: str
    tag: str
    tags: tuple[tuple[str, int], ...]
    feed_url: str
    feed_key: str


@dataclass(frozen=True, slots=True)
class Typed:
    """What was typed in a form that was refused, and why."""

    field: str
    text: str
    address: str = ""
    tags: str = ""
    note: str = ""


@router.get("/preferences/{token}/kept", dependencies=PAPER)
def show_kept(context: Context, token: str, query: Annotated[PapersQuery, Query()]) -> HTMLResponse:
    """Show the saved papers, or those that a search finds."""
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        page = _load(context, session, find_holder(session, link), query)
    return _show(context, token, page)


@router.post("/preferences/{token}/kept")
def take_from_kept(
    context: Context, token: str, paper: Annotated[str, Form()] = ""
) -> HTMLResponse:
    """Remove one saved paper, with its tags and its note."""
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, link, lock=True)
        number = parse_row_id(paper)
        take_back_feedback(session, subscriber, number, Feedback.KEPT, None, context.clock())
        page = _load(context, session, subscriber)
    return _show(context, token, page, "Removed from your saved papers.")


@router.post("/preferences/{token}/kept/add", dependencies=PAPER)
def add_to_kept(
    context: Context,
    token: str,
    address: Annotated[str, Form()] = "",
    tags: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Save the paper that an identifier or an address names; twice is once."""
    link = open_link(context, token, Purpose.PREFERENCES)
    address, tags = clean(address).strip(), clean(tags)
    notice, typed = "", None
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, link, lock=True)
        try:
            # A fault in the tags takes back what was saved with them.
            with session.begin_nested():
                notice = _add(context, session, subscriber, address, tags)
        except SavedFault as fault:
            typed = Typed(fault.field, str(fault), address, tags)
        except ChangeRefused as error:
            typed = Typed("address", str(error), address, tags)
        page = _load(context, session, subscriber)
    return _show(context, token, page, notice, typed)


def _add(
    context: AppContext, session: Session, subscriber: Subscriber, address: str, tags: str
) -> str:
    parsed = limits.parse_tags(tags)
    saved = save_by_address(session, subscriber, address, context.clock())
    if saved is None:
        raise SavedFault(
            "address",
            "No paper here has this address. It may be in a category that is not watched.",
        )
    add_tags(session, subscriber.id, saved.paper.id, parsed)
    return f"Saved: {saved.paper.title}"


@router.get("/preferences/{token}/kept/{paper_id}")
def show_saved(context: Context, token: str, paper_id: str) -> HTMLResponse:
    """Show one saved paper with its tags and its note, to change them."""
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        saved = _find(session, find_holder(session, link).id, paper_id)
    return _show_one(context, token, saved)


@router.post("/preferences/{token}/kept/{paper_id}")
def take_saved(
    context: Context,
    token: str,
    paper_id: str,
    tags: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Set the tags and the note of one saved paper; twice is once."""
    link = open_link(context, token, Purpose.PREFERENCES)
    tags, note = clean(tags), clean(note)
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, link, lock=True)
        saved = _find(session, subscriber.id, paper_id)
        typed = None
        try:
            parsed, text = limits.parse_tags(tags), limits.parse_note(note)
        except SavedFault as fault:
            typed = Typed(fault.field, str(fault), "", tags, note)
        else:
            update_saved(session, subscriber.id, saved.paper.id, parsed, text)
        saved = _find(session, subscriber.id, paper_id)
    return _show_one(context, token, saved, "" if typed else "Saved.", typed)


_FEED_NOTICES = {
    "make": "Your private feed has an address now.",
    "renew": "The feed has a new address, and the old one has ended.",
    "end": "The feed has ended: its address shows nothing any more.",
}


_STILL_ON = "The feed was not turned off: it has another address since you opened that page."


@router.post("/preferences/{token}/feed")
def take_feed(
    context: Context,
    token: str,
    action: Annotated[str, Form()] = "",
    was: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Make, replace or end the address of the private feed; `was` is the key that the form showed."""
    link = open_link(context, token, Purpose.PREFERENCES)
    if action not in _FEED_NOTICES:
        raise PageNotFound("This form does not say what to do", "Go back and try it again.")
    with transaction(context.sessions) as session:
        subscriber, now = find_holder(session, link, lock=True), context.clock()
        is_done = True
        if action == "make":
            private_feed.make_feed(session, subscriber, now)
        elif action == "renew":
            is_done = private_feed.replace_feed(session, subscriber, was, now)
        else:
            is_done = private_feed.end_feed(session, subscriber, was)
        page = _load(context, session, subscriber)
    if is_done:
        return _show(context, token, page, _FEED_NOTICES[action])
    is_on = action == "end" and page.feed_url
    return _show(context, token, page, _STILL_ON if is_on else "Done already.")


def _load(
    context: AppContext, session: Session, subscriber: Subscriber, query: PapersQuery | None = None
) -> YourPapers:
    query = query or PapersQuery()
    text = clean(query.q).strip()
    wanted = parse_filter(text, clean(query.tag))
    ids = find_saved_ids(session, subscriber.id, wanted)
    listed = cut(ids, parse_page_number(query.page, _MOST_PAGES), PAGE_SIZE)
    saved = load_saved(session, subscriber.id, listed.items)
    feed = private_feed.find_feed_token(session, subscriber)
    return YourPapers(
        listed=Slice(tuple(saved), listed.number, listed.pages, listed.first),
        total=len(ids),
        saved_count=count_saved(session, subscriber.id),
        query=text,
        tag=wanted.tag,
        tags=tuple(count_tags(session, subscriber.id).items())[:_MOST_TAGS],
        feed_url=token_url(context.settings, feed) if feed else "",
        feed_key=feed.detail if feed else "",
    )


def _find(session: Session, subscriber_id: int, paper_id: str) -> SavedPaper:
    saved = find_saved(session, subscriber_id, parse_row_id(paper_id))
    if saved is None:
        raise PageNotFound(
            "This paper is not among your saved papers", "You may have removed it since."
        )
    return saved


def _show(
    context: AppContext, token: str, page: YourPapers, notice: str = "", typed: Typed | None = None
) -> HTMLResponse:
    return context.pages.show(
        "saved.html",
        status=422 if typed else 200,
        token=token,
        page=page,
        notice=notice,
        typed=typed,
        formats=[(form, each.label) for form, each in FORMATS.items()],
    )


def _show_one(
    context: AppContext, token: str, saved: SavedPaper, notice: str = "", typed: Typed | None = None
) -> HTMLResponse:
    return context.pages.show(
        "saved_paper.html",
        status=422 if typed else 200,
        token=token,
        saved=saved,
        tags=typed.tags if typed else ", ".join(saved.tags),
        note=typed.note if typed else saved.note,
        notice=notice,
        typed=typed,
        limits=limits,
    )
