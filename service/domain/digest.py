"""What one subscriber gets from one edition: a pure value, frozen as JSON in its delivery row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.domain.ranking import rank_papers
from service.domain.types import Paper, PaperEventKind, Reason

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


@dataclass(frozen=True, slots=True)
class Reader:
    """What composing needs of a subscriber.

    `topics`: (text as written, canonical form) in the reader's order; `seen_ids`: papers already
    sent; `carried_ids`: papers of an earlier mail that is in doubt, to come again, marked;
    `happenings`: what befell papers the reader was sent, for a digest that is sent anyway.
    """

    subscriber_id: int
    topics: tuple[tuple[str, str], ...] = ()
    seen_ids: frozenset[int] = frozenset()
    carried_ids: frozenset[int] = frozenset()
    happenings: tuple[Happening, ...] = ()


Matches = Mapping[str, Mapping[int, tuple[Reason, ...]]]


def compose_digest(
    reader: Reader, matches: Matches, papers: Mapping[int, Paper], max_papers: int
) -> Digest | None:
    """The reader's digest, or None where nothing matched (an empty digest is not sent).

    `matches`: canonical topic -> paper id -> reasons; `papers`: every paper of the edition and
    every carried one, by id. A reader without topics gets the trending papers. A paper stands
    under the first topic that brought it. At most `max_papers` are shown, the rest is `cut_ids`.
    """
    wanted = _wanted_by_topic(reader, matches) if reader.topics else _trending(papers, reader)
    placed: set[int] = set()
    groups: list[DigestGroup] = []
    cut: list[int] = []
    for title, reasons_by_id in wanted:
        ranked = rank_papers(
            papers[i]
            for i in reasons_by_id
            if i in papers and i not in placed and i not in reader.seen_ids
        )
        room = max(0, max_papers - len(placed))
        shown, rest = ranked[:room], ranked[room:]
        placed.update(paper.id for paper in shown)
        cut.extend(paper.id for paper in rest)
        if shown:
            groups.append(
                DigestGroup(
                    title,
                    tuple(
                        DigestEntry(p.id, reasons_by_id[p.id], p.id in reader.carried_ids)
                        for p in shown
                    ),
                )
            )
    cut_ids = tuple(dict.fromkeys(i for i in cut if i not in placed))
    return Digest(tuple(groups), cut_ids, reader.happenings) if groups else None


def _wanted_by_topic(
    reader: Reader, matches: Matches
) -> list[tuple[str, Mapping[int, tuple[Reason, ...]]]]:
    wanted = [(text, matches.get(canonical, {})) for text, canonical in reader.topics]
    found = {i for _, reasons_by_id in wanted for i in reasons_by_id}
    # A carried paper matched a topic when it was composed first; the topic may be gone since.
    orphans: dict[int, tuple[Reason, ...]] = {
        i: () for i in sorted(reader.carried_ids) if i not in found
    }
    return [*wanted, ("From your last edition", orphans)] if orphans else list(wanted)


def _trending(
    papers: Mapping[int, Paper], reader: Reader
) -> list[tuple[str, Mapping[int, tuple[Reason, ...]]]]:
    """What people noticed; where nobody has noticed anything yet, everything."""
    new = {i: paper for i, paper in papers.items() if i not in reader.seen_ids}
    noticed = {i for i, paper in new.items() if paper.upvotes}
    wanted = (noticed or set(new)) | (reader.carried_ids & new.keys())
    return [(TRENDING_TITLE, dict.fromkeys(wanted, ()))]


def digest_to_json(digest: Digest) -> dict[str, Any]:
    """The digest as the delivery row keeps it; `digest_from_json` gives the same value back."""
    return {
        "groups": [
            {
                "title": group.title,
                "topic": group.topic_id,
                "papers": [_entry_to_json(entry) for entry in group.entries],
            }
            for group in digest.groups
        ],
        "cut": list(digest.cut_ids),
        "happenings": [[h.paper_id, h.kind, h.detail] for h in digest.happenings],
        "also": [_entry_to_json(entry) for entry in digest.also],
    }


def _entry_to_json(entry: DigestEntry) -> dict[str, Any]:
    reasons = [[r.clause, r.field, list(r.words), r.is_guess] for r in entry.reasons]
    return {
        "id": entry.paper_id,
        "reasons": reasons,
        "seen": entry.is_maybe_seen,
        "revision": entry.revision,
    }


def digest_from_json(value: Mapping[str, Any]) -> Digest:
    """The digest of a delivery row, those of earlier releases too."""
    groups = tuple(
        DigestGroup(
            group["title"],
            tuple(entry_from_json(entry) for entry in group["papers"]),
            group.get("topic", 0),
        )
        for group in value["groups"]
    )
    also = tuple(entry_from_json(entry) for entry in value.get("also", ()))
    happenings = tuple(
        Happening(paper_id, PaperEventKind(kind), detail)
        for paper_id, kind, detail in value.get("happenings", ())
    )
    return Digest(groups, tuple(value["cut"]), happenings, also)


def entry_from_json(value: Mapping[str, Any]) -> DigestEntry:
    """One entry of a frozen digest."""
    reasons = tuple(
        Reason(clause, field, tuple(words), is_guess)
        for clause, field, words, is_guess in value["reasons"]
    )
    return DigestEntry(value["id"], reasons, value["seen"], value.get("revision", 0))
