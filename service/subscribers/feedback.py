"""What a reader says of single papers, and whether they want suggestions made of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from service.papers.domain.types import PaperView
from service.papers.store.read import count_each, get_papers, which_hold
from service.platform.settings.settings import Settings
from service.subscribers.domain.types import Feedback
from service.subscribers.store.feedback import (
    delete_feedback,
    find_feedback,
    get_rated_papers,
    record_feedback,
)
from service.subscribers.store.models import Subscriber
from service.topics.domain.language import Category, Leaf, QueryError, Text, leaf_texts, parse_query
from service.topics.domain.language.canonical import write_leaf
from service.topics.domain.language.edits import leaves_nothing, read_clause, write_muted
from service.topics.like_clauses import topic_condition
from service.topics.store.models import Topic
from service.topics.store.to_sql import fetch_lexemes, to_sql
from service.topics.store.topics import list_topics

_WORD = re.compile(r"[^\W\d_][\w'’-]{2,}")
_MOST_WORDS = 12
MOST_OFFERS = 4
_DAYS = 30
# A word that no other paper has would keep nothing away.
_FEWEST_PAPERS = 2


@dataclass(frozen=True, slots=True)
class MuteOffer:
    """A clause that a paper has and a topic could exclude; `paper_count` of the last 30 days."""

    clause: str
    paper_count: int


def rate_paper(
    session: Session, subscriber: Subscriber, paper_id: int, kind: Feedback, now: datetime
) -> Feedback | None:
    """Set the reader's word on a paper that is there; returns the word before."""
    was = find_feedback(session, subscriber.id, paper_id)
    record_feedback(session, subscriber.id, paper_id, kind, now)
    return was


def take_back_feedback(
    session: Session,
    subscriber: Subscriber,
    paper_id: int,
    kind: Feedback,
    was: Feedback | None,
    now: datetime,
) -> bool:
    """Go back to the word before; true unless something else was said meanwhile."""
    if not delete_feedback(session, subscriber.id, paper_id, kind):
        return find_feedback(session, subscriber.id, paper_id) is was
    if was is not None:
        record_feedback(session, subscriber.id, paper_id, was, now)
    return True


def list_kept(session: Session, subscriber_id: int) -> list[PaperView]:
    """The papers a reader saved, the newest word first."""
    said = get_rated_papers(session, [subscriber_id]).get(subscriber_id)
    papers = get_papers(session, said.kept) if said else {}
    return [papers[i] for i in said.kept] if said else []


def find_bringing_topic(
    session: Session, settings: Settings, subscriber: Subscriber, paper_id: int
) -> Topic | None:
    """The first of the reader's topics, as they are now, that brings a paper."""
    topics = list_topics(session, subscriber.id)
    holds = which_hold(
        session,
        paper_id,
        [topic_condition(session, settings, parse_query(each.query)) for each in topics],
    )
    return next((topic for topic, is_held in zip(topics, holds, strict=True) if is_held), None)


def offer_mutes(session: Session, topic: Topic, paper: PaperView, until: date) -> list[MuteOffer]:
    """What of a paper the topic could exclude: its field, and words of its title, the rarest first.

    Nothing that would leave the topic empty, that it excludes already, or that only this paper has.
    """
    words = list(dict.fromkeys(_WORD.findall(paper.title)))[:_MOST_WORDS]
    clauses: list[Leaf] = [Text("title", word) for word in words]
    lexicon = fetch_lexemes(session, {text for each in clauses for text in leaf_texts(each)})
    meant = [one for one in clauses if all(lexicon[text] for text in leaf_texts(one))]
    field = read_clause(f"cat:{paper.primary_category}")
    # Sources have subjects that the topic language does not know; those would be read as words.
    if isinstance(field, Category):
        meant.append(field)
    usable = [one for one in meant if _can_mute(topic.query, one)]
    return _choose(session, usable, until)


def _can_mute(text: str, clause: Leaf) -> bool:
    """Whether the topic has room for the clause, does not exclude it yet and does not ask for it."""
    try:
        changed = write_muted(text, clause)
    except QueryError:
        return False
    return changed != text and not leaves_nothing(parse_query(text), clause)


def _choose(session: Session, clauses: Sequence[Leaf], until: date) -> list[MuteOffer]:
    since = until - timedelta(days=_DAYS - 1)
    counts = count_each(session, [to_sql(clause) for clause in clauses], since)
    offers = [
        MuteOffer(write_leaf(clause), count)
        for clause, count in zip(clauses, counts, strict=True)
        if count >= _FEWEST_PAPERS
    ]
    return sorted(offers, key=lambda offer: (offer.paper_count, offer.clause))[:MOST_OFFERS]


def set_suggestions(subscriber: Subscriber, *, is_wanted: bool) -> bool:
    """Switch suggestions on or off; true if that changed anything."""
    changed = subscriber.has_suggestions is not is_wanted
    subscriber.has_suggestions = is_wanted
    return changed
