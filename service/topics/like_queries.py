"""Build, store and renew the like queries of `like:` clauses.

Preview, search, feeds and the daily match read the same stored row, so a clause finds the same
papers everywhere until the corpus has doubled or the model has changed. Then the stored like
queries are rebuilt some at a time; each old one is used until its new one is stored.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from sqlalchemy.orm import Session, sessionmaker

from service.papers.store.read import find_paper_ids
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.settings import Settings
from service.platform.work_budget import spend
from service.similarity import like_paper
from service.similarity.availability import is_available
from service.similarity.domain import calibration
from service.similarity.domain.bm25 import weigh_text
from service.similarity.domain.vectors import LikeQueryView, PaperVectors, like_keys
from service.similarity.embeddings.embedders import MODEL_NAMES
from service.similarity.store.corpus import get_generation, scan_pool
from service.similarity.store.vectors import count_papers_with, get_meanings
from service.topics.domain.language.syntax_tree import fold_words
from service.topics.store.like_queries import (
    delete_like_queries,
    find_like_queries,
    find_stale_like_queries,
    insert_like_query,
)
from service.topics.store.to_sql import fetch_lexemes

log = get_logger(__name__)

# Steps (`work_budget`) of scoring the newest papers twice.
_STEPS_A_SCAN = 3_000

Scan: TypeAlias = Callable[
    [Session, str, calibration.Target, Sequence[int]], calibration.ReferenceScores
]
"""Scores a model's newest papers, without some of them, against a target; as `scan_pool` does."""


class LikeError(ValueError):
    """A `like:` clause names a paper that is not stored; the message says what to write instead."""


def load_like_query(
    session: Session, settings: Settings, like_text: str, scan: Scan = scan_pool
) -> LikeQueryView:
    """Return the stored like query of a clause, or build it, not stored; `scan` scores the pool.

    Raises `LikeError` where the clause names a paper that is not stored, and `SettingsError` where
    the model is missing.
    """
    text = like_query_text(like_text)
    stored = find_like_queries(session, MODEL_NAMES[settings.embedder], [text])
    return stored.get(text) or _build(session, settings, text, scan)


def make_like_queries(
    session: Session, settings: Settings, like_texts: Iterable[str], scan: Scan = scan_pool
) -> dict[str, LikeQueryView]:
    """Return the like queries of many clauses by the text as given, inserting those not stored.

    A clause whose paper is not stored is left out and logged, so that one topic stops no others.
    """
    texts = {text: like_query_text(text) for text in like_texts}
    stored = find_like_queries(session, MODEL_NAMES[settings.embedder], sorted(set(texts.values())))
    like_queries = {}
    for given, text in texts.items():
        try:
            if text not in stored:
                stored[text] = insert_like_query(session, _build(session, settings, text, scan))
            like_queries[given] = stored[text]
        except LikeError as error:
            log.warning("like_query.unknown", reason=str(error))
    return like_queries


def renew_like_queries(
    sessions: sessionmaker[Session], settings: Settings, limit: int = 100, scan: Scan = scan_pool
) -> int:
    """Rebuild up to `limit` like queries of older generations or other models; returns how many."""
    model = MODEL_NAMES[settings.embedder]
    with transaction(sessions) as session:
        if not is_available(session):
            return 0
        generation = _find_generation(session, model)
        stale = find_stale_like_queries(session, model, generation, limit)
    for text in stale:
        with transaction(sessions) as session:
            try:
                insert_like_query(session, _build(session, settings, text, scan))
            except LikeError as error:
                log.warning("like_query.unknown", reason=str(error))
                delete_like_queries(session, text)
    return len(stale)


def like_query_text(like_text: str) -> str:
    """Return the text that equal clauses share: the papers' keys, or the folded words."""
    return ",".join(like_keys(like_text)) or fold_words(like_text)


def _build(session: Session, settings: Settings, text: str, scan: Scan) -> LikeQueryView:
    """Build the like query of a `like_query_text` from the current state of the database."""
    spend(_STEPS_A_SCAN)
    model = MODEL_NAMES[settings.embedder]
    origin = calibration.Origin(text, model, _find_generation(session, model))
    keys = like_keys(text)
    if not keys:
        return _build_for_text(session, settings, origin, scan)
    ids = _find_papers(session, keys)
    papers = like_paper.meanings_of(session, settings, ids)
    if len(papers) == 1:
        return _build_for_paper(session, origin, papers[0], scan)
    return _build_for_examples(session, origin, papers, scan)


