"""The JSON format of a digest in its delivery row: written once, read whole or entry by entry."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, TypeAlias

from service.deliveries.domain.digest import (
    Digest,
    DigestEntry,
    DigestGroup,
    PaperUpdate,
    TopicWait,
)
from service.papers.domain.types import PaperEventKind
from service.topics.domain.types import Reason

# An entry without its paper: its reasons, whether an earlier mail is in doubt, its revision.
EntryNote: TypeAlias = tuple[tuple[Reason, ...], bool, int]


def digest_to_json(digest: Digest) -> dict[str, Any]:
    """Return the digest as the delivery row keeps it; `digest_from_json` is the inverse.

    A group is its title, its topic, the ids of its papers and the number of each paper's note. A
    note holds what papers have in common: `[is maybe seen, revision, reason, reason, …]`. Notes and
    reasons are numbered in the order in which they come, and written once.
    """
    notes: dict[tuple[Any, ...], int] = {}
    reasons: dict[Reason, int] = {}

    def write(entries: Sequence[DigestEntry]) -> list[list[int]]:
        return [
            [entry[0] for entry in entries],
            [notes.setdefault(entry[1:], len(notes)) for entry in entries],
        ]

    groups = [[group.title, group.topic_id, *write(group.entries)] for group in digest.groups]
    also = write(digest.also)
    numbered = [
        [int(is_maybe_seen), revision, *(reasons.setdefault(one, len(reasons)) for one in found)]
        for found, is_maybe_seen, revision in notes
    ]
    value = {
        "reasons": [*reasons],
        "notes": numbered,
        "groups": groups,
        "cut": [*digest.cut_ids],
        "updates": [[one.paper_id, str(one.kind), one.detail] for one in digest.updates],
        "also": also,
    }
    if digest.silence:
        value["silence"] = digest.silence
    if digest.waits:
        value["waits"] = [
            [one.title, one.count, one.until.isoformat(), one.at_least] for one in digest.waits
        ]
    return value


def digest_from_json(value: Mapping[str, Any] | None) -> Digest:
    """Return the digest of a delivery row; an empty digest if the row has none."""
    if value is None:
        return Digest(())
    notes = parse_notes(value)

    def read(ids: Sequence[int], numbers: Sequence[int]) -> tuple[DigestEntry, ...]:
        pairs = zip(ids, numbers, strict=True)
        return tuple(DigestEntry(_check_id(paper_id), *notes[number]) for paper_id, number in pairs)

    groups = tuple(
        DigestGroup(title, read(ids, numbers), topic_id)
        for title, topic_id, ids, numbers in value["groups"]
    )
    cut, silence = tuple(value["cut"]), value.get("silence", "")
    also = read(*value["also"])
    return Digest(groups, cut, find_updates(value), also, silence, parse_waits(value))


# What reading a digest raises whose JSON is not what `digest_to_json` writes.
BROKEN_DIGEST = (KeyError, IndexError, TypeError, ValueError, AttributeError)


def named_papers(value: Mapping[str, Any]) -> list[int]:
    """Return every paper id in a row's digest, with those of its updates."""
    ids = [*value["also"][0], *(update[0] for update in value["updates"])]
    for _, _, group_ids, _ in value["groups"]:
        ids += group_ids
    return ids


def parse_notes(value: Mapping[str, Any]) -> list[EntryNote]:
    """Return the notes of a row's digest by their number: what its entries hold but the paper."""
    reasons = [_parse_reason(reason) for reason in value["reasons"]]
    return [
        (tuple([reasons[number] for number in numbers]), bool(is_maybe_seen), revision)
        for is_maybe_seen, revision, *numbers in value["notes"]
    ]


def find_updates(value: Mapping[str, Any]) -> tuple[PaperUpdate, ...]:
    """Return the paper updates in a row's digest."""
    return tuple(
        PaperUpdate(paper_id, PaperEventKind(kind), detail)
        for paper_id, kind, detail in value["updates"]
    )


def parse_waits(value: Mapping[str, Any]) -> tuple[TopicWait, ...]:
    """Return the topics of a row's digest whose papers wait."""
    return tuple(
        TopicWait(title, count, date.fromisoformat(until), at_least)
        for title, count, until, at_least in value.get("waits", ())
    )


def _check_id(paper_id: int) -> int:
    if type(paper_id) is not int:
        raise TypeError("a paper id is a number")
    return paper_id


def _parse_reason(reason: Sequence[Any]) -> Reason:
    clause, field, words, is_guess = reason
    return Reason(clause, field, tuple(words), is_guess)
