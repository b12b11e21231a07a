"""Build, store and renew the like queries of `like:` clauses.

Preview, search, feeds and the daily match read the same stored row, so a clause finds the same
papers everywhere until the corpus has doubled or the model has changed. Then the stored like
queries are rebuilt some at a time; each old one is used until its new one is stored.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from sqlalchemy.orm import Session, sessionmaker

from service.papers.store.read import find_paper
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.similarity.domain import calibration
from service.similarity.domain.bm25 import weigh_text
from service.similarity.domain.vectors import LikeQueryView, like_key
from service.similarity.embeddings.embedders import MODEL_NAMES, load_embedder
from service.similarity.like_paper import (
    lexemes_of,
    meaning_of,
    rare_words,
    read_corpus,
    target_of_paper,
)
from service.similarity.store.corpus import get_generation, scan_pool
from service.similarity.store.vectors import get_meanings, read_texts
from service.topics.domain.language.syntax_tree import fold_words
from service.topics.store.like_queries import (
    delete_like_queries,
    find_like_queries,
    find_stale_like_queries,
    insert_like_query,
)
from service.topics.store.to_sql import fetch_lexemes

log = get_logger(__name__)
Scan: TypeAlias = Callable[
    [Session, str, calibration.Target, int | None], calibration.ReferenceScores
]
"""Scores a model's newest papers, without one of them, against a target; as `scan_pool` does."""


class LikeError(ValueError):
    """A `like:` clause names a paper that is not stored; the message says what to write instead."""


def make_like_query(
    session: Session, settings: Settings, like_text: str, scan: Scan = scan_pool
) -> LikeQueryView:
    """Return the stored like query of a clause, or build and insert it; `scan` scores the pool.

    Raises `LikeError` where the clause names a paper that is not stored, and `SettingsError` where
    the model is missing.
    """
    return _find_like_query(session, settings, like_text) or insert_like_query(
        session, _build(session, settings, like_text, scan)
    )


def read_like_query(
    session: Session, settings: Settings, like_text: str, scan: Scan = scan_pool
) -> LikeQueryView:
    """Return the like query without inserting it; raises what `make_like_query` does."""
    stored = _find_like_query(session, settings, like_text)
    return stored or _build(session, settings, like_text, scan)


def make_like_queries(
    session: Session, settings: Settings, like_texts: Iterable[str]
) -> dict[str, LikeQueryView]:
    """Return the like queries of many clauses by the text as given, building those not stored.

    A clause whose paper is not stored is left out and logged, so that one topic stops no others.
    """
    texts = {text: like_query_text(text) for text in like_texts}
    stored = find_like_queries(session, MODEL_NAMES[settings.embedder], sorted(set(texts.values())))
    like_queries = {}
    for given, text in texts.items():
        try:
            like_queries[given] = stored.get(text) or make_like_query(session, settings, text)
        except LikeError as error:
            log.warning("like_query.unknown", reason=str(error))
    return like_queries


def renew_like_queries(
    sessions: sessionmaker[Session], settings: Settings, limit: int = 100, scan: Scan = scan_pool
) -> int:
    """Rebuild up to `limit` like queries of older generations or other models; returns how many."""
    model = MODEL_NAMES[settings.embedder]
    with transaction(sessions) as session:
        generation = get_generation(session)
        number = generation.generation if generation and generation.model == model else 0
        stale = find_stale_like_queries(session, model, number, limit)
    for text in stale:
        with transaction(sessions) as session:
            try:
                insert_like_query(session, _build(session, settings, text, scan))
            except LikeError as error:
                log.warning("like_query.unknown", reason=str(error))
                delete_like_queries(session, text)
    return len(stale)


def like_query_text(like_text: str) -> str:
    """Return the text that equal clauses share: a paper's key, or the folded words."""
    return like_key(like_text) or fold_words(like_text)


def _find_like_query(session: Session, settings: Settings, like_text: str) -> LikeQueryView | None:
    text = like_query_text(like_text)
    return find_like_queries(session, MODEL_NAMES[settings.embedder], [text]).get(text)


def _build(session: Session, settings: Settings, like_text: str, scan: Scan) -> LikeQueryView:
    """Build the like query of a clause from the current state of the database."""
    text = like_query_text(like_text)
    model = MODEL_NAMES[settings.embedder]
    generation = get_generation(session)
    is_counted = generation is not None and generation.model == model
    number = generation.generation if generation and is_counted else 0
    origin = calibration.Origin(text, model, number)
    if like_key(like_text) is None:
        return _build_for_text(session, settings, origin, scan)
    paper = find_paper(session, text)
    if paper is None:
        name = text.removeprefix("arxiv:")
        raise LikeError(
            f"like:{name} names a paper that is not stored here;"
            f' say what it is about instead: like:"…"'
        )
    return _build_for_paper(session, settings, origin, paper.id, scan)


def _build_for_text(
    session: Session, settings: Settings, origin: calibration.Origin, scan: Scan
) -> LikeQueryView:
    lexemes = fetch_lexemes(session, [origin.text])[origin.text]
    weights = weigh_text(lexemes, read_corpus(session, lexemes))
    (dense,) = load_embedder(settings.embedder).embed([origin.text])
    target = calibration.Target(dense, weights)
    pool = scan(session, origin.model, target, None)
    if not pool.is_large_enough:
        scale = calibration.scale_of_shipped(target)
        return calibration.build_like_query(
            origin, target, scale, calibration.shipped_threshold(scale)
        )
    best = calibration.choose_feedback(pool, calibration.scale_of_pool(pool, has_dense=bool(dense)))
    return _measure(
        session, origin, calibration.expand(target, _read_feedback(session, best)), scan
    )


def _build_for_paper(
    session: Session, settings: Settings, origin: calibration.Origin, paper_id: int, scan: Scan
) -> LikeQueryView:
    paper = meaning_of(session, settings, paper_id)
    like_query = _measure(session, origin, target_of_paper(session, paper), scan, paper_id)
    return calibration.admit(like_query, paper)


def _measure(
    session: Session,
    origin: calibration.Origin,
    target: calibration.Target,
    scan: Scan,
    without: int | None = None,
) -> LikeQueryView:
    pool = scan(session, origin.model, target, without)
    if not pool.is_large_enough:
        scale = calibration.scale_of_shipped(target)
        return calibration.build_like_query(
            origin, target, scale, calibration.shipped_threshold(scale)
        )
    scale = calibration.scale_of_pool(pool, has_dense=bool(target.dense))
    return calibration.build_like_query(
        origin, target, scale, calibration.pick_threshold(pool, scale)
    )


def _read_feedback(session: Session, ids: Sequence[int]) -> list[calibration.RelevantPaper]:
    texts = {text.paper_id: text for text in read_texts(session, ids)}
    corpus = read_corpus(session, lexemes_of(texts.values()))
    return [
        calibration.RelevantPaper(paper.dense, rare_words(texts[paper.paper_id], corpus))
        for paper in get_meanings(session, ids)
    ]
