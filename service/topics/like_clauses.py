"""Evaluation of `like:` clauses: in Postgres, and over papers held in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, false
from sqlalchemy.orm import Session, sessionmaker

from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.settings.faults import SettingsError
from service.platform.settings.settings import Settings
from service.similarity.availability import is_available
from service.similarity.domain.calibration import ReferenceScores, Target
from service.similarity.domain.vectors import LikeQueryView
from service.similarity.embeddings.embedders import MODEL_NAMES, load_embedder
from service.similarity.store.corpus import POOL_SIZE
from service.similarity.store.vectors import (
    get_meanings,
    like_condition,
    newest_learned,
    newest_outside,
    select_packed,
)
from service.topics.domain.language import Query, like_leaves
from service.topics.domain.matching.bitsets import PaperSet
from service.topics.like_queries import load_like_query, make_like_queries
from service.topics.store.read_compiled import list_likes
from service.topics.store.to_sql import to_sql

if TYPE_CHECKING:
    # On NumPy: an extra, and 8 MiB of each process that loads it; most topics have no such clause.
    from service.similarity.embeddings.vector_pool import ModelVectors

log = get_logger(__name__)

# Built in one transaction; each takes some tens of milliseconds, most of it in Postgres.
_LIKE_QUERIES_AT_ONCE = 50
_PACKED_AT_ONCE = 1_000


def topic_condition(session: Session, settings: Settings, query: Query) -> ColumnElement[bool]:
    """Return the SQL condition for the stored papers that a topic wants, `like:` clauses included.

    Where texts cannot be compared (`similarity.availability`), a `like:` clause finds nothing.
    Raises `LikeError` where the topic names a paper that is not stored.
    """
    leaves = like_leaves(query)
    likes: dict[str, ColumnElement[bool]] = dict.fromkeys(leaves, false())
    if leaves and is_available(session):
        likes = {
            clause: like_condition(load_like_query(session, settings, leaf.text))
            for clause, leaf in leaves.items()
        }
    return to_sql(query, likes=likes)


def load_model_vectors(
    session: Session, settings: Settings, paper_ids: Iterable[int], pool_size: int = POOL_SIZE
) -> ModelVectors:
    """Load the vectors of these papers and of the newest `pool_size`, to match `like:` clauses.

    Only where texts can be compared (`similarity.availability`).
    """
    from service.similarity.embeddings.vector_pool import ModelVectors

    with suppress(SettingsError):  # a missing model is reported by the clause that needs it
        load_embedder(settings.embedder)  # so that the first clause does not wait for the loading
    model = MODEL_NAMES[settings.embedder]
    newest = newest_learned(session, model, pool_size)
    # With fewer papers in all, every paper that is embedded later belongs to the newest ones.
    floor = newest[-1] if len(newest) == pool_size else 0
    wanted = sorted({*newest, *paper_ids})
    if floor:  # Often the days asked for reach further back than the pool.
        floor = (newest_outside(session, model, floor, [i for i in wanted if i < floor]) or -1) + 1
    # Some at a time: the rows of all would stay in the process as holes of its heap.
    packed = (
        paper
        for start in range(0, len(wanted), _PACKED_AT_ONCE)
        for paper in select_packed(session, model, wanted[start : start + _PACKED_AT_ONCE])
    )
    return ModelVectors(model, packed, pool_size, floor)


def update_model_vectors(
    session: Session, vectors: ModelVectors, changed: Iterable[int], paper_ids: Iterable[int]
) -> ModelVectors | None:
    """Return the vectors with these changes applied, or None where they must be loaded again."""
    wanted = {*paper_ids}
    own = [i for i in changed if i >= vectors.floor or i in wanted]
    return vectors.with_changes(select_packed(session, vectors.model, own), changed)


def like_query_on(
    session: Session, settings: Settings, like_text: str, vectors: ModelVectors
) -> LikeQueryView:
    """Return the like query of a clause, the same one as everywhere, from vectors in memory."""

    def scan(
        _session: Session, model: str, target: Target, without: Sequence[int]
    ) -> ReferenceScores:
        return (
            vectors.scan(target, without) if model == vectors.model else ReferenceScores((), (), ())
        )

    return load_like_query(session, settings, like_text, scan)


def find_likes(
    session: Session, settings: Settings, likes: Mapping[str, str], paper_ids: Sequence[int]
) -> dict[str, PaperSet]:
    """Return the papers that each `like:` clause finds; bit i is the i-th of `paper_ids`.

    `likes`: canonical text -> the clause's text or its paper's key. A clause whose paper is no
    longer stored finds nothing, nor does any where texts cannot be compared: a saved topic must not
    stop an edition. Many clauses cost little more than one: papers are loaded once.
    """
    if not likes:
        return {}
    if not is_available(session):
        log.warning("like_queries.unavailable", clauses=len(likes))
        return dict.fromkeys(likes, 0)
    from service.similarity.embeddings.scoring import like_sets

    like_queries = make_like_queries(session, settings, sorted(set(likes.values())))
    known = [clause for clause, text in likes.items() if text in like_queries]
    meanings = get_meanings(session, paper_ids)
    sets = like_sets([like_queries[likes[clause]] for clause in known], meanings)
    return dict.fromkeys(likes, 0) | dict(zip(known, sets, strict=True))


def prepare_like_queries(sessions: sessionmaker[Session], settings: Settings) -> int:
    """Build missing like queries of saved topics before an edition needs them.

    Returns how many clauses were checked. Idempotent: an existing like query is reused.
    """
    with transaction(sessions) as session:
        texts = sorted(set(list_likes(session).values())) if is_available(session) else []
    for start in range(0, len(texts), _LIKE_QUERIES_AT_ONCE):
        with transaction(sessions) as session:
            make_like_queries(session, settings, texts[start : start + _LIKE_QUERIES_AT_ONCE])
    return len(texts)
