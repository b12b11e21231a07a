"""`/admin/subscribers/{number}`: one subscriber's story, and what the operator may change."""

from collections.abc import Callable
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Form, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from sqlalchemy.orm import Session

from service.operations.subscriber_record import find_record
from service.papers.domain.announcement_days import announcement_date
from service.platform.database.engine import transaction
from service.subscribers import by_operator
from service.subscribers.export import export_subscriber
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import get_subscriber
from service.subscribers.stored_form import form_of
from service.subscribers.validate import FormFault, SignUpError
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.operator.auth import check_operator
from service.web.operator.forms import Question, ask, check_csrf, operator_of, sign_csrf
from service.web.operator.subscribers import LARGEST_ID
from service.web.views.posted_preferences import PostedPreferences
from service.web.views.sign_up_form import TypedForm, to_typed, with_example, with_faults

router = APIRouter(include_in_schema=False, dependencies=[Depends(check_operator)])

Number = Annotated[int, Path(ge=1, le=LARGEST_ID)]
_ABOUT = "subscriber"

# What a page says after a change, by the parameter `done` with which it is opened.
_NOTICES = {
    "added": "Added.",
    "edited": "Saved. The next digest uses these settings.",
    "unchanged": "Nothing was changed.",
    "pause": "Paused. A mail says so, with a link to resume.",
    "resume": "Resumed.",
    "unsubscribe": "Unsubscribed: no more digests. The address may sign up again.",
}


def find_holder(session: Session, number: int, *, lock: bool = False) -> Subscriber:
    """Return a subscriber. Raises `PageNotFound` where there is none."""
    subscriber = get_subscriber(session, number, lock=lock)
    if subscriber is None:
        raise _no_such()
    return subscriber


def _no_such() -> PageNotFound:
    return PageNotFound("There is no such reader", "All readers are listed at /admin/subscribers.")


@router.get("/admin/subscribers/{number}")
def show_subscriber(context: Context, number: Number, on: str = "", done: str = "") -> HTMLResponse:
    """Show a subscriber, with the deliveries of a day."""
    return _show(context, number, on, notice=_NOTICES.get(done, ""))


def _show(
    context: AppContext, number: int, on: str = "", *, notice: str = "", fault: str = ""
) -> HTMLResponse:
    day = announcement_date(context.clock())
    try:
        day = date.fromisoformat(on) if on else day
    except ValueError:
        fault = "Write the day like 2026-09-18."
    settings = context.settings
    record = find_record(
        context.sessions, number, day, settings.secret_key, settings.envelope_domain
    )
    if record is None:
        raise _no_such()
    return context.pages.show(
        "admin_subscriber.html",
        status=422 if fault else 200,
        record=record,
        story=record.story,
        on=day.isoformat(),
        notice=notice,
        fault=fault,
        token=sign_csrf(context, number, _ABOUT),
    )


@router.get("/admin/subscribers/{number}/edit")
def show_edit(context: Context, number: Number) -> HTMLResponse:
    with transaction(context.sessions) as session:
        form = to_typed(form_of(session, find_holder(session, number)))
    return _show_form(context, number, form)


def _show_form(context: AppContext, number: int, form: TypedForm) -> HTMLResponse:
    return context.pages.show(
        "admin_edit.html",
        status=422 if form.faults else 200,
        number=number,
        form=with_example(form, context.clock()),
        token=sign_csrf(context, number, _ABOUT),
    )


class EditForm(PostedPreferences):
    """The posted form with its CSRF token."""

    token: str = ""


@router.post("/admin/subscribers/{number}/edit")
def edit(
    *, context: Context, request: Request, number: Number, posted: Annotated[EditForm, Form()]
) -> Response:
    """Set topics with their names and measures, cadence, hour, timing, time zone, and how much."""
    check_csrf(context, posted.token, number, _ABOUT)
    try:
        with transaction(context.sessions) as session:
            subscriber = find_holder(session, number, lock=True)
            form = posted.merge_into(to_typed(form_of(session, subscriber)))
            by, now = operator_of(request), context.clock()
            changes = by_operator.edit_subscriber(session, subscriber, form, by, now)
    except SignUpError as error:
        return _show_form(context, number, with_faults(form, error.faults))
    context.enqueue("deliver_urgent")
    done = "edited" if changes else "unchanged"
    return RedirectResponse(f"/admin/subscribers/{number}?done={done}", 303)


@router.post("/admin/subscribers/{number}")
def change_state(
    *,
    context: Context,
    request: Request,
    number: Number,
    token: Annotated[str, Form()] = "",
    answer: Annotated[str, Form()] = "",
    until: Annotated[str, Form()] = "",
    sure: Annotated[str, Form()] = "",
) -> Response:
    """Pause, resume or unsubscribe; the last only after a question."""
    check_csrf(context, token, number, _ABOUT)
    if answer not in _ACTIONS:
        raise PageNotFound("There is no such answer", "Pause, resume or unsubscribe.")
    if answer == "unsubscribe" and sure != "yes":
        return ask(context, number, _question(context, number), _ABOUT)
    try:
        with transaction(context.sessions) as session:
            subscriber = find_holder(session, number, lock=True)
            is_done = _ACTIONS[answer](context, session, subscriber, until, operator_of(request))
    except SignUpError as error:
        return _show(context, number, fault=str(error))
    context.enqueue("deliver_urgent")
    done = answer if is_done else "unchanged"
    return RedirectResponse(f"/admin/subscribers/{number}?done={done}", 303)


def _question(context: AppContext, number: int) -> Question:
    with transaction(context.sessions) as session:
        email = find_holder(session, number).email
    path = f"/admin/subscribers/{number}"
    text = f"{email} gets no more digests. Only they can subscribe again, by a link or the form."
    return Question("Unsubscribe this reader?", text, path, "Unsubscribe", path, "unsubscribe")


def _pause(
    context: AppContext, session: Session, subscriber: Subscriber, until: str, by: str
) -> bool:
    try:
        end = date.fromisoformat(until) if until else None
    except ValueError as error:
        raise SignUpError(FormFault("until", "Write the day like 2026-09-18.")) from error
    return by_operator.pause_subscriber(session, subscriber, end, by, context.clock())


def _resume(
    context: AppContext, session: Session, subscriber: Subscriber, _until: str, by: str
) -> bool:
    return by_operator.resume_subscriber(session, subscriber, by, context.clock())


def _unsubscribe(
    context: AppContext, session: Session, subscriber: Subscriber, _until: str, by: str
) -> bool:
    settings, now = context.settings, context.clock()
    return by_operator.unsubscribe_subscriber(session, settings, subscriber, by, now)


_ACTIONS: dict[str, Callable[[AppContext, Session, Subscriber, str, str], bool]] = {
    "pause": _pause,
    "resume": _resume,
    "unsubscribe": _unsubscribe,
}


@router.get("/admin/subscribers/{number}/export")
def export(context: Context, number: Number) -> JSONResponse:
    """Return all data about the subscriber as a file (GDPR Art. 15 and 20)."""
    with transaction(context.sessions) as session:
        data = export_subscriber(session, find_holder(session, number))
    headers = {"Content-Disposition": f'attachment; filename="paperboy-subscriber-{number}.json"'}
    return JSONResponse(data, headers=headers)
