"""The preferences page: topics, schedule, pause, address, data export, unsubscribe, erasure."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from sqlalchemy.orm import Session

from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose, Token
from service.presentation.sanitize import clean
from service.subscribers import lifecycle
from service.subscribers.address_change import request_address
from service.subscribers.export import export_subscriber
from service.subscribers.queue_mails import queue_paused, queue_resumed
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import SUBSCRIBED
from service.subscribers.stored_form import form_of
from service.subscribers.validate import FormFault, SignUpError, validate_preferences
from service.web.core.context import AppContext, Context
from service.web.core.signed_links import find_holder, open_link
from service.web.pages.saved import OwnChoices, load_own_choices
from service.web.pages.subscribe import show_busy
from service.web.views.posted_preferences import PostedPreferences, Word
from service.web.views.sign_up_form import TypedForm, to_typed, with_example, with_faults

MOST_PAUSE_DAYS = 366
_WELCOME_BACK = "Welcome back: your digests continue."
# The same for every address, known or not.
_REQUESTED = "If that address can receive our mail, a confirmation is on its way. Nothing changes until then."
_MISSED = "What you missed comes in a separate mail."

router = APIRouter(include_in_schema=False)


class PreferencesForm(PostedPreferences):
    """The posted form: an action and its values; `catch_up` is `yes` or `no`, or was not sent."""

    action: str = "save"
    pause_days: Word = ""
    catch_up: str = ""
    address: str = ""
    sure: str = ""


@router.get("/preferences/{token}")
def show_preferences(context: Context, token: str) -> HTMLResponse:
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        page = _load_page(session, find_holder(session, link))
    return _show(context, token, page)


@router.post("/preferences/{token}")
def take_preferences(
    context: Context, request: Request, token: str, form: Annotated[PreferencesForm, Form()]
) -> Response:
    """Carry out the posted action and show the resulting page."""
    link = open_link(context, token, Purpose.PREFERENCES)
    if form.action == "erase":
        return _take_erasure(context, token, link, is_sure=form.sure == "yes")
    if form.action == "end_links":
        return _end_links(context, token, link, is_sure=form.sure == "yes")
    wait = _seconds_to_wait(context, request) if form.action == "address" else 0
    if wait:
        return show_busy(context, wait)
    try:
        with transaction(context.sessions) as session:
            subscriber = find_holder(session, link, lock=True)
            notice = _act(context, session, subscriber, form)
            page = _load_page(session, subscriber)
    except SignUpError as error:
        return _show_faults(context, token, link, form, error)
    return _show(context, token, page, notice)


def _act(
    context: AppContext, session: Session, subscriber: Subscriber, form: PreferencesForm
) -> str:
    """Carry out one action; return a notice, or an empty one where nothing changed.

    Raises `SignUpError` for invalid input.
    """
    match form.action:
        case "save":
            return _save(context, session, subscriber, form)
        case "pause":
            return _pause(context, session, subscriber, form)
        case "resume":
            return _resume(context, session, subscriber, form)
        case "address":
            address = clean(form.address).strip()
            request_address(
                session, subscriber, address, context.settings.secret_key, context.clock()
            )
            return _REQUESTED
        case "unsubscribe":
            lifecycle.leave(
                session, context.settings, subscriber.id, "/preferences", context.clock()
            )
            return "You will get no more mail from us."
        case "undo":
            is_back = lifecycle.undo_unsubscribe(session, subscriber.id, context.clock())
            return _WELCOME_BACK if is_back else ""
        case _:
            raise SignUpError(FormFault("action", "Unknown action."))


def _seconds_to_wait(context: AppContext, request: Request) -> int:
    """Count a change of address as a sign-up: the new address may belong to anybody."""
    ip = request.client.host if request.client else ""
    return context.limits.seconds_to_wait(ip, is_from_form=True)


def _save(
    context: AppContext, session: Session, subscriber: Subscriber, form: PreferencesForm
) -> str:
    typed = form.merge_into(to_typed(form_of(session, subscriber)))
    lifecycle.update_preferences(
        session, subscriber, validate_preferences(session, typed, subscriber.id), context.clock()
    )
    return "Saved. Your next digest uses these settings."


def _resume(
    context: AppContext, session: Session, subscriber: Subscriber, form: PreferencesForm
) -> str:
    catches_up = None if form.catch_up == "" else form.catch_up == "yes"
    if not lifecycle.resume(subscriber, catches_up=catches_up):
        return ""
    queue_resumed(session, subscriber, context.clock())
    return f"{_WELCOME_BACK} {_MISSED}" if subscriber.catch_up_since else _WELCOME_BACK


def _pause(
    context: AppContext, session: Session, subscriber: Subscriber, form: PreferencesForm
) -> str:
    days = form.pause_days
    is_usable = days.isascii() and days.isdigit() and 1 <= int(days) <= MOST_PAUSE_DAYS
    if days and not is_usable:
        raise SignUpError(FormFault("pause_days", f"Pause for 1 to {MOST_PAUSE_DAYS} days."))
    today = context.clock().astimezone(ZoneInfo(subscriber.timezone)).date()
    until = today + timedelta(days=int(days)) if days else None
    if not lifecycle.pause(subscriber, until, context.clock(), catches_up=form.catch_up == "yes"):
        return ""
    queue_paused(session, subscriber, context.clock())
    return "Paused. You get no digests until the pause ends."


def _take_erasure(context: AppContext, token: str, link: Token, *, is_sure: bool) -> HTMLResponse:
    """Ask for confirmation, because this cannot be undone; then erase the subscriber."""
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, link, lock=is_sure)
        if is_sure:
            lifecycle.erase(session, subscriber, context.settings.secret_key, context.clock())
    return context.pages.show("erased.html" if is_sure else "erase.html", token=token)


def _end_links(context: AppContext, token: str, link: Token, *, is_sure: bool) -> HTMLResponse:
    """Ask for confirmation, because this page's own link ends too; then end all links."""
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, link, lock=is_sure)
        if is_sure:
            lifecycle.end_links(session, subscriber, "/preferences", context.clock())
    if not is_sure:
        return context.pages.show("end_links.html", token=token)
    context.enqueue("deliver_urgent")
    return context.pages.show("links_ended.html", is_subscribed=subscriber.state in SUBSCRIBED)


