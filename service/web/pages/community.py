"""*Votes and submissions* in the preferences: vote for a paper by its address, submit a paper."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session

from service.papers.domain.types import PaperView
from service.papers.store.read import get_papers
from service.platform.database.engine import transaction
from service.platform.signing.tokens import Purpose
from service.presentation.sanitize import clean
from service.subscribers.domain.submitted import MOST_A_DAY, SubmissionFault
from service.subscribers.domain.types import SubmissionState
from service.subscribers.saved_papers import find_by_address
from service.subscribers.store.models import Submission, Subscriber
from service.subscribers.store.submissions import list_submissions
from service.subscribers.store.subscribers import SUBSCRIBED
from service.subscribers.store.votes import withdraw_vote
from service.subscribers.submissions import Submitted, TooManySubmissions, submit
from service.subscribers.voting import vote
from service.topics.edit_by_link import ChangeRefused
from service.web.core.admission import PAPER
from service.web.core.context import AppContext, Context
from service.web.core.errors import PageNotFound
from service.web.core.signed_links import find_holder, open_link
from service.web.pages.topic_links import parse_row_id
from service.web.pages.vote_pages import moment_in, telling_when

_MOST_SHOWN = 20

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class SubmissionLine:
    """A submission, with its paper where there is one."""

    submission: Submission
    paper: PaperView | None
    text: str


@dataclass(frozen=True, slots=True)
class FormResult:
    """What came of a form: a notice with the paper it is about, or a fault in `field`."""

    notice: str = ""
    paper: PaperView | None = None
    can_vote: bool = False
    has_voted: bool = False
    field: str = ""
    fault: str = ""
    typed: str = ""


_TEXTS = {
    SubmissionState.WAITING: "waiting for its source, which we ask within its pace",
    SubmissionState.ADDED: "added",
    SubmissionState.KNOWN: "was here already",
    SubmissionState.UNKNOWN: "its source does not know it",
    SubmissionState.TOO_OLD: "too old: its first version appeared more than 30 days before",
    SubmissionState.UNREACHABLE: "its source did not answer for three days",
}


@router.get("/preferences/{token}/community")
def show_community(context: Context, token: str) -> HTMLResponse:
    link = open_link(context, token, Purpose.PREFERENCES)
    with transaction(context.sessions) as session:
        lines = _load(session, find_holder(session, link))
    return _show(context, token, lines, FormResult())


@router.post("/preferences/{token}/community/vote", dependencies=PAPER)
def take_vote(
    context: Context,
    token: str,
    address: Annotated[str, Form()] = "",
    paper: Annotated[str, Form()] = "",
    withdraw: Annotated[str, Form()] = "",
) -> HTMLResponse:
    """Vote for the paper that an address names, or take the vote for `paper` back; twice is once."""
    link = open_link(context, token, Purpose.PREFERENCES)
    text = clean(address).strip()
    with transaction(context.sessions) as session:
        subscriber = _find_subscribed(find_holder(session, link, lock=True))
        paper_id = parse_row_id(paper) or find_by_address(session, text) or 0
        try:
            reply = _vote(context, session, subscriber, paper_id, is_withdrawn=bool(withdraw))
        except ChangeRefused as error:
            reply = FormResult(field="vote", fault=str(error), typed=text)
        lines = _load(session, subscriber)
    return _show(context, token, lines, reply)


def _vote(
    context: AppContext,
    session: Session,
    subscriber: Subscriber,
    paper_id: int,
    *,
    is_withdrawn: bool,
) -> FormResult:
    if paper_id not in get_papers(session, [paper_id]):
        raise ChangeRefused("No paper here has this address. If it is new, you can submit it.")
    now = context.clock()
    if is_withdrawn:
        withdraw_vote(session, subscriber.id, paper_id, now)
        return FormResult("Your vote is taken back.", _paper(session, paper_id), can_vote=True)
    with telling_when(subscriber):
        is_new = vote(session, context.settings, subscriber, paper_id, now)
    notice = "Your vote counts." if is_new else "You voted for this paper before: it counts once."
    return FormResult(notice, _paper(session, paper_id), has_voted=True)


@router.post("/preferences/{token}/community/submit", dependencies=PAPER)
def take_submission(
    context: Context, token: str, address: Annotated[str, Form()] = ""
) -> HTMLResponse:
    """Submit a paper; twice is once. A worker asks its source."""
    link = open_link(context, token, Purpose.PREFERENCES)
    text = clean(address).strip()
    is_new = False
    with transaction(context.sessions) as session:
        # Not locked: `submit` locks all spellings of the mailbox, in one order.
        subscriber = _find_subscribed(find_holder(session, link))
        try:
            given = submit(session, context.settings, subscriber, text, context.clock())
        except TooManySubmissions as error:
            when = moment_in(error.from_at, subscriber.timezone)
            fault = f"You have submitted {MOST_A_DAY} papers in 24 hours. You can submit the next one from {when} on."
            reply = FormResult(field="submit", fault=fault, typed=text)
        except SubmissionFault as fault:
            reply = FormResult(field="submit", fault=str(fault), typed=text)
        else:
            is_new, reply = given.is_new, _describe(context, session, given)
        lines = _load(session, subscriber)
    if is_new:
        context.enqueue("settle_submissions")
    return _show(context, token, lines, reply)


def _describe(context: AppContext, session: Session, given: Submitted) -> FormResult:
    if given.paper_id is not None:
        paper = _paper(session, given.paper_id)
        return FormResult("This paper is here already.", paper, can_vote=context.settings.votes)
    if given.is_new:
        return FormResult(
            "Submitted. Its source is asked within some minutes; this page then says more."
        )
    state = given.submission.state if given.submission else SubmissionState.WAITING
    return FormResult(f"This paper was submitted from your mailbox before: {_TEXTS[state]}.")


def _paper(session: Session, paper_id: int) -> PaperView | None:
    return get_papers(session, [paper_id]).get(paper_id)


def _find_subscribed(subscriber: Subscriber) -> Subscriber:
    if subscriber.state not in SUBSCRIBED:
        raise PageNotFound(
            "You are not subscribed",
            "Votes and submissions are those of subscribers with a confirmed address.",
            410,
        )
    return subscriber


def _load(session: Session, subscriber: Subscriber) -> tuple[SubmissionLine, ...]:
    rows = list_submissions(session, subscriber.id, _MOST_SHOWN)
    papers = get_papers(session, [row.paper_id for row in rows if row.paper_id])
    lines = [SubmissionLine(row, papers.get(row.paper_id or 0), _TEXTS[row.state]) for row in rows]
    # The template reads them after the transaction.
    for row in rows:
        session.expunge(row)
    return tuple(lines)


def _show(
    context: AppContext, token: str, lines: tuple[SubmissionLine, ...], reply: FormResult
) -> HTMLResponse:
    if not (context.settings.votes or context.settings.submissions):
        raise PageNotFound("This is switched off", "This site takes neither votes nor papers.")
    return context.pages.show(
        "community.html",
        status=422 if reply.fault else 200,
        token=token,
        lines=lines,
        reply=reply,
        most=MOST_A_DAY,
    )
