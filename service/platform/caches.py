"""The registry of this process's caches by name: maximum, current size, hits and misses.

There are two kinds: results of a function (`cached`, an LRU cache), and caches that an object owns
(`register_cache`, `SizedCache`); the registry holds owners weakly, so it keeps none of them alive.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

T = TypeVar("T")
Owner = TypeVar("Owner")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class CacheUse:
    """The size of a cache, and its hits and misses since it was last cleared (None: not counted).

    A cache is bounded by its entries (`maximum`) or by its bytes (`maximum_bytes`).
    """

    name: str
    entries: int
    maximum: int | None
    hits: int | None = None
    misses: int | None = None
    bytes: int | None = None
    maximum_bytes: int | None = None


class CacheOwner(Protocol):
    """An object that owns a cache."""

    def count_entries(self) -> int: ...

    def clear_entries(self) -> None: ...


_functions: dict[str, _lru_cache_wrapper[Any]] = {}
_owned: WeakKeyDictionary[CacheOwner, tuple[str, int]] = WeakKeyDictionary()


def cached(
    name: str, *, maxsize: int, typed: bool = False
) -> Callable[[Callable[..., T]], _lru_cache_wrapper[T]]:
    """Return the decorator `functools.lru_cache`, with the cache registered under `name`."""

    def register(function: Callable[..., T]) -> _lru_cache_wrapper[T]:
        if name in _functions:
            raise ValueError(f"there is a cache {name!r} already")
        wrapper = _functions[name] = lru_cache(maxsize=maxsize, typed=typed)(function)
        return wrapper

    return register


def register_cache(name: str, owner: CacheOwner, *, maximum: int) -> None:
    """Register the cache of `owner` for its lifetime; owners with one name are counted together."""
    _owned[owner] = name, maximum


class SizedCache(Generic[T]):
    """A cache of at most `most_bytes`; no value may be None. Threads may share it.

    When it is full, entries that were not used for long go one by one, as by the clock algorithm: those
    used since the last round are in `_new`, the others wait in `_old`, the oldest first. So everything is
    kept that fits, and reading an entry in use costs one look-up. `size_of` estimates the bytes of a
    value with its key.
    """

    def __init__(self, name: str, most_bytes: int, size_of: Callable[[T], int]) -> None:
        self.name, self.most_bytes, self._size_of = name, most_bytes, size_of
        self._new: dict[Hashable, T] = {}
        self._old: dict[Hashable, T] = {}
        self.bytes = self.misses = 0
        self._lock = Lock()
        _sized[self] = None

    def get(self, key: Hashable) -> T | None:
        found = self._new.get(key)
        if found is None:
            with self._lock:
                found = self._old.pop(key, None)
                if found is None:
                    self.misses += 1
                else:
                    self._new[key] = found
        return found

    def add(self, key: Hashable, value: T) -> T:
        with self._lock:
            for kept in (self._new, self._old):
                before = kept.pop(key, None)
                if before is not None:
                    self.bytes -= self._size_of(before)
            self._new[key] = value
            self._make_room(self._size_of(value))
        return value

    def grow(self, size: int) -> None:
        """Count bytes that a value has gained since it was added."""
        with self._lock:
            self._make_room(size)

    def _make_room(self, size: int) -> None:
        self.bytes += size
        # A round begins at half, so that those in use are told apart before anything has to go.
        while self.bytes > (self.most_bytes if self._old else self.most_bytes / 2):
            if self._old:
                self.bytes -= self._size_of(self._old.pop(next(iter(self._old))))
            else:
                self._old, self._new = self._new, {}
                # Counted again, because values may have grown after they had gone.
                self.bytes = sum(map(self._size_of, self._old.values()))

    def count_entries(self) -> int:
        return len(self._new) + len(self._old)

    def clear_entries(self) -> None:
        with self._lock:
            self._new, self._old = {}, {}
            self.bytes = self.misses = 0


_sized: WeakKeyDictionary[SizedCache[Any], None] = WeakKeyDictionary()


def list_caches() -> list[CacheUse]:
    """Return every cache of this process, sorted by name."""
    functions = [
        CacheUse(name, info.currsize, info.maxsize or 0, info.hits, info.misses)
        for name, info in ((name, f.cache_info()) for name, f in list(_functions.items()))
    ]
    owned: dict[str, CacheUse] = {}
    for owner, (name, maximum) in _living(_owned):
        total = owned.get(name)
        entries, most = (total.entries, total.maximum or 0) if total else (0, 0)
        owned[name] = CacheUse(name, entries + owner.count_entries(), most + maximum)
    for cache, _ in _living(_sized):
        total = owned.get(cache.name) or CacheUse(cache.name, 0, None)
        owned[cache.name] = CacheUse(
            cache.name,
            total.entries + cache.count_entries(),
            None,
            misses=(total.misses or 0) + cache.misses,
            bytes=(total.bytes or 0) + cache.bytes,
            maximum_bytes=(total.maximum_bytes or 0) + cache.most_bytes,
        )
    return sorted([*functions, *owned.values()], key=lambda use: use.name)


def clear_caches() -> None:
    """Empty every cache of this process."""
    for function in list(_functions.values()):
        function.cache_clear()
    for owner, _ in (*_living(_owned), *_living(_sized)):
        owner.clear_entries()


def _living(owners: WeakKeyDictionary[Owner, V]) -> list[tuple[Owner, V]]:
    # `keyrefs()` copies the references, because another thread may add an owner meanwhile.
    living = [owner for reference in owners.keyrefs() if (owner := reference()) is not None]
    return [(owner, owners[owner]) for owner in living]
