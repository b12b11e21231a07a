"""What one subscriber gets from one edition: a pure value, frozen as JSON in its delivery row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from service.domain.types import PaperEventKind, Reason

TRENDING_TITLE = "Trending"


@dataclass(frozen=True, slots=True)
class DigestEntry:
    """A paper's place in a digest. `is_maybe_seen`: an earlier mail with it is in doubt.

    `revision` is the version that was announced as a replacement, 0 where the paper is new.
    """

    paper_id: int
    reasons: tuple[Reason, ...] = ()
    is_maybe_seen: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class DigestGroup:
    """The papers of one topic; `title` is the topic as the reader wrote it.

    `topic_id` is its row, for links that change it; 0 where no topic brought the papers.
    """

    title: str
    entries: tuple[DigestEntry, ...]
    topic_id: int = 0


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that befell a paper after the reader was sent it; never told as new."""

    paper_id: int
    kind: PaperEventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Digest:
    """Groups in the reader's order of topics, each paper once; `cut_ids` did not fit.

    `also` are the few papers that no topic asked for but the reader's own choices suggest.
    """

    groups: tuple[DigestGroup, ...]
    cut_ids: tuple[int, ...] = ()
    happenings: tuple[Happening, ...] = ()
    also: tuple[DigestEntry, ...] = ()

    @property
    def paper_ids(self) -> tuple[int, ...]:
        """Every paper the digest shows, those that no topic asked for last."""
        asked = tuple(entry.paper_id for group in self.groups for entry in group.entries)
        return asked + tuple(entry.paper_id for entry in self.also)


def digest_to_json(digest: Digest) -> dict[str, Any]:
    """The digest as the delivery row keeps it; `digest_from_json` gives the same value back.

    Short, since a morning writes a hundred thousand of them: each distinct reason stands once and
    entries name it by its number; what is usual in an entry is left off its end.
    """
    told = _Told()
    groups = [
        [group.title, group.topic_id, [_entry_to_json(entry, told) for entry in group.entries]]
        for group in digest.groups
    ]
    also = [_entry_to_json(entry, told) for entry in digest.also]
    return {
        "v": 2,
        "told": [[r.clause, r.field, r.words, r.is_guess] for r in told.reasons],
        "groups": groups,
        "cut": digest.cut_ids,
        "happenings": [[h.paper_id, h.kind, h.detail] for h in digest.happenings],
        "also": also,
    }


class _Told:
    """The distinct reasons of a digest, and the number of each.

    By identity first: equal reasons are nearly always one object, and comparing them costs most of
    the time that writing a digest takes.
    """

    def __init__(self) -> None:
        self.reasons: dict[Reason, int] = {}
        self._numbers: dict[int, int] = {}

    def number(self, reasons: tuple[Reason, ...]) -> list[int]:
        numbers = []
        for one in reasons:
            number = self._numbers.get(id(one))
            if number is None:
                number = self.reasons.setdefault(one, len(self.reasons))
                self._numbers[id(one)] = number
            numbers.append(number)
        return numbers


def _entry_to_json(entry: DigestEntry, told: _Told) -> list[Any]:
    reasons = told.number(entry.reasons)
    if entry.revision:
        return [entry.paper_id, reasons, int(entry.is_maybe_seen), entry.revision]
    return [entry.paper_id, reasons, 1] if entry.is_maybe_seen else [entry.paper_id, reasons]


def digest_from_json(value: Mapping[str, Any]) -> Digest:
    """The digest of a delivery row, those of the first release too."""
    read = _read_entry if value.get("v") == 2 else _read_first_entry
    told = [
        Reason(clause, field, tuple(words), is_guess)
        for clause, field, words, is_guess in value.get("told", ())
    ]
    groups = tuple(
        DigestGroup(title, tuple(read(entry, told) for entry in entries), topic_id)
        for title, topic_id, entries in map(_group_parts, value["groups"])
    )
    happenings = tuple(
        Happening(paper_id, PaperEventKind(kind), detail)
        for paper_id, kind, detail in value.get("happenings", ())
    )
    also = tuple(read(entry, told) for entry in value.get("also", ()))
    return Digest(groups, tuple(value["cut"]), happenings, also)


def _group_parts(group: Any) -> tuple[str, int, Sequence[Any]]:
    if isinstance(group, Mapping):
        return group["title"], group.get("topic", 0), group["papers"]
    title, topic_id, entries = group
    return title, topic_id, entries


def _read_entry(entry: Sequence[Any], told: Sequence[Reason]) -> DigestEntry:
    paper_id, reasons, is_maybe_seen, revision = (*entry, 0, 0)[:4]
    return DigestEntry(
        paper_id, tuple(told[number] for number in reasons), bool(is_maybe_seen), revision
    )


def _read_first_entry(entry: Mapping[str, Any], _told: Sequence[Reason]) -> DigestEntry:
    reasons = tuple(
        Reason(clause, field, tuple(words), is_guess)
        for clause, field, words, is_guess in entry["reasons"]
    )
    return DigestEntry(entry["id"], reasons, entry["seen"], entry.get("revision", 0))
