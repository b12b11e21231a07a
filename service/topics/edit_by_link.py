"""Changing a topic by a link: first what it would be, then the change, and the exact way back.

Every function works in the caller's transaction, in which the reader's row is locked for those
that write, so that a button pressed twice is one change.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from service.platform.settings.settings import Settings
from service.topics.domain.language import QueryError, canonical, parse_query
from service.topics.domain.language.canonical import write_leaf
from service.topics.domain.language.edits import (
    brings_all,
    follow_author,
    leaves_nothing,
    read_clause,
    write_muted,
)
from service.topics.domain.types import TopicChangeKind
from service.topics.store.changes import find_score_change, get_change, record_change
from service.topics.store.models import Topic, TopicChange
from service.topics.store.topics import (
    append_topic,
    change_topic,
    delete_topic,
    get_topic,
    list_topics,
)
from service.topics.topics import MOST_TOPICS, TopicError, preview_topic, read_topic


class ChangeRefused(ValueError):
    """A change cannot be made; the sentence says why, and what may be done instead."""


class TopicGone(LookupError):
    """The topic that a link names is not there, or is not the reader's."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What a press of the button would do: `asked`, a clause or a name, to a topic or to none yet.

    `before` is empty where the topic is new. `is_done`: it is so already.
    """

    kind: TopicChangeKind
    asked: str
    topic: Topic | None
    before: str
    after: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """How many papers of the last 30 days the topic brings as it is, and as it would be."""

    before: int
    after: int


def draft_mute(session: Session, subscriber_id: int, topic_id: int, words: str) -> Draft:
    """A topic without a word, a phrase or another clause.

    Raises `TopicGone`, and `ChangeRefused` for what cannot be excluded from this topic.
    """
    topic = get_topic(session, subscriber_id, topic_id)
    if topic is None:
        raise TopicGone
    try:
        clause = read_clause(words)
        after = write_muted(topic.query, clause)
        read_topic(session, after)
    except QueryError as error:
        raise ChangeRefused(f"{error.message}.") from error
    except TopicError as error:
        raise ChangeRefused(str(error)) from error
    if leaves_nothing(parse_query(topic.query), clause):
        raise ChangeRefused("This topic asks for it: without it nothing would be left.")
    is_done = after == topic.query
    if not is_done and _find_equal(session, subscriber_id, after):
        raise ChangeRefused("Another of your topics says just that already.")
    muted = write_leaf(clause)
    return Draft(TopicChangeKind.MUTED, muted, topic, topic.query, after, is_done)


def draft_follow(session: Session, subscriber_id: int, name: str) -> Draft:
    """A new topic with an author's papers. Raises `ChangeRefused` where there is no room or name."""
    try:
        text = follow_author(name)
    except QueryError as error:
        raise ChangeRefused(f"{error.message}.") from error
    topics = list_topics(session, subscriber_id)
    wanted = parse_query(text)
    known = next((each for each in topics if brings_all(parse_query(each.query), wanted)), None)
    if known is None and len(topics) >= MOST_TOPICS:
        raise ChangeRefused(
            f"You have {MOST_TOPICS} topics already, which is the most there can be."
        )
    after = known.query if known else text
    return Draft(TopicChangeKind.FOLLOWED, text, known, "", after, known is not None)


def measure_draft(session: Session, settings: Settings, draft: Draft, until: date) -> Difference:
    """What the change would have made of the 30 days up to and including `until`."""
    after = preview_topic(session, settings, draft.after, until).total
    before = preview_topic(session, settings, draft.before, until).total if draft.before else 0
    return Difference(before, after)


def find_change_of(session: Session, draft: Draft) -> TopicChange | None:
    """The change that made a draft so already, if a link did and nobody undid it."""
    if draft.topic is None:
        return None
    change = find_score_change(session, draft.kind, draft.topic.id, draft.asked)
    return change if change and change.after_query == draft.topic.query else None


def apply_draft(
    session: Session, subscriber_id: int, draft: Draft, now: datetime
) -> TopicChange | None:
    """Make a change; returns it. What is so already stays, and only a link's own work is returned."""
    if draft.is_done:
        return find_change_of(session, draft)
    saved = canonical(parse_query(draft.after))
    if draft.topic is None:
        topic = append_topic(session, subscriber_id, draft.after, saved, now)
    else:
        topic = draft.topic
        change_topic(session, topic, draft.after, saved)
    return record_change(session, draft.kind, topic, draft.asked, draft.before, now)


def undo_change(session: Session, subscriber_id: int, change_id: int, now: datetime) -> TopicChange:
    """Put a topic back exactly as it was; again changes nothing.

    Raises `TopicGone` for a change that is not the reader's, and `ChangeRefused` where the topic
    has changed since: what was written later is never overwritten.
    """
    change = get_change(session, subscriber_id, change_id)
    if change is None:
        raise TopicGone
    if change.undone_at is not None:
        return change
    topic = get_topic(session, subscriber_id, change.topic_id or 0)
    if topic is None:
        raise ChangeRefused("The topic is gone since, so there is nothing to undo.")
    if topic.query != change.after_query:
        raise ChangeRefused("The topic was changed again since, so it stays as it is now.")
    if change.kind is TopicChangeKind.FOLLOWED:
        delete_topic(session, topic)
    else:
        if _find_equal(session, subscriber_id, change.before_query):
            raise ChangeRefused("Another of your topics says what this one said.")
        before = change.before_query
        change_topic(session, topic, before, canonical(parse_query(before)))
    change.undone_at = now
    session.flush()
    return change


def _find_equal(session: Session, subscriber_id: int, text: str) -> bool:
    """Whether a topic of the reader means just this; each meaning is saved once."""
    wanted = canonical(parse_query(text))
    return any(topic.canonical == wanted for topic in list_topics(session, subscriber_id))
