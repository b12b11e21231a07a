"""Months of deliveries: PostgreSQL enforces uniqueness, look-ups read one month, dropping takes no time."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from psycopg.errors import CheckViolation, ForeignKeyViolation, UniqueViolation
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press
from support.newsletter.years import counting_reads, fill_months
from support.web.papers import FRIDAY

from service.bounces.store.bounces import lock_delivery
from service.deliveries.domain.months import IDS, end_of, month_of, month_of_id, next_month
from service.deliveries.domain.states import DeliveryKind
from service.deliveries.store.deliveries import insert_mail, list_events
from service.deliveries.store.months import list_months, make_month
from service.operations.status import find_status
from service.sending.deliver import deliver
from service.sending.store.claim import Claimer, claim_due

ROWS = 300
INSERT = text("""
INSERT INTO deliveries (id, kind, edition_id, subscriber_id, state, due_at, send_not_after,
    created_at, updated_at)
SELECT :month * 1000000000000 + nextval('deliveries_id_seq'), 'digest', :edition, :subscriber,
    'queued', :now, :now, :now, :now
""")


def test_months_follow_each_other_over_a_year() -> None:
    assert month_of(datetime(2026, 11, 30, 23, 59, tzinfo=UTC)) == 2611
    assert [next_month(2611), next_month(2612)] == [2612, 2701]
    assert end_of(2612) == datetime(2027, 1, 1, tzinfo=UTC)
    assert month_of_id(2611 * IDS + 42) == 2611
    assert month_of_id(42) == 0


def test_an_edition_makes_the_month_that_it_is_published_into(press: Press) -> None:
    press.add_subscribers("reader@example.org")
    press.add_papers(1)
    with press.sessions() as session:
        assert list_months(session) == []
    press.publish()
    with press.sessions() as session:
        assert list_months(session) == [2609]
    assert month_of_id(press.row().id) == press.row().edition_month == 2609
    assert deliver(press.sender(PlannedTransport())).total == 1


def test_two_processes_make_a_month_once(press: Press, engine: Engine) -> None:
    errors: list[Exception] = []

    def make() -> None:
        try:
            with press.sessions.begin() as session:
                make_month(session, 2611)
        except Exception as error:  # noqa: BLE001  # asserted below
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert errors == []
    with press.sessions() as session:
        assert list_months(session) == [2611]


def test_the_database_refuses_a_second_digest_of_an_edition_across_a_race(press: Press) -> None:
    (subscriber,) = press.add_subscribers("reader@example.org")
    press.add_papers(1)
    edition = press.publish()
    given = {"month": 2609, "edition": edition, "subscriber": subscriber, "now": press.clock()}
    with press.sessions.begin() as session:
        session.execute(text("DELETE FROM deliveries"))
    outcomes: list[str] = []

    def insert() -> None:
        try:
            with press.sessions.begin() as other:
                other.execute(INSERT, given)
            outcomes.append("inserted")
        except IntegrityError as error:
            outcomes.append(type(error.orig).__name__)

    with press.sessions.begin() as session:
        session.execute(INSERT, given)
        racing = threading.Thread(target=insert)
        racing.start()
        # It waits for this transaction.
        racing.join(timeout=0.2)
        assert outcomes == []
    racing.join(timeout=10)
    assert outcomes == [UniqueViolation.__name__]
    assert len(press.rows()) == 1


def test_the_database_refuses_a_digest_in_another_month_than_its_editions(press: Press) -> None:
    (subscriber,) = press.add_subscribers("reader@example.org")
    press.add_papers(1)
    edition = press.publish()
    with press.sessions.begin() as session:
        make_month(session, 2610)
    given = {"edition": edition, "subscriber": subscriber, "now": press.clock()}
    for month, refusal in ((2610, ForeignKeyViolation), (0, CheckViolation)):
        with pytest.raises(IntegrityError) as caught, press.sessions.begin() as session:
            session.execute(INSERT, given | {"month": month})
        assert isinstance(caught.value.orig, refusal)


def test_a_mail_without_an_edition_has_its_occasion_once(press: Press, session: Session) -> None:
    (subscriber,) = press.add_subscribers("reader@example.org")
    now = press.clock()
    mails = [insert_mail(session, DeliveryKind.WELCOME, subscriber, "1", now, now) for _ in "ab"]
    assert mails[1] is None
    assert month_of_id(mails[0] or 0) == 0


def test_what_is_done_all_day_reads_no_row_of_earlier_months(press: Press, engine: Engine) -> None:
    fill_months(press.sessions, press.clock(), 13, ROWS)
    press.add_subscribers(*(f"reader{n}@example.org" for n in range(40)))
    press.add_papers(1)
    edition = press.publish()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as direct:
        direct.exec_driver_sql("VACUUM (ANALYZE)")
    steps: dict[str, dict[int, int]] = {}

    with counting_reads(engine) as reads:
        with press.sessions.begin() as session:
            claim_due(session, Claimer(7, timedelta(0), None), 5, press.clock())
        steps["claim"] = dict(reads)
        reads.clear()
        deliver(press.sender(PlannedTransport()))
        steps["deliver"] = dict(reads)
        reads.clear()
        find_status(press.sessions, press.settings, FRIDAY, press.clock())
        steps["status"] = dict(reads)
        reads.clear()
        with press.sessions.begin() as session:
            lock_delivery(session, press.rows(edition)[0].id)
            list_events(session, press.rows(edition)[0])
        steps["bounce"] = dict(reads)
    for step, months in steps.items():
        assert {month for month, count in months.items() if count} <= {2609}, (step, months)
        assert months.get(2609), step
    assert press.states(edition)["sent"] == 35
