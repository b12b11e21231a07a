"""Unsubscribe: one-click POST for mail programs (RFC 8058), one button for people, and undo.

The POST needs no cookie, no form field and no body, and answers without a redirect. It is
idempotent, and succeeds also where the address that got the link gets no mail from us any more: the
subscriber left, was erased, or moved to another address. There an old link ends nothing, since the
old mailbox may have a new owner.

The same link pauses the digests and makes them weekly, but opens neither topics nor data.
"""

from datetime import timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.platform.database.engine import one_statement, transaction
from service.platform.signing.tokens import Purpose, Token, is_held_by
from service.subscribers.lifecycle import (
    leave_by_link,
    leave_locked,
    pause,
    resume,
    suppress_for_good,
    undo_unsubscribe,
)
from service.subscribers.queue_mails import queue_paused, queue_resumed
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import SUBSCRIBED, get_subscriber
from service.web.core.context import AppContext, Context
from service.web.core.signed_links import open_link

router = APIRouter(include_in_schema=False)

_GONE = {SubscriberState.UNSUBSCRIBED, SubscriberState.SUPPRESSED}
_PAUSE = timedelta(weeks=4)


def _find_addressee(session: Session, link: Token, *, lock: bool = False) -> Subscriber | None:
    """Return the subscriber of a link, or None where its address gets no mail from us any more."""
    subscriber = get_subscriber(session, link.subject, lock=lock)
    return subscriber if subscriber is not None and is_held_by(link, subscriber) else None


@router.get("/unsubscribe/{token}")
def ask_to_unsubscribe(context: Context, token: str) -> HTMLResponse:
    link = open_link(context, token, Purpose.UNSUBSCRIBE)
    with transaction(context.sessions) as session:
        subscriber = _find_addressee(session, link)
    return _show(context, token, subscriber)


def _show(context: AppContext, token: str, subscriber: Subscriber | None) -> HTMLResponse:
    if subscriber is None:
        return context.pages.show("no_mail.html")
    page = "already_unsubscribed.html" if subscriber.state in _GONE else "unsubscribe.html"
    return context.pages.show(page, token=token, subscriber=subscriber)


@router.post("/unsubscribe/{token}")
def take_unsubscribe(context: Context, token: str) -> HTMLResponse:
    link, now = open_link(context, token, Purpose.UNSUBSCRIBE), context.clock()
    # Thousands may leave within minutes of a mail.
    with one_statement(context.sessions) as session:
        has_left = leave_by_link(session, context.settings, link, "/unsubscribe", now)
    if not has_left:
        with transaction(context.sessions) as session:
            subscriber = _find_addressee(session, link, lock=True)
            if subscriber is not None:
                leave_locked(session, context.settings, subscriber, "/unsubscribe", now)
        if subscriber is None:
            return _show(context, token, None)
    return context.pages.show("unsubscribed.html", token=token)


@router.post("/unsubscribe/{token}/pause")
def take_pause(context: Context, token: str) -> HTMLResponse:
    """Pause the digests for four weeks."""
    link, now = open_link(context, token, Purpose.UNSUBSCRIBE), context.clock()
    with transaction(context.sessions) as session:
        subscriber = _find_addressee(session, link, lock=True)
        is_running = subscriber is not None and subscriber.state is SubscriberState.ACTIVE
        if subscriber is not None and is_running:
            pause(subscriber, now.astimezone(ZoneInfo(subscriber.timezone)).date() + _PAUSE, now)
            queue_paused(session, subscriber, now)
    if not is_running:
        return _show(context, token, subscriber)
    context.enqueue("deliver_urgent")
    return context.pages.show(
        "less_mail.html",
        token=token,
        subscriber=subscriber,
        heading="Your digests are paused",
        cadence="",
    )


@router.post("/unsubscribe/{token}/weekly")
def take_weekly(context: Context, token: str) -> HTMLResponse:
    """Send one digest a week from now on."""
    link, before = open_link(context, token, Purpose.UNSUBSCRIBE), None
    with transaction(context.sessions) as session:
        subscriber = _find_addressee(session, link, lock=True)
        if subscriber is not None and subscriber.state in SUBSCRIBED:
            before = subscriber.cadence
            if not before.collects_days:
                subscriber.cadence = Cadence.WEEKLY
    if before is None:
        return _show(context, token, subscriber)
    return context.pages.show(
        "less_mail.html",
        token=token,
        subscriber=subscriber,
        heading="One digest a week",
        cadence="" if before.collects_days else before,
    )


@router.get("/unsubscribe/{token}/undo")
def ask_to_undo(context: Context, token: str) -> HTMLResponse:
    """Show the page behind the link in a farewell mail; only its button changes anything."""
    open_link(context, token, Purpose.UNSUBSCRIBE)
    return context.pages.show("resubscribe.html", token=token)


@router.post("/unsubscribe/{token}/undo")
def take_undo(context: Context, token: str, cadence: Annotated[str, Form()] = "") -> HTMLResponse:
    """Take back what the link did; `cadence` is that before the digests were made weekly."""
    link, now = open_link(context, token, Purpose.UNSUBSCRIBE), context.clock()
    with transaction(context.sessions) as session:
        subscriber = _find_addressee(session, link, lock=True)
        if subscriber is not None:
            undo_unsubscribe(session, subscriber.id, now)
            if resume(subscriber):
                queue_resumed(session, subscriber, now)
            if cadence in set(Cadence):
                subscriber.cadence = Cadence(cadence)
    if subscriber is None or subscriber.state not in SUBSCRIBED:
        return context.pages.show("not_resubscribed.html", status=409)
    context.enqueue("deliver_urgent")
    return context.pages.show("resubscribed.html", subscriber=subscriber, token=token)


@router.get("/never/{token}")
def ask_to_never_mail(context: Context, token: str) -> HTMLResponse:
    open_link(context, token, Purpose.NEVER)
    return context.pages.show("never.html", token=token)


@router.post("/never/{token}")
def take_never_mail(context: Context, token: str) -> HTMLResponse:
    """Suppress the address permanently, for people whose address somebody else signed up."""
    link = open_link(context, token, Purpose.NEVER)
    with transaction(context.sessions) as session:
        suppress_for_good(session, link, context.settings.secret_key, context.clock())
    return context.pages.show("never_done.html")
