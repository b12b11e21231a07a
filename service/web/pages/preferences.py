"""The preferences page: topics, schedule, pause, address, data export, unsubscribe, erasure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy.orm import Session

from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose, Token
from service.presentation.sanitize import clean
from service.subscribers import lifecycle
from service.subscribers.address_change import request_address
from service.subscribers.export import export_subscriber
from service.subscribers.queue_mails import queue_paused, queue_resumed
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import SUBSCRIBED, get_named_topics
from service.subscribers.validate import WEEKDAYS, FormFault, SignUpError, validate_preferences
from service.topics.domain.measure import write_measure
from service.topics.domain.names import LONGEST_NAME, find_chosen_name
from service.web.core.context import AppContext, Context
from service.web.core.signed_links import find_holder, open_link
from service.web.pages.saved import OwnChoices, load_own_choices
from service.web.pages.subscribe import show_busy
from service.web.views.sign_up_form import (
    TypedForm,
    parse_named_rows,
    parse_word,
    with_example,
    with_faults,
)

MOST_PAUSE_DAYS = 366
_WELCOME_BACK = "Welcome back: your digests continue."
# The same for every address, known or not.
_REQUESTED = "If that address can receive our mail, a confirmation is on its way. Nothing changes until then."
_MISSED = "What you missed comes in a separate mail."

router = APIRouter(include_in_schema=False)


Word = Annotated[str, AfterValidator(parse_word)]


class PreferencesForm(BaseModel):
    """The posted preferences form: an action and its values.

    Blank values and `topic=None` were not sent and leave the stored value. `name` has the names of
    the first topics, row by row, `comes` their measures. `ai_summaries`, `empty_digests` and `catch_up` are `yes` or `no`;
    the form sends a hidden `no` before the box, so that an unticked
    box differs from a form without the field, and the last value counts.
    """

    action: str = "save"
    topic: list[str] | None = None
    name: list[str] = Field(default_factory=list)
    cadence: str = ""
    hour: Word = ""
    timing: Word = ""
    timezone: Word = ""
    ai_summaries: str = ""
    empty_digests: str = ""
    full_cards: Word = ""
    comes: list[str] = Field(default_factory=list)
    max_papers: list[str] = Field(default_factory=list)
    weekly_topics_on: Word = ""
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
    typed = _merge(form, _typed_by(session, subscriber))
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
        subscriber, _typed_by(session, subscriber), load_own_choices(session, subscriber.id)
    )


def _typed_by(session: Session, subscriber: Subscriber) -> TypedForm:
    topics = get_named_topics(session, [subscriber.id]).get(subscriber.id, [])
    hour = str(subscriber.hour)
    return TypedForm(
        subscriber.email,
        tuple(topic.query for topic in topics),
        names=tuple(find_chosen_name(topic.name, topic.query) for topic in topics),
        measures=tuple(write_measure(topic.measure) for topic in topics),
        cadence=subscriber.cadence,
        hour=hour,
        timezone=subscriber.timezone,
        timing=subscriber.timing,
        has_empty_digests=subscriber.has_empty_digests,
        has_ai_summaries=subscriber.has_ai_summaries,
        full_cards=str(subscriber.full_cards),
        max_papers=str(subscriber.max_papers or ""),
        weekly_topics_on=WEEKDAYS[subscriber.weekly_topics_on],
    )


def _read_number(sent: Sequence[str]) -> str:
    """Return what was typed; the form sends a hidden `usual` before the field, which may be empty."""
    typed = [word for text in sent if (word := parse_word(text)) not in {"", "usual"}]
    return typed[-1] if typed else ""


def _merge(form: PreferencesForm, stored: TypedForm) -> TypedForm:
    """Return the posted values, with the stored ones where a field was not sent."""
    topics, names = parse_named_rows(form.topic or (), form.name)
    _, measures = parse_named_rows(form.topic or (), form.comes)
    if form.topic is None:
        topics, names, measures = stored.topics, stored.names, stored.measures
    return replace(
        stored,
        topics=topics,
        names=names,
        measures=measures,
        cadence=form.cadence or stored.cadence,
        hour=form.hour or stored.hour,
        timezone=form.timezone or stored.timezone,
        timing=form.timing or stored.timing,
        full_cards=form.full_cards or stored.full_cards,
        max_papers=_read_number(form.max_papers) if form.max_papers else stored.max_papers,
        weekly_topics_on=form.weekly_topics_on or stored.weekly_topics_on,
        has_empty_digests=form.empty_digests == "yes"
        if form.empty_digests
        else stored.has_empty_digests,
        has_ai_summaries=form.ai_summaries == "yes"
        if form.ai_summaries
        else stored.has_ai_summaries,
    )


def _show_faults(
    context: AppContext, token: str, link: Token, form: PreferencesForm, error: SignUpError
) -> HTMLResponse:
    with transaction(context.sessions) as session:
        page = _load_page(session, find_holder(session, link))
    typed = _merge(form, page.form) if form.action == "save" else page.form
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
        longest_name=LONGEST_NAME,
        weekdays=WEEKDAYS,
        usual_papers=context.settings.digest_max_papers,
    )
