"""Confirm a change of address, or undo it: the pages behind the links of two mails."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.subscribers.address_change import confirm_address
from service.web.core.context import Context
from service.web.core.signed_links import open_link

router = APIRouter(include_in_schema=False)


@router.get("/address/{token}")
def ask_about_address(context: Context, token: str) -> HTMLResponse:
    """Show a button only: link checkers open every link in a mail, so GET changes nothing."""
    open_link(context, token, Purpose.ADDRESS)
    return context.pages.show("address.html", token=token)


@router.post("/address/{token}")
def take_address(context: Context, token: str) -> HTMLResponse:
    link = open_link(context, token, Purpose.ADDRESS)
    with transaction(context.sessions) as session:
        subscriber = confirm_address(session, link, context.clock())
    context.enqueue("deliver_urgent")
    return context.pages.show("address_taken.html", subscriber=subscriber)