def _find_papers(session: Session, keys: Sequence[str]) -> list[int]:
    known = find_paper_ids(session, keys)
    for key in keys:
        if key not in known:
            name = key.removeprefix("arxiv:")
            raise LikeError(
                f"like:{name} names a paper that is not stored here;"
                f' say what it is about instead: like:"…"'
            )
    return [known[key] for key in keys]


def _find_generation(session: Session, model: str) -> int:
    newest = get_generation(session)
    return newest.generation if newest and newest.model == model else 0


def _build_for_text(
    session: Session, settings: Settings, origin: calibration.Origin, scan: Scan
) -> LikeQueryView:
    lexemes = fetch_lexemes(session, [origin.text])[origin.text]
    corpus = like_paper.load_corpus(session, lexemes)
    weights = weigh_text(lexemes, corpus)
    dense = like_paper.embed_text(settings, origin.text)
    target = calibration.Target(dense, weights)
    tuning = calibration.find_tuning(origin.model)
    pool = scan(session, origin.model, target, ())
    is_list = like_paper.is_word_list(origin.text)
    if is_list or (tuning.is_sentence_model and like_paper.is_long(origin.text)):
        # Treated as the papers that it describes would be: by their common subject.
        if pool.is_large_enough:
            target = calibration.join_examples([target], origin.model)
            pool = scan(session, origin.model, target, ())
        share = tuning.words_of_list if is_list else tuning.words_of_long
        return _measure(origin, target, pool, share)
    if pool.is_large_enough and any(tuning.added):
        best = _find_best(session, target, pool, tuning.words)
        target = calibration.expand(target, best, tuning.added)
        pool = scan(session, origin.model, target, ())
    elif pool.is_large_enough and tuning.is_sentence_model:
        nearest = [i for _, i in pool.find_best(calibration.DENSE_ONLY, calibration.NEAREST)]
        counts = count_papers_with(session, nearest, weights)
        weights = calibration.reweigh(weights, counts, len(nearest), corpus)
        target = calibration.Target(dense, weights)
        pool = scan(session, origin.model, target, ())
    return _measure(origin, target, pool, tuning.words)


def _build_for_paper(
    session: Session, origin: calibration.Origin, paper: PaperVectors, scan: Scan
) -> LikeQueryView:
    target = like_paper.target_of_paper(session, paper)
    tuning = calibration.find_tuning(origin.model)
    pool = scan(session, origin.model, target, [paper.paper_id])
    if pool.is_large_enough and any(tuning.added_to_paper):
        best = _find_best(session, target, pool, tuning.words)
        target = calibration.expand(target, best, tuning.added_to_paper)
        pool = scan(session, origin.model, target, [paper.paper_id])
    return calibration.admit(_measure(origin, target, pool, tuning.words), paper)


def _build_for_examples(
    session: Session, origin: calibration.Origin, papers: Sequence[PaperVectors], scan: Scan
) -> LikeQueryView:
    examples = like_paper.targets_of_papers(session, papers)
    target = calibration.join_examples(examples, origin.model)
    pool = scan(session, origin.model, target, [paper.paper_id for paper in papers])
    if not pool.is_large_enough:  # the shipped scale is that of whole vectors
        target = calibration.join_examples(examples, "")
    return _measure(origin, target, pool, calibration.find_tuning(origin.model).words)


def _find_best(
    session: Session, target: calibration.Target, pool: calibration.ReferenceScores, share: float
) -> list[calibration.Target]:
    """Return the papers for feedback, if there are any."""
    scale = calibration.scale_of_pool(pool, has_dense=bool(target.dense), share=share)
    best = get_meanings(session, calibration.choose_feedback(pool, scale))
    return like_paper.targets_of_papers(session, best)


def _measure(
    origin: calibration.Origin,
    target: calibration.Target,
    pool: calibration.ReferenceScores,
    share: float,
) -> LikeQueryView:
    if pool.is_large_enough:
        scale = calibration.scale_of_pool(pool, has_dense=bool(target.dense), share=share)
        threshold = calibration.pick_threshold(pool, scale)
    else:
        tuning = calibration.find_tuning(origin.model)
        scale = calibration.scale_of_shipped(target, tuning, share)
        threshold = calibration.shipped_threshold(scale)
    return calibration.build_like_query(origin, target, scale, threshold)
