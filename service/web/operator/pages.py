"""`/admin`: the operator's pages, behind a password. Every change asks for confirmation."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse

from service.operations.dashboard import find_overview
from service.operations.explain import SubscriberStory, find_subscriber_story
from service.operations.status import EditionStory, find_story
from service.papers.domain.announcement_days import announcement_date
from service.platform.signing.address_hash import email_key
from service.platform.signing.tokens import Purpose, Token, sign_token
from service.presentation.phrases import count_of
from service.sending.deliver import RESOLUTIONS, resolve
from service.sending.restore_guard import accept_restored
from service.subscribers.validate import SignUpError, validate_address
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.signed_links import open_link
from service.web.operator.auth import check_operator
from service.web.operator.charts import BOUNCE_KEYS, EDITION_KEYS, draw_bounces, draw_edition

router = APIRouter(include_in_schema=False, dependencies=[Depends(check_operator)])


@dataclass(frozen=True, slots=True)
class Question:
    """A confirmation page, whose form posts the same values with `sure=yes`."""

    title: str
    text: str
    action: str
    button: str
    back: str
    answer: str = ""


def _sign(context: AppContext, subject: int) -> str:
    """Return the CSRF token of a form, so that no other site can post it for the operator."""
    token = Token(Purpose.OPERATOR, subject, context.clock())
    return sign_token(token, context.settings.secret_key)


def _check(context: AppContext, token: str, subject: int) -> None:
    """Check a CSRF token. Raises `TokenInvalid` or `TokenExpired`, which have error pages."""
    if open_link(context, token, Purpose.OPERATOR).subject != subject:
        raise PageNotFound("This form is not complete", "Reload the page, and press once more.")


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
        today=announcement_date(context.clock()),
        token=_sign(context, 0),
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
        token=_sign(context, number),
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
    _check(context, token, number)
    if answer not in RESOLUTIONS or (number == 0 and answer == "carry"):
        raise PageNotFound("There is no such answer", "An answer is sent, resend or carry.")
    if sure != "yes":
        return _ask(context, number, _question(context, number, answer))
    count = resolve(context.sessions, number or None, answer, context.clock())
    if answer == "resend" and count:
        context.enqueue("deliver")
    notice = f"{count_of(count, 'mail')}: {RESOLUTIONS[answer][1]}."
    return _show_edition(context, number, notice) if number else _show_done(context, notice)


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


def _ask(context: AppContext, subject: int, question: Question) -> HTMLResponse:
    token = _sign(context, subject)
    return context.pages.show("admin_confirm.html", question=question, token=token)


def _show_done(context: AppContext, notice: str) -> HTMLResponse:
    return context.pages.show("admin_done.html", notice=notice)


@router.post("/admin/restored")
def take_restored(
    context: Context, token: Annotated[str, Form()] = "", sure: Annotated[str, Form()] = ""
) -> HTMLResponse:
    """Accept, on the operator's word, that the database was restored from a backup."""
    _check(context, token, 0)
    if sure != "yes":
        text = (
            "Mail that may have been sent since the backup is marked in doubt instead of being "
            "sent again, and sending resumes."
        )
        title = "Was the database restored from a backup?"
        question = Question(title, text, "/admin/restored", "Yes, resume sending", "/admin")
        return _ask(context, 0, question)
    report = accept_restored(context.sessions, context.settings, context.clock())
    context.enqueue("deliver")
    doubtful = count_of(sum(report.doubtful.values()), "mail")
    return _show_done(context, f"{doubtful} in doubt; sending resumes.")


@router.post("/admin/reader")
def show_subscriber(
    context: Context, email: Annotated[str, Form()] = "", on: Annotated[str, Form()] = ""
) -> HTMLResponse:
    """Show a subscriber's deliveries of a day. A POST keeps addresses out of logs and histories."""
    today = announcement_date(context.clock())
    fault, found = "", SubscriberStory(None)
    try:
        day = date.fromisoformat(on) if on else today
        key = email_key(validate_address(email))
    except SignUpError as error:
        fault = str(error)
    except ValueError:
        fault = "Write the day like 2026-09-18."
    else:
        found = find_subscriber_story(context.sessions, key, day, context.settings.secret_key)
        if found.story is None:
            fault = f"No reader has this address. {_suppressed(found.suppressed)}".strip()
    return context.pages.show(
        "admin_subscriber.html",
        status=422 if fault else 200,
        story=found.story,
        days=found.mails,
        fault=fault,
        email=email.strip()[:320],
        on=on.strip()[:20] or today.isoformat(),
    )


def _suppressed(reason: str) -> str:
    return f"It is suppressed: {reason}." if reason else ""
