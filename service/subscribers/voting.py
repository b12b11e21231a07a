"""A subscriber's vote for a paper: who may give one, and from when on."""

from datetime import datetime

from sqlalchemy.orm import Session

from service.papers.domain.votes import WAIT
from service.platform.settings.settings import Settings
from service.subscribers.store import votes as store
from service.subscribers.store.models import Subscriber
from service.topics.edit_by_link import ChangeRefused


class VoteTooEarly(ChangeRefused):
    """The subscriber may vote `from_at` on (aware, UTC)."""

    def __init__(self, from_at: datetime) -> None:
        super().__init__("You can vote 24 hours after you confirmed your address.")
        self.from_at = from_at


def vote(
    session: Session, settings: Settings, subscriber: Subscriber, paper_id: int, now: datetime
) -> bool:
    """Vote for a stored paper, and return whether that is new. Idempotent.

    Raises `ChangeRefused` where votes are switched off, where the mailbox has voted by another
    address, and (`VoteTooEarly`) in the first day after the confirmation.
    """
    refuse_vote(settings, subscriber, now)
    cast = store.cast_vote(session, subscriber, paper_id, now)
    if cast is store.CastVote.OTHER_ADDRESS:
        raise ChangeRefused(
            "Your mailbox has voted for this paper, by another spelling of its address. A mailbox has"
            " one vote."
        )
    return cast is store.CastVote.GIVEN


def refuse_vote(settings: Settings, subscriber: Subscriber, now: datetime) -> None:
    """Raise `ChangeRefused` where the subscriber may not vote now."""
    if not settings.votes:
        raise ChangeRefused("Voting is switched off on this site.")
    from_at = (subscriber.confirmed_at or now) + WAIT
    if now < from_at:
        raise VoteTooEarly(from_at)
