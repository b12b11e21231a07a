"""What one subscriber gets from one edition: a pure value, frozen as JSON in its delivery row."""

from dataclasses import dataclass
from typing import NamedTuple

from service.papers.domain.types import PaperEventKind
from service.topics.domain.types import Reason

TRENDING_TITLE = "Trending"


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
class PaperUpdate:
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
    updates: tuple[PaperUpdate, ...] = ()
    also: tuple[DigestEntry, ...] = ()

    @property
    def paper_ids(self) -> tuple[int, ...]:
        """Every paper the digest shows, those that no topic asked for last."""
        asked = tuple(entry.paper_id for group in self.groups for entry in group.entries)
        return asked + tuple(entry.paper_id for entry in self.also)
