"""A day is complete when all watched categories are in, even those not fetched yet."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session
from support.newsletter.press import Press
from support.web.papers import FRIDAY, THURSDAY, make_announcement, store_papers

from service.deliveries.domain.recipients import Cadence
from service.editions.coverage import day_coverage, describe_coverage, find_unfinished
from service.editions.domain.coverage import Coverage, join_coverages, parse_coverage
from service.editions.publish import open_due_editions
from service.editions.store.edition_papers import assign_papers
from service.editions.store.editions import insert_edition, list_editions
from service.operations.status import find_status
from service.papers.domain.types import BatchState
from service.papers.store.batches import get_batches, open_batch
from service.platform.database.engine import make_sessions
from service.platform.settings.settings import Settings
from service.presentation.coverage import coverage_line


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


def test_a_day_without_gating_sources_waits_for_the_others(
    engine: Engine, settings: Settings
) -> None:
    alone = settings.model_copy(update={"sources": ("huggingface",)})
    (waiting,) = find_unfinished(make_sessions(engine), alone, FRIDAY)
    assert (waiting.source, waiting.category) == ("huggingface", "")


SATURDAY = FRIDAY + timedelta(days=1)


def only(press: Press, *categories: str) -> Settings:
    return press.settings.model_copy(update={"arxiv_categories": categories})


def test_the_coverage_counts_announced_and_late_papers(press: Press, session: Session) -> None:
    press.add_papers(1, on=THURSDAY)
    press.publish(THURSDAY)
    press.add_papers(2, on=THURSDAY)
    press.add_papers(3, 4)
    edition = insert_edition(session, Cadence.DAILY, FRIDAY, press.clock(), sends_now=True)
    assert edition is not None
    assign_papers(session, edition, timedelta(days=7))
    coverage = describe_coverage(session, edition, only(press, "cs.CL"))
    assert (coverage.announced, coverage.late) == (2, 1)
    assert (coverage.is_complete, coverage.note) == (True, "")


@pytest.mark.parametrize("state", [BatchState.EXPECTED, BatchState.PARTIAL])
def test_the_coverage_names_missing_categories(
    press: Press, session: Session, state: BatchState
) -> None:
    store_papers(session, [make_announcement(1, "Parsing")], category="cs.LG", state=state)
    press.add_papers(2)
    settings = only(press, "cs.CL", "cs.LG", "cs.CV")
    edition = insert_edition(session, Cadence.DAILY, FRIDAY, press.clock(), sends_now=True)
    assert edition is not None
    coverage = describe_coverage(session, edition, settings)
    assert not coverage.is_complete
    # One category is partly in, the other was never fetched, which is not complete either.
    assert coverage.note == "Not complete yet: cs.LG, cs.CV."
    session.commit()
    waiting = find_unfinished(press.sessions, settings, FRIDAY)
    assert {batch.category for batch in waiting} == {"cs.LG", "cs.CV"}


def test_a_weekly_edition_counts_its_whole_week_and_names_the_day_that_is_not_whole(
    press: Press, session: Session
) -> None:
    monday = FRIDAY + timedelta(days=3)
    press.add_papers(1, 2, on=THURSDAY)
    press.add_papers(3, on=FRIDAY)
    press.add_papers(4, on=monday)
    press.add_papers(5, on=monday - timedelta(days=7))
    settings = only(press, "cs.CL")
    edition = insert_edition(session, Cadence.WEEKLY, monday, press.clock(), sends_now=True)
    assert edition is not None
    coverage = describe_coverage(session, edition, settings)
    assert (coverage.announced, coverage.checked, coverage.is_complete) == (4, 4, True)
    (thursday,) = get_batches(session, THURSDAY)
    thursday.state = BatchState.PARTIAL
    session.flush()
    coverage = describe_coverage(session, edition, settings)
    assert (coverage.announced, coverage.is_complete) == (4, False)
    assert coverage.note == "Thursday 17 September: Not complete yet: cs.CL."


def test_a_week_without_any_announcement_has_the_note_of_its_last_day(
    press: Press, session: Session
) -> None:
    monday = FRIDAY + timedelta(days=3)
    nothing, missing = (
        Coverage(announced=0, checked=0, note="holiday"),
        Coverage(announced=2, checked=1, is_complete=False, note="1 missing."),
    )
    assert join_coverages({FRIDAY: nothing, monday: nothing}) is nothing
    joined = join_coverages({FRIDAY: missing, monday: nothing})
    assert (joined.announced, joined.checked, joined.note) == (
        2,
        1,
        "Friday 18 September: 1 missing.",
    )


def test_an_empty_day_says_why_it_is_empty(press: Press, session: Session) -> None:
    notes = {}
    for on in (FRIDAY, SATURDAY):
        store_papers(session, [], on)
        edition = insert_edition(session, Cadence.DAILY, on, press.clock(), sends_now=True)
        assert edition is not None
        coverage = describe_coverage(session, edition, only(press, "cs.CL"))
        assert (coverage.announced, coverage.is_complete) == (0, True)
        notes[on] = coverage.note
    assert notes == {
        FRIDAY: "arXiv announced nothing today.",
        SATURDAY: "arXiv announces nothing at the weekend.",
    }


def test_mails_pages_and_commands_agree_on_an_unreadable_entry(
    press: Press, session: Session
) -> None:
    press.add_papers(1, 2)
    (batch,) = get_batches(session, FRIDAY)
    batch.bad_count, batch.expected_count = 1, 3
    session.commit()
    edition = insert_edition(session, Cadence.DAILY, FRIDAY, press.clock(), sends_now=True)
    assert edition is not None
    settings = only(press, "cs.CL")
    coverage = describe_coverage(session, edition, settings)
    assert coverage_line(coverage) == "2 of 3 announced papers checked"
    assert coverage.note == "1 entry could not be read (cs.CL)."
    assert day_coverage(session, FRIDAY, settings) == coverage
    session.commit()
    status = find_status(press.sessions, settings, FRIDAY, press.clock())
    assert status.coverage == coverage
    assert parse_coverage(coverage.as_json()) == coverage


def test_a_category_watched_since_yesterday_leaves_earlier_days_complete(
    press: Press, session: Session
) -> None:
    press.add_papers(1)
    coverage = day_coverage(session, FRIDAY, only(press, "cs.CL", "cs.CV"))
    assert coverage is not None
    assert (coverage.is_complete, coverage.note) == (True, "")
