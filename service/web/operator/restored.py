"""Answer whether the database was restored from a backup, and resume sending."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse

from service.platform.queue import wake_senders
from service.presentation.phrases import count_of
from service.sending.restore_guard import WrongAnswer, accept_newest, accept_restored
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.operator.auth import check_operator
from service.web.operator.forms import Question, ask, check_csrf, show_done

router = APIRouter(include_in_schema=False, dependencies=[Depends(check_operator)])

NOTHING_LOST = "nothing lost"

_RESTORED = Question(
    "Was the database restored from a backup?",
    "Mail that may have been sent since the backup is marked in doubt instead of being sent again, and "
    "sending resumes.",
    "/admin/restored",
    "Yes, resume sending",
    "/admin",
)
_NEWEST = Question(
    "Is this the newest database?",
    "Sending continues where it stopped. If mail was sent that this database does not know, readers "
    "get it a second time.",
    "/admin/restored",
    "Yes, resume sending",
    "/admin",
    NOTHING_LOST,
)


@router.post("/admin/restored")
def take_restored(
    *,
    context: Context,
    token: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    answer: Annotated[str, Form()] = "",
    sure: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Accept the operator's word: when mail was last sent (UTC), or that nothing was lost."""
    check_csrf(context, token, 0)
    if sure != "yes":
        is_newest = answer == NOTHING_LOST
        return ask(context, 0, _NEWEST if is_newest else replace(_RESTORED, answer=until))
    try:
        notice = _resume(context, answer)
    except WrongAnswer as error:
        raise PageNotFound("This cannot be", f"{error}.".capitalize(), 422) from error
    wake_senders(context.enqueue)
    return show_done(context, f"{notice}; sending resumes.")


def _resume(context: AppContext, answer: str) -> str:
    if answer == NOTHING_LOST:
        accept_newest(context.sessions, context.settings, context.clock())
        return "Nothing is in doubt"
    report = accept_restored(
        context.sessions, context.settings, context.clock(), _parse_until(answer)
    )
    return f"{count_of(sum(report.doubtful.values()), 'mail')} in doubt"


def _parse_until(text: str) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise WrongAnswer("write the time like 2026-11-28T07:05") from error
