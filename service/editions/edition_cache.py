"""An edition's papers in memory: read once a process, asked by every chunk of readers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from threading import Lock

from sqlalchemy.orm import Session

from service.editions.domain.compose import ReaderTopic
from service.editions.domain.edition_index import Day
from service.editions.recommend import Shelf, stock_shelf
from service.editions.store.editions import get_edition_papers
from service.editions.store.models import Edition
from service.editions.store.revisions import get_edition_revisions
from service.papers.store.read import get_papers
from service.platform.settings.settings import Settings
from service.topics.domain.matching.bitsets import Bits
from service.topics.domain.matching.bulk import StoredClauses, StoredForms, TopicSets
from service.topics.domain.types import ClauseKind
from service.topics.like_clauses import find_likes
from service.topics.store.index_rows import index_papers
from service.topics.store.read_compiled import get_stored_clauses, get_stored_topics, list_likes
from service.topics.store.save_compiled import heal_topics, hold_forms
from service.topics.store.topics import get_reader_topics

# Two cadences are composed in one morning; an edition of 1,500 papers takes about 60 MB.
_MOST_KEPT = 2


class PapersDay:
    """Some papers as a `day`, and what it has learned of the stored topics that ask it.

    `revisions`: paper id -> version, for those that are there because a newer one was announced.
    """

    def __init__(
        self, session: Session, settings: Settings, ids: Sequence[int], revisions: dict[int, int]
    ) -> None:
        self._settings = settings
        self._forms = StoredForms()
        self._likes: dict[str, Bits] = {}
        self._texts: dict[int, str] = {}
        self.day = Day(
            get_papers(session, ids),
            index_papers(session, ids, revisions),
            {},
            self._likes,
            revisions,
            self._forms,
        )
        self._sets = TopicSets(self.day.index)

    def read_topics(
        self, session: Session, subscriber_ids: Sequence[int]
    ) -> dict[int, list[ReaderTopic]]:
        """The topics of some readers, each in its reader's order, with their papers at hand."""
        hold_forms(session)
        found = get_reader_topics(session, subscriber_ids)
        if None in found.canonical_ids:
            heal_topics(session, subscriber_ids=subscriber_ids)
            found = get_reader_topics(session, subscriber_ids)
        wanted = [canonical_id or 0 for canonical_id in found.canonical_ids]
        self.learn(session, wanted)
        texts = map(self._texts.__getitem__, wanted)
        topics: dict[int, list[ReaderTopic]] = {}
        for reader, topic in zip(
            found.subscriber_ids,
            map(ReaderTopic, found.topic_ids, found.titles, texts),
            strict=True,
        ):
            topics.setdefault(reader, []).append(topic)
        return topics

    def learn(self, session: Session, canonical_ids: Iterable[int]) -> None:
        """Have at hand the papers that these topics (rows of `canonicals`) want."""
        unknown = {number for number in canonical_ids if number not in self._texts}
        topics = get_stored_topics(session, unknown)
        self._learn_clauses(session, self._sets.lacking(topics))
        for some in topics:
            self._texts.update(zip(some.ids, some.texts, strict=True))
            self.day.keep(some.texts, self._sets.find_all(some))

    def _learn_clauses(self, session: Session, numbers: set[int]) -> None:
        clauses = get_stored_clauses(session, numbers)
        clauses += get_stored_clauses(session, self._sets.lacking_inside(clauses) - numbers)
        self._learn_likes(session, clauses)
        self._forms.add(clauses)
        self._sets.learn(clauses)

    def _learn_likes(self, session: Session, clauses: Iterable[StoredClauses]) -> None:
        asked: dict[str, str] = {}
        for some in clauses:
            if some.kind is ClauseKind.LIKE:
                asked.update(zip(some.texts, some.keys, strict=True))
        if asked and not self._likes:
            asked |= self._list_more_likes(session)
        unknown = {clause: text for clause, text in asked.items() if clause not in self._likes}
        self._likes.update(find_likes(session, self._settings, unknown, self.day.ids))

    def _list_more_likes(self, _: Session) -> dict[str, str]:
        """`like:` clauses that are likely to be asked after the first, to be learned with it."""
        return {}


class EditionDay(PapersDay):
    """The papers of an edition, which everybody's topics ask."""

    def __init__(self, session: Session, settings: Settings, edition: Edition) -> None:
        new = get_edition_papers(session, edition.id)
        revisions = get_edition_revisions(session, edition.id)
        super().__init__(session, settings, sorted({*new, *revisions}), revisions)
        self._shelf: Shelf | None = None

    @property
    def offered_ids(self) -> list[int]:
        """The papers that may be suggested to readers who did not ask for them."""
        papers = self.day.papers
        return [
            i for i in self.day.ids if i not in self.day.revisions and not papers[i].is_withdrawn
        ]

    def stock(self, session: Session) -> Callable[[], Shelf]:
        """Makes the shelf of those papers when the first reader needs it, and keeps it."""

        def stocked() -> Shelf:
            if self._shelf is None:
                self._shelf = stock_shelf(session, self.offered_ids)
            return self._shelf

        return stocked

    def _list_more_likes(self, session: Session) -> dict[str, str]:
        # All that readers have saved: chunk by chunk the papers would be laid out each time.
        return list_likes(session)


class EditionDays:
    """The days of the editions that are being composed, by database and edition."""

    def __init__(self) -> None:
        self._days: OrderedDict[tuple[str, int], EditionDay] = OrderedDict()
        self._lock = Lock()

    def get(self, session: Session, settings: Settings, edition: Edition) -> EditionDay:
        """The day of an edition whose papers are assigned, which they are for good."""
        bind = session.get_bind()
        key = (str(bind.engine.url), edition.id)
        with self._lock:
            if key not in self._days:
                self._days[key] = EditionDay(session, settings, edition)
                while len(self._days) > _MOST_KEPT:
                    self._days.popitem(last=False)
            self._days.move_to_end(key)
            return self._days[key]


DAYS = EditionDays()
