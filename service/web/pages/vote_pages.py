"""The pages of a link that votes for a paper: the question, the result, and its undo."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from service.platform.settings.settings import Settings
from service.platform.time_zones import zone_name
from service.presentation.dates import long_date
from service.presentation.phrases import count_of
from service.subscribers.store.models import Subscriber
from service.subscribers.store.votes import has_voted, withdraw_vote
from service.subscribers.voting import VoteTooEarly, refuse_vote, vote
from service.topics.edit_by_link import ChangeRefused
from service.web.pages.change_page import ChangePage, LinkRequest
from service.web.pages.feedback_pages import find_paper

_LEAD = (
    "Votes of subscribers count for the order of the day’s papers. A mailbox has one vote for each"
    " paper, and you can take yours back. Pages show only how many there are."
)


def ask_for_vote(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, now: datetime
) -> ChangePage:
    """Return the question, or the vote that is given already. Raises as `take_vote` does."""
    paper = find_paper(session, link.number)
    if has_voted(session, subscriber.id, paper.id) and settings.votes:
        lead = f"It has {count_of(paper.votes, 'vote')}{', yours among them' * (paper.votes > 1)}."
        fields = (("voted", str(paper.id)),)
        return ChangePage("You voted for this paper", lead, fields=fields, paper=paper)
    try:
        refuse_vote(settings, subscriber, now)
    except VoteTooEarly as error:
        return ChangePage("You cannot vote yet", _tell_when(error, subscriber), paper=paper)
    return ChangePage(
        "Vote for this paper?", _LEAD, "Vote", (("vote", str(paper.id)),), paper=paper
    )


def take_vote(
    session: Session, settings: Settings, subscriber: Subscriber, link: LinkRequest, now: datetime
) -> ChangePage:
    """Vote, and return the result page; twice is once. Raises `ChangeRefused` and `PageNotFound`."""
    paper_id = find_paper(session, link.number).id
    with telling_when(subscriber):
        vote(session, settings, subscriber, paper_id, now)
    paper = find_paper(session, paper_id)
    lead = f"The paper has {count_of(paper.votes, 'vote')} now."
    return ChangePage("Your vote counts", lead, fields=(("voted", str(paper_id)),), paper=paper)


def take_vote_back(
    session: Session, subscriber: Subscriber, paper_id: int, now: datetime
) -> ChangePage:
    """Take a vote back; twice is once."""
    if withdraw_vote(session, subscriber.id, paper_id, now):
        return ChangePage("Undone", "Your vote for this paper is taken back.")
    return ChangePage("Nothing to undo", "You have no vote for this paper.")


@contextmanager
def telling_when(subscriber: Subscriber) -> Iterator[None]:
    """Say in the subscriber's own time from when on votes are possible, where it is too early."""
    try:
        yield
    except VoteTooEarly as error:
        raise ChangeRefused(_tell_when(error, subscriber)) from error


def _tell_when(error: VoteTooEarly, subscriber: Subscriber) -> str:
    when = moment_in(error.from_at, subscriber.timezone)
    return f"You can vote from {when} on: 24 hours after you confirmed your address."


def moment_in(at: datetime, zone: str) -> str:
    """Return `Tuesday 1 December 2026, 07:12 (Berlin time)`, rounded up to the minute."""
    local = (at + timedelta(seconds=59)).astimezone(ZoneInfo(zone))
    return f"{long_date(local.date())}, {local:%H:%M} ({zone_name(zone)})"
