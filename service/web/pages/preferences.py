"""A reader's own page: topics, times, a pause, the data we hold, and leaving."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import AfterValidator, BaseModel
from sqlalchemy.orm import Session

from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.presentation.sanitize import clean
from service.subscribers.address_change import request_address
from service.subscribers.export import export_subscriber
from service.subscribers.lifecycle import (
    erase,
    leave,
    pause,
    resume,
    undo_unsubscribe,
    update_preferences,
)
from service.subscribers.queue_mails import queue_paused, queue_resumed
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_topics
from service.subscribers.validate import FormFault, SignUpError, validate_preferences
from service.web.core.context import AppContext, Context
from service.web.core.signed_links import find_holder, open_link
from service.web.pages.saved import OwnChoices, read_own_choices
from service.web.pages.subscribe import show_busy
from service.web.views.sign_up_form import TypedForm, read_rows, read_word, with_faults

MOST_PAUSE_DAYS = 366
_WELCOME_BACK = "Welcome back: your digests go on."
# The same for every address, known or not.
_ASKED = "If that address can get our mails, one is on its way to it: nothing changes before it says yes."
_MISSED = "What you missed comes in a mail of its own."

router = APIRouter(include_in_schema=False)


Word = Annotated[str, AfterValidator(read_word)]


class PreferencesForm(BaseModel):
    """What the preferences form asks for: an action, and the values that go with some of them.

    Blank values and `topic=None` were not sent and stay as they are. `empty_digests` and `catch_up`
    are `yes` or `no`; a form sends `no` before its tick box, so that an empty box can be told from
    none, and the last word counts.
    """

    action: str = "save"
    topic: list[str] | None = None
    cadence: str = ""
    hour: Word = ""
    timezone: Word = ""
    empty_digests: str = ""
    pause_days: Word = ""
    catch_up: str = ""
    address: str = ""
    sure: str = ""


@router.get("/preferences/{token}")
def show_preferences(context: Context, token: str) -> HTMLResponse:
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        page = _read_page(session, find_holder(session, link.subject))
    return _show(context, token, page)


@router.post("/preferences/{token}")
def take_preferences(
    context: Context, request: Request, token: str, asked: Annotated[PreferencesForm, Form()]
) -> Response:
    """Do what was asked and show the page as it is then."""
    link = open_link(context, token, Purpose.PREFERENCES)
    if asked.action == "erase":
        return _take_erasure(context, token, link.subject, is_sure=asked.sure == "yes")
    wait = _seconds_to_wait(context, request) if asked.action == "address" else 0
    if wait:
        return show_busy(context, wait)
    try:
        with transaction(context.sessions) as session:
            subscriber = find_holder(session, link.subject, lock=True)
            said = _act(context, session, subscriber, asked)
            page = _read_page(session, subscriber)
    except SignUpError as error:
        return _show_faults(context, token, link.subject, asked, error)
    return _show(context, token, page, said)


def _act(
    context: AppContext, session: Session, subscriber: Subscriber, asked: PreferencesForm
) -> str:
    """Carry out one action; returns the sentence that says so, or nothing where it was so already.

    Raises `SignUpError` for input that cannot be used.
    """
    match asked.action:
        case "save":
            return _save(context, session, subscriber, asked)
        case "pause":
            return _pause(context, session, subscriber, asked)
        case "resume":
            return _resume(context, session, subscriber, asked)
        case "address":
            address = clean(asked.address).strip()
            request_address(
                session, subscriber, address, context.settings.secret_key, context.clock()
            )
            return _ASKED
        case "unsubscribe":
            leave(session, context.settings, subscriber.id, "/preferences", context.clock())
            return "You will get no more mail from us."
        case "undo":
            is_back = undo_unsubscribe(session, subscriber.id, context.clock())
            return _WELCOME_BACK if is_back else ""
        case _:
            raise SignUpError(FormFault("action", "This form does not know that action."))


def _seconds_to_wait(context: AppContext, request: Request) -> int:
    """A new address may be anybody's, so asking one counts as a sign-up."""
    ip = request.client.host if request.client else ""
    return context.limits.seconds_to_wait(ip, is_from_form=True)


