"""The operator's daily report: once a morning, with the figures of the day that ended at that hour."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.mail.bounce_mails import dsn
from support.newsletter.bounce_press import path_of, take
from support.newsletter.press import (
    ACCEPTED,
    NOBODY,
    SILENCE,
    PlannedTransport,
    Press,
    plain_text,
    read_mail,
)

from service.deliveries.domain.return_path import Leaving, make_unsubscribe_address
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.operations.daily_report import queue_report
from service.operations.growth import load_growth
from service.platform.database.engine import transaction
from service.platform.signing.address_hash import fingerprint
from service.platform.signing.tokens import Purpose, make_token
from service.sending.deliver import deliver
from service.subscribers.address_change import confirm_address, request_address
from service.subscribers.bulk_import import ImportChoices, blank_sign_up, import_file
from service.subscribers.import_file import inspect_file
from service.subscribers.lifecycle import unsubscribe
from service.subscribers.store.models import Subscriber
from service.subscribers.store.subscribers import find_by_email
from service.subscribers.store.votes import cast_vote

OPERATOR = "operator@paperboy.example"
pytestmark = pytest.mark.settings(alert_to=OPERATOR, digest_timezone="Europe/Berlin")


@pytest.fixture
def now() -> datetime:
    """Return seven in Berlin: the report comes an hour later."""
    return datetime(2026, 9, 18, 5, 0, tzinfo=UTC)


def reports(press: Press) -> list[Delivery]:
    return [row for row in press.rows() if row.kind is DeliveryKind.DAILY_REPORT]


def queue(press: Press) -> bool:
    return queue_report(press.sessions, press.settings, press.clock())


def a_morning(press: Press) -> None:
    """Three digests sent, of which one bounces, one refused, one in doubt; one reader leaves.

    The one who was refused and the one whose mail bounced are suppressed, and have left as well.
    """
    names = ("anne", "ben", "bounced", "refused", "silent")
    ids = press.add_subscribers(*(f"{name}@example.org" for name in names))
    press.add_papers(1)
    press.publish()
    outcomes = {"refused@example.org": NOBODY, "silent@example.org": SILENCE}
    plan = PlannedTransport(plan=lambda mail: outcomes.get(mail.recipient, ACCEPTED))
    deliver(press.sender(plan))
    (bounced,) = [row for row in press.rows() if row.subscriber_id == ids[2]]
    take(press, dsn(to=path_of(press, bounced)))
    at = press.clock.forward(minutes=10)
    with transaction(press.sessions) as session:
        assert unsubscribe(session, ids[0], "/unsubscribe", at)


def test_the_figures_are_those_of_the_day_that_ended_at_that_hour(press: Press) -> None:
    a_morning(press)
    press.clock.forward(minutes=50)
    # What comes after eight o'clock belongs to tomorrow's report.
    press.add_subscribers("late@example.org")
    assert queue(press)
    (row,) = reports(press)
    assert row.alert == {
        "until": "2026-09-18T08:00:00+02:00",
        "sent_count": 3,
        "failed_count": 1,
        "in_doubt_count": 1,
        "joined_count": 5,
        "left_count": 3,
        "bounced_count": 1,
        "complaint_count": 0,
        "vote_count": 0,
        "outlier_count": 0,
        "submission_count": 0,
    }
    press.clock.forward(days=1)
    assert queue(press)
    tomorrow = reports(press)[1].alert or {}
    # The mail in doubt is still so; nothing else of today is counted a second time.
    assert {name for name, count in tomorrow.items() if count and name != "until"} == {
        "in_doubt_count",
        "joined_count",
    }
    assert tomorrow["joined_count"] == 1


def test_a_vote_counts_in_the_report_of_its_own_day_alone(press: Press) -> None:
    early, late = press.add_subscribers("early@example.org", "late@example.org")
    (paper,) = press.add_papers(1).values()

    def vote(reader: int) -> None:
        with transaction(press.sessions) as session:
            cast_vote(session, session.get_one(Subscriber, reader), paper, press.clock())

    vote(early)
    press.clock.forward(minutes=90)
    vote(late)
    assert queue(press)
    press.clock.forward(days=1)
    assert queue(press)
    assert [(row.alert or {})["vote_count"] for row in reports(press)] == [1, 1]


@pytest.mark.settings(alert_to=OPERATOR, digest_timezone="Europe/Berlin", bounce_mailbox="listener")
def test_only_who_joined_or_left_counts_as_such_and_as_in_the_chart(
    press: Press, tmp_path: Path
) -> None:
    """Not a change of address, nor an import of people who had left; a mail to leave is no bounce."""
    (anne, ben) = press.add_subscribers("anne@example.org", "ben@example.org")
    press.clock.forward(days=1)
    file = tmp_path / "readers.csv"
    file.write_text(
        "email,state,unsubscribed_at\na@example.org,unsubscribed,\n"
        "b@example.org,disabled,\nc@example.org,unsubscribed,2025-03-04\n"
    )
    choices = ImportChoices(blank_sign_up(press.settings, ""), tmp_path / "rejected.csv")
    source, now = inspect_file(file), press.clock()
    import_file(press.sessions, press.settings, source, choices, now, lambda *_: None)
    keys = press.settings.secret_key
    with transaction(press.sessions) as session:
        request_address(session, session.get_one(Subscriber, ben), "new@example.org", keys, now)
        waiting = find_by_email(session, "new@example.org")
        assert waiting is not None
        detail = f"{ben}.{fingerprint(waiting.email_key)}"
        confirm_address(session, make_token(Purpose.ADDRESS, waiting, now, detail), now)
        key = session.get_one(Subscriber, anne).link_key
    to = make_unsubscribe_address(Leaving(anne, key), press.settings.bounce_domain, keys[0])
    take(press, f"From: anne@example.org\nTo: {to}\nSubject: unsubscribe\n\n".encode(), to)
    press.clock.forward(hours=2)
    assert queue(press)
    figures = reports(press)[0].alert or {}
    assert [figures[f"{name}_count"] for name in ("joined", "left", "bounced")] == [0, 1, 0]
    with transaction(press.sessions) as session:
        today = load_growth(session, press.clock(), 2)[-1]
    assert (today.joined, today.left) == (0, 1)


@pytest.mark.settings(
    alert_to=OPERATOR, digest_timezone="Europe/Berlin", admin_password="a long password"
)
def test_the_operator_gets_it_once_a_morning_with_links(press: Press) -> None:
    a_morning(press)
    assert not queue(press), "it is ten past seven"
    press.clock.forward(minutes=50)
    threads = [threading.Thread(target=queue, args=(press,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not queue(press)
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (sent,) = transport.sent
    assert sent.recipient == OPERATOR
    assert (
        read_mail(sent.payload)["Subject"] == "Paperboy: the last day, until Fri 18 Sep, 06:00 UTC"
    )
    lines = plain_text(sent.payload).splitlines()
    assert {"* Sent: 3", "* Failed: 1", "* In doubt now: 1", "* Readers who left: 3"} <= set(lines)
    assert {"http://127.0.0.1:8000/status", "http://127.0.0.1:8000/admin"} <= set(lines)
    (row,) = reports(press)
    assert (row.state, row.last_reply) == (DeliveryState.SENT, "250 2.0.0 taken")
    press.clock.forward(hours=23, minutes=59)
    assert not queue(press)
    press.clock.forward(minutes=1)
    assert queue(press)


@pytest.mark.parametrize("change", [{"daily_report": False}, {"alert_to": ""}])
def test_it_can_be_switched_off(press: Press, change: dict[str, object]) -> None:
    press.settings = press.settings.model_copy(update=change)
    press.clock.forward(hours=4)
    assert not queue(press)
    assert press.rows() == []


def test_an_hour_that_the_change_of_clocks_takes_away_loses_nothing(press: Press) -> None:
    """In Berlin the night of 25 October 2026 has an hour more."""
    press.clock.now = datetime(2026, 10, 24, 6, 30, tzinfo=UTC)
    press.add_subscribers("anne@example.org")
    press.clock.now = datetime(2026, 10, 25, 7, 0, tzinfo=UTC)
    assert queue(press)
    report = reports(press)[0].alert or {}
    assert (report["until"], report["joined_count"]) == ("2026-10-25T08:00:00+01:00", 1)
    assert press.clock() - timedelta(hours=25) == datetime(2026, 10, 24, 6, 0, tzinfo=UTC)
