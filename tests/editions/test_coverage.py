"""A day is whole when every category that is watched is in, also those nobody has asked for yet."""

from __future__ import annotations

from datetime import date, datetime

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from service.editions.coverage import find_unfinished
from service.editions.publish import open_due_editions
from service.editions.store.editions import list_editions
from service.papers.domain.types import BatchState
from service.papers.store.batches import open_batch
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings

FRIDAY = date(2026, 9, 18)


def complete(session: Session, category: str, now: datetime) -> None:
    open_batch(session, "arxiv", category, FRIDAY, now).state = BatchState.COMPLETE
    session.commit()


@pytest.fixture
def two_categories(settings: Settings) -> Settings:
    return settings.model_copy(update={"arxiv_categories": ("cs.CL", "cs.LG")})


def test_no_edition_opens_between_the_first_category_and_the_second(
    session: Session, engine: Engine, two_categories: Settings, now: datetime
) -> None:
    sessions = make_sessions(engine)
    complete(session, "cs.CL", now)
    open_due_editions(sessions, two_categories, now)
    assert list_editions(session, FRIDAY) == []
    (waiting,) = find_unfinished(sessions, two_categories, FRIDAY)
    assert (waiting.source, waiting.category) == ("arxiv", "cs.LG")

    complete(session, "cs.LG", now)
    assert find_unfinished(sessions, two_categories, FRIDAY) == ()
    open_due_editions(sessions, two_categories, now)
    assert {edition.local_date for edition in list_editions(session, FRIDAY)} == {FRIDAY}


def test_a_day_without_gating_sources_waits_for_those_there_are(
    engine: Engine, settings: Settings
) -> None:
    alone = settings.model_copy(update={"sources": ("huggingface",)})
    (waiting,) = find_unfinished(make_sessions(engine), alone, FRIDAY)
    assert (waiting.source, waiting.category) == ("huggingface", "")
