"""Embed papers as they arrive ("learn" them), and find similar papers.

Where texts cannot be compared (`availability.py`), nothing is embedded and no paper is similar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session, sessionmaker

from service.papers.store.works import get_works
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.similarity.availability import is_available
from service.similarity.domain import calibration
from service.similarity.domain.vectors import LikeQueryView, PaperVectors
from service.similarity.embeddings.embedders import MODEL_NAMES
from service.similarity.like_paper import load_meanings, target_of_paper
from service.similarity.store import vectors as vector_store
from service.similarity.store.corpus import count_meanings, get_generation, open_generation

if TYPE_CHECKING:
    # On NumPy, which is an extra.
    from service.similarity.embeddings.vector_pool import ModelVectors

log = get_logger(__name__)

# Papers embedded in one transaction; it takes a fifth of a second.
LEARNED_AT_ONCE = 256


def meaning_note(settings: Settings) -> str:
    """Return a note for pages where similarity uses words alone; empty where a model is set."""
    if settings.embedder != "none":
        return ""
    return "No language model is set up here, so similar papers are found by shared words alone."


def learn_meanings(
    sessions: sessionmaker[Session],
    settings: Settings,
    limit: int | None = None,
    on_learned: Callable[[int], None] = lambda _: None,
    at_once: int = LEARNED_AT_ONCE,
) -> int:
    """Embed up to `limit` papers without a current embedding, newest first; returns how many.

    Idempotent, also concurrently: an upsert writes the same values. After each transaction, of
    `at_once` papers, calls `on_learned` with the count. Raises `SettingsError` without a model.
    """
    learned_count = 0
    while limit is None or learned_count < limit:
        most = at_once if limit is None else min(at_once, limit - learned_count)
        learned = _learn_some(sessions, settings, most, None)
        if not learned:
            break
        learned_count += learned
        on_learned(learned_count)
    if learned_count:
        log.info("learn_meanings", papers=learned_count, model=MODEL_NAMES[settings.embedder])
    return learned_count


def count_waiting(sessions: sessionmaker[Session], settings: Settings) -> int:
    """Count stored papers that are not embedded yet."""
    with transaction(sessions) as session:
        if not is_available(session):
            return 0
        return vector_store.count_unlearned(session, MODEL_NAMES[settings.embedder])


def learn_papers(sessions: sessionmaker[Session], settings: Settings, ids: Sequence[int]) -> int:
    """Embed those of these papers that are not embedded yet, before an edition is matched."""
    return sum(
        _learn_some(sessions, settings, LEARNED_AT_ONCE, ids[start : start + LEARNED_AT_ONCE])
        for start in range(0, len(ids), LEARNED_AT_ONCE)
    )


def embed_in_transaction(session: Session, settings: Settings, ids: Sequence[int]) -> int:
    """Do the same inside the caller's transaction, which may be rolled back.

    The transaction is open while the model runs: for many papers, call `learn_papers` first.
    """
    if not is_available(session):
        return 0
    unlearned = vector_store.find_unembedded(session, MODEL_NAMES[settings.embedder], len(ids), ids)
    for start in range(0, len(unlearned), LEARNED_AT_ONCE):
        texts = vector_store.select_texts(session, unlearned[start : start + LEARNED_AT_ONCE])
        _store(session, texts, load_meanings(settings, texts))
    return len(unlearned)


def _learn_some(
    sessions: sessionmaker[Session], settings: Settings, most: int, among: Sequence[int] | None
) -> int:
    with transaction(sessions) as session:
        if not is_available(session):
            return 0
        wanted = vector_store.find_unembedded(session, MODEL_NAMES[settings.embedder], most, among)
        texts = vector_store.select_texts(session, wanted) if wanted else []
    # No transaction is open while the model runs, and the read before takes no lock.
    meanings = load_meanings(settings, texts)
    with transaction(sessions) as session:
        _store(session, texts, meanings)
    return len(meanings)


def _store(
    session: Session, texts: Sequence[vector_store.PaperText], meanings: Sequence[PaperVectors]
) -> None:
    vector_store.upsert_meanings(
        session, meanings, {text.paper_id: text.updated_at for text in texts}
    )


def count_lexemes(
    sessions: sessionmaker[Session], settings: Settings, least: int = calibration.LEAST_POOL
) -> bool:
    """Count lexemes for a new generation if the embedded papers have doubled or the model changed.

    Returns whether it did; with fewer than `least` papers it does nothing.
    """
    model = MODEL_NAMES[settings.embedder]
    with transaction(sessions) as session:
        if not is_available(session):
            return False
        count, newest = count_meanings(session, model), get_generation(session)
        is_due = newest is None or newest.model != model or count >= 2 * newest.paper_count
        if count < least or not is_due:
            return False
        return open_generation(session, model, count)


def similar_papers(
    session: Session,
    settings: Settings,
    paper_id: int,
    limit: int,
    vectors: ModelVectors | None = None,
) -> list[tuple[int, float]]:
    """Return the stored papers most similar to this one, each work once: (id, score), best first.

    The score is a z-score: standard deviations above the average paper. Papers below the threshold
    are left out, so the list may be short, and is empty for a paper that is not embedded yet.
    With `vectors`, those of this transaction in memory, PostgreSQL compares only papers that are not
    there: it takes two microseconds for each, memory a fifth of that. The result is the same.
    """
    if vectors is None and not is_available(session):
        return []
    (paper,) = vector_store.get_meanings(session, [paper_id])
    if paper.model != MODEL_NAMES[settings.embedder]:
        return []
    like_query, scale = similar_query(session, paper)
    found = nearest_papers(session, like_query, paper_id, 2 * limit + 4, vectors)
    works = get_works(session, [paper_id, *(i for i, _ in found)])
    seen, similar = {works.get(paper_id)}, []
    for found_id, score in found:
        if works[found_id] not in seen:
            seen.add(works[found_id])
            similar.append((found_id, (score - scale.middle) / scale.deviation))
    return similar[:limit]


def nearest_papers(
    session: Session,
    like_query: LikeQueryView,
    paper_id: int,
    limit: int,
    vectors: ModelVectors | None,
) -> list[tuple[int, int]]:
    """Return what `store.vectors.find_nearest` returns, from `vectors` as far as they reach."""
    if vectors is None:
        return vector_store.find_nearest(session, like_query, paper_id, limit)
    found = dict(vectors.find_nearest(like_query, paper_id, limit))
    if vectors.floor:
        below = vectors.floor
        found |= dict(vector_store.find_nearest(session, like_query, paper_id, limit, below))
    return sorted(found.items(), key=lambda pair: (-pair[1], -pair[0]))[:limit]


def similar_query(
    session: Session, paper: PaperVectors
) -> tuple[LikeQueryView, calibration.ScoreScale]:
    """Return the like query by which similar papers are found and ordered, and its scale."""
    target = target_of_paper(session, paper)
    tuning = calibration.find_tuning(paper.model)
    # Scanning the reference pool is too slow for a page; the shipped scale gives much the same order.
    scale = calibration.scale_of_shipped(target, tuning, tuning.words_of_page)
    threshold = calibration.shipped_threshold(scale)
    origin = calibration.Origin("", paper.model)
    return calibration.build_like_query(origin, target, scale, threshold), scale
