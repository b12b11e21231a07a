"""Every cache of a process has a name, a limit and a size, and is emptied with the others."""

import ast
import gc
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from importlib import import_module
from pathlib import Path

import pytest
from support.rules import ROOT

from service.platform import caches
from service.platform.caches import (
    CacheUse,
    SizedCache,
    cached,
    clear_caches,
    list_caches,
    register_cache,
)
from service.presentation.dates import plain_date
from service.web.core.cached_response import CachedResponse

OURS = "service/platform/caches.py"


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for folder in ("service", "workers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def names_given_to(function: str, tree: ast.Module) -> list[str]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        str(node.args[0].value)
        for node in calls
        if isinstance(node.func, ast.Name) and node.func.id == function
        if isinstance(node.args[0], ast.Constant)
    ]


@pytest.fixture
def forgotten() -> Iterator[None]:
    """Remove the caches that a test registers."""
    before = dict(caches._functions)
    yield
    caches._functions.clear()
    caches._functions.update(before)


def use_of(name: str) -> CacheUse | None:
    return next((use for use in list_caches() if use.name == name), None)


class Box:
    """An owner of a cache."""

    def __init__(self, name: str, *kept: str) -> None:
        self.kept = list(kept)
        register_cache(name, self, maximum=5)

    def count_entries(self) -> int:
        return len(self.kept)

    def clear_entries(self) -> None:
        self.kept.clear()


def test_no_function_has_a_cache_that_is_not_listed() -> None:
    found = {
        str(path)
        for path, tree in trees()
        for node in ast.walk(tree)
        if str(path) != OURS
        if (
            (isinstance(node, ast.ImportFrom) and node.module == "functools")
            and {alias.name for alias in node.names} & {"cache", "lru_cache"}
        )
        or (isinstance(node, ast.Import) and "functools" in {one.name for one in node.names})
    }
    assert found == set()


def test_every_cached_function_is_listed_under_its_own_name() -> None:
    named: list[str] = []
    for path, tree in trees():
        names = names_given_to("cached", tree)
        if names and str(path) != OURS:
            import_module(".".join(path.with_suffix("").parts))
        named += names
    assert len(named) > 40
    assert len(named) == len(set(named))
    listed = {use.name: use for use in list_caches()}
    assert set(named) <= listed.keys()
    assert all(listed[name].maximum for name in named)


def test_every_cache_of_an_object_has_a_name_of_its_own() -> None:
    functions = {name for _, tree in trees() for name in names_given_to("cached", tree)}
    owned = [name for _, tree in trees() for name in names_given_to("register_cache", tree)]
    assert len(owned) == len(set(owned))
    assert functions.isdisjoint(owned)


@pytest.mark.usefixtures("forgotten")
def test_a_cached_function_is_an_lru_cache_of_functools() -> None:
    squared = cached("squares", maxsize=2)(lambda number: number * number)
    assert [squared(number) for number in (1, 2, 2, 3)] == [1, 4, 4, 9]
    assert squared.cache_info() == (1, 3, 2, 2)
    assert use_of("squares") == CacheUse("squares", entries=2, maximum=2, hits=1, misses=3)


@pytest.mark.usefixtures("forgotten")
def test_two_functions_cannot_share_a_name() -> None:
    cached("squares", maxsize=2)(abs)
    with pytest.raises(ValueError, match="squares"):
        cached("squares", maxsize=2)(abs)


def test_objects_of_one_name_are_counted_together_and_as_long_as_they_live() -> None:
    one, other = Box("boxes", "a"), Box("boxes", "b", "c")
    assert use_of("boxes") == CacheUse("boxes", entries=3, maximum=10)
    del other
    gc.collect()
    assert use_of("boxes") == CacheUse("boxes", entries=1, maximum=5)
    del one
    gc.collect()
    assert use_of("boxes") is None


def letters_in(texts: SizedCache[str]) -> str:
    return "".join(letter for letter in "abcdefgh" if texts.get(letter) is not None)


def test_a_sized_cache_holds_at_most_its_bytes_and_what_is_in_use() -> None:
    texts: SizedCache[str] = SizedCache("texts", 20, len)
    assert texts.get("a") is None
    for letter in "abcdefgh":
        texts.add(letter, letter * 4)
        assert texts.get("a") == "aaaa"
        assert texts.bytes <= 20
    assert letters_in(texts) == "aefgh"
    assert use_of("texts") == CacheUse("texts", 5, None, misses=4, bytes=20, maximum_bytes=20)
    texts.clear_entries()
    assert use_of("texts") == CacheUse("texts", 0, None, misses=0, bytes=0, maximum_bytes=20)


def test_a_sized_cache_keeps_all_that_fits() -> None:
    texts: SizedCache[str] = SizedCache("texts", 32, len)
    for letter in "abcdefgh":
        texts.add(letter, letter * 4)
    assert letters_in(texts) == "abcdefgh"
    # An entry may come again, as a page does that has changed.
    texts.add("h", "hhhh")
    assert letters_in(texts) == "abcdefgh"
    texts.add("h", "hhhhh")
    assert (letters_in(texts), texts.bytes) == ("bcdefgh", 29)


def test_a_value_that_grows_drives_others_out() -> None:
    lists: SizedCache[list[int]] = SizedCache("lists", 20, len)
    growing = lists.add("a", [1, 2, 3])
    lists.add("b", [1] * 8)
    lists.add("c", [1] * 8)
    growing += [4, 5, 6]
    assert lists.get("a") is growing
    lists.grow(3)
    assert [lists.get(each) is not None for each in "abc"] == [True, False, True]
    assert lists.bytes == 14


def test_a_value_that_is_larger_than_its_cache_is_not_kept() -> None:
    texts: SizedCache[str] = SizedCache("texts", 3, len)
    assert texts.add("a", "aaaa") == "aaaa"
    assert (texts.get("a"), texts.bytes) == (None, 0)


def test_threads_share_a_sized_cache() -> None:
    texts: SizedCache[str] = SizedCache("texts", 40, len)

    def use(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(20_000):
            letter = chance.choice("abcdefgh" * 2 + "ijklmnop")
            if texts.get(letter) is None:
                texts.add(letter, letter * 4)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(use, range(4)))
    held = sum(len(texts.get(letter) or "") for letter in "abcdefghijklmnop")
    assert (held, texts.count_entries()) == (texts.bytes, 10)


def test_all_are_cleared_at_once() -> None:
    box = Box("boxes", "a")
    answer = CachedResponse(60.0)
    plain_date(date(2026, 4, 21))
    answer.read(lambda: b"one")
    clear_caches()
    assert box.kept == []
    assert {use.name: use.entries for use in list_caches() if use.entries} == {}
    assert answer.read(lambda: b"two") == b"two"
