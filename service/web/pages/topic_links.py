"""The links beside a paper in a mail, save and more, and what more leads to. GET shows, POST acts.

GET changes nothing, because programs open links before people do. The link's token permits changes
of topics and feedback only, and none after an unsubscribe.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose, Token
from service.presentation.sanitize import clean
from service.subscribers.domain.types import Feedback
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import SUBSCRIBED
from service.topics.edit_by_link import ChangeRefused, TopicGone
from service.web.core.admission import PAPER
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.signed_links import find_holder, open_link
from service.web.pages.change_page import ChangePage, LinkRequest, Undo
from service.web.pages.topic_link_pages import apply, ask, take_back

router = APIRouter(include_in_schema=False)

_BESIDE = {"topic", "paper", "over", "tags"}


class ChangeForm(BaseModel):
    """The parameters of a link or its form: one verb with its value, and what goes with it.

    `topic` and `paper` are the ids of the topic to mute in and of the paper that had the link;
    `over` is the feedback that the form showed, which the new one replaces; `tags` are those of a
    paper to save.
    """

    topic: str = ""
    paper: str = ""
    over: str = ""
    tags: str = ""
    mute: str = ""
    follow: str = ""
    less: str = ""
    keep: str = ""
    more: str = ""
    also: str = ""
    vote: str = ""

    def read(self) -> LinkRequest:
        """Return the request; its verb is empty where there is not exactly one."""
        given = [(verb, text) for verb, text in self if text and verb not in _BESIDE]
        verb, text = given[0] if len(given) == 1 else ("", "")
        text = clean(text).strip()
        topic_id, paper_id = parse_row_id(self.topic), parse_row_id(self.paper)
        over = _parse_feedback(self.over)
        tags = clean(self.tags).strip()
        return LinkRequest(verb, text, parse_row_id(text), topic_id, paper_id, over, tags)


class UndoForm(BaseModel):
    """The posted form of an undo button."""

    change: str = ""
    paper: str = ""
    rating: str = ""
    was: str = ""
    since: str = ""
    also: str = ""
    voted: str = ""

    def read(self) -> Undo:
        return Undo(
            change_id=parse_row_id(self.change),
            paper_id=parse_row_id(self.paper),
            feedback=_parse_feedback(self.rating),
            previous=_parse_feedback(self.was),
            since=_parse_moment(self.since),
            also=self.also,
            voted_id=parse_row_id(self.voted),
        )


def parse_row_id(text: str) -> int:
    """Return a row's id; 0, which no row has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _parse_feedback(text: str) -> Feedback | None:
    return Feedback(text) if text in set(Feedback) else None


def _parse_moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None


@router.get("/change/{token}", dependencies=PAPER)
def ask_to_change(
    context: Context, token: str, form: Annotated[ChangeForm, Query()]
) -> HTMLResponse:
    def make(session: Session, subscriber: Subscriber) -> ChangePage:
        return ask(session, context.settings, subscriber, form.read(), context.clock())

    return _show(context, token, "change.html", make, lock=False)


@router.post("/change/{token}", dependencies=PAPER)
def take_change(context: Context, token: str, form: Annotated[ChangeForm, Form()]) -> HTMLResponse:
    """Carry out the request; idempotent."""

    def make(session: Session, subscriber: Subscriber) -> ChangePage:
        return apply(session, context.settings, subscriber, form.read(), context.clock())

    return _show(context, token, "changed.html", make, lock=True)


@router.post("/change/{token}/undo")
def take_undo(context: Context, token: str, form: Annotated[UndoForm, Form()]) -> HTMLResponse:
    def make(session: Session, subscriber: Subscriber) -> ChangePage:
        return take_back(session, subscriber, form.read(), context.clock())

    return _show(context, token, "changed.html", make, lock=True)


def _show(
    context: AppContext,
    token: str,
    template: str,
    make: Callable[[Session, Subscriber], ChangePage],
    *,
    lock: bool,
) -> HTMLResponse:
    """Show the page that `make` returns for the link's subscriber, or why there is none."""
    link = open_link(context, token, Purpose.CHANGE)
    try:
        with transaction(context.sessions) as session:
            page = make(session, _find_changer(session, link, lock=lock))
    except TopicGone as error:
        raise PageNotFound(
            "This topic is gone",
            "It was removed or rewritten since the mail was sent. The newest mail has working links, "
            "and your preferences show all your topics.",
            410,
        ) from error
    except ChangeRefused as error:
        return context.pages.show(
            "unchanged.html", status=409, text=str(error), token=token, preferences=""
        )
    return context.pages.show(
        "change.html" if page.is_refused else template,
        status=409 if page.is_refused else 200,
        page=page,
        token=token,
        preferences="",
    )


def _find_changer(session: Session, link: Token, *, lock: bool) -> Subscriber:
    subscriber = find_holder(session, link, lock=lock)
    if subscriber.state not in SUBSCRIBED:
        raise PageNotFound(
            "You get no mail from us",
            "So there is nothing to change. If you subscribe again, your topics are as you left them.",
            410,
        )
    return subscriber
