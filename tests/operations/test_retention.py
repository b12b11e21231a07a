"""Each kind of row goes when docs/privacy.md says so, and nothing waits for it."""

import re
import threading
from datetime import UTC, date, datetime, timedelta

import httpx2
from sqlalchemy import Engine, func, select, text
from sqlalchemy.orm import Session
from support.newsletter.press import PlannedTransport, Press
from support.newsletter.years import after, counting_reads, fill_months
from support.rules import ROOT
from support.web.papers import FRIDAY
from support.web.server import serve

from service.bounces.store.models import QuarantinedMail
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.deliveries import insert_mail, record_event
from service.deliveries.store.models import Delivery, DeliveryEvent, MailCopy, MailPart
from service.deliveries.store.months import drop_month, list_months
from service.editions.store.models import Edition
from service.messages.browser_copy import sent_html
from service.operations.domain.retention import TERMS, is_over
from service.operations.monitoring import find_troubles
from service.operations.retention import Removed, apply_retention
from service.operations.status import find_status
from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber
from service.web.app import create_app

NOTHING = Removed((), (), {})


def retain(press: Press, now: datetime) -> Removed:
    return apply_retention(press.sessions, press.settings, now)


def count(session: Session, table: str) -> int:
    return session.execute(select(func.count()).select_from(text(table))).scalar_one()


def test_every_table_has_one_term_and_every_term_has_tables(session: Session) -> None:
    tables = session.scalars(
        text(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = current_schema()::regnamespace"
        )
    )
    named = [table for term in TERMS for table in term.tables]
    assert sorted(named) == sorted(tables)


def test_the_handbook_lists_the_terms_of_the_defaults(press: Press) -> None:
    page = (ROOT / "docs/privacy.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| {', '.join(f'`{table}`' for table in term.tables)} | {term.what}"
        f" | {term.until_by(press.settings)} |"
        for term in TERMS
    ]


def test_a_year_of_months_is_emptied_and_dropped_in_its_time(press: Press) -> None:
    months = fill_months(press.sessions, press.clock(), 13, 50)
    assert (months[0], months[-1]) == (2508, 2608)
    now = after(2608, days=5)
    retain(press, now)
    with press.sessions() as session:
        assert list_months(session) == [*months, 2609, 2610]
        kept = {
            table: [month for month in months if count(session, f"{table}_{month}")]
            for table in ("deliveries", "delivery_events", "mail_copies", "mail_parts")
        }
        assert kept["deliveries"] == months
        # Events stay for 30 days after the month, copies and their parts for 90.
        assert kept["delivery_events"] == [2608]
        assert kept["mail_copies"] == kept["mail_parts"] == [2606, 2607, 2608]
    assert retain(press, now) == NOTHING
    # 400 days after the end of August 2025, and not a moment before.
    over = after(2508, days=400)
    assert not is_over(2508, 400, over - timedelta(seconds=1))
    assert retain(press, over - timedelta(seconds=1)).dropped == ()
    assert retain(press, over) == Removed((2508,), (), {"editions": 1})
    assert retain(press, over) == NOTHING
    with press.sessions() as session:
        assert list_months(session)[:1] == [2509]
        assert count(session, "editions") == 12
        assert count(session, "deliveries") == 600


def test_a_month_in_use_is_left_for_later_and_keeps_nobody_waiting(press: Press) -> None:
    fill_months(press.sessions, press.clock(), 14, 10)
    now = after(2507, days=400)
    with press.sessions() as dump:
        # As pg_dump does for hours.
        dump.execute(text("LOCK TABLE deliveries, delivery_events IN ACCESS SHARE MODE"))
        removed = retain(press, now)
        assert 2507 in removed.busy
        assert removed.dropped == ()
        press.add_subscribers("reader@example.org")
        press.add_papers(1)
        press.publish()
        assert deliver(press.sender(PlannedTransport())).total == 1
        with press.sessions() as session:
            overdue = [t.occasion for t in find_troubles(session, press.settings, now)]
            assert "overdue month 2507" not in overdue
            late = now + timedelta(days=3)
            (found,) = [
                t
                for t in find_troubles(session, press.settings, late)
                if t.occasion == "overdue month 2507"
            ]
            assert found.alert.subject == "Mail of 2025-07 is not deleted"
    assert retain(press, now).dropped == (2507,)


def test_an_edition_is_sent_while_a_year_is_dropped(press: Press) -> None:
    fill_months(press.sessions, press.clock(), 13, 50)
    press.add_subscribers(*(f"reader{n}@example.org" for n in range(200)))
    press.add_papers(1)
    edition = press.publish()
    dropped: list[int] = []
    is_sent = threading.Event()

    def drop() -> None:
        for over in range(2508, 2513):
            # Tried until it has its lock between two windows, as by the task each hour.
            while over not in dropped and not is_sent.is_set():
                dropped.extend(retain(press, after(over, days=400)).dropped)

    dropping = threading.Thread(target=drop)

    def begin_dropping() -> None:
        if dropping.ident is None:
            dropping.start()

    transport = PlannedTransport(meanwhile=begin_dropping)
    deliver(press.sender(transport))
    is_sent.set()
    dropping.join(timeout=60)
    assert press.states(edition)["sent"] == 200
    assert len(transport.sent) == 200
    assert dropped


