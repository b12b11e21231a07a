"""Pause and resume all sending; ask a source again that refused us."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse

from service.papers.store.gates import reopen_gate
from service.platform.database.engine import transaction
from service.platform.queue import wake_senders
from service.sending.pause_switch import pause_sending, resume_sending
from service.web.core.context import Context
from service.web.core.errors import PageNotFound
from service.web.operator.auth import check_operator
from service.web.operator.forms import Question, ask, check_csrf, operator_of, show_done

router = APIRouter(include_in_schema=False, dependencies=[Depends(check_operator)])

_QUESTION = Question(
    "Pause all sending?",
    "Within five seconds no mail of any kind is sent: no digests, no confirmations, no alerts to "
    "you. Mails on their way to the relay are finished, all others stay queued until you resume; "
    "those that wait too long are skipped as late, and their papers come in the next digest.",
    "/admin/sending",
    "Pause all sending",
    "/admin",
    "pause",
)


@router.post("/admin/sending")
def take_switch(
    *,
    context: Context,
    request: Request,
    token: Annotated[str, Form()] = "",
    answer: Annotated[str, Form()] = "",
    sure: Annotated[str, Form()] = "",
) -> HTMLResponse:
    check_csrf(context, token, 0)
    if answer == "resume":
        resume_sending(context.sessions, operator_of(request), context.clock())
        wake_senders(context.enqueue)
        return show_done(context, "Sending goes on: queued mails are sent now.")
    if answer != "pause":
        raise PageNotFound("There is no such answer", "Sending is paused or resumed on /admin.")
    if sure != "yes":
        return ask(context, 0, _QUESTION)
    pause_sending(context.sessions, operator_of(request), context.clock())
    return show_done(context, "All sending is paused. Resume it on the overview.")


@router.post("/admin/gates")
def take_reopening(
    *,
    context: Context,
    token: Annotated[str, Form()] = "",
    answer: Annotated[str, Form()] = "",
    sure: Annotated[str, Form()] = "",
) -> HTMLResponse:
    check_csrf(context, token, 0)
    if sure != "yes":
        text = (
            f"Settle it with {answer} first. If it refuses us again, no request is sent to it for "
            "twice the time."
        )
        question = Question("Ask it again?", text, "/admin/gates", "Ask it again", "/admin", answer)
        return ask(context, 0, question)
    with transaction(context.sessions) as session:
        is_reopened = reopen_gate(session, answer)
    notice = (
        f"{answer} is asked again with the next fetch." if is_reopened else "It is open already."
    )
    return show_done(context, notice)
