"""The links beside a paper in a mail: mute, follow, less, save. A page asks, its button acts.

GET changes nothing, because programs open links before people do. The holder of a link may change
topics and opinions, nothing else; who has left gets no change.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import SubscriberState
from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.presentation.sanitize import clean
from service.subscribers.domain.types import Feedback
from service.subscribers.store.models import Subscriber
from service.topics.edit_by_link import ChangeRefused, TopicGone
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.signed_links import find_holder, open_link, preferences_url
from service.web.pages.topic_link_pages import ChangePage, Undo, Wish, ask, carry_out, take_back

router = APIRouter(include_in_schema=False)

_SUBSCRIBED = {SubscriberState.ACTIVE, SubscriberState.PAUSED}


class ChangeForm(BaseModel):
    """What a link or the form behind it asks for: one verb, and the topic or paper it is about."""

    topic: str = ""
    mute: str = ""
    follow: str = ""
    less: str = ""
    keep: str = ""
    also: str = ""

    def read(self) -> Wish:
        """The one thing that is asked; a wish without a verb where it is not one."""
        asked = [(verb, text) for verb, text in self if text and verb != "topic"]
        verb, words = asked[0] if len(asked) == 1 else ("", "")
        words = clean(words).strip()
        return Wish(verb, words, read_number(words), read_number(self.topic))


class UndoForm(BaseModel):
    """What the undo button of a page carries."""

    change: str = ""
    paper: str = ""
    said: str = ""
    was: str = ""
    also: str = ""

    def read(self) -> Undo:
        return Undo(
            change_id=read_number(self.change),
            paper_id=read_number(self.paper),
            said=_parse_feedback(self.said),
            was=_parse_feedback(self.was),
            also=self.also,
        )


def read_number(text: str) -> int:
    """A row's id; 0, which no row has, for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def _parse_feedback(text: str) -> Feedback | None:
    return Feedback(text) if text in set(Feedback) else None


@router.get("/change/{token}")
def ask_to_change(
    context: Context, token: str, asked: Annotated[ChangeForm, Query()]
) -> HTMLResponse:
    def make(session: Session, subscriber: Subscriber) -> ChangePage:
        return ask(session, context.settings, subscriber, asked.read(), context.clock())

    return _show(context, token, "change.html", make, lock=False)


@router.post("/change/{token}")
def take_change(context: Context, token: str, asked: Annotated[ChangeForm, Form()]) -> HTMLResponse:
    """Do what was asked; the same again finds it done."""

    def make(session: Session, subscriber: Subscriber) -> ChangePage:
        return carry_out(session, subscriber, asked.read(), context.clock())

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
    """The page that `make` makes for the holder of the link, or the one that says why not."""
    link = open_link(context, token, Purpose.CHANGE)
    preferences = preferences_url(context, link.subject)
    try:
        with transaction(context.sessions) as session:
            page = make(session, _find_changer(session, link.subject, lock=lock))
    except TopicGone as error:
        raise PageNotFound(
            "This topic is gone",
            "It was removed or written anew since the mail was sent. The newest mail has links "
            "that fit, and your preferences show every topic as it is.",
            410,
        ) from error
    except ChangeRefused as error:
        return context.pages.show(
            "unchanged.html", status=409, text=str(error), preferences=preferences
        )
    return context.pages.show(template, page=page, token=token, preferences=preferences)


def _find_changer(session: Session, subscriber_id: int, *, lock: bool) -> Subscriber:
    subscriber = find_holder(session, subscriber_id, lock=lock)
    if subscriber.state not in _SUBSCRIBED:
        raise PageNotFound(
            "You get no mail from us",
            "So there is nothing to change. If you come back, your topics are as you left them.",
            410,
        )
    return subscriber
