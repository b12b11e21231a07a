"""Rendered pages, cached until something that pages show changes in the database.

A page is used again only where the database says, in one statement, that no transaction has changed a
paper, a vote, a batch … since the snapshot from which the page was made. So nothing is ever stale.
"""

import secrets
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock
from typing import Final, TypeVar

from sqlalchemy.orm import Session, sessionmaker

from service.papers.store.paper_changes import begin_snapshot, has_changed
from service.platform.caches import SizedCache
from service.platform.database.engine import one_statement, transaction
from service.web.core.packed_page import PackedPiece, PackedResponse, pack

T = TypeVar("T")

FORM_TOKEN: Final = secrets.token_hex(16)
"""What stands in a page to be cached for the token of its form, which each visitor gets of its own."""
_MOST_BYTES: Final = 16 * 1024 * 1024
_LOCKS: Final = 64


@dataclass(frozen=True, slots=True)
class _CachedPage:
    state: str
    status: int
    pieces: tuple[PackedPiece, ...]


class PageCache:
    """The cached pages of one process. Thread-safe; one thread makes a page while others wait."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions
        self._pages: SizedCache[_CachedPage] = SizedCache("rendered pages", _MOST_BYTES, _size_of)
        self._locks = tuple(Lock() for _ in range(_LOCKS))

    def show(
        self,
        key: Hashable,
        load: Callable[[Session], T],
        render: Callable[[T], tuple[int, str]],
        form_token: str = "",
    ) -> PackedResponse:
        """Return the page of a key, with `form_token` in place of `FORM_TOKEN`.

        `load` reads what the page shows in a read-only transaction, and `render` returns its status and
        its text. Both must depend on the key and the database alone. What they raise is not cached.
        """
        page = self._find(key)
        if page is None:
            with self._locks[hash(key) % _LOCKS]:
                page = self._find(key) or self._make(key, load, render)
        return PackedResponse(page.pieces, form_token.encode(), page.status)

    def _find(self, key: Hashable) -> _CachedPage | None:
        page = self._pages.get(key)
        if page is None:
            return None
        with one_statement(self._sessions) as session:
            return None if has_changed(session, page.state) else page

    def _make(
        self, key: Hashable, load: Callable[[Session], T], render: Callable[[T], tuple[int, str]]
    ) -> _CachedPage:
        with transaction(self._sessions) as session:
            state = begin_snapshot(session)
            loaded = load(session)
        status, text = render(loaded)
        pieces = tuple(map(pack, text.encode().split(FORM_TOKEN.encode())))
        return self._pages.add(key, _CachedPage(state, status, pieces))


def _size_of(page: _CachedPage) -> int:
    # With its key, whose text is that of an address, and what Python adds to each object.
    return sum(len(piece.packed) for piece in page.pieces) + 1_024
