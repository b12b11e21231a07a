"""An edition's papers in memory: read once a process, asked by every chunk of readers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock

from sqlalchemy.orm import Session

from service.actions.likes import LIKE_MARK, find_likes
from service.actions.suggestions import Shelf, stock_shelf
from service.config import Settings
from service.domain.day import Day
from service.domain.matching import clause_texts
from service.domain.paper_sets import Bits, Lexemes
from service.store.editions import get_edition_papers
from service.store.models import Edition
from service.store.reading import get_papers, index_papers
from service.store.revisions import get_edition_revisions
from service.store.topic_sql import fetch_lexemes
from service.store.topics import list_canonicals_with

# Two cadences are composed in one morning; an edition of 1,500 papers takes about 60 MB.
_MOST_KEPT = 2


class EditionDay:
    """`day`, and what it must learn of the topics that are going to ask it."""

    def __init__(self, session: Session, settings: Settings, edition: Edition) -> None:
        self._settings = settings
        new = get_edition_papers(session, edition.id)
        revisions = get_edition_revisions(session, edition.id)
        ids = sorted({*new, *revisions})
        self._lexicon: dict[str, Lexemes] = {}
        self._likes: dict[str, Bits] = {}
        self._known: set[str] = set()
        self._liked: set[str] = set()
        self._shelf: Shelf | None = None
        self.day = Day(
            get_papers(session, ids),
            index_papers(session, ids, revisions),
            self._lexicon,
            self._likes,
            revisions,
        )

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

    def learn(self, session: Session, topics: Iterable[str]) -> None:
        """Have at hand what these topics (canonical texts) ask: lexemes of words, likes of meanings."""
        unknown = set(topics) - self._known
        texts = clause_texts(unknown) - self._lexicon.keys()
        self._lexicon.update(fetch_lexemes(session, texts))
        self._learn_likes(session, unknown)
        self._known |= unknown

    def _learn_likes(self, session: Session, topics: Iterable[str]) -> None:
        asking = {topic for topic in topics if LIKE_MARK in topic}
        if not asking:
            return
        if not self._likes:
            # All that readers have saved at once: chunk by chunk the papers would be read each time.
            asking |= set(list_canonicals_with(session, LIKE_MARK))
        unknown = {topic for topic in asking if topic not in self._liked}
        self._likes.update(find_likes(session, self._settings, unknown, self.day.ids))
        self._liked |= unknown


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
