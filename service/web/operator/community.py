"""`/admin/community`: the operator's picks and notes, and votes that look like one person's."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Form
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.editions.notes import Note, NoteRefused, check_note, list_notes, put_note
from service.messages.note_preview import preview_note
from service.papers.domain.announcement_days import announcement_date
from service.papers.domain.votes import WINDOW
from service.papers.picks import PickRefused, pick_paper
from service.papers.store.votes import PickedPaper, VotedPaper, delete_pick, list_picks, list_voted
from service.platform.database.engine import transaction
from service.presentation.sanitize import clean
from service.subscribers.saved_papers import find_by_address
from service.subscribers.store.submissions import count_states
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.framed_mail import show_framed
from service.web.core.middleware import MAIL_SANDBOX
from service.web.operator.auth import check_operator
from service.web.operator.forms import check_csrf, sign_csrf
from service.web.pages.topic_links import parse_row_id

_PICKS = 20
_VOTED = 20
_KEPT_NOTES = timedelta(days=7)
_ABOUT = "community"

router = APIRouter(include_in_schema=False, dependencies=[Depends(check_operator)])


@dataclass(frozen=True, slots=True)
class CommunityPage:
    """The data of the page: the last 24 hours, the latest picks, and notes from last week on."""

    voted: tuple[VotedPaper, ...]
    outliers: tuple[VotedPaper, ...]
    submissions: dict[str, int]
    picks: tuple[PickedPaper, ...]
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class CommunityForm:
    """What was typed in a form, and what came of it: a fault of the form `of`, or a notice."""

    notice: str = ""
    of: str = ""
    fault: str = ""
    address: str = ""
    sentence: str = ""
    on: str = ""
    cadences: tuple[str, ...] = tuple(Cadence)
    text: str = ""
    is_previewed: bool = False


@router.get("/admin/community")
def show_community(context: Context, cadence: str = "", on: str = "") -> HTMLResponse:
    """Show the page; with a cadence and a date its form has that edition's note."""
    typed = CommunityForm(on=str(announcement_date(context.clock()) + timedelta(days=1)))
    with transaction(context.sessions) as session:
        page = _load(context, session)
    for note in page.notes:
        if (note.cadence, str(note.on)) == (cadence, on):
            typed = CommunityForm(on=on, cadences=(cadence,), text=note.text)
    return _show(context, page, typed)


@router.post("/admin/community/pick")
def take_pick(
    *,
    context: Context,
    token: Annotated[str, Form()] = "",
    address: Annotated[str, Form()] = "",
    sentence: Annotated[str, Form()] = "",
    remove: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Pick the paper that an address names, or take the pick `remove` (a paper's id) back."""
    check_csrf(context, token, 0, _ABOUT)
    address, sentence = clean(address).strip(), clean(sentence)
    on = str(announcement_date(context.clock()) + timedelta(days=1))
    with transaction(context.sessions) as session:
        if remove:
            is_gone = delete_pick(session, parse_row_id(remove))
            typed = CommunityForm(
                "The pick is taken back." if is_gone else "Taken back already.", on=on
            )
        else:
            paper_id = find_by_address(session, address)
            try:
                pick_paper(session, context.settings, paper_id, sentence, context.clock())
                typed = CommunityForm(
                    "Picked. Pages show it now, and mails from the next edition on.", on=on
                )
            except PickRefused as error:
                typed = CommunityForm(
                    of="pick", fault=str(error), address=address, sentence=sentence, on=on
                )
        page = _load(context, session)
    return _show(context, page, typed)


@router.post("/admin/community/note")
def take_note(
    *,
    context: Context,
    token: Annotated[str, Form()] = "",
    on: Annotated[str, Form()] = "",
    cadence: Annotated[list[str] | None, Form()] = None,
    text: Annotated[str, Form()] = "",
    answer: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Put the note at the head of the chosen editions, or show it as the page would."""
    check_csrf(context, token, 0, _ABOUT)
    note = clean(text)
    chosen = tuple(one for one in Cadence if one in (cadence or ()))
    typed = CommunityForm(on=clean(on).strip(), cadences=chosen, text=note)
    fault = notice = ""
    with transaction(context.sessions) as session:
        try:
            note = check_note(note)
            if answer != "preview":
                day = _parse_day(typed.on)
                put_note(session, context.settings, chosen, day, note, context.clock())
                notice = f"The note of {day} is saved." if note else f"{day} has no note."
        except NoteRefused as error:
            fault = str(error)
        page = _load(context, session)
    is_previewed = answer == "preview" and not fault
    typed = CommunityForm(
        notice, "note" if fault else "", fault, "", "", typed.on, chosen, note, is_previewed
    )
    return _show(context, page, typed)


@router.post("/admin/community/note.html")
def show_note_mail(
    *, context: Context, token: Annotated[str, Form()] = "", text: Annotated[str, Form()] = ""
) -> HTMLResponse:
    """Return a mail with the note, for the sandboxed frame of the page."""
    check_csrf(context, token, 0, _ABOUT)
    try:
        note = check_note(clean(text))
    except NoteRefused as error:
        raise PageNotFound("This note cannot be shown", str(error), 422) from error
    here = (context.sessions, context.settings, context.renderer)
    return show_framed(preview_note(*here, note, context.clock()))


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise NoteRefused("Write the day like 2026-11-30.") from error


def _load(context: AppContext, session: Session) -> CommunityPage:
    now, settings = context.clock(), context.settings
    voted = list_voted(session, now - WINDOW) if settings.votes else []
    counts = count_states(session, now - WINDOW) if settings.submissions else {}
    return CommunityPage(
        voted=tuple(voted[:_VOTED]),
        outliers=tuple(one for one in voted if one.votes.is_outlier),
        submissions={str(state): count for state, count in sorted(counts.items())},
        picks=tuple(list_picks(session, _PICKS)) if settings.picks else (),
        notes=tuple(list_notes(session, announcement_date(now) - _KEPT_NOTES)),
    )


def _show(context: AppContext, page: CommunityPage, typed: CommunityForm) -> HTMLResponse:
    return context.pages.show(
        "admin_community.html",
        status=422 if typed.fault else 200,
        page=page,
        typed=typed,
        has_notes=context.settings.edition_notes,
        sandbox=MAIL_SANDBOX,
        token=sign_csrf(context, 0, _ABOUT),
    )
