"""Send me my link: one form for every address, and one click for the holder of an old link."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse

from service.platform.database.engine import transaction
from service.presentation.sanitize import clean
from service.subscribers.personal_link import renew_link, request_link
from service.subscribers.validate import SignUpError, validate_address
from service.web.core.context import AppContext, Context
from service.web.core.signed_links import is_from_form, open_old_link, sign_form
from service.web.pages.subscribe import show_busy
from service.web.views.sign_up_form import TypedForm, with_faults

router = APIRouter(include_in_schema=False)


@router.get("/link")
def show_form(context: Context) -> HTMLResponse:
    return context.pages.show("link.html", form=TypedForm(token=sign_form(context)))


@router.post("/link")
def take_request(
    context: Context,
    request: Request,
    email: Annotated[str, Form()] = "",
    token: Annotated[str, Form()] = "",
    old: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Queue the mail with the link, if any. The answer is the same for every address.

    `old` is the path of a used or expired link, which names the subscriber: nothing to type.
    """
    if old:
        return _renew(context, request, old)
    typed = TypedForm(email=clean(email).strip(), token=token)
    try:
        address = validate_address(typed.email, takes_utf8=context.settings.smtputf8)
    except SignUpError as error:
        form = with_faults(replace(typed, token=token or sign_form(context)), error.faults)
        return context.pages.show("link.html", status=422, form=form)
    wait = _seconds_to_wait(context, request, is_form=is_from_form(context, token))
    if wait:
        return show_busy(context, wait)
    with transaction(context.sessions) as session:
        request_link(session, address, context.settings.secret_key, context.clock())
    return _show_sent(context)


def _renew(context: AppContext, request: Request, old: str) -> HTMLResponse:
    link = open_old_link(context, old)
    wait = _seconds_to_wait(context, request, is_form=True)
    if wait:
        return show_busy(context, wait)
    with transaction(context.sessions) as session:
        renew_link(session, link.subject, context.settings.secret_key, context.clock())
    return _show_sent(context)


def _seconds_to_wait(context: AppContext, request: Request, *, is_form: bool) -> int:
    ip = request.client.host if request.client else ""
    return context.limits.seconds_to_wait(ip, is_from_form=is_form)


def _show_sent(context: AppContext) -> HTMLResponse:
    context.enqueue("deliver")
    return context.pages.show("link_sent.html")
