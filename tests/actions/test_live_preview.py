"""A live preview says what the archive says, whatever it keeps, and what else a topic might be."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice, pairwise
from pathlib import Path

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session, sessionmaker
from support.web_papers import FRIDAY, THURSDAY, make_announcement, store_papers

from service.actions import live_preview
from service.actions.live_preview import LivePreview, LivePreviews, TooBroad
from service.actions.topics import TopicError, preview_topic
from service.config import Settings
from service.domain.matching import match_day
from service.domain.query import leaf_texts, parse_query
from service.domain.types import AnnounceType
from service.store.engine import make_sessions, transaction
from service.store.models import PaperRow
from service.store.reading import index_papers
from service.store.topic_sql import fetch_lexemes

NEVER = 10**9


@pytest.fixture
def sessions(engine: Engine) -> sessionmaker[Session]:
    return make_sessions(engine)


@pytest.fixture
def previews(sessions: sessionmaker[Session], settings: Settings) -> LivePreviews:
    return LivePreviews(sessions, settings)


class Asking:
    """Asks one process's previews, each time in a transaction of its own."""

    def __init__(self, sessions: sessionmaker[Session], previews: LivePreviews) -> None:
        self.sessions = sessions
        self.previews = previews

    def __call__(self, topic: str, until: date = FRIDAY) -> LivePreview:
        # Papers come at once here; a site rests between two readings of the last days.
        self.previews._rests_until = 0.0
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


def test_while_the_last_days_are_not_read_anew_the_archive_answers(
    ask: Asking,
    previews: LivePreviews,
    session: Session,
    sessions: sessionmaker[Session],
    settings: Settings,
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    assert ask("cats").matched.total == 1
    store_papers(session, [make_announcement(2, "More Cats")])
    previews._rests_until = float("inf")
    with transaction(sessions) as reading:
        found = previews.preview(reading, "cats", FRIDAY)
    assert found.matched == preview_topic(session, settings, "cats", FRIDAY)
    assert (found.matched.total, found.days_known, found.narrower) == (2, 1, ())


def test_two_visitors_read_the_last_days_once(previews: LivePreviews, session: Session) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    span = (THURSDAY, FRIDAY)
    first = previews._read_anew(session, span, (1, 2))
    assert first is not None
    assert previews._read_anew(session, span, (1, 2)) is first


def test_what_is_kept_has_an_end(
    ask: Asking, session: Session, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats and Dogs")])
    monkeypatch.setattr(live_preview, "_MOST_KEPT", 2)
    for topic in ("cats", "dogs", "mice", "cats dogs", "cats mice"):
        assert ask(topic).matched == preview_topic(session, settings, topic, FRIDAY)
    assert len(ask.previews._kept.answers) <= 2  # type: ignore[union-attr]


def test_words_learned_beside_the_requests_change_no_answer(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    told = [make_announcement(n, f"Cats of Kind {n}") for n in range(1, 60)]
    store_papers(session, [*told, make_announcement(60, "Of dogs", abstract="Cats too, and cats.")])
    previews = LivePreviews(sessions, settings, many_papers=NEVER)
    ask = Asking(sessions, previews)
    ask("zebra")
    kept = previews._kept
    assert kept is not None
    kept.answers.clear()
    previews._learn_common_words(kept)
    known = kept.index.find_here(parse_query("cats"), {"cat": (1,)})
    assert known is not None
    assert known.bit_count() == 60
    for topic in ("cats", "cats -kind", "dogs", '"cats of kind"'):
        assert ask(topic).matched == preview_topic(session, settings, topic, FRIDAY)


def test_words_are_learned_in_the_background_where_there_are_many_papers(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    from threading import enumerate as threads

    store_papers(session, [make_announcement(1, "Cats")])
    previews = LivePreviews(sessions, settings, many_papers=1)
    before = {*threads()}
    Asking(sessions, previews)("zebra")
    for thread in {*threads()} - before:
        thread.join(timeout=20)
    kept = previews._kept
    assert kept is not None
    assert kept.index.find_here(parse_query("cats"), {"cat": (1,)}) == kept.index.everything


def test_words_of_another_state_of_the_store_are_not_learned(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    previews = LivePreviews(sessions, settings, many_papers=NEVER)
    Asking(sessions, previews)("zebra")
    kept = previews._kept
    assert kept is not None
    store_papers(session, [make_announcement(2, "More Cats")])
    previews._learn_common_words(kept)
    assert kept.index.find_here(parse_query("cats"), {"cat": (1,)}) is None


def test_a_broken_connection_costs_the_words_and_nothing_else(
    session: Session, sessions: sessionmaker[Session], settings: Settings
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    previews = LivePreviews(sessions, settings, many_papers=NEVER)
    Asking(sessions, previews)("zebra")
    kept = previews._kept
    assert kept is not None
    session.execute(text("DROP TABLE papers CASCADE"))
    session.commit()
    previews._learn_common_words(kept)
    assert kept.index.find_here(parse_query("cats"), {"cat": (1,)}) is None


def test_a_preview_that_takes_too_long_is_refused_politely(
    ask: Asking, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_papers(session, [make_announcement(1, "Cats")])
    monkeypatch.setattr(live_preview, "TIME_LIMIT_MS", 50)
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


def read_real(real_data: Path, count: int) -> list[dict[str, list[str]]]:
    with gzip.open(real_data / "bulk/dev/arxiv_cs.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, 0, 60 * count, 60)]


def make_topics(papers: list[dict[str, list[str]]], count: int) -> Iterator[str]:
    chance = random.Random(5)  # the same topics in every run
    titles = [[w for w in str(p["title"]).split() if w.isalpha()] for p in papers]
    titles = [title for title in titles if len(title) > 2]
    for _ in range(count):
        words = [chance.choice(chance.choice(titles)) for _ in range(10)]
        phrase = " ".join(chance.choice([*pairwise(chance.choice(titles))]))
        code = chance.choice(papers)["categories"][0]
        name = chance.choice(papers)["authors"][0]
        yield chance.choice(
            [
                words[0],
                f"{words[0]} -{words[1]}",
                f'"{phrase}"',
                f"ti:{words[0]} OR cat:{code}",
                f'au:"{name}"',
                " OR ".join(words),
                f'({words[0]} OR "{phrase}") -cat:{code}',
            ]
        )


@pytest.mark.real
def test_preview_archive_and_daily_match_agree_on_real_papers(
    ask: Asking, session: Session, real_data: Path, settings: Settings
) -> None:
    papers = read_real(real_data, 400)
    told = [
        make_announcement(
            n,
            str(paper["title"]),
            abstract=paper["abstract"],
            authors=tuple(paper["authors"]),
            categories=tuple(paper["categories"]),
        )
        for n, paper in enumerate(papers, start=1)
    ]
    store_papers(session, told)
    day = index_papers(session, list(session.scalars(select(PaperRow.id))))
    found_count = 0
    for topic in make_topics(papers, 250):
        try:
            found = ask(topic)
        except TopicError:
            continue
        query = parse_query(topic)
        lexicon = fetch_lexemes(session, leaf_texts(query))
        matched = {paper for _, paper, _ in match_day([(1, query)], day, lexicon)}
        assert found.matched == preview_topic(session, settings, topic, FRIDAY), topic
        assert found.matched.total == len(matched), topic
        assert {paper.id for paper in found.matched.newest} <= matched
        found_count += bool(matched)
    assert found_count > 150