@router.get("/preferences/{token}/export")
def export_data(context: Context, token: str) -> JSONResponse:
    """Return all data stored about the subscriber as a file (GDPR Art. 15 and 20)."""
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        data = export_subscriber(session, find_holder(session, link))
    headers = {"Content-Disposition": 'attachment; filename="paperboy.json"'}
    return JSONResponse(data, headers=headers)


@dataclass(frozen=True, slots=True)
class PreferencesPage:
    """The data of the page, read in one transaction before rendering."""

    subscriber: Subscriber
    form: TypedForm
    own: OwnChoices


def _load_page(session: Session, subscriber: Subscriber) -> PreferencesPage:
    return PreferencesPage(
        subscriber, to_typed(form_of(session, subscriber)), load_own_choices(session, subscriber.id)
    )


def _show_faults(
    context: AppContext, token: str, link: Token, form: PreferencesForm, error: SignUpError
) -> HTMLResponse:
    with transaction(context.sessions) as session:
        page = _load_page(session, find_holder(session, link))
    typed = form.merge_into(page.form) if form.action == "save" else page.form
    if form.action == "address":
        typed = replace(typed, email=clean(form.address).strip())
    return _show(context, token, replace(page, form=with_faults(typed, error.faults)))


def _show(context: AppContext, token: str, page: PreferencesPage, notice: str = "") -> HTMLResponse:
    return context.pages.show(
        "preferences.html",
        status=422 if page.form.faults else 200,
        token=token,
        subscriber=page.subscriber,
        form=with_example(page.form, context.clock()),
        notice=notice,
        own=page.own,
    )
