"""Composing: from an edition's papers and a chunk of readers to frozen digests, or named skips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.actions.edition_day import DAYS, EditionDay, EditionDays
from service.actions.ledger import Ledger, read_ledger
from service.actions.suggestions import suggestions_for
from service.config import Settings
from service.domain.composing import Reader, ReaderTopic, compose_digest
from service.domain.delivery import SkipReason
from service.domain.digest import Digest, DigestEntry, digest_to_json
from service.domain.schedule import due_at
from service.store.carrying import carry_doubts_of_readers
from service.store.deliveries import DigestRow, insert_digests, mark_carried
from service.store.editions import claim_chunk, freeze_if_composed, get_edition
from service.store.engine import transaction
from service.store.models import Edition, EditionChunk, Subscriber
from service.store.reading import get_papers
from service.store.subscribers import get_readers
from service.store.topics import get_reader_topics


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
        readers = get_readers(
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
    readers: Sequence[Subscriber],
    now: datetime,
    days: EditionDays | None = None,
) -> None:
    """Write the rows of some readers: a frozen digest each, or a skip with its reason.

    `days` keeps what was read of the edition for the next readers; without, it is read anew.
    """
    ids = [reader.id for reader in readers]
    if settings.in_doubt == "carry":
        carry_doubts_of_readers(session, edition, ids, now)
    here = days.get(session, settings, edition) if days else EditionDay(session, settings, edition)
    ledger = read_ledger(session, ids, edition, here.day.ids)
    topics = get_reader_topics(session, ids)
    here.learn(session, {topic.canonical for own in topics.values() for topic in own})
    again = {i for reader_id in ledger.carried for i in ledger.carried_ids(reader_id)}
    carried = get_papers(session, again - here.day.papers.keys())
    digests = {
        reader.id: compose_digest(
            _reader(reader, topics, ledger), here.day, settings.digest_max_papers, carried
        )
        for reader in readers
    }
    digests = _with_suggestions(session, digests, ledger, here)
    digests = {reader.id: digests[reader.id] or _empty_digest(reader, ledger) for reader in readers}
    rows = [_digest_row(reader, digests[reader.id], edition, settings) for reader in readers]
    insert_digests(session, edition.id, rows, now)
    mark_carried(session, edition.id, ledger.carried)


def _reader(
    subscriber: Subscriber, topics: Mapping[int, Sequence[ReaderTopic]], ledger: Ledger
) -> Reader:
    return Reader(
        subscriber_id=subscriber.id,
        topics=tuple(topics.get(subscriber.id, ())),
        seen_ids=ledger.seen_ids(subscriber.id),
        carried_ids=ledger.carried_ids(subscriber.id),
        unsent_ids=ledger.unsent_ids(subscriber.id),
        happenings=ledger.happenings.get(subscriber.id, ()),
    )


def _with_suggestions(
    session: Session,
    digests: Mapping[int, Digest | None],
    ledger: Ledger,
    here: EditionDay,
) -> dict[int, Digest | None]:
    """The digests, each with what its reader may also like; a suggestion alone makes no mail."""
    barred = {
        reader_id: ledger.seen_ids(reader_id)
        | ledger.carried_ids(reader_id)
        | {*digest.paper_ids, *digest.cut_ids}
        for reader_id, digest in digests.items()
        if digest is not None
    }
    found = suggestions_for(session, sorted(barred), here.offered_ids, barred, here.stock(session))
    return {
        reader_id: replace(digest, also=tuple(DigestEntry(i) for i in found[reader_id]))
        if digest is not None and reader_id in found
        else digest
        for reader_id, digest in digests.items()
    }


def _empty_digest(reader: Subscriber, ledger: Ledger) -> Digest | None:
    """For who wants to be told that nothing matched; what befell papers may be told all the same."""
    if not reader.has_empty_digests:
        return None
    return Digest((), happenings=ledger.happenings.get(reader.id, ()))


def _digest_row(
    subscriber: Subscriber, digest: Digest | None, edition: Edition, settings: Settings
) -> DigestRow:
    due = edition.opened_at
    if not edition.sends_now:
        due = due_at(edition.local_date, subscriber.hour, subscriber.timezone, edition.opened_at)
    until = due + timedelta(hours=settings.send_not_after_hours)
    if digest is None:
        return DigestRow(subscriber.id, due, until, skip_reason=SkipReason.EMPTY)
    return DigestRow(
        subscriber.id,
        due,
        until,
        paper_ids=digest.paper_ids,
        digest=digest_to_json(digest),
    )
