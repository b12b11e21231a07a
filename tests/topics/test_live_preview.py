"""A live preview says what the archive says, whatever it keeps, and what else a topic might be."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from threading import enumerate as threads

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session, sessionmaker
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers

from service.papers.domain.types import AnnounceType
from service.papers.store.paper_changes import list_changes
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.similarity.domain.calibration import LEAST_POOL
from service.similarity.embed_papers import learn_meanings
from service.topics.domain.language import parse_query
from service.topics.domain.language.syntax_tree import Text
from service.topics.live_preview import LivePreviews, PreviewLimits, TooBroad, _span_until
from service.topics.preview_lookup import LivePreview
from service.topics.store.recent import begin_snapshot
from service.topics.topics import TopicError, preview_topic

# Every span is read beside the requests.
ALL_BESIDE = PreviewLimits(many_papers=1)


@pytest.fixture
def previews(sessions: sessionmaker[Session], settings: Settings) -> LivePreviews:
    return LivePreviews(sessions, settings)


class Asking:
    """Asks one process's previews, each time in a transaction of its own."""

    def __init__(self, sessions: sessionmaker[Session], previews: LivePreviews) -> None:
        self.sessions = sessions
        self.previews = previews

    def __call__(self, topic: str, until: date = FRIDAY) -> LivePreview:
        with transaction(self.sessions) as session:
            return self.previews.preview(session, topic, until)


@pytest.fixture
def ask(sessions: sessionmaker[Session], previews: LivePreviews) -> Asking:
    return Asking(sessions, previews)


