"""Composing: from an edition's papers and a chunk of readers to frozen digests, or named skips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.digest import Digest, DigestEntry
from service.deliveries.domain.digest_json import write_digest
from service.deliveries.domain.states import SkipReason
from service.deliveries.store.carry_over import carry_doubts_of_readers
from service.deliveries.store.deliveries import DigestRow, insert_digests, mark_carried
from service.editions.domain.compose import Reader, ReaderTopic, compose_digest
from service.editions.domain.edition_index import Day
from service.editions.domain.schedule import due_at
from service.editions.edition_cache import DAYS, EditionDay, EditionDays
from service.editions.recommend import suggestions_for
from service.editions.sent_ledger import Ledger, read_ledger
from service.editions.store.editions import claim_chunk, freeze_if_composed, get_edition
from service.editions.store.models import Edition, EditionChunk
from service.papers.domain.types import Paper
from service.papers.store.read import get_papers
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.subscribers.store.subscribers import Candidate, get_candidates


def compose_chunk(
    sessions: sessionmaker[Session], settings: Settings, chunk_id: int, now: datetime
) -> bool:
    """Compose the digests of one chunk of readers; true if this run was the one that did.

    The chunk's row is locked meanwhile, so a second run waits and then finds nothing to do.
    """
    with transaction(sessions) as session:
        chunk = claim_chunk(session, chunk_id)
        if chunk is None:
            return False
        edition = get_edition(session, chunk.edition_id)
        if edition is None:
            return False
        readers = get_candidates(
            session, edition.cadence, chunk.first_subscriber_id, chunk.last_subscriber_id
        )
        compose_readers(session, settings, edition, readers, now, DAYS)
        _mark_composed(chunk, now)
    with transaction(sessions) as session:
        freeze_if_composed(session, chunk.edition_id, now)
    return True


def _mark_composed(chunk: EditionChunk, now: datetime) -> None:
    chunk.composed_at = now


def compose_readers(
    session: Session,
    settings: Settings,
    edition: Edition,
    readers: Sequence[Candidate],
    now: datetime,
    days: EditionDays | None = None,
) -> None:
    """Write the rows of some readers: a frozen digest each, or a skip with its reason.

    `days` keeps what was read of the edition for the next readers; without, it is read anew.
    """
    ids = [reader.id for reader in readers]
    if settings.in_doubt == "carry":
        carry_doubts_of_readers(session, edition.id, ids, now)
    here = days.get(session, settings, edition) if days else EditionDay(session, settings, edition)
    ledger = read_ledger(session, ids, edition, here.day.ids)
    topics = here.read_topics(session, ids)
    again = {i for reader_id in ledger.carried for i in ledger.carried_ids(reader_id)}
    carried = get_papers(session, again - here.day.papers.keys())
    chunk = _Chunk(here.day, topics, ledger, carried, settings.digest_max_papers)
    suggested = suggestions_for(session, ids, here.offered_ids, chunk.barred, here.stock(session))
    timing = _Timing(edition, settings)
    # Each digest is written before the next is made: a thousand of them alive at once would keep
    # the garbage collector busier than everything else here.
    rows = [
        _make_row(reader, chunk.compose(reader.id, suggested.get(reader.id, ())), ledger, timing)
        for reader in readers
    ]
    insert_digests(session, edition.id, rows, now)
    mark_carried(session, edition.id, ledger.carried)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What was read for some readers, and their digests made of it."""

    day: Day
    topics: Mapping[int, Sequence[ReaderTopic]]
    ledger: Ledger
    carried: Mapping[int, Paper]
    most: int

    def compose(self, reader_id: int, suggested: Sequence[int] = ()) -> Digest | None:
        """With what the reader may also like; a suggestion alone makes no mail."""
        reader = Reader(
            subscriber_id=reader_id,
            topics=tuple(self.topics.get(reader_id, ())),
            seen_ids=self.ledger.seen_ids(reader_id),
            carried_ids=self.ledger.carried_ids(reader_id),
            unsent_ids=self.ledger.unsent_ids(reader_id),
            happenings=self.ledger.happenings.get(reader_id, ()),
        )
        digest = compose_digest(reader, self.day, self.most, self.carried)
        if digest is None or not suggested:
            return digest
        return replace(digest, also=tuple(DigestEntry(i) for i in suggested))

    def barred(self, reader_id: int) -> frozenset[int] | None:
        """The papers not to suggest to a reader; None for who gets no digest."""
        digest = self.compose(reader_id)
        if digest is None:
            return None
        ledger = self.ledger
        told = (*digest.paper_ids, *digest.cut_ids)
        return ledger.seen_ids(reader_id) | ledger.carried_ids(reader_id) | {*told}


class _Timing:
    """When the digests of an edition are due and until when they may be sent, by hour and zone."""

    def __init__(self, edition: Edition, settings: Settings) -> None:
        self._edition = edition
        self._span = timedelta(hours=settings.send_not_after_hours)
        self._known: dict[tuple[int, str], tuple[datetime, datetime]] = {}

    def __call__(self, hour: int, timezone: str) -> tuple[datetime, datetime]:
        known = self._known.get((hour, timezone))
        if known is None:
            edition, due = self._edition, self._edition.opened_at
            if not edition.sends_now:
                due = due_at(edition.local_date, hour, timezone, edition.opened_at)
            known = self._known[hour, timezone] = (due, due + self._span)
        return known


def _make_row(
    reader: Candidate, digest: Digest | None, ledger: Ledger, timing: _Timing
) -> DigestRow:
    due, until = timing(reader.hour, reader.timezone)
    if digest is None and reader.has_empty_digests:
        # Nothing matched; what befell papers may be told all the same.
        digest = Digest((), happenings=ledger.happenings.get(reader.id, ()))
    if digest is None:
        return DigestRow(reader.id, due, until, SkipReason.EMPTY)
    return DigestRow(reader.id, due, until, "", digest.paper_ids, write_digest(digest))
