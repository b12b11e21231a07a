"""Decide whether a form may ask for a mail at once, or whether its visitor proves something first.

Nobody is refused. The decision looks at the visitor, at the hour, and at the domain as typed, never
at what is known of the address. All counters lapse after an hour.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Form, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.sending.domain.providers import provider_of
from service.subscribers.store.mail_requests import count_last_hour
from service.web.core import proofs
from service.web.core.context import AppContext
from service.web.core.signed_links import is_from_form

# Mails an hour that strangers can have sent to any address without a proof.
BUDGET = 500
# This share is for visitors who fetched the form some seconds before they posted it.
KEPT_FOR_VISITORS = 250
# For one domain, unless it belongs to a provider of mailboxes for everybody.
DOMAIN_BUDGET = 100


@dataclass(frozen=True, slots=True)
class Visit:
    """Who posts a form, and what they prove: `token` of the form, `solution`, `wait`."""

    ip: str
    token: str
    solution: str
    wait: str


def parse_visit(
    request: Request,
    *,
    token: Annotated[str, Form()] = "",
    altcha: Annotated[str, Form()] = "",
    wait: Annotated[str, Form()] = "",
) -> Visit:
    """Parse the fields of a form beside its content. A dependency of routes."""
    return Visit(request.client.host if request.client else "", token, altcha, wait)


Visited = Annotated[Visit, Depends(parse_visit)]


def may_pass(context: AppContext, session: Session, visit: Visit, address: str) -> bool:
    """Return whether a form for a valid address passes; count it, or use its proof up."""
    if _has_proved(context, visit, address):
        return True
    is_fetched = is_from_form(context, visit.token)
    if not _has_budget(session, address, context.clock(), is_fetched=is_fetched):
        return False
    return not context.limits.seconds_to_wait(visit.ip, is_from_form=is_fetched)


def may_holder_pass(context: AppContext, visit: Visit, link: str) -> bool:
    """Do the same for the holder of a link of ours, whose mail goes to the address that got it."""
    if _has_proved(context, visit, link):
        return True
    return not context.limits.seconds_to_wait(visit.ip, is_from_form=True)


def _has_proved(context: AppContext, visit: Visit, address: str) -> bool:
    is_solved = bool(visit.solution) and proofs.is_solved(context, visit.solution)
    return is_solved or (bool(visit.wait) and proofs.has_waited(context, visit.wait, address))


def _has_budget(session: Session, address: str, now: datetime, *, is_fetched: bool) -> bool:
    domain = address.rpartition("@")[2].casefold()
    used = count_last_hour(session, domain, now)
    if used.all >= (BUDGET if is_fetched else BUDGET - KEPT_FOR_VISITORS):
        return False
    is_provider = provider_of(address) != domain
    return is_provider or used.domain < DOMAIN_BUDGET


def show_proof(
    context: AppContext, visit: Visit, address: str, action: str, fields: list[tuple[str, str]]
) -> HTMLResponse:
    """Show the page that sends the form to `action` again, with its hidden `fields` and a proof."""
    shown = context.limits.count_proof(visit.ip)
    wait, left = visit.wait, proofs.seconds_left(context, visit.wait, address)
    if not left:
        left = proofs.wait_seconds(shown)
        wait = proofs.sign_wait(context, address, left)
    return context.pages.show(
        "proof.html",
        status=429,
        headers={"Retry-After": str(left)},
        action=action,
        fields=[*fields, ("token", visit.token), ("wait", wait)],
        challenge=proofs.make_challenge(context, shown),
        seconds=left,
    )
