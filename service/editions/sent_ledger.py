"""The ledger: which works subscribers were already sent, and the updates to them since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.deliveries.domain.digest import PaperUpdate
from service.deliveries.domain.digest_json import BROKEN_DIGEST, digest_from_json
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.deliveries import find_carried
from service.deliveries.store.models import Delivery
from service.deliveries.store.sent_papers import find_seen
from service.editions.store.models import Edition
from service.editions.store.sent_editions import find_places, last_digests_at
from service.papers.domain.types import PaperEventKind
from service.papers.store.works import find_siblings, list_events_between

# Papers of a digest that no relay accepted are carried over for this long.
UNSENT_SPAN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Ledger:
    """By subscriber: the edition's papers already sent, carried-over deliveries, paper updates."""

    seen: Mapping[int, frozenset[int]]
    carried: Mapping[int, Sequence[Delivery]]
    updates: Mapping[int, tuple[PaperUpdate, ...]]

    def carried_ids(self, subscriber_id: int) -> frozenset[int]:
        deliveries = self.carried.get(subscriber_id)
        if not deliveries:
            return frozenset()
        return frozenset(i for delivery in deliveries for i in delivery.paper_ids)

    def unsent_ids(self, subscriber_id: int) -> frozenset[int]:
        """Return the carried papers that certainly never reached the subscriber."""
        doubtful = {i for d in self.carried.get(subscriber_id, ()) for i in _doubtful_ids(d)}
        return self.carried_ids(subscriber_id) - doubtful

    def seen_ids(self, subscriber_id: int) -> frozenset[int]:
        """Return the papers not to send again; carried ones are left out, as they may be lost."""
        return self.seen.get(subscriber_id, frozenset()) - self.carried_ids(subscriber_id)


def _doubtful_ids(delivery: Delivery) -> Iterable[int]:
    """Return all papers of a digest in doubt; of one never accepted, only those it carried."""
    if delivery.state is DeliveryState.CARRIED or delivery.digest is None:
        return delivery.paper_ids
    try:
        groups = digest_from_json(delivery.digest).groups
    except BROKEN_DIGEST:
        # The mail failed because of it, and must not make the next one fail, too.
        return delivery.paper_ids
    return [entry.paper_id for group in groups for entry in group.entries if entry.is_maybe_seen]


def load_ledger(
    session: Session, subscriber_ids: Sequence[int], edition: Edition, paper_ids: Sequence[int]
) -> Ledger:
    """Return the ledger of some subscribers for an edition; a paper sent by another key counts.

    `paper_ids` are those that are new in it.
    """
    siblings = find_siblings(session, paper_ids)
    places = find_places(session, siblings, edition.id)
    sent = find_seen(session, subscriber_ids, siblings, places, edition.id)
    return Ledger(
        seen={i: frozenset(siblings[p] for p in papers) for i, papers in sent.items()},
        carried=find_carried(session, subscriber_ids, edition.opened_at - UNSENT_SPAN),
        updates=_find_updates(session, subscriber_ids, edition),
    )


def _find_updates(
    session: Session, subscriber_ids: Sequence[int], edition: Edition
) -> dict[int, tuple[PaperUpdate, ...]]:
    """Return the updates to papers that each subscriber was sent, since their last digest."""
    since = last_digests_at(session, subscriber_ids, edition.id)
    if not since:
        return {}
    events = list_events_between(session, min(since.values()), edition.opened_at)
    siblings = find_siblings(session, sorted({paper_id for paper_id, *_ in events}))
    places = find_places(session, siblings, edition.id)
    sent = find_seen(session, subscriber_ids, siblings, places, edition.id)
    return {
        subscriber_id: updates
        for subscriber_id, papers in sent.items()
        # Subscribers who only got a catch-up mail have had no digest yet.
        if subscriber_id in since
        and (updates := _select_updates(events, siblings, papers, since[subscriber_id]))
    }


def _select_updates(
    events: Iterable[tuple[int, PaperEventKind, str, datetime]],
    siblings: Mapping[int, int],
    papers: Iterable[int],
    since: datetime,
) -> tuple[PaperUpdate, ...]:
    """Return the updates to the works of these papers after `since`."""
    works = {siblings[i] for i in papers}
    found: dict[tuple[int, PaperEventKind, str], PaperUpdate] = {}
    for paper_id, kind, detail, at in events:
        work = siblings.get(paper_id)
        if work in works and at > since:
            # Two sources may report one event of a work.
            found.setdefault((work, kind, detail), PaperUpdate(paper_id, kind, detail))
    return tuple(found.values())
