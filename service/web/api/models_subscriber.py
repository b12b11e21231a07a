"""What a reader's own part of the API takes and answers."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.deliveries.domain.recipients import (
    MOST_FULL_CARDS,
    MOST_PAPERS,
    Cadence,
    SubscriberState,
    Timing,
)
from service.subscribers.domain.saved import LONGEST_NOTE, LONGEST_TAG, MOST_TAGS
from service.topics.domain.measure import write_measure
from service.topics.domain.types import NamedTopic
from service.web.api.models import Cleaned, Paged, PaperSummary, Topics

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


class TopicItem(BaseModel):
    """One of the reader's topics, with the name that mails show, and when its papers come."""

    name: str
    query: str
    comes: Annotated[str, Field(examples=["at once", "weekly", "weekly, at least 3"])]


def show_topic(topic: NamedTopic) -> TopicItem:
    return TopicItem(name=topic.name, query=topic.query, comes=write_measure(topic.measure))


class OwnTopics(BaseModel):
    """All topics of the reader, in their order."""

    topics: list[TopicItem]


class Profile(BaseModel):
    """The reader's settings. Digests come at `hour` in `timezone`."""

    email: str
    state: SubscriberState
    cadence: Cadence
    hour: int
    timezone: str
    timing: Timing
    full_cards: int
    max_papers: Annotated[int | None, Field(description="Null: the site's usual number.")]
    weekly_topics_on: Weekday
    has_empty_digests: bool
    has_ai_summaries: bool
    paused_until: date | None
    topics: list[TopicItem]


class ProfileChange(BaseModel):
    """The settings to change; those left out stay."""

    model_config = ConfigDict(extra="forbid")

    cadence: Cadence | None = None
    hour: Annotated[int, Field(ge=0, le=23, strict=True)] | None = None
    timezone: Annotated[str, Field(min_length=1, max_length=64), Cleaned] | None = None
    timing: Timing | None = None
    full_cards: Annotated[int, Field(ge=0, le=MOST_FULL_CARDS, strict=True)] | None = None
    max_papers: (
        Annotated[int, Field(ge=0, le=MOST_PAPERS, strict=True, description="0: the usual number.")]
        | None
    ) = None
    weekly_topics_on: Weekday | None = None
    has_empty_digests: Annotated[bool, Field(strict=True)] | None = None
    has_ai_summaries: Annotated[bool, Field(strict=True)] | None = None


class TopicsChange(BaseModel):
    """The topics to have from now on, in their order; those left out are removed."""

    model_config = ConfigDict(extra="forbid")

    topics: Topics


class DigestSectionItem(BaseModel):
    """The papers of one topic under its name."""

    title: str
    papers: list[PaperSummary]


class DigestUpdateItem(BaseModel):
    """A paper that was sent before, and what happened to it since."""

    paper: PaperSummary
    what: str


class DigestItem(BaseModel):
    """A digest as it was sent. `cut_count` papers did not fit; `silence` says why there are none."""

    title: str
    sent_at: datetime
    sections: list[DigestSectionItem]
    updates: list[DigestUpdateItem]
    cut_count: int
    silence: str


class Digests(Paged[DigestItem]):
    """The latest digests, newest first."""


class SavedItem(BaseModel):
    """A saved paper with the reader's own tags and note."""

    paper: PaperSummary
    saved_at: datetime
    tags: list[str]
    note: str


class SavedList(Paged[SavedItem]):
    """Saved papers, the last saved first."""


class SaveRequest(BaseModel):
    """A paper to save: its key, arXiv id, DOI or address. Tags are added; a note replaces the old one."""

    model_config = ConfigDict(extra="forbid")

    paper: Annotated[
        str, Field(min_length=1, max_length=2_000, examples=["arxiv:2604.14630"]), Cleaned
    ]
    tags: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=LONGEST_TAG), Cleaned]],
        Field(max_length=MOST_TAGS),
    ] = Field(default_factory=list)
    note: Annotated[str, Field(max_length=LONGEST_NOTE), Cleaned] = ""
