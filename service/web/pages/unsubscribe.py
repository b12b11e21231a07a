"""Unsubscribe: one-click POST for mail programs (RFC 8058), one button for people, and undo.

The POST needs no cookie, no form field and no body, and answers without a redirect. It is
idempotent: it succeeds also where the subscriber has left already or was erased.
"""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.deliveries.domain.recipients import SubscriberState
from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.subscribers.lifecycle import leave, suppress_for_good, undo_unsubscribe
from service.subscribers.store.subscribers import SUBSCRIBED, get_subscriber
from service.web.core.context import Context
from service.web.core.signed_links import open_link, preferences_url

router = APIRouter(include_in_schema=False)

_GONE = {SubscriberState.UNSUBSCRIBED, SubscriberState.SUPPRESSED}


@router.get("/unsubscribe/{token}")
def ask_to_unsubscribe(context: Context, token: str) -> HTMLResponse:
    link = open_link(context, token, Purpose.UNSUBSCRIBE)
    with transaction(context.sessions) as session:
        subscriber = get_subscriber(session, link.subject)
    if subscriber is None or subscriber.state in _GONE:
        page = "already_unsubscribed.html"
        return context.pages.show(page, token=token, subscriber=subscriber)
    preferences = preferences_url(context, subscriber.id).removeprefix(context.settings.base_url)
    return context.pages.show(
        "unsubscribe.html", token=token, subscriber=subscriber, preferences=preferences
    )


@router.post("/unsubscribe/{token}")
def take_unsubscribe(context: Context, token: str) -> HTMLResponse:
    link = open_link(context, token, Purpose.UNSUBSCRIBE)
    with transaction(context.sessions) as session:
        leave(session, context.settings, link.subject, "/unsubscribe", context.clock())
    return context.pages.show("unsubscribed.html", token=token)


@router.get("/unsubscribe/{token}/undo")
def ask_to_undo(context: Context, token: str) -> HTMLResponse:
    """Show the page behind the link in a farewell mail; only its button changes anything."""
    open_link(context, token, Purpose.UNSUBSCRIBE)
    return context.pages.show("resubscribe.html", token=token)


@router.post("/unsubscribe/{token}/undo")
def take_undo(context: Context, token: str) -> HTMLResponse:
    link = open_link(context, token, Purpose.UNSUBSCRIBE)
    with transaction(context.sessions) as session:
        undo_unsubscribe(session, link.subject, context.clock())
        subscriber = get_subscriber(session, link.subject)
    if subscriber is None or subscriber.state not in SUBSCRIBED:
        return context.pages.show("not_resubscribed.html", status=409)
    preferences = preferences_url(context, subscriber.id)
    return context.pages.show("resubscribed.html", subscriber=subscriber, preferences=preferences)


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
