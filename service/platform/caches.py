"""The caches of this process by name: what each may hold, what it holds, how often it had an answer.

There are two kinds: results of a function (`cached`), and what an object keeps for itself
(`register_cache`). This list of them is the only thing here that outlives its makers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CacheUse:
    """How full a cache is, and how often it was asked since it was last cleared.

    `hits` and `misses` are None where nobody counts them.
    """

    name: str
    entries: int
    maximum: int
    hits: int | None = None
    misses: int | None = None


class CacheOwner(Protocol):
    """An object that keeps a cache for itself."""

    def count_entries(self) -> int: ...

    def forget_entries(self) -> None: ...


_functions: dict[str, _lru_cache_wrapper[Any]] = {}
_owned: WeakKeyDictionary[CacheOwner, tuple[str, int]] = WeakKeyDictionary()


def cached(
    name: str, *, maxsize: int, typed: bool = False
) -> Callable[[Callable[..., T]], _lru_cache_wrapper[T]]:
    """Return the decorator `functools.lru_cache` whose cache is listed here under `name`."""

    def register(function: Callable[..., T]) -> _lru_cache_wrapper[T]:
        if name in _functions:
            raise ValueError(f"there is a cache {name!r} already")
        kept = _functions[name] = lru_cache(maxsize=maxsize, typed=typed)(function)
        return kept

    return register


def register_cache(name: str, owner: CacheOwner, *, maximum: int) -> None:
    """List what `owner` keeps, for as long as it lives; owners of one name are counted together."""
    _owned[owner] = name, maximum


def list_caches() -> list[CacheUse]:
    """Return every cache of this process, in the order of their names."""
    found = [
        CacheUse(name, info.currsize, info.maxsize or 0, info.hits, info.misses)
        for name, info in ((name, kept.cache_info()) for name, kept in list(_functions.items()))
    ]
    together: dict[str, CacheUse] = {}
    for owner in _living():
        name, maximum = _owned[owner]
        before = together.get(name) or CacheUse(name, 0, 0)
        together[name] = CacheUse(
            name, before.entries + owner.count_entries(), before.maximum + maximum
        )
    return sorted([*found, *together.values()], key=lambda use: use.name)


def clear_caches() -> None:
    """Empty every cache of this process, as a new one would have them."""
    for kept in list(_functions.values()):
        kept.cache_clear()
    for owner in _living():
        owner.forget_entries()


def _living() -> list[CacheOwner]:
    # The references are copied at once: another thread may add an owner meanwhile.
    owners = [reference() for reference in _owned.keyrefs()]
    return [owner for owner in owners if owner is not None]
