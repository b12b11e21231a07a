"""`like:` clauses where topics are asked: of the store, and of an edition's papers in memory."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session, sessionmaker

from service.platform.database.engine import transaction
from service.platform.settings.faults import SettingsError
from service.platform.settings.settings import Settings
from service.similarity.domain.calibration import ReferenceScores, Target
from service.similarity.domain.vectors import LikeQueryView
from service.similarity.embeddings.embedders import MODEL_NAMES, load_embedder
from service.similarity.embeddings.scoring import like_sets
from service.similarity.embeddings.vector_pool import ModelVectors
from service.similarity.store.corpus import POOL_SIZE
from service.similarity.store.vectors import (
    get_meanings,
    like_condition,
    newest_learned,
    read_packed,
)
from service.topics.domain.language import Query, like_leaves
from service.topics.domain.matching.bitsets import PaperSet
from service.topics.like_queries import make_like_queries, read_like_query
from service.topics.store.read_compiled import list_likes
from service.topics.store.to_sql import to_sql

# Made in one transaction; each takes some tens of milliseconds, most of it Postgres' own.
_LIKE_QUERIES_AT_ONCE = 50


def topic_condition(session: Session, settings: Settings, query: Query) -> ColumnElement[bool]:
    """The stored papers that a topic wants, whatever it asks: what previews and searches use.

    Raises `LikeError` where the topic names a paper that is not stored.
    """
    like_queries = {
        clause: read_like_query(session, settings, leaf.text)
        for clause, leaf in like_leaves(query).items()
    }
    return to_sql(
        query, likes={clause: like_condition(one) for clause, one in like_queries.items()}
    )


def load_model_vectors(
    session: Session, settings: Settings, paper_ids: Iterable[int], pool_size: int = POOL_SIZE
) -> ModelVectors:
    """These papers and the newest `pool_size` of all, in memory, to try `like:` clauses on."""
    with suppress(SettingsError):  # who has no model hears of it from the clause that asks for it
        load_embedder(settings.embedder)  # so that the first clause need not wait for the reading
    model = MODEL_NAMES[settings.embedder]
    newest = newest_learned(session, model, pool_size)
    # Where there are fewer, every paper that is learned later will be one of the newest.
    floor = newest[-1] if len(newest) == pool_size else 0
    packed = read_packed(session, model, sorted({*newest, *paper_ids}))
    return ModelVectors(model, packed, pool_size, floor)


def update_model_vectors(
    session: Session, vectors: ModelVectors, changed: Iterable[int], paper_ids: Iterable[int]
) -> ModelVectors | None:
    """The shelf after papers changed, as far as they belong on it; None where it must be refilled."""
    wanted = {*paper_ids}
    own = [i for i in changed if i >= vectors.floor or i in wanted]
    return vectors.with_changes(read_packed(session, vectors.model, own), changed)


def like_query_on(
    session: Session, settings: Settings, like_text: str, vectors: ModelVectors
) -> LikeQueryView:
    """The probe of a clause, the same as everywhere, made from the papers on a shelf."""

    def scan(_session: Session, model: str, target: Target, without: int | None) -> ReferenceScores:
        return (
            vectors.scan(target, without) if model == vectors.model else ReferenceScores((), (), ())
        )

    return read_like_query(session, settings, like_text, scan)


def find_likes(
    session: Session, settings: Settings, likes: Mapping[str, str], paper_ids: Sequence[int]
) -> dict[str, PaperSet]:
    """For each `like:` clause (canonical text -> its text or paper's key) the papers it is like.

    Bit i is the i-th of `paper_ids`. A clause whose paper is no longer stored is like nothing.
    Many clauses at once cost little more than one, since the papers are read and laid out once.
    """
    if not likes:
        return {}
    like_queries = make_like_queries(session, settings, sorted(set(likes.values())))
    known = [clause for clause, text in likes.items() if text in like_queries]
    meanings = get_meanings(session, paper_ids)
    sets = like_sets([like_queries[likes[clause]] for clause in known], meanings)
    return dict.fromkeys(likes, 0) | dict(zip(known, sets, strict=True))


def prepare_like_queries(sessions: sessionmaker[Session], settings: Settings) -> int:
    """Make the probes of saved topics that have none, so that no edition waits for them.

    Returns how many clauses were looked at. Safe to repeat: a probe that is there is kept.
    """
    with transaction(sessions) as session:
        texts = sorted(set(list_likes(session).values()))
    for start in range(0, len(texts), _LIKE_QUERIES_AT_ONCE):
        with transaction(sessions) as session:
            make_like_queries(session, settings, texts[start : start + _LIKE_QUERIES_AT_ONCE])
    return len(texts)
