"""What one subscriber gets from one edition: a pure value, frozen as JSON in its delivery row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as _quote
from typing import Any, NamedTuple, TypeAlias

from service.papers.domain.types import PaperEventKind
from service.topics.domain.types import Reason

TRENDING_TITLE = "Trending"
# The form of JSON that is written; the readers of the others are at the end.
_NEWEST = 3


class DigestEntry(NamedTuple):
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
    """The digest as the delivery row keeps it; `digest_from_json` gives the same value back."""
    value: dict[str, Any] = json.loads(write_digest(digest))
    return value


def write_digest(digest: Digest) -> str:
    """The same as text, ready for the row.

    Short and written by hand, since a morning writes a hundred thousand of them. A group is its
    title, its topic, the ids of its papers and, for each of them, the number of its note; what
    papers have in common (why they are there, and how) is one note; each reason stands once, and
    notes name it by its number: `[is maybe seen, revision, reason, reason, …]`.
    """
    notes = _Notes()
    groups = ",".join(
        f"[{_quote(group.title)},{group.topic_id},{notes.write(group.entries)}]"
        for group in digest.groups
    )
    also = notes.write(digest.also)
    happenings = ",".join(
        f"[{told.paper_id},{_quote(told.kind)},{_quote(told.detail)}]" for told in digest.happenings
    )
    return (
        f'{{"v":{_NEWEST},"told":[{",".join(map(_write_reason, notes.reasons))}],'
        f'"notes":[{",".join(notes.written)}],"groups":[{groups}],'
        f'"cut":[{",".join(map(str, digest.cut_ids))}],'
        f'"happenings":[{happenings}],"also":[{also}]}}'
    )


class _Notes:
    """The distinct notes and reasons of a digest, numbered in the order in which they come."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.reasons: dict[Reason, int] = {}
        self._numbers: dict[tuple[Any, ...], str] = {}

    def write(self, entries: Sequence[DigestEntry]) -> str:
        """The papers of a group, and the numbers of their notes."""
        numbers = self._numbers
        told = []
        for entry in entries:
            note = entry[1:]
            number = numbers.get(note)
            if number is None:
                number = numbers[note] = self._add(entry)
            told.append(number)
        ids = ",".join([str(entry[0]) for entry in entries])
        return f"[{ids}],[{','.join(told)}]"

    def _add(self, entry: DigestEntry) -> str:
        named = (self.reasons.setdefault(one, len(self.reasons)) for one in entry.reasons)
        note = (int(entry.is_maybe_seen), entry.revision, *named)
        self.written.append(f"[{','.join(map(str, note))}]")
        return str(len(self.written) - 1)


def _write_reason(reason: Reason) -> str:
    words = ",".join(map(_quote, reason.words))
    is_guess = "true" if reason.is_guess else "false"
    return f"[{_quote(reason.clause)},{_quote(reason.field)},[{words}],{is_guess}]"


def digest_from_json(value: Mapping[str, Any]) -> Digest:
    """The digest of a delivery row, those of earlier releases too."""
    told = [_read_reason(reason) for reason in value.get("told", ())]
    groups, also = _READ_GROUPS[value.get("v", 1)](value, told)
    return Digest(groups, tuple(value["cut"]), read_happenings(value), also)


# A note as far as it tells entries of one paper apart: `is_maybe_seen`, `revision`, and of each
# reason its clause and its field.
NoteKey: TypeAlias = tuple[Any, ...]


def newest_json(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a row tells in the form that is written now: its own value, unless it is old.

    For those who read thousands of rows and know most of their entries already: with the
    functions below they build only what they meet for the first time.
    """
    return value if value.get("v") == _NEWEST else digest_to_json(digest_from_json(value))


def named_papers(value: Mapping[str, Any]) -> list[int]:
    """Every paper that a row's digest names: those it brings, and those something befell."""
    newest = newest_json(value)
    named = [*newest["also"][0], *(one[0] for one in newest["happenings"])]
    for _, _, ids, _ in newest["groups"]:
        named += ids
    return named


def note_keys(newest: Mapping[str, Any]) -> list[NoteKey]:
    """The keys of a row's notes, by number; `note_key` gives an entry the same."""
    places = [(clause, field) for clause, field, *_ in newest["told"]]
    return [
        (is_maybe_seen, revision, *[places[number] for number in reasons])
        for is_maybe_seen, revision, *reasons in newest["notes"]
    ]


def note_key(entry: DigestEntry) -> NoteKey:
    places = [(reason.clause, reason.field) for reason in entry.reasons]
    return (entry.is_maybe_seen, entry.revision, *places)


def read_entry(newest: Mapping[str, Any], paper_id: int, note: int) -> DigestEntry:
    """The entry of a paper with a note of the row, by the note's number."""
    is_maybe_seen, revision, *reasons = newest["notes"][note]
    told = tuple(_read_reason(newest["told"][number]) for number in reasons)
    return DigestEntry(paper_id, told, bool(is_maybe_seen), revision)


def read_happenings(value: Mapping[str, Any]) -> tuple[Happening, ...]:
    return tuple(
        Happening(paper_id, PaperEventKind(kind), detail)
        for paper_id, kind, detail in value.get("happenings", ())
    )


def _read_reason(told: Sequence[Any]) -> Reason:
    clause, field, words, is_guess = told
    return Reason(clause, field, tuple(words), is_guess)


_Parts: TypeAlias = tuple[tuple[DigestGroup, ...], tuple[DigestEntry, ...]]


def _read_third(value: Mapping[str, Any], told: Sequence[Reason]) -> _Parts:
    notes = [
        (tuple(told[number] for number in reasons), bool(is_maybe_seen), revision)
        for is_maybe_seen, revision, *reasons in value["notes"]
    ]

    def read(ids: Sequence[int], numbers: Sequence[int]) -> tuple[DigestEntry, ...]:
        pairs = zip(ids, numbers, strict=True)
        return tuple(DigestEntry(paper_id, *notes[number]) for paper_id, number in pairs)

    groups = tuple(
        DigestGroup(title, read(ids, numbers), topic_id)
        for title, topic_id, ids, numbers in value["groups"]
    )
    return groups, read(*value["also"])


def _read_second(value: Mapping[str, Any], told: Sequence[Reason]) -> _Parts:
    """Each entry with its own numbers of reasons; what was usual in it was left off its end."""

    def read(entries: Iterable[Sequence[Any]]) -> tuple[DigestEntry, ...]:
        found = []
        for entry in entries:
            paper_id, numbers, is_maybe_seen, revision = (*entry, 0, 0)[:4]
            reasons = tuple(told[number] for number in numbers)
            found.append(DigestEntry(paper_id, reasons, bool(is_maybe_seen), revision))
        return tuple(found)

    groups = tuple(
        DigestGroup(title, read(entries), topic_id) for title, topic_id, entries in value["groups"]
    )
    return groups, read(value["also"])


def _read_first(value: Mapping[str, Any], _told: Sequence[Reason]) -> _Parts:
    """Each entry with its reasons written out."""

    def read(entry: Mapping[str, Any]) -> DigestEntry:
        reasons = tuple(map(_read_reason, entry["reasons"]))
        return DigestEntry(entry["id"], reasons, entry["seen"], entry.get("revision", 0))

    groups = tuple(
        DigestGroup(group["title"], tuple(map(read, group["papers"])), group.get("topic", 0))
        for group in value["groups"]
    )
    return groups, tuple(map(read, value.get("also", ())))


_READ_GROUPS = {1: _read_first, 2: _read_second, 3: _read_third}
