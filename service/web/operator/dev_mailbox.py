"""The development mailbox in the browser: mail sent while no SMTP relay is set."""

from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.responses import HTMLResponse

from service.platform.dev_mailbox import NoSuchMessage, list_messages, load_message
from service.web.core.context import Context
from service.web.core.framed_mail import show_framed
from service.web.core.middleware import MAIL_SANDBOX

MOST_LISTED = 200

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class MessagePage:
    """One parsed message."""

    key: str
    subject: str
    sender: str
    to: str
    date: str
    text: str
    has_html: bool
    source: str


def require_development(context: Context) -> None:
    """Raise 404 where a relay is set or others may visit: real mail must not be readable here."""
    if not context.settings.has_mailbox_pages:
        raise HTTPException(404)


DevelopmentOnly = Annotated[None, Depends(require_development)]


@router.get("/mailbox")
def show_mailbox(context: Context, _only: DevelopmentOnly) -> HTMLResponse:
    messages = list_messages(context.maildir, limit=MOST_LISTED)
    return context.pages.show("mailbox.html", messages=messages)


@router.get("/mailbox/{key}")
def show_message(context: Context, _only: DevelopmentOnly, key: str) -> HTMLResponse:
    raw = _read(context, key)
    message = _parse(raw)
    shown = MessagePage(
        key=key,
        subject=str(message["Subject"] or "(no subject)"),
        sender=str(message["From"] or ""),
        to=str(message["To"] or ""),
        date=str(message["Date"] or ""),
        text=_part(message, "plain"),
        has_html=bool(_part(message, "html")),
        source=raw.decode("utf-8", "replace"),
    )
    return context.pages.show("message.html", message=shown, sandbox=MAIL_SANDBOX)


@router.get("/mailbox/{key}/html")
def show_message_html(context: Context, _only: DevelopmentOnly, key: str) -> HTMLResponse:
    """Return the HTML part alone, for the sandboxed frame, with links that open in a new tab."""
    return show_framed(_part(_parse(_read(context, key)), "html"))


def _read(context: Context, key: str) -> bytes:
    try:
        return load_message(context.maildir, key)
    except NoSuchMessage as error:
        raise HTTPException(404) from error


def _parse(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)  # noqa: S101  # `policy.default` returns this type
    return message


def _part(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    return str(part.get_content()) if part is not None else ""
