"""Submit a paper: a row, which a worker settles (`settle_submissions`). Nothing is fetched here.

No address that somebody typed is ever asked: a name is read from it, and the configured source is
asked for that name, within its pace.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from service.papers.store.works import find_id_by_names
from service.platform.settings.settings import Settings
from service.subscribers.domain.submitted import (
    A_DAY,
    MOST_A_DAY,
    SubmissionFault,
    parse_submitted,
    servers_for,
)
from service.subscribers.domain.types import SubmissionState
from service.subscribers.store import submissions as store
from service.subscribers.store.models import Submission, Subscriber


class TooManySubmissions(SubmissionFault):
    """The mailbox has submitted as many as a day allows; the next one is possible `from_at` on."""

    def __init__(self, from_at: datetime) -> None:
        super().__init__(f"You can submit {MOST_A_DAY} papers in 24 hours.")
        self.from_at = from_at


@dataclass(frozen=True, slots=True)
class Submitted:
    """The answer to a submission: its row, or the paper that is here already; `is_new` with a new row."""

    name: str
    paper_id: int | None = None
    submission: Submission | None = None
    is_new: bool = False


def submit(
    session: Session, settings: Settings, subscriber: Subscriber, text: str, now: datetime
) -> Submitted:
    """Submit what an arXiv id, a DOI or a link names; the same paper twice is once.

    Raises `SubmissionFault` for what is no name, what no source of this site can look up, and
    (`TooManySubmissions`) for more than five of a mailbox in 24 hours.
    """
    if not settings.submissions:
        raise SubmissionFault("Submitting papers is switched off on this site.")
    name = parse_submitted(text)
    same_mailbox = store.lock_mailbox(session, subscriber.id)
    if subscriber.id not in same_mailbox:
        raise SubmissionFault("You have erased your subscription meanwhile.")
    known = store.find_submission(session, same_mailbox, name)
    paper_id = find_id_by_names(session, [name])
    if known is not None or paper_id is not None:
        return Submitted(name, paper_id, known)
    if not servers_for(name, settings.sources):
        raise SubmissionFault(
            "No source of this site can look this up. The sources are:"
            f" {', '.join(settings.sources)}."
        )
    times = store.list_since(session, same_mailbox, now - A_DAY)
    if len(times) >= MOST_A_DAY:
        raise TooManySubmissions(times[-MOST_A_DAY] + A_DAY)
    row = Submission(
        subscriber_id=subscriber.id,
        name=name,
        state=SubmissionState.WAITING,
        created_at=now,
        next_at=now,
    )
    session.add(row)
    session.flush()
    return Submitted(name, None, row, is_new=True)
