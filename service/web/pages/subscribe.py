"""Sign-up, and confirmation of the address by the link in the mail (double opt-in)."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Header
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Timing
from service.editions.domain.arrivals import find_first_digest
from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.presentation.arrivals import lateness_text
from service.presentation.dates import parse_locale
from service.presentation.sanitize import clean
from service.sending.pause_switch import Pause, find_pause
from service.subscribers.domain.choices import preferences_to_json
from service.subscribers.domain.sign_up import ValidSignUp
from service.subscribers.sign_up import confirm, list_choices
from service.subscribers.store.mail_requests import insert_mail_request
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import SUBSCRIBED, get_subscriber
from service.subscribers.validate import SignUpError, validate_sign_up
from service.web.core.context import AppContext, Context
from service.web.core.mail_gate import Visited, may_pass, show_proof
from service.web.core.signed_links import find_holder, open_link, preferences_url, sign_form
from service.web.views.sign_up_form import (
    TypedForm,
    parse_rows,
    parse_word,
    with_example,
    with_faults,
)

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Posted:
    """A posted sign-up form. `trap` is the honeypot: a field that people do not see.

    `instead` is the clicked suggestion, which replaces the first topic.
    """

    typed: TypedForm
    trap: str
    instead: str


def parse_form(
    context: Context,
    *,
    email: Annotated[str, Form()] = "",
    topic: Annotated[list[str] | None, Form()] = None,
    timezone: Annotated[str, Form()] = "",
    hour: Annotated[str, Form()] = "",
    cadence: Annotated[str, Form()] = "daily",
    timing: Annotated[str, Form()] = Timing.AT_HOUR,
    token: Annotated[str, Form()] = "",
    homepage: Annotated[str, Form()] = "",
    instead: Annotated[str, Form()] = "",
    accept_language: Annotated[str, Header()] = "",
) -> Posted:
    """Parse the sign-up form; missing fields get their defaults. A dependency of routes."""
    typed = TypedForm(
        email=clean(email).strip(),
        topics=parse_rows(topic),
        timezone=parse_word(timezone),
        hour=parse_word(hour) or str(context.settings.digest_hour),
        cadence=parse_word(cadence),
        timing=parse_word(timing) or Timing.AT_HOUR,
        page="/subscribe",
        locale=parse_locale(accept_language),
        token=token,
    )
    return Posted(typed, homepage, clean(instead).strip())


SignUpPost = Annotated[Posted, Depends(parse_form)]


@router.post("/subscribe")
def take_sign_up(context: Context, visit: Visited, posted: SignUpPost) -> HTMLResponse:
    """Accept a sign-up. The response and its work are the same for every address, known or not."""
    if posted.trap:
        # A program filled the honeypot; it gets the same response as a person.
        with transaction(context.sessions) as session:
            pause = find_pause(session)
        return _show_sent(context, posted.typed, pause)
    try:
        with transaction(context.sessions) as session:
            takes_utf8 = context.settings.smtputf8
            form = _with_zone(context, posted.typed)
            valid = validate_sign_up(session, form, takes_utf8=takes_utf8)
            # Count only valid forms against the limits. Nothing is locked or written before this.
            passes = may_pass(context, session, visit, valid.email)
            if passes:
                _insert_request(session, valid, context.clock())
            pause = find_pause(session)
    except SignUpError as error:
        return _show_faults(context, posted.typed, error)
    if not passes:
        return show_proof(context, visit, valid.email, "/subscribe", _fields(posted.typed))
    context.enqueue("settle_requests")
    return _show_sent(context, posted.typed, pause)


def _insert_request(session: Session, valid: ValidSignUp, now: datetime) -> None:
    """Store what was asked for. What is known of the address is looked up after the answer."""
    chosen = preferences_to_json(valid.preferences)
    insert_mail_request(
        session, valid.email, now, choices=chosen, page=valid.page, locale=valid.locale
    )


def _fields(typed: TypedForm) -> list[tuple[str, str]]:
    """Return the fields of the form as they were posted."""
    names = ("email", "timezone", "hour", "cadence", "timing")
    fields = [(name, getattr(typed, name)) for name in names]
    return [*fields, *[("topic", topic) for topic in typed.topics]]


def _with_zone(context: AppContext, typed: TypedForm) -> TypedForm:
    """Return the form with the operator's time zone where none was given."""
    return replace(typed, timezone=typed.timezone or context.settings.digest_timezone)


