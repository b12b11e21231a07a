"""`like:` clauses where topics are asked: of the store, and of an edition's papers in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session, sessionmaker

from service.actions.probes import make_probes, read_probe
from service.config import Settings
from service.domain.paper_sets import Bits
from service.domain.query import Like, Query, like_leaves, parse_query
from service.meaning.scoring import like_sets
from service.store.engine import transaction
from service.store.meanings import get_meanings, like_condition
from service.store.topic_sql import to_sql
from service.store.topics import list_canonicals_with

LIKE_MARK = "like:"
# Made in one transaction; each takes some tens of milliseconds, most of it Postgres' own.
_PROBES_AT_ONCE = 50


def topic_condition(session: Session, settings: Settings, query: Query) -> ColumnElement[bool]:
    """The stored papers that a topic wants, whatever it asks: what previews and searches use.

    Raises `LikeError` where the topic names a paper that is not stored.
    """
    probes = {
        clause: read_probe(session, settings, leaf.text)
        for clause, leaf in like_leaves(query).items()
    }
    return to_sql(query, likes={clause: like_condition(one) for clause, one in probes.items()})


def find_likes(
    session: Session, settings: Settings, topics: Iterable[str], paper_ids: Sequence[int]
) -> dict[str, Bits]:
    """For each `like:` clause of these topics (canonical texts) the papers that are like it.

    Bit i is the i-th of `paper_ids`. A clause whose paper is no longer stored is like nothing.
    Many topics at once cost little more than one, since the papers are read and laid out once.
    """
    leaves: dict[str, Like] = {}
    for topic in topics:
        leaves |= like_leaves(parse_query(topic))
    if not leaves:
        return {}
    probes = make_probes(session, settings, sorted({leaf.text for leaf in leaves.values()}))
    known = [clause for clause, leaf in leaves.items() if leaf.text in probes]
    meanings = get_meanings(session, paper_ids)
    sets = like_sets([probes[leaves[clause].text] for clause in known], meanings)
    return dict.fromkeys(leaves, 0) | dict(zip(known, sets, strict=True))


def prepare_probes(sessions: sessionmaker[Session], settings: Settings) -> int:
    """Make the probes of saved topics that have none, so that no edition waits for them.

    Returns how many clauses were looked at. Safe to repeat: a probe that is there is kept.
    """
    with transaction(sessions) as session:
        topics = list_canonicals_with(session, LIKE_MARK)
    texts = sorted({leaf.text for t in topics for leaf in like_leaves(parse_query(t)).values()})
    for start in range(0, len(texts), _PROBES_AT_ONCE):
        with transaction(sessions) as session:
            make_probes(session, settings, texts[start : start + _PROBES_AT_ONCE])
    return len(texts)