def test_a_preview_is_that_of_the_archive(
    ask: Asking, session: Session, settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Old Cats")], on=FRIDAY - timedelta(days=30))
    store_papers(session, [make_announcement(2, "Cats at Night")], on=THURSDAY)
    told = [make_announcement(n, f"Cats and Graphs {n}") for n in range(3, 20)]
    store_papers(session, [*told, make_announcement(20, "Dogs", categories=("cs.CV",))])
    store_papers(session, [make_announcement(21, "Tomorrow's Cats")], on=FRIDAY + timedelta(days=1))
    for topic in (
        "cats", "cats -night", "cat:cs.CV", "ti:cats cat:cs.CL", "(night OR dogs) -au:nobody",
        '"cats and graphs"', "abs:cats", "au:Hopper", "a1 OR b1 OR c1 OR d1 OR night", "nothing",
    ):  # fmt: skip
        for _ in ("first", "again"):
            found = ask(topic).matched
            assert found == preview_topic(session, settings, topic, FRIDAY), topic
    assert ask("cats").matched.total == 18
    assert ask("cats").days_known == 2


def test_papers_that_come_change_or_go_are_seen_at_once_under_any_clock(
    ask: Asking, session: Session
) -> None:
    first = make_announcement(1, "Cats")
    store_papers(session, [first])
    assert ask("cats").matched.total == 1
    store_papers(session, [make_announcement(2, "More Cats")])
    assert ask("cats").matched.total == 2
    second = replace(first, title="Dogs", abstract="x", version=2)
    store_papers(session, [replace(second, announce_type=AnnounceType.REPLACE)])
    assert ask("cats").matched.total == 1
    session.execute(text("DELETE FROM papers WHERE title = 'More Cats'"))
    session.commit()
    assert ask("cats").matched.total == 0
    assert ask("dogs", FRIDAY + timedelta(days=30)).matched.total == 0


def test_while_the_last_days_are_read_beside_the_requests_the_archive_answers(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats"), make_announcement(2, "More Cats")])
    previews = LivePreviews(sessions, settings, ALL_BESIDE)
    previews._rests_until = float("inf")
    found = Asking(sessions, previews)("cats")
    assert found.matched == preview_topic(session, settings, "cats", FRIDAY)
    assert (found.matched.total, found.days_known, found.narrower) == (2, 1, ())
    assert previews._kept is None


@contextmanager
def noting(engine: Engine) -> Iterator[list[tuple[str, str]]]:
    """The statements that Postgres is asked meanwhile, each with its parameters."""
    asked: list[tuple[str, str]] = []

    def note(*told: object) -> None:
        asked.append((str(told[2]), str(told[3])))

    event.listen(engine, "before_cursor_execute", note)
    yield asked
    event.remove(engine, "before_cursor_execute", note)


def test_only_what_changed_is_read_again(ask: Asking, session: Session, engine: Engine) -> None:
    store_papers(session, [make_announcement(n, f"Cats {n}") for n in range(1, 9)])
    with noting(engine) as asked:
        assert ask("cats").matched.total == 8
    assert sum("tsvector_to_array" in statement for statement, _ in asked) == 1
    (come,) = store_papers(session, [make_announcement(9, "Cats and Zebras")]).values()
    session.execute(text("UPDATE subscribers SET hour = 7"))
    session.commit()
    with noting(engine) as asked:
        assert ask("zebras").matched.total == 1
        assert ask("cats").matched.total == 9
    (given,) = [given for statement, given in asked if "tsvector_to_array" in statement]
    assert f"'{{{come}}}'" in given, "the one that came, and no other"


def test_a_request_that_began_before_a_change_is_answered_as_of_then(
    previews: LivePreviews,
    ask: Asking,
    session: Session,
    sessions: sessionmaker[Session],
    settings: Settings,
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    assert ask("cats").matched.total == 1
    with sessions() as early:
        begin_snapshot(early, 5_000)
        store_papers(session, [make_announcement(2, "More Cats")])
        assert ask("cats").matched.total == 2
        newer = previews._kept
        early_state = early.execute(text("SELECT pg_current_snapshot()::text")).scalar_one()
        assert previews._keep_up(early, _span_until(FRIDAY), early_state) is None
        assert preview_topic(early, settings, "cats", FRIDAY).total == 1
        assert previews._kept is newer


def test_two_visitors_follow_a_change_once(
    previews: LivePreviews, ask: Asking, session: Session, sessions: sessionmaker[Session]
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    ask("cats")
    before = previews._kept
    assert before is not None
    store_papers(session, [make_announcement(2, "More Cats")])
    with sessions() as reading:
        state = begin_snapshot(reading, 5_000)
        changed = list_changes(reading, before.state)
        first = previews._follow(reading, before, state, changed)
        assert first is not before
        assert previews._follow(reading, before, state, changed) is first


def test_a_great_change_is_read_beside_the_requests(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    previews = LivePreviews(sessions, settings, PreviewLimits(most_followed=2))
    ask = Asking(sessions, previews)
    assert ask("cats").matched.total == 1
    store_papers(session, [make_announcement(n, f"Cats {n}") for n in range(2, 9)])
    with waiting_for_threads():
        assert ask("cats").matched.total == 8
    assert previews._kept is not None
    assert len(previews._kept.index) == 8


# What only a preview that asks the archive says.
COUNTING = "GROUP BY"


def test_topics_of_replaced_papers_are_previewed_from_what_is_kept(
    ask: Asking, session: Session, settings: Settings, engine: Engine
) -> None:
    old = make_announcement(1, "Old Cats")
    store_papers(session, [old, make_announcement(5, "Old Dogs")], on=FRIDAY - timedelta(days=90))
    store_papers(session, [make_announcement(2, "Cats", categories=("cs.CV",))], on=THURSDAY)
    newer = replace(old, version=2, announce_type=AnnounceType.REPLACE)
    store_papers(session, [newer, make_announcement(3, "Cats of Today")])
    expected = {
        topic: preview_topic(session, settings, topic, FRIDAY)
        for topic in (
            "cats replaced:", "cats replaced:only", "(cats OR dogs) replaced:", "cats cross:no",
            "cat:cs.CL cross:no", "old -cats replaced:", "cat:cs.CV new:no", '"old cats" replaced:',
        )
    }  # fmt: skip
    for topic, matched in expected.items():
        for _ in ("first", "again"):
            with noting(engine) as asked:
                assert ask(topic).matched == matched, topic
            assert not [statement for statement, _ in asked if COUNTING in statement], topic
    with noting(engine) as asked:
        preview_topic(session, settings, "cats", FRIDAY)
    assert [statement for statement, _ in asked if COUNTING in statement]
    assert (expected["cats replaced:"].total, expected["cats replaced:only"].total) == (3, 1)


def test_likeness_is_tried_in_memory_and_says_what_the_archive_says(
    session: Session, sessions: sessionmaker[Session], settings: Settings, engine: Engine
) -> None:
    settings = settings.model_copy(update={"embedder": "wordllama"})
    subjects = ["Grasping with robot hands"] * 3 + ["Lensing of light by distant galaxies"] * 3
    subjects += [f"Number {n} of many {n % 7} studies of matter {n % 5}" for n in range(LEAST_POOL)]
    told = [make_announcement(n, subject) for n, subject in enumerate(subjects, 1)]
    store_papers(session, told)
    learn_meanings(sessions, settings)
    previews = LivePreviews(sessions, settings, ALL_BESIDE)
    with waiting_for_threads():
        previews.warm(FRIDAY)
    ask = Asking(sessions, previews)
    topics = ('like:"robot hands"', "like:2609.00003", 'like:"gravitational lensing" -light')
    for topic in (*topics, "like:2609.00003 replaced:"):
        expected = preview_topic(session, settings, topic, FRIDAY)
        with noting(engine) as asked:
            assert ask(topic).matched == expected, topic
        is_asked = any("array_agg(papers.id)" in statement for statement, _ in asked)
        assert is_asked is (topic == topics[2]), topic
    assert preview_topic(session, settings, topics[0], FRIDAY).total > 0
    # What comes later is like nothing until it is learned, and then at once.
    store_papers(session, [make_announcement(99, "Robot hands that grasp")])
    for _ in ("before it is learned", "afterwards"):
        for topic in topics:
            session.rollback()
            assert ask(topic).matched == preview_topic(session, settings, topic, FRIDAY), topic
        learn_meanings(sessions, settings)


@contextmanager
def waiting_for_threads() -> Iterator[None]:
    before = {*threads()}
    yield
    for thread in {*threads()} - before:
        thread.join(timeout=20)


def test_what_is_kept_has_an_end(
    sessions: sessionmaker[Session], session: Session, settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats and Dogs")])
    ask = Asking(sessions, LivePreviews(sessions, settings, PreviewLimits(most_kept=2)))
    for topic in ("cats", "dogs", "mice", "cats dogs", "cats mice"):
        assert ask(topic).matched == preview_topic(session, settings, topic, FRIDAY)
    assert ask.previews._kept is not None
    assert len(ask.previews._kept.answers) <= 2


def test_words_learned_beside_the_requests_change_no_answer(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    told = [make_announcement(n, f"Cats of Kind {n}") for n in range(1, 60)]
    store_papers(session, [*told, make_announcement(60, "Of dogs", abstract="Cats too, and cats.")])
    previews = LivePreviews(sessions, settings, ALL_BESIDE)
    with waiting_for_threads():
        previews.warm(FRIDAY)
    kept = previews._kept
    assert kept is not None
    cats = parse_query("cats")
    assert isinstance(cats, Text)
    known = kept.index.find_here(cats, {"cat": (1,)})
    assert known is not None
    assert known.bit_count() == 60
    ask = Asking(sessions, previews)
    for topic in ("cats", "cats -kind", "dogs", '"cats of kind"'):
        assert ask(topic).matched == preview_topic(session, settings, topic, FRIDAY)
    store_papers(session, [make_announcement(61, "Birds", abstract="No friends of cats")])
    assert ask("cats").matched == preview_topic(session, settings, "cats", FRIDAY)
    assert ask("cats").matched.total == 61


def test_a_broken_connection_costs_the_reading_and_nothing_else(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    previews = LivePreviews(sessions, settings, ALL_BESIDE)
    session.execute(text("ALTER TABLE papers RENAME TO elsewhere"))
    session.commit()
    with waiting_for_threads():
        previews.warm(FRIDAY)
    assert previews._kept is None
    session.execute(text("ALTER TABLE elsewhere RENAME TO papers"))
    session.commit()
    assert Asking(sessions, previews)("cats").matched.total == 1


def test_a_preview_that_takes_too_long_is_refused_politely(
    sessions: sessionmaker[Session], session: Session, settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    ask = Asking(sessions, LivePreviews(sessions, settings, PreviewLimits(time_limit_ms=50)))
    session.execute(text("LOCK TABLE papers IN ACCESS EXCLUSIVE MODE"))
    with pytest.raises(TooBroad):
        ask("cats")
    session.rollback()
    assert ask("cats").matched.total == 1


def test_a_faulty_topic_says_where(ask: Asking) -> None:
    with pytest.raises(TopicError) as raised:
        ask("cats )")
    assert raised.value.position == 5


def test_a_topic_of_many_papers_gets_narrower_ones_with_their_counts(
    ask: Asking, session: Session, settings: Settings
) -> None:
    told = [
        make_announcement(
            n,
            f"Cats {'with whiskers' if n % 2 else 'that purr'} {n}",
            categories=("cs.CL", "cs.CV") if n % 3 == 0 else ("cs.CL",),
        )
        for n in range(1, 41)
    ]
    store_papers(session, told)
    found = ask("cats")
    counts = {each.topic: each.count for each in found.narrower}
    assert counts["cats cat:cs.CV"] == 13
    assert counts["cats ti:whiskers"] == 20
    for each in found.narrower:
        assert preview_topic(session, settings, each.topic, FRIDAY).total == each.count < 40
    assert found.instead == ()
    assert ask("cats cat:cs.CV").narrower == ()


def test_a_topic_at_its_longest_gets_no_clause_more(ask: Asking, session: Session) -> None:
    store_papers(
        session,
        [
            make_announcement(n, "Cats", categories=("cs.CL",) if n % 2 else ("cs.CV",))
            for n in range(1, 41)
        ],
    )
    longest = " OR ".join(["cats", *(f"w{n}x" for n in range(199))])
    found = ask(longest)
    assert found.matched.total == 40
    assert not any("cat:" in each.topic for each in found.narrower)


def test_a_topic_that_finds_nothing_is_asked_what_it_meant(ask: Asking, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Diffusion Models for Cats")])
    said = {each.topic: (each.says, each.count) for each in ask("difusion modls").instead}
    assert said == {
        "diffusion models": ("diffusion instead of difusion and models instead of modls", 1)
    }
    (wider,) = ask("cats cat:hep-th").instead
    assert (wider.topic, wider.count) == ("cats", 1)


def test_the_name_of_a_category_is_recognised(ask: Asking, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Robotics at Home", categories=("cs.RO",))])
    found = ask("robotics")
    assert found.matched.total == 1
    assert [(each.topic, each.count) for each in found.instead] == [("cat:cs.RO", 1)]


def test_an_empty_store_promises_nothing_and_suggests_nothing(ask: Asking) -> None:
    found = ask("difusion")
    assert (found.matched.total, found.days_known, found.instead) == (0, 0, ())


# --- real papers ------------------------------------------------------------------------------
