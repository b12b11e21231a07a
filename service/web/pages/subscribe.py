"""Signing up, and proving the address by the link in the mail."""

from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Header, Request
from fastapi.responses import HTMLResponse

from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.presentation.dates import read_locale
from service.presentation.sanitize import clean
from service.subscribers.sign_up import confirm, request_subscription
from service.subscribers.validate import SignUpError, validate_sign_up
from service.web.core.context import AppContext, Context
from service.web.core.signed_links import is_from_form, open_link, preferences_url, sign_form
from service.web.views.sign_up_form import TypedForm, read_rows, read_word, with_faults

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Posted:
    """The sign-up form as it came. `trap` is the field that no person sees.

    `instead` is the suggestion that was clicked, for the first topic.
    """

    typed: TypedForm
    trap: str
    instead: str


def read_form(
    site: Context,
    *,
    email: Annotated[str, Form()] = "",
    topic: Annotated[list[str] | None, Form()] = None,
    timezone: Annotated[str, Form()] = "",
    hour: Annotated[str, Form()] = "",
    cadence: Annotated[str, Form()] = "daily",
    token: Annotated[str, Form()] = "",
    homepage: Annotated[str, Form()] = "",
    instead: Annotated[str, Form()] = "",
    accept_language: Annotated[str, Header()] = "",
) -> Posted:
    """A dependency of every route that takes the form; what is missing gets its default."""
    typed = TypedForm(
        email=clean(email).strip(),
        topics=read_rows(topic),
        timezone=read_word(timezone) or site.settings.digest_timezone,
        hour=read_word(hour) or str(site.settings.digest_hour),
        cadence=read_word(cadence),
        page="/subscribe",
        locale=read_locale(accept_language),
        token=token,
    )
    return Posted(typed, homepage, clean(instead).strip())


PostedHere = Annotated[Posted, Depends(read_form)]


@router.post("/subscribe")
def take_sign_up(site: Context, request: Request, posted: PostedHere) -> HTMLResponse:
    """Take a sign-up. The answer is the same for every address, known or not."""
    if posted.trap:
        # A program filled what people cannot see. It learns nothing from the answer.
        return site.pages.show("sent.html")
    try:
        with transaction(site.sessions) as session:
            takes_utf8 = site.settings.smtputf8
            valid = validate_sign_up(session, posted.typed, takes_utf8=takes_utf8)
            # Counted only now: a typing error is no flood. So far nothing is locked or written.
            wait = _seconds_to_wait(site, request, posted.typed.token)
            if not wait:
                request_subscription(session, valid, site.settings.secret_key, site.clock())
    except SignUpError as error:
        return _show_faults(site, posted.typed, error)
    if wait:
        return show_busy(site, wait)
    site.ring("deliver")
    return site.pages.show("sent.html")


def _seconds_to_wait(site: AppContext, request: Request, token: str) -> int:
    ip = request.client.host if request.client else ""
    return site.limits.seconds_to_wait(ip, is_from_form=is_from_form(site, token))


def show_busy(site: AppContext, wait: int) -> HTMLResponse:
    headers = {"Retry-After": str(wait)}
    return site.pages.show("busy.html", status=429, headers=headers, minutes=-(-wait // 60))


def _show_faults(site: AppContext, typed: TypedForm, error: SignUpError) -> HTMLResponse:
    # A form that came without its token gets one now, so that its second try counts as a form's.
    form = with_faults(replace(typed, token=typed.token or sign_form(site)), error.faults)
    return site.pages.show("signup.html", status=422, form=form)


@router.get("/confirm/{token}")
def ask_to_confirm(site: Context, token: str) -> HTMLResponse:
    """A button and nothing else: link checkers open every link in a mail."""
    open_link(site, token, Purpose.CONFIRM)
    return site.pages.show("confirm.html", token=token)


@router.post("/confirm/{token}")
def take_confirmation(site: Context, token: str) -> HTMLResponse:
    link = open_link(site, token, Purpose.CONFIRM)
    with transaction(site.sessions) as session:
        subscriber = confirm(session, site.settings, link, site.clock())
    site.ring("deliver")
    return site.pages.show(
        "confirmed.html", subscriber=subscriber, preferences=preferences_url(site, subscriber.id)
    )
