"""The preferences pages for choices made by mail links: topic changes and suggestions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.subscribers.store.feedback import RatedPapers, get_rated_papers
from service.subscribers.store.models import Subscriber
from service.topics.edit_by_link import ChangeRefused, TopicGone
from service.topics.store.changes import list_changes
from service.topics.store.models import TopicChange
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.signed_links import find_holder, open_link
from service.web.pages.change_page import ChangePage, Undo
from service.web.pages.topic_link_pages import switch_suggestions, take_back
from service.web.pages.topic_links import parse_row_id

router = APIRouter(include_in_schema=False)

# The page lists only recent changes; the export has all of them.
_MOST_CHANGES = 10


@dataclass(frozen=True, slots=True)
class OwnChoices:
    """The latest topic changes in effect, newest first, and the feedback on papers."""

    changes: Sequence[TopicChange]
    rated: RatedPapers


def load_own_choices(session: Session, subscriber_id: int) -> OwnChoices:
    rated = get_rated_papers(session, [subscriber_id]).get(subscriber_id, RatedPapers())
    return OwnChoices(list_changes(session, subscriber_id, _MOST_CHANGES), rated)


@router.post("/preferences/{token}/undo")
def take_change_back(
    context: Context, token: str, change: Annotated[str, Form()] = ""
) -> HTMLResponse:
    """Undo one of the topic changes listed in the preferences."""

    def make(session: Session, subscriber: Subscriber) -> ChangePage:
        return take_back(session, subscriber, Undo(change_id=parse_row_id(change)), context.clock())

    return _change(context, token, make)


@router.post("/preferences/{token}/suggestions")
def take_suggestions(
    context: Context, token: str, also: Annotated[str, Form()] = ""
) -> HTMLResponse:
    """Switch suggestions on or off."""
    return _change(context, token, lambda _, subscriber: switch_suggestions(subscriber, also))


def _change(
    context: AppContext, token: str, make: Callable[[Session, Subscriber], ChangePage]
) -> HTMLResponse:
    link = open_link(context, token, Purpose.PREFERENCES)
    preferences = f"/preferences/{token}"
    try:
        with transaction(context.sessions) as session:
            page = make(session, find_holder(session, link, lock=True))
    except ChangeRefused as error:
        return context.pages.show(
            "unchanged.html", status=409, text=str(error), preferences=preferences
        )
    except TopicGone as error:
        raise PageNotFound(
            "There is nothing to undo", "Your preferences show your topics."
        ) from error
    # The undo form needs a token for changes, which this page lacks; the preferences have undo.
    page = replace(page, fields=())
    return context.pages.show("changed.html", page=page, token=token, preferences=preferences)
