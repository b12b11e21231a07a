"""The JSON format of a digest in its delivery row: written once, read whole or entry by entry."""

import json
from collections.abc import Mapping, Sequence
from json.encoder import encode_basestring_ascii as _quote
from typing import Any, TypeAlias

from service.deliveries.domain.digest import Digest, DigestEntry, DigestGroup, PaperUpdate
from service.papers.domain.types import PaperEventKind
from service.topics.domain.types import Reason

# The parts of a note that distinguish entries of one paper: `is_maybe_seen`, `revision`, and of
# each reason its clause and its field.
NoteKey: TypeAlias = tuple[Any, ...]


def digest_to_json(digest: Digest) -> dict[str, Any]:
    """Return the digest as the delivery row stores it; `digest_from_json` is the inverse."""
    value: dict[str, Any] = json.loads(write_digest(digest))
    return value


def write_digest(digest: Digest) -> str:
    """Return the digest as JSON text, ready for the row.

    It is compact and written by hand, because a morning writes a hundred thousand of them. A group
    is its title, its topic, the ids of its papers and, for each paper, the index of its note.
    Papers with equal reasons share one note: `[is maybe seen, revision, reason, reason, …]`, where
    each reason is an index into the list `told`.
    """
    notes = _Notes()
    groups = ",".join(
        f"[{_quote(group.title)},{group.topic_id},{notes.write(group.entries)}]"
        for group in digest.groups
    )
    also = notes.write(digest.also)
    updates = ",".join(
        f"[{update.paper_id},{_quote(update.kind)},{_quote(update.detail)}]"
        for update in digest.updates
    )
    return (
        f'{{"told":[{",".join(map(_write_reason, notes.reasons))}],'
        f'"notes":[{",".join(notes.written)}],"groups":[{groups}],'
        f'"cut":[{",".join(map(str, digest.cut_ids))}],'
        f'"happenings":[{updates}],"also":[{also}]}}'
    )


class _Notes:
    """The distinct notes and reasons of a digest, numbered in order of appearance."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.reasons: dict[Reason, int] = {}
        self._numbers: dict[tuple[Any, ...], str] = {}

    def write(self, entries: Sequence[DigestEntry]) -> str:
        """Return the JSON of a group's paper ids and the indexes of their notes."""
        numbers = self._numbers
        indexes = []
        for entry in entries:
            note = entry[1:]
            number = numbers.get(note)
            if number is None:
                number = numbers[note] = self._add(entry)
            indexes.append(number)
        ids = ",".join([str(entry[0]) for entry in entries])
        return f"[{ids}],[{','.join(indexes)}]"

    def _add(self, entry: DigestEntry) -> str:
        reasons = (self.reasons.setdefault(reason, len(self.reasons)) for reason in entry.reasons)
        note = (int(entry.is_maybe_seen), entry.revision, *reasons)
        self.written.append(f"[{','.join(map(str, note))}]")
        return str(len(self.written) - 1)


def _write_reason(reason: Reason) -> str:
    words = ",".join(map(_quote, reason.words))
    is_guess = "true" if reason.is_guess else "false"
    return f"[{_quote(reason.clause)},{_quote(reason.field)},[{words}],{is_guess}]"


def digest_from_json(value: Mapping[str, Any] | None) -> Digest:
    """Return the digest of a delivery row; an empty digest if the row has none."""
    if value is None:
        return Digest(())
    reasons = [_read_reason(reason) for reason in value["told"]]
    notes = [
        (tuple(reasons[number] for number in numbers), bool(is_maybe_seen), revision)
        for is_maybe_seen, revision, *numbers in value["notes"]
    ]

    def read(ids: Sequence[int], numbers: Sequence[int]) -> tuple[DigestEntry, ...]:
        pairs = zip(ids, numbers, strict=True)
        return tuple(DigestEntry(paper_id, *notes[number]) for paper_id, number in pairs)

    groups = tuple(
        DigestGroup(title, read(ids, numbers), topic_id)
        for title, topic_id, ids, numbers in value["groups"]
    )
    return Digest(groups, tuple(value["cut"]), find_updates(value), read(*value["also"]))


# For callers that read thousands of rows with mostly known entries: these functions let them cache
# entries and build only new ones.


def named_papers(value: Mapping[str, Any]) -> list[int]:
    """Return every paper id in a row's digest, with those of its updates."""
    ids = [*value["also"][0], *(update[0] for update in value["happenings"])]
    for _, _, group_ids, _ in value["groups"]:
        ids += group_ids
    return ids


def note_keys(value: Mapping[str, Any]) -> list[NoteKey]:
    """Return the keys of a row's notes, by index; `note_key` returns the same key for an entry."""
    places = [(clause, field) for clause, field, *_ in value["told"]]
    return [
        (is_maybe_seen, revision, *[places[number] for number in reasons])
        for is_maybe_seen, revision, *reasons in value["notes"]
    ]


def note_key(entry: DigestEntry) -> NoteKey:
    """Return the key of an entry's note, equal to that of `note_keys`."""
    places = [(reason.clause, reason.field) for reason in entry.reasons]
    return (entry.is_maybe_seen, entry.revision, *places)


def read_entry(value: Mapping[str, Any], paper_id: int, note: int) -> DigestEntry:
    """Return the entry of a paper with the row's note of this index."""
    is_maybe_seen, revision, *numbers = value["notes"][note]
    reasons = tuple(_read_reason(value["told"][number]) for number in numbers)
    return DigestEntry(paper_id, reasons, bool(is_maybe_seen), revision)


def find_updates(value: Mapping[str, Any]) -> tuple[PaperUpdate, ...]:
    """Return the paper updates in a row's digest."""
    return tuple(
        PaperUpdate(paper_id, PaperEventKind(kind), detail)
        for paper_id, kind, detail in value["happenings"]
    )


def _read_reason(reason: Sequence[Any]) -> Reason:
    clause, field, words, is_guess = reason
    return Reason(clause, field, tuple(words), is_guess)
