"""An LRU cache of loaded editions, shared by all chunks of subscribers in a process."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock

from sqlalchemy.orm import Session, sessionmaker

from service.editions.domain.edition_index import EditionIndex
from service.editions.recommend import SuggestionPool, load_pool
from service.editions.store.edition_papers import get_edition_papers
from service.editions.store.editions import list_open
from service.editions.store.models import Edition
from service.editions.store.revisions import get_edition_revisions
from service.papers.store.read import get_papers
from service.platform.caches import register_cache
from service.platform.database.engine import transaction
from service.platform.memory import release_memory
from service.topics.store.index_rows import index_papers

# Two cadences are composed in one morning; an edition of 1,500 papers takes about 60 MB.
_MOST_KEPT = 2


def load_index(
    session: Session, paper_ids: Sequence[int], revisions: Mapping[int, int]
) -> EditionIndex:
    """Return an index of some papers, without any matches yet.

    `revisions`: paper id -> version, for papers included because a newer version was announced.
    """
    papers = get_papers(session, paper_ids)
    return EditionIndex(papers, index_papers(session, paper_ids, revisions), revisions)


class LoadedEdition:
    """An edition's data for composing; its papers are assigned once and never change."""

    def __init__(self, session: Session, edition: Edition) -> None:
        revisions = get_edition_revisions(session, edition.id)
        ids = sorted({*get_edition_papers(session, edition.id), *revisions})
        self.index = load_index(session, ids, revisions)
        self._pool: SuggestionPool | None = None

    def load_pool(self, session: Session) -> SuggestionPool:
        """Return the papers that may be recommended, loaded on first use."""
        if self._pool is None:
            self._pool = load_pool(session, self.index.offered_ids)
        return self._pool


class EditionCache:
    """An LRU cache of the editions that a process is composing, all of one database."""

    def __init__(self) -> None:
        self._editions: OrderedDict[int, LoadedEdition] = OrderedDict()
        self._lock = Lock()
        register_cache("edition indexes", self, maximum=_MOST_KEPT)

    def get(self, session: Session, edition: Edition) -> LoadedEdition:
        with self._lock:
            if edition.id not in self._editions:
                self._editions[edition.id] = LoadedEdition(session, edition)
                while len(self._editions) > _MOST_KEPT:
                    self._editions.popitem(last=False)
            self._editions.move_to_end(edition.id)
            return self._editions[edition.id]

    def forget(self, edition_id: int) -> None:
        with self._lock:
            self._editions.pop(edition_id, None)

    def forget_frozen(self, sessions: sessionmaker[Session]) -> None:
        """Free the memory of editions that need no more composing, for the sending that follows."""
        with self._lock:
            if self._editions:
                with transaction(sessions) as session:
                    is_open = {edition.id for edition in list_open(session)}
                frozen = self._editions.keys() - is_open
                for edition_id in frozen:
                    del self._editions[edition_id]
                if frozen:
                    release_memory()

    def count_entries(self) -> int:
        return len(self._editions)

    def clear_entries(self) -> None:
        with self._lock:
            self._editions.clear()
