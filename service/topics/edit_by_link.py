"""Topic changes by a link in a mail: draft, apply, undo.

Every function works in the caller's transaction. Before a write the caller locks the subscriber's
row, which makes a button pressed twice idempotent.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy.orm import Session

from service.platform.settings.settings import Settings
from service.topics.domain.language import Leaf, QueryError, canonical, edits, parse_query
from service.topics.domain.language.canonical import write_leaf
from service.topics.domain.query_limits import is_public_size
from service.topics.domain.types import TopicChangeKind
from service.topics.store import topics as topic_store
from service.topics.store.changes import find_same_change, get_change, record_change
from service.topics.store.models import Topic, TopicChange
from service.topics.topics import MOST_TOPICS, TopicError, preview_topic, validate_topic


class ChangeRefused(ValueError):
    """A change that cannot be made; the message says why."""


class MuteLeavesNothing(ChangeRefused):
    """A mute after which `topic` would bring no paper."""

    def __init__(self, message: str, topic: Topic, clause: Leaf) -> None:
        super().__init__(message)
        self.topic = topic
        self.clause = clause


class TopicGone(LookupError):
    """The topic of a link does not exist, or belongs to another subscriber."""


@dataclass(frozen=True, slots=True)
class TopicChangeDraft:
    """A proposed change: `clause`, a clause or an author's name, applied to a topic or to a new one.

    `before` is empty where the topic is new. `is_done`: the topic is like that already.
    """

    kind: TopicChangeKind
    clause: str
    topic: Topic | None
    before: str
    after: str
    is_done: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """Papers of the last 30 days that the topic brings before and after a change."""

    before: int
    after: int


def draft_mute(session: Session, subscriber_id: int, topic_id: int, words: str) -> TopicChangeDraft:
    """Draft a topic that excludes a word, a phrase or another clause.

    Raises `TopicGone`, `MuteLeavesNothing` where the topic asks for the clause, and `ChangeRefused`
    where it cannot be excluded for another reason.
    """
    topic = topic_store.get_topic(session, subscriber_id, topic_id)
    if topic is None:
        raise TopicGone
    try:
        clause = edits.parse_clause(words)
        after = edits.write_muted(topic.query, clause)
        # A topic of the operator's making may be larger than a visitor's, and can be muted in, too.
        validate_topic(session, after, is_public=is_public_size(topic.query))
    except QueryError as error:
        raise ChangeRefused(f"{error.message}.") from error
    except TopicError as error:
        raise ChangeRefused(str(error)) from error
    if edits.leaves_nothing(parse_query(topic.query), clause):
        message = "This topic asks for exactly that, so without it nothing would be left."
        raise MuteLeavesNothing(message, topic, clause)
    is_done = after == topic.query
    if not is_done and _find_equal(session, subscriber_id, after):
        raise ChangeRefused("Another of your topics means exactly this already.")
    muted = write_leaf(clause)
    return TopicChangeDraft(TopicChangeKind.MUTED, muted, topic, topic.query, after, is_done)


def draft_follow(session: Session, subscriber_id: int, name: str) -> TopicChangeDraft:
    """Draft a topic for an author; raises `ChangeRefused` without a name or past `MOST_TOPICS`."""
    try:
        text = edits.follow_author(name)
    except QueryError as error:
        raise ChangeRefused(f"{error.message}.") from error
    topics = topic_store.list_topics(session, subscriber_id)
    wanted = parse_query(text)
    known = next(
        (each for each in topics if edits.finds_all(parse_query(each.query), wanted)), None
    )
    if known is None and len(topics) >= MOST_TOPICS:
        raise ChangeRefused(f"You already have {MOST_TOPICS} topics, which is the limit.")
    after = known.query if known else text
    return TopicChangeDraft(TopicChangeKind.FOLLOWED, text, known, "", after, known is not None)


def measure_draft(
    session: Session, settings: Settings, draft: TopicChangeDraft, until: date
) -> Difference:
    """Count the papers of the 30 days up to and including `until`, before and after the change."""
    after = preview_topic(session, settings, draft.after, until).total
    before = preview_topic(session, settings, draft.before, until).total if draft.before else 0
    return Difference(before, after)


def measure_mute(
    session: Session, settings: Settings, draft: TopicChangeDraft, until: date
) -> Difference:
    """Return `measure_draft` of a mute; raises `MuteLeavesNothing` where it would take all papers."""
    difference = measure_draft(session, settings, draft, until)
    if draft.topic and difference.before and not difference.after:
        count = "The only paper" if difference.before == 1 else f"All {difference.before:,} papers"
        message = f"{count} of this topic in the last 30 days would go, and nothing would be left."
        raise MuteLeavesNothing(message, draft.topic, edits.parse_clause(draft.clause))
    return difference


def find_change_of(session: Session, draft: TopicChangeDraft) -> TopicChange | None:
    """Return the earlier change by a link that already did this and was not undone, if any."""
    if draft.topic is None:
        return None
    change = find_same_change(session, draft.kind, draft.topic.id, draft.clause)
    return change if change and change.after_query == draft.topic.query else None


def apply_draft(
    session: Session, subscriber_id: int, draft: TopicChangeDraft, now: datetime
) -> TopicChange | None:
    """Apply a draft and return the change. Idempotent; None where a subscriber did it by hand."""
    if draft.is_done:
        return find_change_of(session, draft)
    saved = canonical(parse_query(draft.after))
    if draft.topic is None:
        topic = topic_store.append_topic(session, subscriber_id, draft.after, saved, now)
    else:
        topic = draft.topic
        topic_store.change_topic(session, topic, draft.after, saved)
    return record_change(session, draft.kind, topic, draft.clause, draft.before, now)


def undo_change(session: Session, subscriber_id: int, change_id: int, now: datetime) -> TopicChange:
    """Restore a topic exactly as it was before a change. Idempotent.

    Raises `TopicGone` for another subscriber's change, and `ChangeRefused` where the topic has
    changed since: later edits are never overwritten.
    """
    change = get_change(session, subscriber_id, change_id)
    if change is None:
        raise TopicGone
    if change.undone_at is not None:
        return change
    topic = topic_store.get_topic(session, subscriber_id, change.topic_id or 0)
    if topic is None:
        raise ChangeRefused("This topic was deleted since, so there is nothing to undo.")
    if topic.query != change.after_query:
        raise ChangeRefused("This topic was changed again since, so it stays as it is now.")
    if change.kind is TopicChangeKind.FOLLOWED:
        topic_store.delete_topic(session, topic)
    else:
        if _find_equal(session, subscriber_id, change.before_query):
            raise ChangeRefused("Another of your topics now means what this one meant before.")
        before = change.before_query
        topic_store.change_topic(session, topic, before, canonical(parse_query(before)))
    change.undone_at = now
    session.flush()
    return change


def _find_equal(session: Session, subscriber_id: int, text: str) -> bool:
    """Return whether the subscriber has a topic with this canonical text; each is saved once."""
    wanted = canonical(parse_query(text))
    return any(
        topic.canonical == wanted for topic in topic_store.list_topics(session, subscriber_id)
    )
