"""The ledger: what readers were already sent, by work, and what has befallen it since."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.deliveries.domain.digest import PaperUpdate
from service.deliveries.domain.digest_json import digest_from_json
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.deliveries import find_carried, find_seen
from service.deliveries.store.models import Delivery
from service.editions.store.editions import last_digests_at
from service.editions.store.models import Edition
from service.papers.domain.types import PaperEventKind
from service.papers.store.works import find_siblings, list_events_between

# How long the papers of a digest that no relay took are worth bringing.
UNSENT_SPAN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Ledger:
    """By subscriber: the edition's papers already sent, papers carried over, and happenings."""

    seen: Mapping[int, frozenset[int]]
    carried: Mapping[int, Sequence[Delivery]]
    updates: Mapping[int, tuple[PaperUpdate, ...]]

    def carried_ids(self, subscriber_id: int) -> frozenset[int]:
        deliveries = self.carried.get(subscriber_id)
        if not deliveries:
            return frozenset()
        return frozenset(i for delivery in deliveries for i in delivery.paper_ids)

    def unsent_ids(self, subscriber_id: int) -> frozenset[int]:
        """Those of the carried papers that certainly never reached the reader."""
        doubtful = {i for d in self.carried.get(subscriber_id, ()) for i in _doubtful_ids(d)}
        return self.carried_ids(subscriber_id) - doubtful

    def seen_ids(self, subscriber_id: int) -> frozenset[int]:
        """What must not come again; carried papers may, since they did not come for certain."""
        return self.seen.get(subscriber_id, frozenset()) - self.carried_ids(subscriber_id)


def _doubtful_ids(delivery: Delivery) -> Iterable[int]:
    """All papers of a digest in doubt; of one that was never taken, those it had carried itself."""
    if delivery.state is DeliveryState.CARRIED or delivery.digest is None:
        return delivery.paper_ids
    groups = digest_from_json(delivery.digest).groups
    return [entry.paper_id for group in groups for entry in group.entries if entry.is_maybe_seen]


def read_ledger(
    session: Session, subscriber_ids: Sequence[int], edition: Edition, paper_ids: Sequence[int]
) -> Ledger:
    """The ledger of some readers for one edition. A paper sent under another name counts as sent."""
    siblings = find_siblings(session, paper_ids)
    sent = find_seen(session, subscriber_ids, siblings, edition.id)
    return Ledger(
        seen={i: frozenset(siblings[p] for p in papers) for i, papers in sent.items()},
        carried=find_carried(session, subscriber_ids, edition.opened_at - UNSENT_SPAN),
        updates=_find_updates(session, subscriber_ids, edition),
    )


def _find_updates(
    session: Session, subscriber_ids: Sequence[int], edition: Edition
) -> dict[int, tuple[PaperUpdate, ...]]:
    """What befell papers a reader was sent, since the reader's last digest."""
    since = last_digests_at(session, subscriber_ids, edition.id)
    if not since:
        return {}
    events = list_events_between(session, min(since.values()), edition.opened_at)
    siblings = find_siblings(session, sorted({paper_id for paper_id, *_ in events}))
    sent = find_seen(session, subscriber_ids, siblings, edition.id)
    return {
        subscriber_id: happened
        for subscriber_id, papers in sent.items()
        # Who was sent papers by a catch-up alone has had no digest yet.
        if subscriber_id in since
        and (happened := _select_own(events, siblings, papers, since[subscriber_id]))
    }


def _select_own(
    events: Iterable[tuple[int, PaperEventKind, str, datetime]],
    siblings: Mapping[int, int],
    papers: Iterable[int],
    since: datetime,
) -> tuple[PaperUpdate, ...]:
    """What befell the works of these papers later than `since`."""
    works = {siblings[i] for i in papers}
    found: dict[tuple[int, PaperEventKind, str], PaperUpdate] = {}
    for paper_id, kind, detail, at in events:
        work = siblings.get(paper_id)
        if work in works and at > since:
            # What two sources tell of one work has happened once.
            found.setdefault((work, kind, detail), PaperUpdate(paper_id, kind, detail))
    return tuple(found.values())
