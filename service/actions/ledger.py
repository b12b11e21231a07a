"""The ledger: what readers were already sent, by work, and what has befallen it since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from service.domain.digest import Happening
from service.domain.types import PaperEventKind
from service.store.deliveries import find_carried, find_seen, last_digests_at
from service.store.models import Delivery, Edition
from service.store.works import find_siblings, list_events_between


@dataclass(frozen=True, slots=True)
class Ledger:
    """By subscriber: the edition's papers already sent, papers carried over, and happenings."""

    seen: Mapping[int, frozenset[int]]
    carried: Mapping[int, Sequence[Delivery]]
    happenings: Mapping[int, tuple[Happening, ...]]

    def carried_ids(self, subscriber_id: int) -> frozenset[int]:
        deliveries = self.carried.get(subscriber_id)
        if not deliveries:
            return frozenset()
        return frozenset(i for delivery in deliveries for i in delivery.paper_ids)

    def seen_ids(self, subscriber_id: int) -> frozenset[int]:
        """What must not come again; carried papers may, since nobody knows whether they came."""
        return self.seen.get(subscriber_id, frozenset()) - self.carried_ids(subscriber_id)


def read_ledger(
    session: Session, subscriber_ids: Sequence[int], edition: Edition, paper_ids: Sequence[int]
) -> Ledger:
    """The ledger of some readers for one edition. A paper sent under another name counts as sent."""
    siblings = find_siblings(session, paper_ids)
    sent = find_seen(session, subscriber_ids, siblings, edition.id)
    return Ledger(
        seen={i: frozenset(siblings[p] for p in papers) for i, papers in sent.items()},
        carried=find_carried(session, subscriber_ids),
        happenings=_find_happenings(session, subscriber_ids, edition),
    )


def _find_happenings(
    session: Session, subscriber_ids: Sequence[int], edition: Edition
) -> dict[int, tuple[Happening, ...]]:
    """What befell papers a reader was sent, since the reader's last digest."""
    since = last_digests_at(session, subscriber_ids, edition.id)
    if not since:
        return {}
    events = list_events_between(session, min(since.values()), edition.opened_at)
    siblings = find_siblings(session, sorted({paper_id for paper_id, *_ in events}))
    sent = find_seen(session, subscriber_ids, siblings, edition.id)
    found: dict[int, dict[tuple[int, PaperEventKind, str], Happening]] = {}
    for subscriber_id, papers in sent.items():
        own = {siblings[i] for i in papers}
        told_at: datetime = since[subscriber_id]
        for paper_id, kind, detail, at in events:
            if siblings.get(paper_id) in own and at > told_at:
                # What two sources tell of one work has happened once.
                once = (siblings[paper_id], kind, detail)
                found.setdefault(subscriber_id, {}).setdefault(
                    once, Happening(paper_id, kind, detail)
                )
    return {subscriber_id: tuple(happened.values()) for subscriber_id, happened in found.items()}
