"""Sixty real days with random kills, and fifteen quiet ones: nothing lost, nothing twice.

A sample by default: PAPERBOY_REPLAY_PAPERS and PAPERBOY_REPLAY_READERS set the size (papers of arXiv
per day, subscribers); the list of the day is always complete.
"""

import os
import random
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Engine
from support.newsletter.press import make_press
from support.replay.replaying import (
    Books,
    Fate,
    Replay,
    choose_topics,
    match_everything,
    read_books,
    read_sample,
)

from service.platform.settings.settings import Settings

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1800)]

DAYS = int(os.environ.get("PAPERBOY_REPLAY_DAYS", "60"))
PAPERS = int(os.environ.get("PAPERBOY_REPLAY_PAPERS", "12"))
SUBSCRIBERS = int(os.environ.get("PAPERBOY_REPLAY_READERS", "20"))


def replay(
    settings: Settings, engine: Engine, folder: Path, days: int, fate: Fate
) -> tuple[Replay, dict[int, list[str]], Books]:
    sample = read_sample(folder, days, PAPERS)
    watching = settings.model_copy(
        update={"sources": ("arxiv", "huggingface"), "arxiv_categories": ("cs.LG",)}
    )
    press = make_press(watching, engine, datetime(2026, 3, 1, tzinfo=UTC))
    chance = random.Random(20_593)  # not for secrets: the same readers every time
    topics = {
        press.add_subscribers(f"reader{n}@example.org", topics=own)[0]: own
        for n in range(SUBSCRIBERS)
        for own in [choose_topics(chance)]
    }
    run = Replay(press, watching, sample, fate)
    run.run()
    return run, topics, read_books(press)


@pytest.mark.parametrize(
    ("days", "odds"), [(DAYS // 4, 0.0), (DAYS, 0.03)], ids=["quiet", "killed at random"]
)
def test_real_days_lose_no_paper_and_bring_none_twice(
    settings: Settings, engine: Engine, real_data: Path, days: int, odds: float
) -> None:
    began = time.monotonic()
    fate = Fate(random.Random(4711), odds)  # the same kills every time
    run, topics, books = replay(settings, engine, real_data, days, fate)
    took = time.monotonic() - began
    counts = (
        f"{len(run.sample.days)} days, {run.sample.paper_count} papers, {len(topics)} readers, "
        f"{dict(books.states)}, kills {dict(fate.kills)}, carried {run.carried_count}, {took:.0f} s"
    )
    print(counts)  # noqa: T201  # the figures of the run, shown with -s
    assert len(books.announced) == run.sample.paper_count, counts
    assert set(books.placed) == books.announced
    assert set(books.placed.values()) == {1}
    assert books.open_count == 0
    assert set(books.states) <= {"sent", "skipped", "carried"}
    # Sent at most once, whichever process died.
    assert set(run.wire.values()) == {1}
    wanted = match_everything(run.press, topics)
    for subscriber, papers in wanted.items():
        sent = books.sent.get(subscriber, Counter())
        assert set(sent.values()) <= {1}, subscriber
        carried = books.carried.get(subscriber, frozenset())
        brought = set(sent) | books.cut.get(subscriber, frozenset()) | carried
        assert brought == papers, subscriber
    if odds:
        assert sum(fate.kills.values()) > 10, counts
