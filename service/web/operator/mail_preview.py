"""Preview of a subscriber's next digest: the exact mail; nothing is stored or sent."""

from datetime import date
from email import message_from_bytes, policy
from email.message import EmailMessage

from fastapi import APIRouter, Depends
from fastapi.responses import HTMLResponse, Response

from service.editions.domain.schedule import next_cadence_day
from service.messages.domain.errors import MailError
from service.messages.preview import MailPreview, preview_digest
from service.papers.domain.announcement_days import announcement_date
from service.platform.database.engine import transaction
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.framed_mail import show_framed
from service.web.core.middleware import MAIL_SANDBOX
from service.web.operator.auth import check_operator
from service.web.operator.one_subscriber import Number, find_holder

router = APIRouter(include_in_schema=False, dependencies=[Depends(check_operator)])


@router.get("/admin/subscribers/{number}/preview")
def show_preview(context: Context, number: Number) -> HTMLResponse:
    on, email = _next_digest(context, number)
    mail = _preview(context, number, on)
    message = _parse(mail.payload) if mail.payload else None
    text = message.get_body(("plain",)) if message else None
    return context.pages.show(
        "admin_preview.html",
        number=number,
        email=email,
        on=on,
        mail=mail,
        message=message,
        text=text.get_content() if text else "",
        sandbox=MAIL_SANDBOX,
    )


@router.get("/admin/subscribers/{number}/preview.html")
def show_preview_html(context: Context, number: Number) -> HTMLResponse:
    """Return the HTML part alone, for the sandboxed frame."""
    html = _parse(_payload(context, number)).get_body(("html",))
    return show_framed(html.get_content() if html else "")


@router.get("/admin/subscribers/{number}/preview.eml")
def download_preview(context: Context, number: Number) -> Response:
    """Return the whole message as a file for a mail program."""
    headers = {"Content-Disposition": f'attachment; filename="paperboy-preview-{number}.eml"'}
    return Response(_payload(context, number), media_type="message/rfc822", headers=headers)


def _next_digest(context: AppContext, number: int) -> tuple[date, str]:
    """Return the date of the subscriber's next digest, today's included, and their address."""
    with transaction(context.sessions) as session:
        subscriber = find_holder(session, number)
        on = next_cadence_day(subscriber.cadence, announcement_date(context.clock()))
        return on, subscriber.email


def _preview(context: AppContext, number: int, on: date) -> MailPreview:
    try:
        return preview_digest(context.sessions, context.settings, number, on, context.clock())
    except LookupError as error:
        raise PageNotFound("This edition is being opened just now", "Reload the page.") from error
    except MailError as error:
        raise PageNotFound("This mail cannot be built", f"{error}.") from error


def _payload(context: AppContext, number: int) -> bytes:
    on, _ = _next_digest(context, number)
    mail = _preview(context, number, on)
    if mail.payload is None:
        raise PageNotFound("There would be no mail", f"The reason: {mail.reason}.")
    return mail.payload


def _parse(payload: bytes) -> EmailMessage:
    message = message_from_bytes(payload, policy=policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101  # `policy.default` returns this type
    return message
