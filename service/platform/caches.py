"""The registry of this process's caches by name: maximum, current size, hits and misses.

There are two kinds: results of a function (`cached`, an LRU cache), and caches that an object owns
(`register_cache`); the registry holds owners weakly, so it keeps none of them alive.
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


@dataclass(frozen=True, slots=True)
class CacheUse:
    """The size of a cache, and its hits and misses since it was last cleared (None: not counted)."""

    name: str
    entries: int
    maximum: int
    hits: int | None = None
    misses: int | None = None


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
    """A cache of two generations of at most `size` entries each; no value may be None.

    Entries still in use are promoted; the others are dropped at the second rotation. Reading costs
    two dictionary lookups at most and moves nothing, unlike an LRU list.
    """

    def __init__(self, name: str, size: int) -> None:
        self._size = size
        self._new: dict[Hashable, T] = {}
        self._old: dict[Hashable, T] = {}
        register_cache(name, self, maximum=2 * size)

    def get(self, key: Hashable) -> T | None:
        found = self._new.get(key)
        if found is None and (older := self._old.get(key)) is not None:
            return self.add(key, older)
        return found

    def add(self, key: Hashable, value: T) -> T:
        if len(self._new) >= self._size:
            self._old, self._new = self._new, {}
        self._new[key] = value
        return value

    def count_entries(self) -> int:
        return len(self._new) + len(self._old)

    def clear_entries(self) -> None:
        self._new, self._old = {}, {}


def list_caches() -> list[CacheUse]:
    """Return every cache of this process, sorted by name."""
    functions = [
        CacheUse(name, info.currsize, info.maxsize or 0, info.hits, info.misses)
        for name, info in ((name, f.cache_info()) for name, f in list(_functions.items()))
    ]
    owned: dict[str, CacheUse] = {}
    for owner in _living_owners():
        name, maximum = _owned[owner]
        total = owned.get(name) or CacheUse(name, 0, 0)
        owned[name] = CacheUse(name, total.entries + owner.count_entries(), total.maximum + maximum)
    return sorted([*functions, *owned.values()], key=lambda use: use.name)


def clear_caches() -> None:
    """Empty every cache of this process."""
    for function in list(_functions.values()):
        function.cache_clear()
    for owner in _living_owners():
        owner.clear_entries()


def _living_owners() -> list[CacheOwner]:
    # `keyrefs()` copies the references, because another thread may add an owner meanwhile.
    owners = [reference() for reference in _owned.keyrefs()]
    return [owner for owner in owners if owner is not None]
