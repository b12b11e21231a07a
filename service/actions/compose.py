"""Composing: from an edition's papers and a chunk of readers to frozen digests, or named skips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.actions.ledger import Ledger, read_ledger
from service.actions.suggestions import suggestions_for
from service.actions.trends import with_trends
from service.config import Settings
from service.domain.delivery import SkipReason
from service.domain.digest import Digest, DigestEntry, Reader, compose_digest, digest_to_json
from service.domain.matching import match_day
from service.domain.query import leaf_texts, parse_query
from service.domain.ranking import standings
from service.domain.schedule import (
    due_at,
)
from service.domain.types import Paper, Reason
from service.store.deliveries import (
    DigestRow,
    insert_digests,
    mark_carried,
)
from service.store.editions import (
    claim_chunk,
    freeze_if_composed,
    get_edition,
    get_edition_papers,
)
from service.store.engine import transaction
from service.store.models import Edition, EditionChunk, Subscriber
from service.store.reading import get_papers, index_papers
from service.store.subscribers import get_readers, get_topics
from service.store.topic_sql import fetch_lexemes


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
        compose_readers(session, settings, edition, readers, now)
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
) -> None:
    """Write the rows of some readers: a frozen digest each, or a skip with its reason."""
    ids = [reader.id for reader in readers]
    own = sorted(get_edition_papers(session, edition.id))
    ledger = read_ledger(session, ids, edition, own)
    again = {i for reader_id in ledger.carried for i in ledger.carried_ids(reader_id)}
    papers = with_trends(session, get_papers(session, {*own, *again}), now)
    topics = get_topics(session, ids)
    matches = _match(session, own, topics)
    edition_papers = {i: papers[i] for i in own}
    standing = standings(papers.values())
    digests: dict[int, Digest] = {}
    for reader in readers:
        value = _reader(reader, topics, ledger)
        available = edition_papers
        if value.carried_ids:
            available = edition_papers | {i: papers[i] for i in value.carried_ids if i in papers}
        most = settings.digest_max_papers
        if digest := compose_digest(value, matches, available, most, standing):
            digests[reader.id] = digest
    digests = _with_suggestions(session, digests, edition_papers, ledger)
    rows = [_digest_row(digests.get(one.id), one, edition, settings) for one in readers]
    insert_digests(session, edition.id, rows, now)
    mark_carried(session, edition.id, ledger.carried)


def _reader(
    subscriber: Subscriber, topics: Mapping[int, Sequence[tuple[str, str]]], ledger: Ledger
) -> Reader:
    return Reader(
        subscriber_id=subscriber.id,
        topics=tuple(topics.get(subscriber.id, ())),
        seen_ids=ledger.seen_ids(subscriber.id),
        carried_ids=ledger.carried_ids(subscriber.id),
        happenings=ledger.happenings.get(subscriber.id, ()),
    )


def _match(
    session: Session, paper_ids: Sequence[int], topics: Mapping[int, Sequence[tuple[str, str]]]
) -> dict[str, dict[int, tuple[Reason, ...]]]:
    """Every distinct topic against the edition's papers: canonical form -> paper -> reasons."""
    canonicals = sorted({canonical for own in topics.values() for _, canonical in own})
    queries = [parse_query(canonical) for canonical in canonicals]
    texts = frozenset(text for query in queries for text in leaf_texts(query))
    lexicon = fetch_lexemes(session, texts)
    found: dict[str, dict[int, tuple[Reason, ...]]] = {}
    papers = index_papers(session, paper_ids)
    for number, paper_id, reasons in match_day(enumerate(queries), papers, lexicon):
        found.setdefault(canonicals[number], {})[paper_id] = reasons
    return found


def _with_suggestions(
    session: Session, digests: Mapping[int, Digest], papers: Mapping[int, Paper], ledger: Ledger
) -> dict[int, Digest]:
    """The digests, each with what its reader may also like; alone that makes no digest."""
    barred = {
        i: ledger.seen_ids(i) | ledger.carried_ids(i) | {*digest.paper_ids, *digest.cut_ids}
        for i, digest in digests.items()
    }
    offered = [i for i, paper in papers.items() if not paper.is_withdrawn]
    also = suggestions_for(session, sorted(digests), offered, barred)
    return {
        i: replace(digest, also=tuple(DigestEntry(paper_id) for paper_id in also.get(i, ())))
        for i, digest in digests.items()
    }


def _digest_row(
    digest: Digest | None, subscriber: Subscriber, edition: Edition, settings: Settings
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
