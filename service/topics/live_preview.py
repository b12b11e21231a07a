"""Topic previews that are fast enough to be shown while the topic is typed.

Each process caches the papers of the last 30 days as bitsets, applies the changes of the database
to them incrementally, and asks Postgres once for the result of a clause, until a paper changes.
A preview therefore shows exactly what the archive holds, papers that came a moment ago included, and
so does a search for words of many papers, which finds its newest here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from threading import Lock, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from service.papers.store.paper_changes import list_changes, snapshot_of
from service.platform.caches import register_cache
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.memory import release_memory
from service.platform.settings.settings import Settings
from service.similarity.availability import is_available
from service.topics.domain.language import Query
from service.topics.domain.matching.compiled import Lexicon
from service.topics.domain.matching.recent_index import RecentIndex
from service.topics.like_clauses import load_model_vectors, topic_condition, update_model_vectors
from service.topics.preview_lookup import EXAMPLES, LivePreview, PreviewLookup, RecentDays
from service.topics.store import recent
from service.topics.topics import preview_topic, read_topic

if TYPE_CHECKING:
    # On NumPy, which is an extra.
    from service.similarity.embeddings.vector_pool import ModelVectors

DAYS: Final = 30
_LOAD_TIMEOUT_MS: Final = 60_000
# Words in fewer than one of so many papers are not loaded: Postgres finds them fast by its index.
_COMMON_FRACTION = 200
# Full loads may take this share of the time; between them previews query Postgres directly.
_LOAD_SHARE = 0.05
_QUERY_CANCELED = "57014"
# A request's transaction is open while it waits for another one's update; then it asks Postgres.
_MOST_WAIT_SECONDS = 0.5

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PreviewLimits:
    """The time limit of a preview and the sizes of its caches."""

    # Statement timeout: a preview is one of many while somebody types.
    time_limit_ms: int = 2_000
    # A span with at least so many papers is loaded in a background thread, not in a request.
    many_papers: int = 1_000
    # A changed paper costs some 40 microseconds; past so many a request does not apply them.
    most_changes: int = 3_000
    # Cached results of clauses.
    most_answers: int = 512


PREVIEW_LIMITS: Final = PreviewLimits()


class TooBroad(Exception):
    """The preview took too long; the topic itself is fine."""


class LivePreviews:
    """The previews of one process, with their cache. Thread-safe."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: Settings,
        limits: PreviewLimits = PREVIEW_LIMITS,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._limits = limits
        self._snapshot: RecentDays | None = None
        self._update_lock = Lock()
        self._load_lock = Lock()
        self._next_load_at = 0.0
        register_cache("previewed clauses", self, maximum=limits.most_answers)

    def preview(self, session: Session, text: str, until: date) -> LivePreview:
        """Return what `text` would have brought in the 30 days up to and including `until`.

        `session` must be fresh: its transaction becomes REPEATABLE READ, READ ONLY. Raises
        `TopicError`, and `TooBroad` where a statement takes more than two seconds.
        """
        try:
            state = recent.begin_snapshot(session, self._limits.time_limit_ms)
            topic = read_topic(session, text)
            snapshot = self._refresh(session, _span_until(until), state)
            if snapshot is None:
                matched = preview_topic(session, self._settings, text, until, DAYS, EXAMPLES)
                return LivePreview(matched, sum(1 for _, n in matched.per_day if n))
            return self._look_up(session, snapshot, topic).preview(text)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") == _QUERY_CANCELED:
                raise TooBroad from error
            raise

    def find_newest(
        self, session: Session, topic: tuple[Query, Lexicon], until: date, most: int
    ) -> list[int]:
        """Return the ids of the newest `most` stored papers that a topic wants, newest first.

        Postgres is asked for words of few papers, where the 30 days up to `until` have fewer, and where some
        are newer. The transaction must be that of a `begin_snapshot`.
        """
        known = self._snapshot
        lookup = self._look_up(session, known, topic) if known else None
        if lookup and lookup.is_in_memory:
            found = self._find_here(session, topic, until, most)
            if len(found) == most:
                return found
        condition = topic_condition(session, self._settings, topic[0])
        is_rare = lookup is not None and lookup.is_rare
        return recent.find_newest_ids(session, condition, most, is_rare=is_rare)

    def _find_here(
        self, session: Session, topic: tuple[Query, Lexicon], until: date, most: int
    ) -> list[int]:
        """Return those of the last days; none where there are papers of later days, or others changed."""
        days = self._refresh(session, _span_until(until), snapshot_of(session))
        if days is None or days.newest > until:
            return []
        return self._look_up(session, days, topic).find_newest(most)

    def _look_up(
        self, session: Session, days: RecentDays, topic: tuple[Query, Lexicon]
    ) -> PreviewLookup:
        return PreviewLookup(session, self._settings, days, topic, self._limits.most_answers)

    def find_vectors(self, session: Session, until: date) -> ModelVectors | None:
        """Return the vectors in memory as the transaction of a `begin_snapshot` sees them.

        None where they are not loaded, or are not those of this transaction.
        """
        known = self._snapshot
        if known is None or known.vectors is None:
            return None
        days = self._refresh(session, _span_until(until), snapshot_of(session))
        return days.vectors if days else None

    def count_entries(self) -> int:
        snapshot = self._snapshot
        return len(snapshot.answers) if snapshot else 0

    def clear_entries(self) -> None:
        with self._update_lock:
            self._snapshot = None

    def warm(self, until: date) -> None:
        """Load the last days in a background thread, before the first request."""
        self._load_in_background(_span_until(until))

    def _refresh(self, session: Session, span: tuple[date, date], state: str) -> RecentDays | None:
        """Return the last days as this transaction sees them, or None to query Postgres instead."""
        snapshot = self._snapshot
        if snapshot is None or snapshot.span != span or snapshot.is_stale:
            if recent.count_recent(session, span) < self._limits.many_papers:
                # A later one replaces it, with the same papers or newer ones.
                read = self._snapshot = self._read(session, span, state)
                return read
            self._load_in_background(span)
            if snapshot is None or snapshot.span != span:
                return None
        if not recent.snapshot_includes(state, snapshot.state):
            return None  # the cache already holds changes newer than this transaction's snapshot
        changed_ids = list_changes(session, snapshot.state)
        if not changed_ids:
            return snapshot
        if len(changed_ids) > self._limits.most_changes:
            self._load_in_background(span)
            return None
        return self._apply_changes(session, snapshot, state, changed_ids)

    def _apply_changes(
        self, session: Session, snapshot: RecentDays, state: str, changed_ids: Sequence[int]
    ) -> RecentDays | None:
        """Cache a new snapshot with these changes: papers added, updated, or gone from the span."""
        if not self._update_lock.acquire(timeout=_MOST_WAIT_SECONDS):
            return None
        try:
            if self._snapshot is snapshot:
                papers = recent.select_recent(session, snapshot.span, changed_ids)
                index = snapshot.index.with_changes(papers, changed_ids)
                vectors = snapshot.vectors and update_model_vectors(
                    session, snapshot.vectors, changed_ids, index.paper_ids
                )
                newest = recent.newest_day(session)
                self._snapshot = replace(
                    snapshot, state=state, newest=newest, index=index, vectors=vectors, answers={}
                )
                return self._snapshot
        finally:
            self._update_lock.release()
        return self._refresh(session, snapshot.span, state)

    def _read(self, session: Session, span: tuple[date, date], state: str) -> RecentDays:
        index = RecentIndex(recent.select_recent(session, span))
        return RecentDays(span, state, recent.newest_day(session), index, monotonic())

    def _load_in_background(self, span: tuple[date, date]) -> None:
        """Start a thread that loads the last days, unless one runs or `_next_load_at` is ahead."""
        if monotonic() >= self._next_load_at and self._load_lock.acquire(blocking=False):
            Thread(target=self._load, args=(span,), daemon=True).start()

    def _load(self, span: tuple[date, date]) -> None:
        """Load the last days with common words and vectors, then release `_load_lock`."""
        # No request does this: Postgres needs some seconds for the papers of all common words.
        started = monotonic()
        try:
            with transaction(self._sessions) as session:
                loaded = self._read(session, span, recent.begin_snapshot(session, _LOAD_TIMEOUT_MS))
                fewest = max(1, len(loaded.index) // _COMMON_FRACTION)
                rows = recent.iterate_common_words(session, span, fewest)
                loaded.index.learn_words({word: loaded.index.bits_of(ids) for word, ids in rows})
                vectors = None
                if is_available(session):
                    vectors = load_model_vectors(session, self._settings, loaded.index.paper_ids)
            loaded.index.learn_spellings()
            with self._update_lock:
                self._snapshot = replace(loaded, vectors=vectors)
            release_memory()  # what loading took beside what it left: 60 MiB of a web process
        except SQLAlchemyError as error:
            log.warning("preview.words", reason=type(error).__name__)
        finally:
            self._next_load_at = monotonic() + (monotonic() - started) / _LOAD_SHARE
            self._load_lock.release()


def _span_until(until: date) -> tuple[date, date]:
    return until - timedelta(days=DAYS - 1), until
