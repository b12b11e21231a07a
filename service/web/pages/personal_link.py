"""Send me my link: one form for every address, and one click for the holder of an old link."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.papers.domain.types import PaperView
from service.papers.store.read import find_paper
from service.platform.database.engine import transaction
from service.presentation.sanitize import clean
from service.subscribers.personal_link import renew_link
from service.subscribers.store.mail_requests import VOTE_FOR, insert_mail_request
from service.subscribers.validate import SignUpError, validate_address
from service.web.core.context import AppContext, Context
from service.web.core.mail_gate import Visit, Visited, may_holder_pass, may_pass, show_proof
from service.web.core.signed_links import open_old_link, sign_form
from service.web.views.sign_up_form import TypedForm, with_faults

router = APIRouter(include_in_schema=False)


@router.get("/link")
def show_form(context: Context, vote: str = "") -> HTMLResponse:
    """Show the form; `vote` is the key of a paper that the mail's link shall vote for."""
    with transaction(context.sessions) as session:
        paper = _find_voted(context, session, vote)
    return context.pages.show("link.html", form=TypedForm(token=sign_form(context)), paper=paper)


def _find_voted(context: AppContext, session: Session, key: str) -> PaperView | None:
    return find_paper(session, clean(key).strip()) if key and context.settings.votes else None


@router.post("/link")
def take_request(
    context: Context,
    visit: Visited,
    email: Annotated[str, Form()] = "",
    old: Annotated[str, Form()] = "",
    vote: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Take the request. The answer and its work are the same for every address.

    `vote` is the key of a paper to vote for. `old` is the path of a used or expired link, which names the subscriber: nothing to type.
    """
    if old:
        return _renew(context, visit, old)
    typed = TypedForm(email=clean(email).strip(), token=visit.token)
    try:
        address = validate_address(typed.email, takes_utf8=context.settings.smtputf8)
    except SignUpError as error:
        form = with_faults(replace(typed, token=visit.token or sign_form(context)), error.faults)
        with transaction(context.sessions) as session:
            paper = _find_voted(context, session, vote)
        return context.pages.show("link.html", status=422, form=form, paper=paper)
    with transaction(context.sessions) as session:
        passes = may_pass(context, session, visit, address)
        paper = _find_voted(context, session, vote)
        if passes:
            choices = {VOTE_FOR: paper.id} if paper else None
            insert_mail_request(session, address, context.clock(), choices=choices)
    if not passes:
        fields = [("email", typed.email), *([("vote", paper.key)] if paper else [])]
        return show_proof(context, visit, address, "/link", fields)
    context.enqueue("settle_requests")
    return context.pages.show("link_sent.html")


def _renew(context: AppContext, visit: Visit, old: str) -> HTMLResponse:
    link = open_old_link(context, old)
    if not may_holder_pass(context, visit, old):
        return show_proof(context, visit, old, "/link", [("old", old)])
    with transaction(context.sessions) as session:
        renew_link(session, link, context.settings.secret_key, context.clock())
    context.enqueue("deliver_urgent")
    return context.pages.show("link_sent.html")
