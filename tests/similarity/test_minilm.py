"""MiniLM: rare words of no meaning, texts that are too long, and vectors of the model before it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from support.web.papers import make_announcement, store_papers

from service.papers.store.models import Paper
from service.platform.settings.settings import Settings
from service.similarity.domain.bm25 import lexeme_key
from service.similarity.domain.calibration import ReferenceScores, Target, join_examples
from service.similarity.domain.vectors import MINILM, LikeQueryView, dot_dense
from service.similarity.embed_papers import (
    count_waiting,
    learn_meanings,
    learn_papers,
    similar_papers,
)
from service.similarity.like_paper import embed_text
from service.similarity.store.corpus import scan_pool
from service.similarity.store.vectors import like_condition
from service.topics.like_queries import load_like_query

pytestmark = pytest.mark.settings(embedder="minilm")

LENSING = "Weak gravitational lensing constrains the growth of cosmic structure {}"
INTERESTS = (
    "Real-time rendering of novel views with 3D Gaussian splatting of scenes",
    "Teaching robot hands to grasp fragile objects by demonstration",
    "Dependency parsing of low-resource languages with treebanks",
    "Weak gravitational lensing and the growth of cosmic structure",
)


def scan_few(
    session: Session, model: str, target: Target, without: Sequence[int]
) -> ReferenceScores:
    return replace(scan_pool(session, model, target, without), least=20)


def find(session: Session, like_query: LikeQueryView) -> list[int]:
    return sorted(session.scalars(select(Paper.id).where(like_condition(like_query))))


def test_rare_words_without_meaning_do_not_outweigh_the_subject(
    sessions: sessionmaker[Session], settings: Settings, session: Session
) -> None:
    others = [
        make_announcement(n, f"On the quark and the market, part {n}") for n in range(100, 300)
    ]
    store_papers(session, [make_announcement(n, LENSING.format(n)) for n in range(1, 41)] + others)
    learn_meanings(sessions, settings)
    text = "Covers aspects of gravitational lensing; includes material that intersects with it"
    weights = dict(load_like_query(session, settings, text, scan_few).sparse)
    assert weights[lexeme_key("lens")] > 1.5 * weights[lexeme_key("intersect")]


def test_a_long_description_is_embedded_in_parts(settings: Settings) -> None:
    whole = embed_text(settings, " ".join(f"- {text};" for text in INTERESTS * 3))
    last = embed_text(settings, INTERESTS[-1])
    without = embed_text(settings, " ".join(f"- {text};" for text in INTERESTS[:-1] * 4))
    assert dot_dense(whole, last) > 0.3 * dot_dense(last, last)
    assert dot_dense(without, last) < dot_dense(whole, last)
    assert embed_text(settings, INTERESTS[-1]) is last  # cached: a topic is embedded several times


def test_a_long_description_loses_what_it_shares_with_all_papers(
    sessions: sessionmaker[Session], settings: Settings, session: Session
) -> None:
    store_papers(session, [make_announcement(n, LENSING.format(n)) for n in range(1, 31)])
    learn_meanings(sessions, settings)
    text = " ".join(f"- {text.lower()};" for text in INTERESTS * 3)
    for asked, is_long in ((text, True), (INTERESTS[0].lower(), False)):
        own = Target(embed_text(settings, asked), {})
        kept = join_examples([own], MINILM) if is_long else own
        assert load_like_query(session, settings, asked, scan_few).dense == kept.dense


def test_vectors_of_two_models_are_never_compared(
    sessions: sessionmaker[Session], settings: Settings, session: Session
) -> None:
    text = "growth of cosmic structure"
    given = [make_announcement(n, LENSING.format(n)) for n in range(1, 7)]
    ids = sorted(store_papers(session, given).values())
    older = settings.model_copy(update={"embedder": "wordllama"})
    learn_meanings(sessions, older)
    before, after = (load_like_query(session, each, text) for each in (older, settings))
    assert find(session, before) == ids
    assert find(session, after) == []
    session.commit()
    assert learn_papers(sessions, settings, ids[:3]) == 3
    assert find(session, before) == ids[3:]
    assert find(session, after) == ids[:3]
    assert similar_papers(session, settings, ids[-1], 5) == []
    assert count_waiting(sessions, settings) == 3
