"""Editions whose day passed while the service was down: said in the mail, and to the operator."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select
from support.newsletter.press import PlannedTransport, Press, plain_text
from support.web.papers import FRIDAY, make_announcement, store_papers

from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind
from service.editions.compose import compose_chunk
from service.editions.publish import came_back, open_due_editions, pending_chunks
from service.editions.store.models import Edition
from service.operations.monitoring import report_troubles
from service.papers.domain.types import BatchState
from service.sending.deliver import deliver

TUESDAY, WEDNESDAY, THURSDAY = (FRIDAY - timedelta(days=n) for n in (3, 2, 1))
BACK = datetime(2026, 9, 18, 15, tzinfo=UTC)  # Friday, an hour after the deadline
ANNE, OPERATOR = "anne@example.org", "desk@example.org"


@pytest.fixture(autouse=True)
def _one_category(press: Press) -> None:
    changes = {"arxiv_categories": ("cs.CL",), "sources": ("arxiv",), "alert_to": OPERATOR}
    press.settings = press.settings.model_copy(update=changes)


def live(press: Press, at: datetime) -> list[str]:
    """Run the tasks of beat at a time, and return the texts of the mails that were sent."""
    press.clock.now = at
    transport = PlannedTransport()
    came_back(press.sessions, at)
    open_due_editions(press.sessions, press.settings, at)
    for chunk in pending_chunks(press.sessions):
        compose_chunk(press.sessions, press.settings, chunk, at)
    report_troubles(press.sessions, press.settings, at)
    deliver(press.sender(transport))
    return [" ".join(plain_text(mail.payload).split()) for mail in transport.sent]


def digests(press: Press, at: datetime) -> list[str]:
    """Run the tasks of beat, and return the texts of the digests that were sent."""
    return [text for text in live(press, at) if "for you" in text]


def announce(
    press: Press, on: date, *numbers: int, state: BatchState = BatchState.COMPLETE
) -> None:
    with press.sessions() as session:
        papers = [make_announcement(n, f"Parsing number {n}") for n in numbers]
        store_papers(session, papers, on, state=state)


def editions(press: Press, cadence: Cadence = Cadence.DAILY) -> list[date]:
    with press.sessions() as session:
        found = select(Edition.local_date).where(Edition.cadence == cadence).order_by(Edition.id)
        return list(session.scalars(found))


def alerts(press: Press) -> list[str]:
    rows = [row for row in press.rows() if row.kind is DeliveryKind.OPERATOR_ALERT]
    return [row.occasion for row in rows if row.occasion.startswith("missed")]


def test_one_catch_up_has_the_papers_of_all_missed_days_and_says_so(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"digest_max_papers": 2})
    press.clock.now = BACK - timedelta(days=3)
    press.add_subscribers(ANNE, hour=18)
    announce(press, TUESDAY, 1)
    live(press, press.clock())
    assert len(live(press, BACK - timedelta(days=2, hours=20))) == 1

    # Down on Wednesday and Thursday, whose papers are read when it is back.
    announce(press, WEDNESDAY, 2, 3)
    announce(press, THURSDAY, 4, 5, 6)
    announce(press, FRIDAY, 7, 8)
    live(press, BACK)
    assert editions(press) == [TUESDAY, FRIDAY]
    (text,) = digests(press, BACK + timedelta(hours=3))
    assert "Wednesday 16 September 2026 to Friday 18 September 2026 · 7 papers for you" in text
    assert (
        "No digest went out on Wednesday 16 September and Thursday 17 September, so this one has the"
        " papers of those days, too."
    ) in text
    # Two papers a day: six are shown, one is cut.
    assert "And 1 more paper" in text
    *_, row = (row for row in press.rows() if row.kind is DeliveryKind.DIGEST)
    assert len(row.paper_ids) == 6
    assert "late, announced" not in text
    assert press.edition(row.edition_id or 0).coverage["announced"] == 7
    # The next day is an ordinary one.
    announce(press, FRIDAY + timedelta(days=3), 9)
    live(press, datetime(2026, 9, 21, 15, tzinfo=UTC))
    (monday,) = digests(press, datetime(2026, 9, 21, 18, tzinfo=UTC))
    assert "No digest went out" not in monday


def test_the_operator_is_told_once_what_was_missed(press: Press) -> None:
    press.clock.now = BACK - timedelta(days=3)
    announce(press, TUESDAY, 1)
    live(press, press.clock())
    assert alerts(press) == []
    for number, on in enumerate((WEDNESDAY, THURSDAY, FRIDAY)):
        announce(press, on, 2 + number)
    texts = live(press, BACK)
    assert alerts(press) == ["missed daily 2026-09-18", "missed weekdays 2026-09-18"]
    assert any("No daily edition was opened for 2026-09-16, 2026-09-17." in text for text in texts)
    live(press, BACK + timedelta(hours=1))
    live(press, BACK + timedelta(hours=9))
    assert len(alerts(press)) == 2


def test_a_day_that_was_missed_and_not_read_is_not_called_whole(press: Press) -> None:
    press.clock.now = BACK - timedelta(days=3)
    announce(press, TUESDAY, 1)
    live(press, press.clock())
    announce(press, FRIDAY, 2)
    # The deadline has passed, but the service is just back, and reads what it missed: for an hour.
    for minutes in range(0, 60, 10):
        live(press, BACK + timedelta(minutes=minutes))
        assert editions(press) == [TUESDAY]
    live(press, BACK + timedelta(hours=1))
    assert editions(press) == [TUESDAY, FRIDAY]
    with press.sessions() as session:
        newest = session.query(Edition).filter_by(cadence=Cadence.DAILY, local_date=FRIDAY).one()
    assert newest.coverage["is_complete"] is False


def test_what_was_missed_is_read_once_after_the_service_came_back(press: Press) -> None:
    assert not came_back(press.sessions, BACK - timedelta(days=3))
    live(press, BACK - timedelta(days=3))
    # Down for twenty minutes: no edition was missed.
    assert not came_back(press.sessions, BACK - timedelta(days=3) + timedelta(minutes=20))
    assert came_back(press.sessions, BACK)
    assert not came_back(press.sessions, BACK + timedelta(minutes=1))


def test_a_service_that_is_just_back_opens_as_soon_as_it_has_read_what_it_missed(
    press: Press,
) -> None:
    press.clock.now = BACK - timedelta(days=2)
    announce(press, WEDNESDAY, 1)
    live(press, press.clock())
    announce(press, FRIDAY, 2)
    live(press, BACK)
    assert editions(press) == [WEDNESDAY]
    announce(press, THURSDAY, 3, state=BatchState.CLOSED)
    live(press, BACK + timedelta(minutes=5))
    assert editions(press) == [WEDNESDAY, FRIDAY]
    assert not any("not opened" in str(row.alert) for row in press.rows())


def test_an_edition_waits_until_the_missed_days_are_read(press: Press) -> None:
    press.clock.now = BACK - timedelta(days=2)
    announce(press, WEDNESDAY, 1)
    live(press, press.clock())
    announce(press, FRIDAY, 2)
    early = datetime(2026, 9, 18, 9, tzinfo=UTC)
    live(press, early)
    assert editions(press) == [WEDNESDAY]
    announce(press, THURSDAY, 3, state=BatchState.CLOSED)
    live(press, early + timedelta(minutes=10))
    assert editions(press) == [WEDNESDAY, FRIDAY]


def test_a_fresh_installation_has_missed_nothing(press: Press) -> None:
    announce(press, THURSDAY, 1)
    announce(press, FRIDAY, 2)
    live(press, BACK)
    assert editions(press) == [FRIDAY]
    assert editions(press, Cadence.WEEKLY) == []
    assert alerts(press) == []


MONDAY = date(2026, 9, 21)
SUNDAY_MORNING = datetime(2026, 9, 20, 9, tzinfo=UTC)


def test_a_weekly_digest_has_the_week_before_its_monday(press: Press) -> None:
    press.clock.now = SUNDAY_MORNING - timedelta(days=7)
    press.add_subscribers(ANNE, cadence=Cadence.WEEKLY, zone="Pacific/Kiritimati", hour=0)
    live(press, press.clock())
    for number, on in enumerate((date(2026, 9, 14), FRIDAY, MONDAY)):
        announce(press, on, number)
    assert digests(press, SUNDAY_MORNING) == []
    (text,) = digests(press, SUNDAY_MORNING + timedelta(hours=1))
    assert "Monday 14 September 2026 to Sunday 20 September 2026 · 2 papers for you" in text
    assert "comes late" not in text
    assert "2 of 2 announced papers checked" in text
    assert alerts(press) == []


def test_a_weekly_digest_whose_monday_was_missed_comes_late_and_says_so(press: Press) -> None:
    press.clock.now = SUNDAY_MORNING - timedelta(days=7)
    press.add_subscribers(ANNE, cadence=Cadence.WEEKLY, hour=7)
    live(press, press.clock())
    for days in range(1, 5):
        announce(press, FRIDAY - timedelta(days=days))
    announce(press, FRIDAY, 1)
    announce(press, MONDAY, 2)
    # Back on Wednesday afternoon: it is due on Thursday at seven.
    live(press, datetime(2026, 9, 23, 15, tzinfo=UTC))
    assert editions(press, Cadence.WEEKLY) == [date(2026, 9, 14), MONDAY]
    assert alerts(press)[-1] == "missed weekly 2026-09-21"
    assert digests(press, datetime(2026, 9, 24, 6, tzinfo=UTC)) == []
    (text,) = digests(press, datetime(2026, 9, 24, 7, tzinfo=UTC))
    assert (
        "This weekly digest of Monday 21 September comes late, because this service was not running"
        " when it was due."
    ) in text
    assert "Monday 14 September 2026 to Sunday 20 September 2026 · 1 paper for you" in text
    # The Monday after is on time again, and has what was announced since.
    live(press, SUNDAY_MORNING + timedelta(days=7))
    (text,) = digests(press, datetime(2026, 9, 28, 7, tzinfo=UTC))
    assert "Parsing number 2" in text
    assert "comes late" not in text


def test_two_missed_mondays_are_one_weekly_digest_of_two_weeks(press: Press) -> None:
    press.clock.now = SUNDAY_MORNING - timedelta(days=7)
    press.add_subscribers(ANNE, cadence=Cadence.WEEKLY, hour=7)
    live(press, press.clock())
    announce(press, FRIDAY, 1)
    announce(press, FRIDAY + timedelta(days=7), 2)
    live(press, SUNDAY_MORNING + timedelta(days=7))
    (text,) = digests(press, datetime(2026, 9, 28, 7, tzinfo=UTC))
    assert "Monday 14 September 2026 to Sunday 27 September 2026 · 2 papers for you" in text
    assert "No weekly digest went out on Monday 21 September" in text
