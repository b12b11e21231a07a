"""What one subscriber gets from one edition: a pure value, frozen as JSON in its delivery row."""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from service.papers.domain.types import PaperEventKind
from service.topics.domain.types import Reason

# Titles of the one group of a digest without topics: by upvotes, or where no paper has any yet.
TRENDING_TITLE = "Trending"
NEWEST_TITLE = "Newest"
# Headings of a mail after its topics.
ALSO_TITLE = "You may also like"
UPDATES_TITLE = "Updates to papers you were sent"


class DigestEntry(NamedTuple):
    """A paper in a digest, with its reasons. `is_maybe_seen`: an earlier mail with it is in doubt.

    `revision` is the version that was announced as a replacement, 0 where the paper is new.
    """

    paper_id: int
    reasons: tuple[Reason, ...] = ()
    is_maybe_seen: bool = False
    revision: int = 0


@dataclass(frozen=True, slots=True)
class DigestGroup:
    """The papers of one topic; `title` is the topic's name when it was composed.

    `topic_id` is its row, for links that change it; 0 where no topic matched the papers.
    """

    title: str
    entries: tuple[DigestEntry, ...]
    topic_id: int = 0


@dataclass(frozen=True, slots=True)
class PaperUpdate:
    """Something that happened to a paper after the subscriber was sent it; never shown as new."""

    paper_id: int
    kind: PaperEventKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class TopicWait:
    """How many papers of a topic wait for a later digest: `until` a day at the latest.

    `at_least`: they come together when there are so many; 1 where they wait for their weekday.
    """

    title: str
    count: int
    until: date
    at_least: int = 1


@dataclass(frozen=True, slots=True)
class Digest:
    """Groups in the subscriber's order of topics, each paper once; `cut_ids` did not fit.

    `also` are a few papers that no topic matched but the subscriber's feedback suggests. `silence` is
    the sentence of a digest without papers whose topics name only categories that could not be read.
    `waits`: the topics whose papers wait for a later digest.
    """

    groups: tuple[DigestGroup, ...]
    cut_ids: tuple[int, ...] = ()
    updates: tuple[PaperUpdate, ...] = ()
    also: tuple[DigestEntry, ...] = ()
    silence: str = ""
    waits: tuple[TopicWait, ...] = ()

    @property
    def paper_ids(self) -> tuple[int, ...]:
        """Every paper the digest shows, those of `also` last."""
        matched = tuple(entry.paper_id for group in self.groups for entry in group.entries)
        return matched + tuple(entry.paper_id for entry in self.also)