def _show_sent(context: AppContext, typed: TypedForm, pause: Pause | None) -> HTMLResponse:
    """Say when digests will come, as typed: what is stored about the address is not shown."""
    form = _with_zone(context, typed)
    chosen, now = form.chosen, context.clock()
    return context.pages.show(
        "sent.html",
        times=form.times,
        first=find_first_digest(chosen, now) if chosen else None,
        lateness=lateness_text(chosen, now) if chosen else "",
        is_paused=pause is not None,
    )


def show_busy(context: AppContext, wait: int) -> HTMLResponse:
    headers = {"Retry-After": str(wait)}
    return context.pages.show("busy.html", status=429, headers=headers, minutes=-(-wait // 60))


def _show_faults(context: AppContext, typed: TypedForm, error: SignUpError) -> HTMLResponse:
    # A form without a token gets one now, so that its next submission counts as a fetched form.
    typed = with_example(replace(typed, token=typed.token or sign_form(context)), context.clock())
    form = with_faults(typed, error.faults)
    return context.pages.show("signup.html", status=422, form=form)


@router.get("/schedule/example")
def show_example(
    context: Context, cadence: str = "", hour: str = "", timezone: str = "", timing: str = ""
) -> JSONResponse:
    """Return what a schedule means for the papers of a day, for the script of the form."""
    typed = TypedForm(
        cadence=parse_word(cadence),
        hour=parse_word(hour),
        timezone=parse_word(timezone),
        timing=parse_word(timing),
    )
    form = with_example(_with_zone(context, typed), context.clock())
    return JSONResponse({"example": form.example})


@router.get("/confirm/{token}")
def ask_to_confirm(context: Context, token: str) -> HTMLResponse:
    """Show a button only: link checkers open every link in a mail, so GET changes nothing.

    A used link, however old, says that the address is subscribed.
    """
    link = open_link(context, token, Purpose.CONFIRM, may_be_old=True)
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, link)
        if subscriber.state not in SUBSCRIBED:
            open_link(context, token, Purpose.CONFIRM)
            choices = list_choices(session, subscriber, link, context.clock())
    if subscriber.state in SUBSCRIBED:
        return _show_used(context, token, subscriber)
    chosen = next(each for each in choices if each.name == link.detail)
    return context.pages.show(
        "confirm.html", token=token, subscriber=subscriber, chosen=chosen, choices=choices
    )


def _show_used(context: AppContext, token: str, subscriber: Subscriber) -> HTMLResponse:
    page = "already_confirmed.html"
    return context.pages.show(page, subscriber=subscriber, old_link=f"/confirm/{token}")


@router.post("/confirm/{token}")
def take_confirmation(
    context: Context, token: str, sign_up: Annotated[str | None, Form()] = None
) -> HTMLResponse:
    """Confirm, and open the preferences; a link that was used opens nothing more."""
    link = open_link(context, token, Purpose.CONFIRM)
    with transaction(context.sessions) as session:
        waiting = get_subscriber(session, link.subject, lock=True)
        is_first = waiting is not None and waiting.state not in SUBSCRIBED
        subscriber = confirm(session, context.settings, link, context.clock(), sign_up)
        pause = find_pause(session)
    if not is_first:
        return _show_used(context, token, subscriber)
    context.enqueue("deliver_urgent")
    return context.pages.show(
        "confirmed.html",
        subscriber=subscriber,
        first=find_first_digest(subscriber, context.clock()),
        lateness=lateness_text(subscriber, context.clock()),
        preferences=preferences_url(context, subscriber),
        is_paused=pause is not None,
    )
