"""Live previews equal previews by Postgres, whatever is cached, and suggest other topics."""

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
from service.topics.like_clauses import topic_condition
from service.topics.live_preview import LivePreviews, PreviewLimits, TooBroad, _span_until
from service.topics.preview_lookup import LivePreview
from service.topics.store.recent import begin_snapshot, find_newest_ids
from service.topics.topics import TopicError, preview_topic, read_topic

# Every span is loaded in a background thread.
ALL_IN_BACKGROUND = PreviewLimits(many_papers=1)


@pytest.fixture
def previews(sessions: sessionmaker[Session], settings: Settings) -> LivePreviews:
    return LivePreviews(sessions, settings)


class PreviewClient:
    """Calls the previews of one process, each time in a new transaction."""

    def __init__(self, sessions: sessionmaker[Session], previews: LivePreviews) -> None:
        self.sessions = sessions
        self.previews = previews

    def __call__(self, topic: str, until: date = FRIDAY) -> LivePreview:
        with transaction(self.sessions) as session:
            return self.previews.preview(session, topic, until)


@pytest.fixture
def ask(sessions: sessionmaker[Session], previews: LivePreviews) -> PreviewClient:
    return PreviewClient(sessions, previews)


def test_a_live_preview_equals_a_preview_by_postgres(
    ask: PreviewClient, session: Session, settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Old Cats")], on=FRIDAY - timedelta(days=30))
    store_papers(session, [make_announcement(2, "Cats at Night")], on=THURSDAY)
    announcements = [make_announcement(n, f"Cats and Graphs {n}") for n in range(3, 20)]
    store_papers(session, [*announcements, make_announcement(20, "Dogs", categories=("cs.CV",))])
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


def test_new_changed_and_deleted_papers_are_seen_at_once(
    ask: PreviewClient, session: Session
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


def test_postgres_answers_while_the_snapshot_is_loaded_in_the_background(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats"), make_announcement(2, "More Cats")])
    previews = LivePreviews(sessions, settings, ALL_IN_BACKGROUND)
    previews._next_load_at = float("inf")
    found = PreviewClient(sessions, previews)("cats")
    assert found.matched == preview_topic(session, settings, "cats", FRIDAY)
    assert (found.matched.total, found.days_known, found.narrower) == (2, 1, ())
    assert previews._snapshot is None


@contextmanager
def recorded_statements(engine: Engine) -> Iterator[list[tuple[str, str]]]:
    """Record the SQL statements that run in the block, each with its parameters."""
    statements: list[tuple[str, str]] = []

    def note(*arguments: object) -> None:
        statements.append((str(arguments[2]), str(arguments[3])))

    event.listen(engine, "before_cursor_execute", note)
    yield statements
    event.remove(engine, "before_cursor_execute", note)


def test_only_changed_papers_are_loaded_again(
    ask: PreviewClient, session: Session, engine: Engine
) -> None:
    store_papers(session, [make_announcement(n, f"Cats {n}") for n in range(1, 9)])
    with recorded_statements(engine) as statements:
        assert ask("cats").matched.total == 8
    assert sum("tsvector_to_array" in statement for statement, _ in statements) == 1
    (come,) = store_papers(session, [make_announcement(9, "Cats and Zebras")]).values()
    session.execute(text("UPDATE subscribers SET hour = 7"))
    session.commit()
    with recorded_statements(engine) as statements:
        assert ask("zebras").matched.total == 1
        assert ask("cats").matched.total == 9
    (given,) = [given for statement, given in statements if "tsvector_to_array" in statement]
    assert f"'{{{come}}}'" in given, "only the new paper"


def test_a_preview_does_not_wait_in_its_transaction_for_the_update_of_another(
    ask: PreviewClient, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    ask("cats")
    store_papers(session, [make_announcement(2, "More Cats")])
    with ask.previews._update_lock:
        assert ask("cats").matched.total == 2
    assert ask("cats").matched.total == 2


def test_an_older_transaction_does_not_see_a_newer_snapshot(
    previews: LivePreviews,
    ask: PreviewClient,
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
        newer = previews._snapshot
        early_state = early.execute(text("SELECT pg_current_snapshot()::text")).scalar_one()
        assert previews._refresh(early, _span_until(FRIDAY), early_state) is None
        assert preview_topic(early, settings, "cats", FRIDAY).total == 1
        assert previews._snapshot is newer


def test_two_requests_apply_a_change_once(
    previews: LivePreviews, ask: PreviewClient, session: Session, sessions: sessionmaker[Session]
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    ask("cats")
    before = previews._snapshot
    assert before is not None
    store_papers(session, [make_announcement(2, "More Cats")])
    with sessions() as reading:
        state = begin_snapshot(reading, 5_000)
        changed = list_changes(reading, before.state)
        first = previews._apply_changes(reading, before, state, changed)
        assert first is not before
        assert previews._apply_changes(reading, before, state, changed) is first


def test_a_large_change_is_loaded_in_the_background(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    previews = LivePreviews(sessions, settings, PreviewLimits(most_changes=2))
    ask = PreviewClient(sessions, previews)
    assert ask("cats").matched.total == 1
    store_papers(session, [make_announcement(n, f"Cats {n}") for n in range(2, 9)])
    with joining_new_threads():
        assert ask("cats").matched.total == 8
    assert previews._snapshot is not None
    assert len(previews._snapshot.index) == 8


# Part of the statement that only `preview_topic` runs.
COUNTING = "GROUP BY"


def test_topics_of_replaced_papers_are_previewed_from_the_snapshot(
    ask: PreviewClient, session: Session, settings: Settings, engine: Engine
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
            with recorded_statements(engine) as statements:
                assert ask(topic).matched == matched, topic
            assert not [statement for statement, _ in statements if COUNTING in statement], topic
    with recorded_statements(engine) as statements:
        preview_topic(session, settings, "cats", FRIDAY)
    assert [statement for statement, _ in statements if COUNTING in statement]
    assert (expected["cats replaced:"].total, expected["cats replaced:only"].total) == (3, 1)


def test_like_clauses_in_memory_find_what_postgres_finds(
    session: Session, sessions: sessionmaker[Session], settings: Settings, engine: Engine
) -> None:
    settings = settings.model_copy(update={"embedder": "wordllama"})
    subjects = ["Grasping with robot hands"] * 3 + ["Lensing of light by distant galaxies"] * 3
    subjects += [f"Number {n} of many {n % 7} studies of matter {n % 5}" for n in range(LEAST_POOL)]
    announcements = [make_announcement(n, subject) for n, subject in enumerate(subjects, 1)]
    store_papers(session, announcements)
    learn_meanings(sessions, settings)
    previews = LivePreviews(sessions, settings, ALL_IN_BACKGROUND)
    with joining_new_threads():
        previews.warm(FRIDAY)
    ask = PreviewClient(sessions, previews)
    topics = ('like:"robot hands"', "like:2609.00003", 'like:"gravitational lensing" -light')
    for topic in (*topics, "like:2609.00003 replaced:"):
        expected = preview_topic(session, settings, topic, FRIDAY)
        with recorded_statements(engine) as statements:
            assert ask(topic).matched == expected, topic
        is_in_postgres = any("array_agg(papers.id)" in statement for statement, _ in statements)
        assert is_in_postgres is (topic == topics[2]), topic
    assert preview_topic(session, settings, topics[0], FRIDAY).total > 0
    # A new paper satisfies no like query until it is embedded, and does at once afterwards.
    store_papers(session, [make_announcement(99, "Robot hands that grasp")])
    for _ in ("before it is learned", "afterwards"):
        for topic in topics:
            session.rollback()
            assert ask(topic).matched == preview_topic(session, settings, topic, FRIDAY), topic
        learn_meanings(sessions, settings)


@contextmanager
def joining_new_threads() -> Iterator[None]:
    before = {*threads()}
    yield
    for thread in {*threads()} - before:
        thread.join(timeout=20)


def test_the_cache_of_answers_is_bounded(
    sessions: sessionmaker[Session], session: Session, settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats and Dogs")])
    ask = PreviewClient(sessions, LivePreviews(sessions, settings, PreviewLimits(most_answers=2)))
    for topic in ("cats", "dogs", "mice", "cats dogs", "cats mice"):
        assert ask(topic).matched == preview_topic(session, settings, topic, FRIDAY)
    assert ask.previews._snapshot is not None
    assert len(ask.previews._snapshot.answers) <= 2


def test_common_words_loaded_in_the_background_change_no_preview(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    announcements = [make_announcement(n, f"Cats of Kind {n}") for n in range(1, 60)]
    store_papers(
        session, [*announcements, make_announcement(60, "Of dogs", abstract="Cats too, and cats.")]
    )
    previews = LivePreviews(sessions, settings, ALL_IN_BACKGROUND)
    with joining_new_threads():
        previews.warm(FRIDAY)
    snapshot = previews._snapshot
    assert snapshot is not None
    cats = parse_query("cats")
    assert isinstance(cats, Text)
    known = snapshot.index.find_here(cats, {"cat": (1,)})
    assert known is not None
    assert known.bit_count() == 60
    ask = PreviewClient(sessions, previews)
    for topic in ("cats", "cats -kind", "dogs", '"cats of kind"'):
        assert ask(topic).matched == preview_topic(session, settings, topic, FRIDAY)
    store_papers(session, [make_announcement(61, "Birds", abstract="No friends of cats")])
    assert ask("cats").matched == preview_topic(session, settings, "cats", FRIDAY)
    assert ask("cats").matched.total == 61


def test_a_search_is_answered_from_memory_as_by_postgres(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    old = [make_announcement(n, f"Old Cats {n}") for n in range(1, 4)]
    store_papers(session, old, on=FRIDAY - timedelta(days=30))
    store_papers(session, [make_announcement(n, f"Cats {n}") for n in range(4, 8)], on=THURSDAY)
    store_papers(session, [make_announcement(n, f"Cats {n}") for n in range(8, 12)])
    previews = LivePreviews(sessions, settings, ALL_IN_BACKGROUND)

    def count_look_ups(words: str, most: int) -> int:
        """Return how often Postgres was asked for papers; they are the same either way."""
        with transaction(sessions) as begun:
            begin_snapshot(begun, 2_000)
            topic = read_topic(begun, words)
            with recorded_statements(begun.connection().engine) as statements:
                found = previews.find_newest(begun, topic, FRIDAY, most)
            condition = topic_condition(begun, settings, topic[0])
            assert found == find_newest_ids(begun, condition, most), words
            return sum("MATERIALIZED" in statement for statement, _ in statements)

    assert count_look_ups("cats", 5) == 1
    with joining_new_threads():
        previews.warm(FRIDAY)
    for words in ("cats", "cat:cs.CL", "cats cat:cs.CL", "cats -cat:cs.CV", "cats OR cat:cs.CV"):
        assert count_look_ups(words, 5) == 0, words
    # Older papers and other clauses are for Postgres; it begins with a year for words of few papers.
    assert count_look_ups("cats", 9) == count_look_ups("old OR cats", 9) == 3
    assert count_look_ups("au:hopper", 5) == count_look_ups("cats cross:no", 5) == 1
    assert count_look_ups("old", 3) == count_look_ups("old cats", 3) == 1
    assert count_look_ups('"old cats"', 3) == 2
    # What comes now counts at once.
    store_papers(session, [make_announcement(12, "Cats, the newest")])
    assert count_look_ups("cats", 9) == 0
    store_papers(
        session, [make_announcement(13, "Cats of tomorrow")], on=FRIDAY + timedelta(days=1)
    )
    assert count_look_ups("cats", 5) == 1


def test_a_database_error_during_the_background_load_breaks_no_preview(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    previews = LivePreviews(sessions, settings, ALL_IN_BACKGROUND)
    session.execute(text("ALTER TABLE papers RENAME TO elsewhere"))
    session.commit()
    with joining_new_threads():
        previews.warm(FRIDAY)
    assert previews._snapshot is None
    session.execute(text("ALTER TABLE elsewhere RENAME TO papers"))
    session.commit()
    assert PreviewClient(sessions, previews)("cats").matched.total == 1


def test_a_preview_past_the_time_limit_raises_too_broad(
    sessions: sessionmaker[Session], session: Session, settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    ask = PreviewClient(sessions, LivePreviews(sessions, settings, PreviewLimits(time_limit_ms=50)))
    session.execute(text("LOCK TABLE papers IN ACCESS EXCLUSIVE MODE"))
    with pytest.raises(TooBroad):
        ask("cats")
    session.rollback()
    assert ask("cats").matched.total == 1


def test_an_invalid_topic_raises_an_error_with_its_position(ask: PreviewClient) -> None:
    with pytest.raises(TopicError) as raised:
        ask("cats )")
    assert raised.value.position == 5


def test_a_topic_with_many_papers_gets_narrower_suggestions_with_counts(
    ask: PreviewClient, session: Session, settings: Settings
) -> None:
    announcements = [
        make_announcement(
            n,
            f"Cats {'with whiskers' if n % 2 else 'that purr'} {n}",
            categories=("cs.CL", "cs.CV") if n % 3 == 0 else ("cs.CL",),
        )
        for n in range(1, 41)
    ]
    store_papers(session, announcements)
    found = ask("cats")
    counts = {each.topic: each.count for each in found.narrower}
    assert counts["cats cat:cs.CV"] == 13
    assert counts["cats ti:whiskers"] == 20
    for each in found.narrower:
        assert preview_topic(session, settings, each.topic, FRIDAY).total == each.count < 40
    assert found.instead == ()
    assert ask("cats cat:cs.CV").narrower == ()


def test_a_topic_of_the_greatest_length_gets_no_suggestion_with_one_more_clause(
    ask: PreviewClient, session: Session
) -> None:
    store_papers(
        session,
        [
            make_announcement(n, "Cats", categories=("cs.CL",) if n % 2 else ("cs.CV",))
            for n in range(1, 41)
        ],
    )
    longest = " OR ".join(["cats", *(f"w{n}x" for n in range(59))])
    found = ask(longest)
    assert found.matched.total == 40
    assert not any("cat:" in each.topic for each in found.narrower)


def test_a_topic_without_papers_gets_respelled_and_wider_suggestions(
    ask: PreviewClient, session: Session
) -> None:
    store_papers(session, [make_announcement(1, "Diffusion Models for Cats")])
    suggested = {each.topic: (each.says, each.count) for each in ask("difusion modls").instead}
    assert suggested == {
        "diffusion models": ("diffusion instead of difusion and models instead of modls", 1)
    }
    (wider,) = ask("cats cat:hep-th").instead
    assert (wider.topic, wider.count) == ("cats", 1)


def test_the_name_of_a_category_suggests_the_category(ask: PreviewClient, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Robotics at Home", categories=("cs.RO",))])
    found = ask("robotics")
    assert found.matched.total == 1
    assert [(each.topic, each.count) for each in found.instead] == [("cat:cs.RO", 1)]


def test_an_empty_database_gives_an_empty_preview_without_suggestions(ask: PreviewClient) -> None:
    found = ask("difusion")
    assert (found.matched.total, found.days_known, found.instead) == (0, 0, ())


# --- real papers ------------------------------------------------------------------------------
