"""A subscriber's feedback on papers, and the topics to mute after it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy.orm import Session

from service.papers.domain.types import PaperView
from service.papers.store.read import count_each, get_papers, match_conditions
from service.platform.settings.settings import Settings
from service.subscribers.domain.types import Feedback
from service.subscribers.store import feedback as store
from service.subscribers.store.models import Subscriber
from service.topics.domain.language import Category, Leaf, QueryError, Text, leaf_texts, parse_query
from service.topics.domain.language.canonical import write_leaf
from service.topics.domain.language.edits import leaves_nothing, parse_clause, write_muted
from service.topics.like_clauses import topic_condition
from service.topics.store.models import Topic
from service.topics.store.to_sql import fetch_lexemes, to_sql
from service.topics.store.topics import list_topics

_WORD = re.compile(r"[^\W\d_][\w'’-]{2,}")
_MOST_WORDS = 12
MOST_OFFERS = 4
_DAYS = 30
# Muting a word that no other paper has would exclude nothing.
_FEWEST_PAPERS = 2


@dataclass(frozen=True, slots=True)
class MuteOffer:
    """A clause that a topic could exclude; `paper_count` papers of the last 30 days match it."""

    clause: str
    paper_count: int


def rate_paper(
    session: Session, subscriber: Subscriber, paper_id: int, kind: Feedback, now: datetime
) -> Feedback | None:
    """Set the subscriber's feedback on a stored paper; return the previous feedback."""
    previous = store.find_feedback(session, subscriber.id, paper_id)
    store.record_feedback(session, subscriber.id, paper_id, kind, now)
    return previous


def take_back_feedback(
    session: Session,
    subscriber: Subscriber,
    paper_id: int,
    kind: Feedback,
    was: Feedback | None,
    now: datetime,
) -> bool:
    """Restore the previous feedback `was`; return false if other feedback was given meanwhile."""
    if not store.delete_feedback(session, subscriber.id, paper_id, kind):
        return store.find_feedback(session, subscriber.id, paper_id) is was
    if was is not None:
        store.record_feedback(session, subscriber.id, paper_id, was, now)
    return True


def list_saved(session: Session, subscriber_id: int) -> list[PaperView]:
    """Return the papers that a subscriber saved, the last saved first."""
    rated = store.get_rated_papers(session, [subscriber_id]).get(subscriber_id)
    papers = get_papers(session, rated.kept) if rated else {}
    return [papers[i] for i in rated.kept] if rated else []


def find_matching_topic(
    session: Session, settings: Settings, subscriber: Subscriber, paper_id: int
) -> Topic | None:
    """Return the first of the subscriber's present topics that matches a paper."""
    topics = list_topics(session, subscriber.id)
    conditions = [topic_condition(session, settings, parse_query(each.query)) for each in topics]
    holds = match_conditions(session, paper_id, conditions)
    return next((topic for topic, is_held in zip(topics, holds, strict=True) if is_held), None)


def list_mute_offers(
    session: Session, topic: Topic, paper: PaperView, until: date
) -> list[MuteOffer]:
    """Return clauses the topic could exclude, rarest first: the paper's field, words of its title.

    Left out: those that empty the topic, that it excludes already, or that only this paper has.
    """
    words = list(dict.fromkeys(_WORD.findall(paper.title)))[:_MOST_WORDS]
    clauses: list[Leaf] = [Text("title", word) for word in words]
    lexicon = fetch_lexemes(session, {text for each in clauses for text in leaf_texts(each)})
    # A word without a lexeme (a stop word) matches nothing.
    found = [clause for clause in clauses if all(lexicon[text] for text in leaf_texts(clause))]
    field = parse_clause(f"cat:{paper.primary_category}")
    # Sources have subjects that the topic language does not know and would parse as words.
    if isinstance(field, Category):
        found.append(field)
    usable = [clause for clause in found if _can_mute(topic.query, clause)]
    return _choose(session, usable, until)


def _can_mute(text: str, clause: Leaf) -> bool:
    """Return whether the clause fits into the topic, which neither excludes nor wants it yet."""
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
