"""Pagination of long lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from fastapi import HTTPException

Item = TypeVar("Item")

# A limit, so that a huge page number cannot become a huge database offset.
MOST_PAGES = 50


@dataclass(frozen=True, slots=True)
class Slice(Generic[Item]):
    """One page of a list. `first` is the number of its first item, counted from 1."""

    items: tuple[Item, ...]
    number: int
    pages: int
    first: int


def parse_page_number(text: str, most: int = MOST_PAGES) -> int:
    """Parse a page number from a URL; what is no number is page 1.

    Raises a 404 past `most`, which no link of ours leads to.
    """
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    if len(digits) > len(str(most)) or int(digits or "1") > most:
        raise HTTPException(404)
    return int(digits or "1")


def cut(items: Sequence[Item], number: int, size: int) -> Slice[Item]:
    """Return page `number` of `items`, or the last page where there are fewer."""
    pages = max(1, -(-len(items) // size))
    number = min(number, pages)
    start = (number - 1) * size
    return Slice(tuple(items[start : start + size]), number, pages, start + 1)
