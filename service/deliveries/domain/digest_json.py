"""The JSON of a digest in its delivery row: written once, read whole or entry by entry."""

import json
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii as _quote
from typing import Any, TypeAlias

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup, PaperUpdate
from service.papers.domain.types import PaperEventKind
from service.topics.domain.types import Reason

# A note as far as it tells entries of one paper apart: `is_maybe_seen`, `revision`, and of each
# reason its clause and its field.
NoteKey: TypeAlias = tuple[Any, ...]


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
    updates = ",".join(
        f"[{told.paper_id},{_quote(told.kind)},{_quote(told.detail)}]" for told in digest.updates
    )
    return (
        f'{{"told":[{",".join(map(_write_reason, notes.reasons))}],'
        f'"notes":[{",".join(notes.written)}],"groups":[{groups}],'
        f'"cut":[{",".join(map(str, digest.cut_ids))}],'
        f'"happenings":[{updates}],"also":[{also}]}}'
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


def digest_from_json(value: Mapping[str, Any] | None) -> Digest:
    """The digest of a delivery row; an empty one where the row has none."""
    if value is None:
        return Digest(())
    told = [_read_reason(reason) for reason in value["told"]]
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
    return Digest(groups, tuple(value["cut"]), find_updates(value), read(*value["also"]))


# For those who read thousands of rows and know most of their entries already: with these functions
# they build only what they meet for the first time.


def named_papers(value: Mapping[str, Any]) -> list[int]:
    """Every paper that a row's digest names: those it brings, and those something befell."""
    named = [*value["also"][0], *(one[0] for one in value["happenings"])]
    for _, _, ids, _ in value["groups"]:
        named += ids
    return named


def note_keys(value: Mapping[str, Any]) -> list[NoteKey]:
    """The keys of a row's notes, by number; `note_key` gives an entry the same."""
    places = [(clause, field) for clause, field, *_ in value["told"]]
    return [
        (is_maybe_seen, revision, *[places[number] for number in reasons])
        for is_maybe_seen, revision, *reasons in value["notes"]
    ]


def note_key(entry: DigestEntry) -> NoteKey:
    places = [(reason.clause, reason.field) for reason in entry.reasons]
    return (entry.is_maybe_seen, entry.revision, *places)


def read_entry(value: Mapping[str, Any], paper_id: int, note: int) -> DigestEntry:
    """The entry of a paper with a note of the row, by the note's number."""
    is_maybe_seen, revision, *reasons = value["notes"][note]
    told = tuple(_read_reason(value["told"][number]) for number in reasons)
    return DigestEntry(paper_id, told, bool(is_maybe_seen), revision)


def find_updates(value: Mapping[str, Any]) -> tuple[PaperUpdate, ...]:
    return tuple(
        PaperUpdate(paper_id, PaperEventKind(kind), detail)
        for paper_id, kind, detail in value["happenings"]
    )


def _read_reason(told: Sequence[Any]) -> Reason:
    clause, field, words, is_guess = told
    return Reason(clause, field, tuple(words), is_guess)
