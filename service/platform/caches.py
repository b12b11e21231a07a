"""The registry of this process's caches by name: maximum, current size, hits and misses.

There are two kinds: results of a function (`cached`, an LRU cache), and caches that an object owns
(`register_cache`, `Generations`); the registry holds owners weakly, so it keeps none of them alive.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import lru_cache
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


class Generations(Generic[T]):
    """A cache of two generations of at most `most_bytes` each; no value may be None.

    Entries still in use are promoted; the others are dropped at the second rotation. Reading costs
    two dictionary lookups at most and moves nothing, unlike an LRU list. `size_of` estimates the
    bytes of a value with its key.
    """

    def __init__(self, name: str, most_bytes: int, size_of: Callable[[T], int]) -> None:
        self.name, self.most_bytes, self._size_of = name, most_bytes, size_of
        self._new: dict[Hashable, T] = {}
        self._old: dict[Hashable, T] = {}
        self._new_bytes = self._old_bytes = self.misses = 0
        _bounded[self] = None

    def get(self, key: Hashable) -> T | None:
        found = self._new.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                self.misses += 1
            else:
                self.add(key, found)
        return found

    def add(self, key: Hashable, value: T) -> T:
        self.grow(self._size_of(value))
        self._new[key] = value
        return value

    def grow(self, size: int) -> None:
        """Count bytes that a value has gained since it was added."""
        if self._new_bytes + size > self.most_bytes:
            self._old, self._old_bytes = self._new, self._new_bytes
            self._new, self._new_bytes = {}, 0
        self._new_bytes += size

    @property
    def bytes(self) -> int:
        return self._new_bytes + self._old_bytes

    def count_entries(self) -> int:
        return len(self._new) + len(self._old)

    def clear_entries(self) -> None:
        self._new, self._old = {}, {}
        self._new_bytes = self._old_bytes = self.misses = 0


_bounded: WeakKeyDictionary[Generations[Any], None] = WeakKeyDictionary()


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
    for cache, _ in _living(_bounded):
        total = owned.get(cache.name) or CacheUse(cache.name, 0, None)
        owned[cache.name] = CacheUse(
            cache.name,
            total.entries + cache.count_entries(),
            None,
            misses=(total.misses or 0) + cache.misses,
            bytes=(total.bytes or 0) + cache.bytes,
            maximum_bytes=(total.maximum_bytes or 0) + 2 * cache.most_bytes,
        )
    return sorted([*functions, *owned.values()], key=lambda use: use.name)


def clear_caches() -> None:
    """Empty every cache of this process."""
    for function in list(_functions.values()):
        function.cache_clear()
    for owner, _ in (*_living(_owned), *_living(_bounded)):
        owner.clear_entries()


def _living(owners: WeakKeyDictionary[Owner, V]) -> list[tuple[Owner, V]]:
    # `keyrefs()` copies the references, because another thread may add an owner meanwhile.
    living = [owner for reference in owners.keyrefs() if (owner := reference()) is not None]
    return [(owner, owners[owner]) for owner in living]
