"""The texts of the sample days, read from `written/*.toml`, without date or identifier."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from service.platform.caches import cached
from service.sample.people import crowd

# In words that many papers have: a rare one would make all sample papers alike for `like:`.
NOTICE: Final = "This paper is not real"
# So many days have papers of their own; then the sample begins again.
SAMPLE_DAYS: Final = 16
_FILES: Final = ("by_hand_one", "by_hand_two")


@dataclass(frozen=True, slots=True)
class Fame:
    """The data of Hugging Face about a paper; `stars` and `repo` only where there is code.

    `upvotes` are those of a week later.
    """

    upvotes: int
    comments: int = 0
    stars: int | None = None
    repo: str = ""
    summary: str = ""
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Manuscript:
    """One invented work, with raw TeX; `creator` is arXiv's single string of authors.

    With `is_revised` a later sample day announces a new version; `withdrawal` is the reason where
    that version withdraws the work.
    """

    title: str
    abstract: str
    creator: str
    categories: tuple[str, ...]
    comment: str = NOTICE
    doi: str = ""
    journal_ref: str = ""
    fame: Fame | None = None
    is_revised: bool = False
    withdrawal: str = ""


@cached("sample manuscripts", maxsize=1)
def written() -> tuple[Manuscript, ...]:
    """Return all hand-written papers; each of them is new on one sample day."""
    return tuple(_manuscript(table) for name in _FILES for table in tables(name, "paper"))


def marked(abstract: str) -> str:
    """Return the abstract with the notice that the paper is invented."""
    return f"{abstract} {NOTICE}."


def tables(name: str, key: str) -> Iterator[dict[str, Any]]:
    """Yield the tables `[[key]]` of one file in `written/`."""
    text = files(__package__).joinpath("written", f"{name}.toml").read_text(encoding="utf-8")
    yield from tomllib.loads(text)[key]


def _manuscript(table: dict[str, Any]) -> Manuscript:
    return Manuscript(
        title=table["title"],
        abstract=marked(table["abstract"]),
        creator=table["authors"] or ", ".join(crowd(table["crowd"])),
        categories=tuple(table["categories"].split()),
        doi=table.get("doi", ""),
        journal_ref=table.get("journal_ref", ""),
        fame=_fame(table) if "upvotes" in table else None,
        is_revised=table.get("revised", False) or "withdrawn" in table,
        withdrawal=table.get("withdrawn", ""),
    )


def _fame(table: dict[str, Any]) -> Fame:
    return Fame(
        upvotes=table["upvotes"],
        comments=table.get("comments", 0),
        stars=table.get("stars"),
        repo=table.get("repo", ""),
        summary=table.get("summary", ""),
        keywords=tuple(table.get("keywords", ())),
    )
