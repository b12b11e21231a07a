"""Match stored topics with an edition's papers, loading only what its index does not have yet."""

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from service.editions.domain.compose import MatchedTopic
from service.editions.domain.edition_index import EditionIndex
from service.platform.settings.settings import Settings
from service.topics.domain.types import ClauseKind
from service.topics.like_clauses import find_likes
from service.topics.store.read_compiled import get_stored_clauses, get_stored_topics, list_likes
from service.topics.store.save_compiled import compile_missing, lock_compiled_shared
from service.topics.store.topics import get_subscriber_topics


def load_matched_topics(
    session: Session,
    settings: Settings,
    index: EditionIndex,
    subscriber_ids: Sequence[int],
    *,
    all_likes: bool = False,
) -> dict[int, list[MatchedTopic]]:
    """Return subscribers' topics, each in its subscriber's order, with their matches in the index.

    `all_likes`: see `match_stored_topics`.
    """
    lock_compiled_shared(session)
    found = get_subscriber_topics(session, subscriber_ids)
    if None in found.canonical_ids:
        compile_missing(session, subscriber_ids=subscriber_ids)
        found = get_subscriber_topics(session, subscriber_ids)
    wanted = [canonical_id or 0 for canonical_id in found.canonical_ids]
    match_stored_topics(session, settings, index, wanted, all_likes=all_likes)
    texts = index.texts_of(wanted)
    topics: dict[int, list[MatchedTopic]] = {}
    for subscriber_id, topic in zip(
        found.subscriber_ids, map(MatchedTopic, found.topic_ids, found.names, texts), strict=True
    ):
        topics.setdefault(subscriber_id, []).append(topic)
    return topics


def match_stored_topics(
    session: Session,
    settings: Settings,
    index: EditionIndex,
    canonical_ids: Iterable[int],
    *,
    all_likes: bool = False,
) -> None:
    """Cache in the index the matches of those topics (rows of `canonicals`) that it lacks.

    With `all_likes` the first `like:` clause loads those of all saved topics with it: for an index
    that serves many chunks, each of which would otherwise load the papers' vectors again.
    """
    topics = get_stored_topics(session, index.unknown_topics(canonical_ids))
    numbers = index.unknown_clauses(topics)
    clauses = get_stored_clauses(session, numbers)
    clauses += get_stored_clauses(session, index.unknown_parts(clauses) - numbers)
    # Canonical text of each `like:` clause -> the text or paper that it names.
    wanted = {
        text: named
        for group in clauses
        if group.kind is ClauseKind.LIKE
        for text, named in zip(group.texts, group.keys, strict=True)
    }
    if all_likes and wanted and not index.has_likes:
        wanted |= list_likes(session)
    likes = find_likes(session, settings, index.unknown_likes(wanted), index.ids)
    index.learn_clauses(clauses, likes)
    index.cache_matches(topics)
