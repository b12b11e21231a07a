"""What a topic would have brought, fast enough to be asked for while it is typed.

The papers of the last 30 days are kept as sets in each process and follow the store by what changed
in it; what a clause finds is asked of Postgres once and kept until then. So a preview says exactly
what the archive would say, of a paper that came a moment ago too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from threading import Lock, Thread
from time import monotonic
from typing import Final

from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from service.papers.store.paper_changes import list_changes
from service.platform.caches import register_cache
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.topics.domain.language import Query
from service.topics.domain.matching.recent_index import RecentIndex
from service.topics.like_clauses import load_model_vectors, update_model_vectors
from service.topics.preview_lookup import EXAMPLES, KeptDays, LivePreview, PreviewLookup
from service.topics.store.recent import (
    begin_snapshot,
    count_recent,
    iterate_common_words,
    read_recent,
    snapshot_includes,
)
from service.topics.topics import preview_topic, read_topic

DAYS: Final = 30
_READING_MS: Final = 60_000
# A word of fewer than one in so many papers is found by its index at once.
_COMMON_PART = 40
# Reading the last days anew may take this share of the time; in between Postgres is asked plainly.
_REFRESH_SHARE = 0.05
_QUERY_CANCELED = "57014"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PreviewLimits:
    """What one preview may cost, and how much is kept for the next."""

    # A preview is one of many while somebody types; a topic that needs longer gets a polite answer.
    time_limit_ms: int = 2_000
    # A span that holds as many papers is read beside the requests and not in one.
    many_papers: int = 1_000
    # Following costs some 40 microseconds a paper; a visitor does not wait for more than these.
    most_followed: int = 3_000
    # Answers of clauses.
    most_kept: int = 512


PREVIEW_LIMITS: Final = PreviewLimits()


class TooBroad(Exception):
    """The preview took too long; the topic itself is fine."""


"""The canonical text of a clause, and whether it was asked of replaced papers too."""


class LivePreviews:
    """The previews of one process. Threads share it."""

    def __init__(
        self,
        sessions: sessionmaker[Session],
        settings: Settings,
        limits: PreviewLimits = PREVIEW_LIMITS,
    ) -> None:
        self._sessions = sessions
        self._settings = settings
        self._limits = limits
        self._kept: KeptDays | None = None
        self._following = Lock()
        self._reading = Lock()
        self._rests_until = 0.0
        register_cache("previewed clauses", self, maximum=limits.most_kept)

    def preview(self, session: Session, text: str, until: date) -> LivePreview:
        """What `text` would have brought in the 30 days up to and including `until`.

        `session` must be fresh: its transaction is made to see one state of the store, and to
        read only. Raises `TopicError`, and `TooBroad` for what takes more than two seconds.
        """
        try:
            state = begin_snapshot(session, self._limits.time_limit_ms)
            query = read_topic(session, text)
            kept = self._keep_up(session, _span_until(until), state)
            if kept is None:
                matched = preview_topic(session, self._settings, text, until, DAYS, EXAMPLES)
                return LivePreview(matched, sum(1 for _, n in matched.per_day if n))
            return self._look(session, kept, query).preview(text)
        except OperationalError as error:
            if getattr(error.orig, "sqlstate", "") == _QUERY_CANCELED:
                raise TooBroad from error
            raise

    def _look(self, session: Session, kept: KeptDays, query: Query) -> PreviewLookup:
        return PreviewLookup(session, self._settings, kept, query, self._limits.most_kept)

    def count_entries(self) -> int:
        kept = self._kept
        return len(kept.answers) if kept else 0

    def forget_entries(self) -> None:
        with self._following:
            self._kept = None

    def warm(self, until: date) -> None:
        """Read the last days before anybody asks, beside whatever else the process does."""
        self._read_beside(_span_until(until))

    def _keep_up(self, session: Session, span: tuple[date, date], state: str) -> KeptDays | None:
        """The last days as this transaction sees them; None while they are better not read."""
        kept = self._kept
        if kept is None or kept.span != span or kept.is_worn:
            if count_recent(session, span) < self._limits.many_papers:
                with self._following:
                    self._kept = self._read(session, span, state)
                return self._kept
            self._read_beside(span)
            if kept is None or kept.span != span:
                return None
        if not snapshot_includes(state, kept.state):
            return None  # another request follows a state that this one, begun earlier, cannot see
        changed = list_changes(session, kept.state)
        if not changed:
            return kept
        if len(changed) > self._limits.most_followed:
            self._read_beside(span)
            return None
        return self._follow(session, kept, state, changed)

    def _follow(
        self, session: Session, kept: KeptDays, state: str, changed: Sequence[int]
    ) -> KeptDays | None:
        """Take over the papers that came or changed; those that went, or left the span, go."""
        with self._following:
            if self._kept is kept:
                papers = read_recent(session, kept.span, changed)
                index = kept.index.with_changes(papers, changed)
                vectors = kept.vectors and update_model_vectors(
                    session, kept.vectors, changed, index.paper_ids
                )
                self._kept = KeptDays(kept.span, state, index, kept.read_at, vectors)
                return self._kept
        return self._keep_up(session, kept.span, state)

    def _read(self, session: Session, span: tuple[date, date], state: str) -> KeptDays:
        return KeptDays(span, state, RecentIndex(read_recent(session, span)), monotonic())

    def _read_beside(self, span: tuple[date, date]) -> None:
        """Read the last days anew, in a thread of its own, unless one is at it or rests."""
        if monotonic() >= self._rests_until and self._reading.acquire(blocking=False):
            Thread(target=self._read_anew, args=(span,), daemon=True).start()

    def _read_anew(self, span: tuple[date, date]) -> None:
        """The same with the common words: one in half of all papers takes Postgres a tenth of a
        second, and all of them together some seconds, which no request should wait for."""
        started = monotonic()
        try:
            with transaction(self._sessions) as session:
                kept = self._read(session, span, begin_snapshot(session, _READING_MS))
                fewest = max(1, len(kept.index) // _COMMON_PART)
                rows = iterate_common_words(session, span, fewest)
                kept.index.learn_words({word: kept.index.bits_of(ids) for word, ids in rows})
                vectors = load_model_vectors(session, self._settings, kept.index.paper_ids)
            kept.index.learn_spellings()
            with self._following:
                self._kept = replace(kept, vectors=vectors)
        except SQLAlchemyError as error:
            log.warning("preview.words", reason=type(error).__name__)
        finally:
            self._rests_until = monotonic() + (monotonic() - started) / _REFRESH_SHARE
            self._reading.release()


def _span_until(until: date) -> tuple[date, date]:
    return until - timedelta(days=DAYS - 1), until