def test_a_run_that_was_killed_after_the_drop_is_finished_by_the_next(press: Press) -> None:
    fill_months(press.sessions, press.clock(), 14, 10)
    assert drop_month(press.sessions, 2507)
    assert drop_month(press.sessions, 2507)
    removed = retain(press, after(2507, days=400))
    assert removed.rows["editions"] == 1
    assert removed.dropped == ()


def test_a_late_bounce_of_an_emptied_month_is_recorded(press: Press) -> None:
    fill_months(press.sessions, press.clock(), 3, 10)
    retain(press, press.clock())
    with press.sessions.begin() as session:
        row = session.scalars(select(Delivery).where(Delivery.edition_month == 2606)).first()
        assert row is not None
        record_event(session, row, DeliveryState.BOUNCED, "550 no", press.clock())
    with press.sessions() as session:
        assert count(session, "delivery_events_2606") == 1


def test_mails_of_no_edition_go_one_by_one(press: Press) -> None:
    (subscriber,) = press.add_subscribers("reader@example.org")
    now = press.clock()
    with press.sessions.begin() as session:
        number = insert_mail(session, DeliveryKind.WELCOME, subscriber, "1", now, now)
        assert number is not None
        row = session.get_one(Delivery, number)
        record_event(session, row, DeliveryState.SENT, "250", now)
        session.add(MailCopy(delivery_id=number, content_hash=b"h", recipe=b"r", created_at=now))
        session.add(MailPart(month=0, key=b"k", body=b"b", stored_at=now))
        mail = {"source": "smtp", "reason": "?", "place": "", "size": 1, "created_at": now}
        session.add(QuarantinedMail(key="k", **mail))
    assert retain(press, now + timedelta(days=30)) == NOTHING
    steps = {
        31: {"delivery_events_single": 1, "quarantined_mails": 1},
        91: {"mail_copies_single": 1, "mail_parts_single": 1},
        401: {"deliveries_single": 1},
    }
    for days, rows in steps.items():
        assert retain(press, now + timedelta(days=days)).rows == rows


def copy_of(press: Press, session: Session, number: int) -> bytes | None:
    delivery = session.get_one(Delivery, number)
    subscriber = session.get_one(Subscriber, delivery.subscriber_id)
    return sent_html(session, delivery, subscriber, press.settings)


def test_a_digest_whose_copy_is_gone_is_rendered_anew(press: Press) -> None:
    press.add_subscribers("reader@example.org")
    press.add_papers(1)
    press.publish()
    deliver(press.sender(PlannedTransport()))
    number = press.row().id
    with press.sessions() as session:
        assert copy_of(press, session, number)
    retain(press, after(2609, days=90))
    with press.sessions() as session:
        assert copy_of(press, session, number) is None
        assert session.scalars(select(DeliveryEvent)).all() == []
        assert count(session, "mail_parts") == 0


def test_each_month_has_its_own_parts_also_within_a_run(press: Press) -> None:
    """A run remembers which parts it stored, and September's are deleted before October's."""
    press.add_subscribers("reader@example.org")
    press.clock.forward(days=12, hours=18)
    assert press.clock() == datetime(2026, 9, 30, 23, tzinfo=UTC)
    press.add_papers(1, on=date(2026, 9, 30))
    press.publish(date(2026, 9, 30))
    press.clock.forward(hours=2)
    press.add_papers(2, on=date(2026, 10, 1))
    later = press.publish(date(2026, 10, 1))
    assert deliver(press.sender(PlannedTransport())).total == 2
    retain(press, after(2609, days=91))
    with press.sessions() as session:
        assert count(session, "mail_parts_2609") == 0
        assert copy_of(press, session, press.row(later).id)


def test_status_and_front_page_read_no_row_of_earlier_months(press: Press, engine: Engine) -> None:
    fill_months(press.sessions, press.clock(), 13, 200)
    press.add_subscribers("reader@example.org")
    press.add_papers(1)
    press.publish()
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as direct:
        direct.exec_driver_sql("VACUUM (ANALYZE)")
    app = create_app(press.settings, press.sessions, enqueue=lambda *_: None, clock=press.clock)
    with serve(app) as address, counting_reads(engine) as reads:
        assert httpx2.get(f"{address}/").status_code == 200
        assert httpx2.get(f"{address}/status").status_code == 200
        find_status(press.sessions, press.settings, FRIDAY, press.clock())
    assert {month for month, rows in reads.items() if rows} == {2609}


def test_an_edition_of_a_dropped_month_is_not_taken_for_unbalanced(press: Press) -> None:
    fill_months(press.sessions, press.clock(), 14, 10)
    retain(press, after(2507, days=400))
    with press.sessions() as session:
        assert not session.scalars(select(Edition).where(Edition.month == 2507)).all()


def test_the_page_shows_the_days_in_force(press: Press) -> None:
    changed = {"keep_copies_days": 41, "keep_deliveries_days": 432, "keep_events_days": 17}
    settings = press.settings.model_copy(update=changed)
    app = create_app(settings, press.sessions, enqueue=lambda *_: None, clock=press.clock)
    with serve(app) as address:
        page = re.sub(r"<[^>]+>", " ", httpx2.get(f"{address}/privacy").text)
        sign_up = httpx2.get(f"{address}/").text
    for days in (*changed.values(), 14):
        assert f"{days} days" in page
    assert "Nothing else is deleted" not in page
    assert '<a href="/privacy">' in sign_up.partition("<footer>")[0]
