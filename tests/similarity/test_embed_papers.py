"""Papers are embedded, clauses are compiled to like queries, and similar papers are found."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session, sessionmaker
from support.web.papers import THURSDAY, make_announcement, store_papers

from service.papers.domain.types import AnnounceType, ParsedAnnouncement
from service.papers.store.models import Paper
from service.platform.settings.settings import Settings
from service.similarity.domain.bm25 import Corpus
from service.similarity.domain.calibration import ReferenceScores, Target
from service.similarity.domain.vectors import WORDS_ONLY, LikeQueryView, is_like
from service.similarity.embed_papers import (
    count_lexemes,
    count_waiting,
    learn_meanings,
    learn_papers,
    meaning_note,
    similar_papers,
)
from service.similarity.store.corpus import get_corpus, get_generation, open_generation, scan_pool
from service.similarity.store.models import LikeQuery, PaperMeaning
from service.similarity.store.vectors import get_meanings, like_condition
from service.topics.like_queries import (
    LikeError,
    Scan,
    like_query_text,
    load_like_query,
    make_like_queries,
    renew_like_queries,
)

SUBJECTS = {
    "splatting": "Real-time rendering of novel views with 3D Gaussian splatting of scene {}",
    "grasping": "Teaching robot hands to grasp fragile objects by demonstration {}",
    "lensing": "Weak gravitational lensing constrains the growth of cosmic structure {}",
    "parsing": "Dependency parsing of low-resource languages with treebanks {}",
}


pytestmark = pytest.mark.settings(embedder="wordllama")


def announce(number: int, subject: str) -> ParsedAnnouncement:
    title = SUBJECTS[subject].format(number)
    return make_announcement(number, title, abstract=f"{title}. We describe method {number}.")


@pytest.fixture
def ids(session: Session) -> dict[str, int]:
    """Store six papers of each subject; returns key -> id."""
    subjects = [subject for subject in SUBJECTS for _ in range(6)]
    return store_papers(session, [announce(n, subject) for n, subject in enumerate(subjects, 1)])


FILLERS = ("quark", "market", "protein", "traffic", "theorem", "laser", "soil", "music", "battery")


@pytest.fixture
def crowd(session: Session, ids: dict[str, int]) -> None:
    """Store many papers on other subjects, so that six papers are few among them."""
    others = [
        make_announcement(n, f"On the {FILLERS[n % 9]} and the {FILLERS[n // 9 % 9]}, part {n}")
        for n in range(1000, 1160)
    ]
    store_papers(session, others, on=THURSDAY)


# A pool of twenty papers is enough here, instead of a thousand.
FEW = 20


def scan_few(
    session: Session, model: str, target: Target, without: Sequence[int]
) -> ReferenceScores:
    return replace(scan_pool(session, model, target, without), least=FEW)


def found(session: Session, like_query: object) -> set[int]:
    return set(session.scalars(select(Paper.id).where(like_condition(like_query))))  # type: ignore[arg-type]


def make_like_query(
    session: Session, settings: Settings, like_text: str, scan: Scan = scan_pool
) -> LikeQueryView:
    return make_like_queries(session, settings, [like_text], scan)[like_text]


def of_subject(ids: dict[str, int], subject: str) -> set[int]:
    start = 1 + 6 * list(SUBJECTS).index(subject)
    return {ids[f"arxiv:2609.{n:05d}"] for n in range(start, start + 6)}


# -- embedding -----------------------------------------------------------------------------------


def test_every_paper_is_embedded_once(
    sessions: sessionmaker[Session], settings: Settings, ids: dict[str, int]
) -> None:
    told_counts: list[int] = []
    assert count_waiting(sessions, settings) == 24
    assert learn_meanings(sessions, settings, on_learned=told_counts.append) == 24
    assert told_counts == [24]
    assert count_waiting(sessions, settings) == 0
    assert learn_meanings(sessions, settings) == 0


def test_embedding_stops_at_its_limit_and_continues_later(
    sessions: sessionmaker[Session], settings: Settings, ids: dict[str, int]
) -> None:
    assert learn_meanings(sessions, settings, 10, at_once=4) == 10
    assert learn_meanings(sessions, settings, 100, at_once=4) == 14


def test_a_new_version_is_embedded_again(
    sessions: sessionmaker[Session], settings: Settings, session: Session
) -> None:
    first = announce(1, "lensing")
    (paper_id,) = store_papers(session, [first], on=THURSDAY).values()
    learn_meanings(sessions, settings)
    before = get_meanings(session, [paper_id])
    session.rollback()
    other = announce(1, "grasping")
    changed = replace(other, version=2, announce_type=AnnounceType.REPLACE)
    store_papers(session, [changed])
    assert learn_meanings(sessions, settings) == 1
    assert get_meanings(session, [paper_id]) != before


def test_another_model_embeds_every_paper_again(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    lexical = settings.model_copy(update={"embedder": "none"})
    assert learn_meanings(sessions, lexical) == 24
    assert set(session.scalars(select(PaperMeaning.model))) == {WORDS_ONLY}
    assert session.scalars(select(PaperMeaning.dense)).first() == b""


def test_the_papers_of_an_edition_are_embedded_before_matching(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    some = sorted(ids.values())[:5]
    assert learn_papers(sessions, settings, some) == 5
    assert learn_papers(sessions, settings, some) == 0
    assert learn_papers(sessions, settings, []) == 0
    assert set(session.scalars(select(PaperMeaning.paper_id))) == set(some)


def test_pages_have_a_note_where_no_model_is_set(settings: Settings) -> None:
    assert meaning_note(settings) == ""
    assert "words" in meaning_note(settings.model_copy(update={"embedder": "none"}))


# -- like queries --------------------------------------------------------------------------------


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("embedder", ["minilm", "wordllama", "none"])
def test_a_clause_finds_the_papers_it_describes(
    sessions: sessionmaker[Session],
    settings: Settings,
    session: Session,
    ids: dict[str, int],
    embedder: str,
) -> None:
    settings = settings.model_copy(update={"embedder": embedder})
    learn_meanings(sessions, settings)
    like_query = make_like_query(session, settings, "Gaussian Splatting for rendering", scan_few)
    assert found(session, like_query) == of_subject(ids, "splatting")


def test_a_clause_finds_the_papers_it_describes_among_few_papers(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    like_query = make_like_query(session, settings, "grasping with robot hands")
    assert like_query.generation == 0
    assert found(session, like_query) == of_subject(ids, "grasping")


def test_reading_a_like_query_stores_nothing_and_making_it_stores_it_once(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    seen = load_like_query(session, settings, "Robot  hands")
    assert session.scalars(select(LikeQuery)).all() == []
    stored = make_like_query(session, settings, "robot hands")
    assert stored == seen
    assert make_like_query(session, settings, "ROBOT hands") == load_like_query(
        session, settings, "robot hands"
    )
    assert len(session.scalars(select(LikeQuery)).all()) == 1


def test_a_stored_like_query_is_reused_after_new_papers(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    stored = make_like_query(session, settings, "robot hands", scan_few)
    session.commit()
    store_papers(session, [announce(n, "grasping") for n in range(100, 110)], on=THURSDAY)
    learn_meanings(sessions, settings)
    assert load_like_query(session, settings, "robot hands", scan_few) == stored


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("embedder", ["minilm", "wordllama"])
@pytest.mark.parametrize("spelling", ["2609.00001", "arXiv:2609.00001v2", "arxiv:2609.00001"])
def test_a_paper_as_a_like_query_finds_itself_and_similar_papers(
    sessions: sessionmaker[Session],
    settings: Settings,
    session: Session,
    ids: dict[str, int],
    spelling: str,
    embedder: str,
) -> None:
    settings = settings.model_copy(update={"embedder": embedder})
    learn_meanings(sessions, settings)
    like_query = make_like_query(session, settings, spelling, scan_few)
    assert like_query.text == "arxiv:2609.00001"
    assert found(session, like_query) == of_subject(ids, "splatting")


@pytest.mark.usefixtures("crowd")
@pytest.mark.parametrize("embedder", ["minilm", "wordllama", "none"])
@pytest.mark.parametrize("scan", [scan_few, scan_pool])
def test_several_papers_find_what_they_have_in_common(
    sessions: sessionmaker[Session],
    settings: Settings,
    session: Session,
    ids: dict[str, int],
    embedder: str,
    scan: Scan,
) -> None:
    settings = settings.model_copy(update={"embedder": embedder})
    learn_meanings(sessions, settings)
    like_query = make_like_query(session, settings, "2609.00002, 2609.00001,2609.00003v1", scan)
    assert like_query.text == "arxiv:2609.00001,arxiv:2609.00002,arxiv:2609.00003"
    assert found(session, like_query) == of_subject(ids, "splatting")


def test_one_unknown_paper_among_several_is_named(
    settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    with pytest.raises(LikeError, match=r"like:2609\.99999 names"):
        load_like_query(session, settings, "2609.00001,2609.99999")


def test_a_paper_finds_itself_among_any_number_of_papers(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    for key, paper_id in ids.items():
        like_query = load_like_query(session, settings, key)
        assert is_like(like_query, get_meanings(session, [paper_id])[0])


def test_a_like_clause_can_name_a_paper_that_is_not_embedded_yet(
    settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    like_query = make_like_query(session, settings, "2609.00001")
    assert like_query.dense
    assert found(session, like_query) == set()


def test_an_unknown_paper_raises_like_error(settings: Settings, session: Session) -> None:
    with pytest.raises(LikeError, match=r"like:2609\.99999 names a paper that is not stored here"):
        load_like_query(session, settings, "2609.99999")
    with pytest.raises(LikeError, match="not stored here"):
        load_like_query(session, settings, "biorxiv:10.1101/1")


def test_many_like_queries_are_made_at_once_without_those_of_unknown_papers(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    made = make_like_queries(
        session, settings, ["Robot hands", "robot  hands", "2609.99999", "lensing"]
    )
    assert set(made) == {"Robot hands", "robot  hands", "lensing"}
    assert made["Robot hands"] == made["robot  hands"]
    assert make_like_queries(session, settings, ["lensing"]) == {"lensing": made["lensing"]}


def test_words_without_lexemes_find_nothing(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    lexical = settings.model_copy(update={"embedder": "none"})
    learn_meanings(sessions, lexical)
    assert found(session, make_like_query(session, lexical, "the of and")) == set()


def test_equal_clauses_have_one_text() -> None:
    assert like_query_text("Graph  NETWORKS") == "graph networks"
    assert like_query_text("https://arxiv.org/abs/2609.00001v3") == "arxiv:2609.00001"


# -- generations ---------------------------------------------------------------------------------


def test_lexemes_are_counted_with_enough_papers_and_again_when_they_doubled(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    assert not count_lexemes(sessions, settings, FEW), "nothing is learned yet"
    learn_meanings(sessions, settings)
    assert count_lexemes(sessions, settings, FEW)
    assert not count_lexemes(sessions, settings, FEW)
    more = [announce(n, "parsing") for n in range(100, 124)]
    store_papers(session, more, on=THURSDAY)
    learn_meanings(sessions, settings)
    assert count_lexemes(sessions, settings, FEW)
    newest = get_generation(session)
    assert newest is not None
    assert (newest.generation, newest.paper_count) == (2, 48)


def test_another_model_starts_a_generation(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    count_lexemes(sessions, settings, FEW)
    lexical = settings.model_copy(update={"embedder": "none"})
    learn_meanings(sessions, lexical)
    assert count_lexemes(sessions, lexical, FEW)
    assert get_generation(session).model == WORDS_ONLY  # type: ignore[union-attr]


def test_too_few_papers_are_not_counted(
    sessions: sessionmaker[Session], settings: Settings, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    assert not count_lexemes(sessions, settings)


def test_stored_like_queries_are_rebuilt_for_a_new_generation(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    old = make_like_query(session, settings, "robot hands", scan_few)
    make_like_query(session, settings, "2609.00001", scan_few)
    session.commit()
    assert renew_like_queries(sessions, settings, scan=scan_few) == 0
    count_lexemes(sessions, settings, FEW)
    assert make_like_query(session, settings, "robot hands", scan_few) == old, (
        "the old like query is used until then"
    )
    session.rollback()
    assert renew_like_queries(sessions, settings, limit=1, scan=scan_few) == 1
    assert renew_like_queries(sessions, settings, scan=scan_few) == 1
    assert renew_like_queries(sessions, settings, scan=scan_few) == 0
    renewed = make_like_query(session, settings, "robot hands", scan_few)
    assert renewed.generation == 1
    assert len(session.scalars(select(LikeQuery)).all()) == 2


def test_a_like_query_of_a_deleted_paper_is_deleted(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    make_like_query(session, settings, "2609.00001", scan_few)
    session.execute(text("DELETE FROM papers WHERE key = 'arxiv:2609.00001'"))
    open_generation(session, get_meanings(session, [ids["arxiv:2609.00002"]])[0].model, 23)
    session.commit()
    assert renew_like_queries(sessions, settings, scan=scan_few) == 1
    assert renew_like_queries(sessions, settings, scan=scan_few) == 0
    assert session.scalars(select(LikeQuery)).all() == []


def test_counted_lexemes_determine_rarity(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    shipped = load_like_query(session, settings, "method treebanks", scan_few)
    session.rollback()
    count_lexemes(sessions, settings, FEW)
    counted = load_like_query(session, settings, "method treebanks", scan_few)
    assert shipped.sparse != counted.sparse
    assert get_corpus(session, ["method"]) == Corpus(24, {"method": 24})


# -- similar papers ------------------------------------------------------------------------------


def test_similar_papers_are_of_the_same_subject_best_first(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    learn_meanings(sessions, settings)
    own = ids["arxiv:2609.00001"]
    nearest = similar_papers(session, settings, own, 10)
    assert {paper_id for paper_id, _ in nearest} == of_subject(ids, "splatting") - {own}
    scores = [score for _, score in nearest]
    assert scores == sorted(scores, reverse=True)
    assert len(similar_papers(session, settings, own, 2)) == 2


def test_one_work_is_shown_once_and_never_beside_itself(
    sessions: sessionmaker[Session], settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    own, sibling, one, same = (ids[f"arxiv:2609.0000{n}"] for n in (1, 2, 3, 4))
    for paper_id, work in ((own, own), (sibling, own), (one, one), (same, one)):
        session.execute(update(Paper).where(Paper.id == paper_id).values(work_id=work))
    session.commit()
    learn_meanings(sessions, settings)
    nearest = {paper_id for paper_id, _ in similar_papers(session, settings, own, 10)}
    assert sibling not in nearest
    assert len(nearest & {one, same}) == 1
    assert len(nearest) == 3


def test_a_paper_that_is_not_embedded_yet_has_no_similar_papers(
    settings: Settings, session: Session, ids: dict[str, int]
) -> None:
    assert similar_papers(session, settings, min(ids.values()), 5) == []
