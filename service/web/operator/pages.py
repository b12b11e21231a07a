"""`/admin`: the operator's pages, behind a password. Every change asks for confirmation."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse

from service.operations.dashboard import find_overview
from service.operations.status import EditionStory, find_story
from service.platform.queue import wake_senders
from service.presentation.phrases import count_of
from service.sending.deliver import RESOLUTIONS, resolve
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.operator.auth import check_operator
from service.web.operator.charts import (
    BOUNCE_KEYS,
    EDITION_KEYS,
    GROWTH_KEYS,
    MAIL_KEYS,
    draw_bounces,
    draw_edition,
    draw_growth,
    draw_mails,
    draw_subscribed,
)
from service.web.operator.forms import Question, ask, check_csrf, show_done, sign_csrf

router = APIRouter(include_in_schema=False, dependencies=[Depends(check_operator)])


@router.get("/admin")
def show_overview(context: Context) -> HTMLResponse:
    found = find_overview(context.sessions, context.settings, context.clock())
    return context.pages.show(
        "admin.html",
        found=found,
        bars={line.edition_id: draw_edition(line.by_state) for line in found.editions},
        keys=EDITION_KEYS,
        bounces=draw_bounces(found.bounces),
        bounce_keys=BOUNCE_KEYS,
        growth=draw_growth(found.growth),
        subscribed=draw_subscribed(found.growth),
        growth_keys=GROWTH_KEYS,
        mails=draw_mails(found.mails),
        mail_keys=MAIL_KEYS,
        token=sign_csrf(context, 0),
    )


@router.get("/admin/editions/{number}")
def show_edition(context: Context, number: int) -> HTMLResponse:
    return _show_edition(context, number)


def _show_edition(context: AppContext, number: int, notice: str = "") -> HTMLResponse:
    story = _find_story(context, number)
    return context.pages.show(
        "admin_edition.html",
        story=story,
        picture=draw_edition(story.by_state),
        keys=EDITION_KEYS,
        notice=notice,
        token=sign_csrf(context, number),
    )


def _find_story(context: AppContext, number: int) -> EditionStory:
    story = find_story(context.sessions, number, context.clock())
    if story is None:
        raise PageNotFound("There is no such edition", "The latest editions are listed at /admin.")
    return story


@router.post("/admin/editions/{number}/resolve")
def take_answer(
    *,
    context: Context,
    number: int,
    token: Annotated[str, Form()] = "",
    answer: Annotated[str, Form()] = "",
    sure: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Resolve deliveries in doubt; `number` 0 stands for transactional mail."""
    check_csrf(context, token, number)
    if answer not in RESOLUTIONS or (number == 0 and answer == "carry"):
        raise PageNotFound("There is no such answer", "An answer is sent, resend or carry.")
    if sure != "yes":
        return ask(context, number, _question(context, number, answer))
    count = resolve(context.sessions, number or None, answer, context.clock())
    if answer == "resend" and count:
        wake_senders(context.enqueue)
    notice = f"{count_of(count, 'mail')}: {RESOLUTIONS[answer][1]}."
    return _show_edition(context, number, notice) if number else show_done(context, notice)


def _question(context: AppContext, number: int, answer: str) -> Question:
    if number:
        story = _find_story(context, number)
        what = f"{count_of(sum(doubt.count for doubt in story.doubts), 'digest')} in doubt"
        back = f"/admin/editions/{number}"
    else:
        what, back = "Transactional mail in doubt", "/admin"
    text = {
        "sent": f"{what}: they count as sent, and their papers are not repeated.",
        "carry": f"{what}: their papers are carried over into each reader’s next edition, marked.",
        "resend": f"{what}: they are sent again now. Readers who already have theirs get a second copy.",
    }[answer]
    button = {"sent": "Mark as sent", "carry": "Carry over", "resend": "Send again"}[answer]
    action = f"/admin/editions/{number}/resolve"
    return Question("Are you sure?", text, action, button, back, answer)
