"""Leaving: one click for mail programs (RFC 8058), one button for people, and a way back.

The POST needs no cookie, no form field and no body, and answers without a redirect. It works for
whoever has left already or was erased: the answer is what they wanted to hear.
"""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.deliveries.domain.recipients import SubscriberState
from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.subscribers.lifecycle import leave, never_mail, undo_unsubscribe
from service.subscribers.store.subscribers import get_subscriber
from service.web.core.context import Context
from service.web.core.signed_links import open_link, preferences_url

router = APIRouter(include_in_schema=False)

_SUBSCRIBED = {SubscriberState.ACTIVE, SubscriberState.PAUSED}


@router.get("/unsubscribe/{token}")
def ask_to_unsubscribe(site: Context, token: str) -> HTMLResponse:
    open_link(site, token, Purpose.UNSUBSCRIBE)
    return site.pages.show("unsubscribe.html", token=token)


@router.post("/unsubscribe/{token}")
def take_unsubscribe(site: Context, token: str) -> HTMLResponse:
    link = open_link(site, token, Purpose.UNSUBSCRIBE)
    with transaction(site.sessions) as session:
        leave(session, site.settings, link.subject, "/unsubscribe", site.clock())
    return site.pages.show("unsubscribed.html", token=token)


@router.get("/unsubscribe/{token}/undo")
def ask_to_undo(site: Context, token: str) -> HTMLResponse:
    """For the link in a farewell: a link opens a page, only its button changes anything."""
    open_link(site, token, Purpose.UNSUBSCRIBE)
    return site.pages.show("undo.html", token=token)


@router.post("/unsubscribe/{token}/undo")
def take_undo(site: Context, token: str) -> HTMLResponse:
    link = open_link(site, token, Purpose.UNSUBSCRIBE)
    with transaction(site.sessions) as session:
        undo_unsubscribe(session, link.subject, site.clock())
        subscriber = get_subscriber(session, link.subject)
    if subscriber is None or subscriber.state not in _SUBSCRIBED:
        return site.pages.show("not_undone.html", status=409)
    return site.pages.show(
        "undone.html", subscriber=subscriber, preferences=preferences_url(site, subscriber.id)
    )


@router.get("/never/{token}")
def ask_to_never_mail(site: Context, token: str) -> HTMLResponse:
    open_link(site, token, Purpose.NEVER)
    return site.pages.show("never.html", token=token)


@router.post("/never/{token}")
def take_never_mail(site: Context, token: str) -> HTMLResponse:
    """Suppress the address for good: for people whom a stranger signed up."""
    link = open_link(site, token, Purpose.NEVER)
    with transaction(site.sessions) as session:
        never_mail(session, link, site.settings.secret_key, site.clock())
    return site.pages.show("nevermore.html")
