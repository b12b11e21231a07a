"""Saying yes to a new address, or taking back that digests went to one: the links of two mails."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.subscribers.address_change import confirm_address
from service.web.core.context import Context
from service.web.core.signed_links import open_link, preferences_url

router = APIRouter(include_in_schema=False)


@router.get("/address/{token}")
def ask_about_address(site: Context, token: str) -> HTMLResponse:
    """A button and nothing else: link checkers open every link in a mail."""
    open_link(site, token, Purpose.ADDRESS)
    return site.pages.show("address.html", token=token)


@router.post("/address/{token}")
def take_address(site: Context, token: str) -> HTMLResponse:
    link = open_link(site, token, Purpose.ADDRESS)
    with transaction(site.sessions) as session:
        subscriber = confirm_address(session, link, site.clock())
    site.ring("deliver")
    return site.pages.show(
        "address_taken.html",
        subscriber=subscriber,
        preferences=preferences_url(site, subscriber.id),
    )
