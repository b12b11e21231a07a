"""The values of the pages for a change by link, and the clauses that they offer to mute."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy.orm import Session

from service.messages.signed_links import mute_url
from service.papers.domain.types import PaperView
from service.platform.settings.settings import Settings
from service.subscribers.domain.types import Feedback
from service.topics.domain.language import Author, Leaf, Text
from service.topics.domain.language.edits import parse_clause
from service.topics.edit_by_link import Difference
from service.topics.mute_offers import MuteOffer, list_mute_offers
from service.topics.store.models import Topic

Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """The request of a link. `verb`: mute, follow, less, keep, vote or also, empty where it is none of
    them or several; `number` is the id in `text`, 0 where there is none. `paper_id` had a mute
    link; `over` is the feedback that the form showed, which the new one replaces; `tags` are for a
    paper to save.
    """

    verb: str
    text: str
    number: int
    topic_id: int
    paper_id: int = 0
    over: Feedback | None = None
    tags: str = ""


@dataclass(frozen=True, slots=True)
class Undo:
    """What to undo: a topic change, the feedback on a paper (with the `previous` one to restore,
    given at `since`), a vote for the paper `voted_id`, or, with `also`, the end of suggestions.
    """

    change_id: int = 0
    paper_id: int = 0
    feedback: Feedback | None = None
    previous: Feedback | None = None
    since: datetime | None = None
    also: str = ""
    voted_id: int = 0


@dataclass(frozen=True, slots=True)
class Offers:
    """Clauses that a topic could exclude; `heading` introduces them."""

    heading: str
    topic: Topic
    clauses: tuple[MuteOffer, ...]

    def query_of(self, offer: MuteOffer, paper: PaperView | None) -> str:
        """Return the query of the link that excludes a clause; `paper` leads to it."""
        return mute_url("", self.topic.id, offer.clause, paper.id if paper else 0)


class Way(NamedTuple):
    """A link of a page: an address, or the query of another change."""

    label: str
    address: str


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A page about one change. `fields` are the hidden inputs of its button, or of the undo.

    `before` and `after` are the texts of a topic; `paper` is the paper of the link. `other` is the
    label and the query of the link to leave things as they are, `ways` other links, `note` a text in
    smaller letters. `is_refused`: a button was pressed or a link opened for something that is not
    done, or not without this question. `takes_tags`: its form has a field for tags, with `typed_tags`
    and their `fault` where they were refused.
    """

    heading: str
    lead: str
    button: str = ""
    fields: Fields = ()
    before: str = ""
    after: str = ""
    difference: Difference | None = None
    paper: PaperView | None = None
    offers: Offers | None = None
    other: tuple[str, str] = ("", "")
    ways: tuple[Way, ...] = ()
    note: str = ""
    is_refused: bool = False
    takes_tags: bool = False
    typed_tags: str = ""
    fault: str = ""


def offer_mutes(
    session: Session,
    settings: Settings,
    topic: Topic,
    paper: PaperView | None,
    until: date,
    instead_of: Leaf | None = None,
) -> Offers | None:
    """Return what the topic could exclude, by words of the paper; None where nothing helps."""
    clauses = list_mute_offers(session, settings, topic, paper, until, instead_of)
    heading = "Mute less instead" if instead_of else "Mute something in the topic that matched it"
    return Offers(heading, topic, tuple(clauses)) if clauses else None


def clause_label(clause: str) -> str:
    """Return a clause for people: `survey` -> `“survey”`, `au:"Ada Lovelace"` -> `Ada Lovelace`."""
    leaf = parse_clause(clause)
    if isinstance(leaf, Author):
        return leaf.name
    return f"“{leaf.text}”" if isinstance(leaf, Text) and leaf.field == "any" else clause