def _save(
    context: AppContext, session: Session, subscriber: Subscriber, asked: PreferencesForm
) -> str:
    typed = _merge(asked, _typed_by(session, subscriber))
    update_preferences(session, subscriber, validate_preferences(session, typed), context.clock())
    return "Saved. Your next digest follows this."


def _resume(
    context: AppContext, session: Session, subscriber: Subscriber, asked: PreferencesForm
) -> str:
    wants = None if asked.catch_up == "" else asked.catch_up == "yes"
    if not resume(subscriber, catches_up=wants):
        return ""
    queue_resumed(session, subscriber, context.clock())
    return f"{_WELCOME_BACK} {_MISSED}" if subscriber.catch_up_since else _WELCOME_BACK


def _pause(
    context: AppContext, session: Session, subscriber: Subscriber, asked: PreferencesForm
) -> str:
    days = asked.pause_days
    is_usable = days.isascii() and days.isdigit() and 1 <= int(days) <= MOST_PAUSE_DAYS
    if days and not is_usable:
        raise SignUpError(FormFault("pause_days", f"Pause for 1 to {MOST_PAUSE_DAYS} days."))
    today = context.clock().astimezone(ZoneInfo(subscriber.timezone)).date()
    until = today + timedelta(days=int(days)) if days else None
    if not pause(subscriber, until, context.clock(), catches_up=asked.catch_up == "yes"):
        return ""
    queue_paused(session, subscriber, context.clock())
    return "Paused. Nothing comes until you are back."


def _take_erasure(
    context: AppContext, token: str, subscriber_id: int, *, is_sure: bool
) -> HTMLResponse:
    """Ask once more, because this cannot be taken back; then forget the reader."""
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, subscriber_id, lock=is_sure)
        if is_sure:
            erase(session, subscriber, context.settings.secret_key, context.clock())
    return context.pages.show("erased.html" if is_sure else "erase.html", token=token)


@router.get("/preferences/{token}/export")
def export_data(context: Context, token: str) -> JSONResponse:
    """Everything we hold about the reader, as a file (GDPR Art. 15 and 20)."""
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        held = export_subscriber(session, find_holder(session, link.subject))
    headers = {"Content-Disposition": 'attachment; filename="paperboy.json"'}
    return JSONResponse(held, headers=headers)


@dataclass(frozen=True, slots=True)
class PreferencesPage:
    """What the page shows of a reader, read in one transaction before it is written."""

    subscriber: Subscriber
    form: TypedForm
    own: OwnChoices


def _read_page(session: Session, subscriber: Subscriber) -> PreferencesPage:
    return PreferencesPage(
        subscriber, _typed_by(session, subscriber), read_own_choices(session, subscriber.id)
    )


def _typed_by(session: Session, subscriber: Subscriber) -> TypedForm:
    topics = tuple(text for text, _ in get_topics(session, [subscriber.id]).get(subscriber.id, []))
    hour = str(subscriber.hour)
    return TypedForm(
        subscriber.email,
        topics,
        cadence=subscriber.cadence,
        hour=hour,
        timezone=subscriber.timezone,
        has_empty_digests=subscriber.has_empty_digests,
    )


def _merge(asked: PreferencesForm, before: TypedForm) -> TypedForm:
    """What was typed, and what stands already where a field was not sent."""
    return replace(
        before,
        topics=before.topics if asked.topic is None else read_rows(asked.topic),
        cadence=asked.cadence or before.cadence,
        hour=asked.hour or before.hour,
        timezone=asked.timezone or before.timezone,
        has_empty_digests=asked.empty_digests == "yes"
        if asked.empty_digests
        else before.has_empty_digests,
    )


def _show_faults(
    context: AppContext, token: str, subscriber_id: int, asked: PreferencesForm, error: SignUpError
) -> HTMLResponse:
    with transaction(context.sessions) as session:
        page = _read_page(session, find_holder(session, subscriber_id))
    typed = _merge(asked, page.form) if asked.action == "save" else page.form
    return _show(context, token, replace(page, form=with_faults(typed, error.faults)))


def _show(context: AppContext, token: str, page: PreferencesPage, said: str = "") -> HTMLResponse:
    return context.pages.show(
        "preferences.html",
        status=422 if page.form.faults else 200,
        token=token,
        subscriber=page.subscriber,
        form=page.form,
        said=said,
        own=page.own,
    )
