"""Alerts to the operator: each problem once, by a mail that is really sent."""

from datetime import UTC, date, datetime, timedelta
from threading import Thread

import pytest
from sqlalchemy import delete, text, update
from structlog.testing import capture_logs
from support.newsletter.press import SILENCE, PlannedTransport, Press, plain_text, read_mail
from support.web.papers import FRIDAY

from service.deliveries.alerts import report_mailbox
from service.deliveries.domain.months import IDS
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.models import Delivery
from service.editions.domain.states import EditionState
from service.editions.publish import open_edition
from service.editions.store.editions import insert_edition
from service.editions.store.models import Edition
from service.operations.monitoring import STUFFED, find_troubles, report_troubles
from service.papers.domain.types import BatchState
from service.papers.store.crawl_gate import SharedRateLimiter
from service.papers.store.models import Batch
from service.sending.deliver import deliver
from service.subscribers.store.models import Subscriber
from service.subscribers.store.votes import cast_vote

OPERATOR = "Desk <desk@example.org>"


@pytest.fixture(autouse=True)
def _told_to_the_desk(press: Press) -> None:
    press.settings = press.settings.model_copy(
        update={"alert_to": OPERATOR, "sources": ("arxiv", "huggingface")}
    )


def read_day(press: Press, on: date, at: datetime, state: BatchState = BatchState.COMPLETE) -> None:
    """Store every watched batch of a day, as read at `at`."""
    with press.sessions.begin() as session:
        session.execute(delete(Batch).where(Batch.announced_on == on))
        batches = [("arxiv", category) for category in press.settings.arxiv_categories]
        for source, category in [*batches, ("huggingface", "")]:
            session.add(
                Batch(
                    source=source,
                    category=category,
                    announced_on=on,
                    state=state,
                    fetched_at=at,
                    created_at=at,
                )
            )


def troubles(press: Press) -> list[str]:
    with press.sessions() as session:
        return [t.occasion for t in find_troubles(session, press.settings, press.clock())]


def of(press: Press, kind: str) -> list[str]:
    return [occasion for occasion in troubles(press) if occasion.startswith(kind)]


def report(press: Press) -> int:
    return report_troubles(press.sessions, press.settings, press.clock())


def mailed(press: Press, subject: str) -> list[str]:
    """Return the subjects of all stored alerts that contain some words, oldest first."""
    subjects = [
        (row.alert or {})["subject"]
        for row in press.rows()
        if row.kind is DeliveryKind.OPERATOR_ALERT
    ]
    return [one for one in subjects if subject in one]


def publish(press: Press, *subscribers: str) -> int:
    press.add_subscribers(*subscribers or ("anne@example.org", "bert@example.org"))
    press.add_papers(1)
    return press.publish()


def at_utc(press: Press, hour: int, day: int = 18) -> None:
    press.clock.now = datetime(2026, 9, day, hour, tzinfo=UTC)


def test_a_healthy_installation_has_no_problem(press: Press) -> None:
    at_utc(press, 13)
    read_day(press, FRIDAY, press.clock() - timedelta(minutes=10))
    press.add_subscribers("anne@example.org")
    for cadence in (Cadence.DAILY, Cadence.WEEKDAYS):
        press.publish(cadence=cadence)
    deliver(press.sender(PlannedTransport()))
    assert troubles(press) == []
    assert report_troubles(press.sessions, press.settings, press.clock()) == 0


def test_a_source_whose_day_is_missing_is_silent_after_six_hours(press: Press) -> None:
    # arXiv's day begins at midnight in New York, which is 04:00 UTC.
    read_day(press, FRIDAY - timedelta(days=1), datetime(2026, 9, 17, 5, tzinfo=UTC))
    at_utc(press, 9)
    assert "silent arxiv" not in " ".join(troubles(press))
    assert of(press, "silent huggingface")
    at_utc(press, 10)
    (occasion,) = of(press, "silent arxiv")
    at_utc(press, 12)
    assert of(press, "silent arxiv") == [occasion]
    read_day(press, FRIDAY, press.clock(), BatchState.PARTIAL)
    assert of(press, "silent") == []
    press.clock.forward(hours=6)
    assert of(press, "silent arxiv") != [occasion]


def test_a_source_with_a_complete_batch_is_not_silent(press: Press) -> None:
    read_day(press, FRIDAY, datetime(2026, 9, 18, 5, tzinfo=UTC))
    at_utc(press, 23)
    assert [one for one in of(press, "silent") if "arxiv" in one] == []


def test_an_edition_that_did_not_open_or_is_not_composed_is_late(press: Press) -> None:
    at_utc(press, 14)
    assert of(press, "late") == []
    at_utc(press, 15)
    assert of(press, "late") == [f"late daily {FRIDAY}", f"late weekdays {FRIDAY}"]
    with press.sessions.begin() as session:
        edition = insert_edition(session, Cadence.DAILY, FRIDAY, press.clock(), sends_now=True)
        assert edition is not None
        number = edition.id
    assert of(press, "late") == [f"late weekdays {FRIDAY}"]
    assert of(press, "composing") == []
    press.clock.forward(hours=2)
    assert of(press, "composing") == [f"composing {number}"]


def test_an_edition_that_does_not_balance_is_found(press: Press) -> None:
    number = publish(press)
    assert of(press, "balance") == []
    with press.sessions.begin() as session:
        session.execute(update(Edition).values(candidate_count=3))
    assert of(press, "balance") == [f"balance {number}"]


def test_a_balance_that_does_not_close_is_mailed_once(press: Press) -> None:
    publish(press)
    deliver(press.sender(PlannedTransport()))
    assert report(press) == 0
    with press.sessions.begin() as session:
        session.execute(text("DELETE FROM deliveries WHERE id = (SELECT min(id) FROM deliveries)"))
    assert (report(press), report(press)) == (1, 0)
    assert mailed(press, "balance") == ["The daily edition of 2026-09-18 does not balance"]


def test_a_balance_is_checked_while_the_edition_is_not_closed_and_three_days_longer(
    press: Press,
) -> None:
    number = publish(press)
    with press.sessions.begin() as session:
        session.execute(update(Edition).values(candidate_count=3))
    press.clock.forward(days=9)
    assert of(press, "balance") == [f"balance {number}"]
    with press.sessions.begin() as session:
        session.execute(update(Edition).values(state=EditionState.CLOSED))
    assert of(press, "balance") == []
    press.clock.forward(days=-6)
    assert of(press, "balance") == [f"balance {number}"]


def test_an_edition_that_is_being_composed_need_not_balance(press: Press) -> None:
    publish(press)
    deliver(press.sender(PlannedTransport()))
    on = press.clock.forward(days=1).date()
    open_edition(press.sessions, press.settings, Cadence.DAILY, on, press.clock())
    assert of(press, "balance") == []


def test_doubts_are_mailed_after_half_an_hour_and_waiting_mail_after_two(press: Press) -> None:
    number = publish(press, "anne@example.org")
    press.clock.forward(hours=2)
    assert len(of(press, "waiting")) == 1
    deliver(press.sender(PlannedTransport(plan=lambda _: SILENCE)))
    assert press.states(number) == {"in_doubt": 1}
    assert of(press, "waiting") == of(press, "in doubt") == []
    press.clock.forward(minutes=29)
    assert of(press, "in doubt") == []
    press.clock.forward(minutes=1)
    assert of(press, "in doubt") == [f"in doubt {number}"]


def test_a_doubt_that_stays_is_mailed_once(press: Press) -> None:
    number = publish(press)
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    for minutes in (29, 2, 120):
        press.clock.forward(minutes=minutes)
        report(press)
        assert len(mailed(press, "in doubt")) == (minutes != 29)
    assert mailed(press, "in doubt") == [f"2 digests in doubt in edition {number}"]


def test_mails_of_no_edition_that_stay_in_doubt_are_mailed_once_a_day(press: Press) -> None:
    publish(press)
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    with press.sessions.begin() as session:
        session.execute(
            update(Delivery).values(
                edition_id=None, id=Delivery.id % IDS, kind=DeliveryKind.WELCOME
            )
        )
    press.clock.forward(minutes=31)
    report(press)
    report(press)
    assert mailed(press, "in doubt") == ["2 other mails in doubt"]
    press.clock.forward(days=1)
    report(press)
    assert mailed(press, "in doubt") == ["2 other mails in doubt"] * 2


def test_each_problem_is_mailed_once_however_many_workers_find_it(press: Press) -> None:
    press.add_subscribers("anne@example.org")
    press.add_papers(1)
    press.publish()
    with press.sessions.begin() as session:
        session.execute(delete(Delivery))
        session.execute(update(Edition).values(candidate_count=1))
    read_day(press, FRIDAY, press.clock())
    watching = [
        Thread(target=report_troubles, args=(press.sessions, press.settings, press.clock()))
        for _ in range(3)
    ]
    for one in watching:
        one.start()
    for one in watching:
        one.join()
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (sent,) = transport.sent
    message, body = read_mail(sent.payload), " ".join(plain_text(sent.payload).split())
    assert sent.recipient == "desk@example.org"
    assert str(message["Subject"]).startswith(
        "Paperboy: The daily edition of 2026-09-18 does not balance"
    )
    assert "List-Unsubscribe" not in message
    assert message["Auto-Submitted"] == "auto-generated"
    assert "1 reader when it was frozen" in body
    assert "paperboy status --date 2026-09-18 --json" in body
    assert "/status" in body
    assert report_troubles(press.sessions, press.settings, press.clock()) == 0
    row = press.row()
    assert (row.kind, row.state) == (DeliveryKind.OPERATOR_ALERT, DeliveryState.SENT)
    assert row.last_reply == "250 2.0.0 taken"


def test_a_mailbox_that_cannot_be_read_is_mailed_once_a_day(press: Press) -> None:
    for _ in range(3):
        report_mailbox(press.sessions, press.settings, "the login was refused", press.clock())
    assert len(press.rows()) == 1
    press.clock.forward(days=1)
    report_mailbox(press.sessions, press.settings, "the login was refused", press.clock())
    assert len(press.rows()) == 2


def test_an_alert_whose_operator_is_gone_or_that_is_too_old_ends_with_its_reason(
    press: Press,
) -> None:
    report_mailbox(press.sessions, press.settings, "gone", press.clock())
    deliver(press.sender(PlannedTransport(), alert_to=""))
    assert press.row().reason == "render: PAPERBOY_ALERT_TO is not set any more"
    press.clock.forward(days=1)
    report_mailbox(press.sessions, press.settings, "gone", press.clock())
    press.clock.forward(days=3)
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert transport.sent == []
    assert [row.reason for row in press.rows()][1] == "late"


def test_without_an_operator_address_problems_are_logged(press: Press) -> None:
    press.settings = press.settings.model_copy(update={"alert_to": ""})
    with capture_logs() as lines:
        for _ in range(3):
            report_mailbox(press.sessions, press.settings, "gone", press.clock())
    assert [line["detail"] for line in lines if line["event"] == "alert"] == ["gone"]
    transport = PlannedTransport()
    deliver(press.sender(transport))
    assert transport.sent == []


def test_a_host_that_forbids_us_is_mailed_once_for_each_time_it_is_closed(press: Press) -> None:
    gate = SharedRateLimiter(press.sessions.kw["bind"])
    gate.report("https://huggingface.co/api", 503, 3600)
    assert of(press, "gate") == []
    gate.report("https://rss.arxiv.org/rss/cs.CL", 403, None)
    occasions = of(press, "gate")
    assert len(occasions) == 1
    for _ in range(2):
        report_troubles(press.sessions, press.settings, press.clock())
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (mail,) = [one for one in transport.sent if b"rss.arxiv.org" in one.payload]
    message, body = read_mail(mail.payload), " ".join(plain_text(mail.payload).split())
    assert str(message["Subject"]).startswith("Paperboy: rss.arxiv.org refuses our requests")
    assert "It answered HTTP 403 at " in body
    assert "1 time in a row" in body
    assert "paperboy reopen rss.arxiv.org" in body
    with press.sessions.begin() as session:
        session.execute(text("UPDATE gates SET next_at = next_at - interval '2 days'"))
    assert of(press, "gate") == []
    gate.report("https://rss.arxiv.org/rss/cs.CL", 403, None)
    (again,) = of(press, "gate")
    assert again != occasions[0]


def test_votes_that_look_like_one_persons_are_one_mail_in_24_hours(press: Press) -> None:
    first, second = press.add_papers(1, 2).values()
    voters = press.add_subscribers(*(f"r{n}@stuffed.example" for n in range(20)))
    press.clock.forward(days=2)

    def vote(paper: int, *readers: int) -> list[str]:
        with press.sessions.begin() as session:
            for number in readers:
                cast_vote(session, session.get_one(Subscriber, number), paper, press.clock())
        return of(press, STUFFED)

    assert vote(first, *voters[:5]) == []
    assert vote(first, *voters[5:]) == [f"{STUFFED}0"]
    report_troubles(press.sessions, press.settings, press.clock())
    transport = PlannedTransport()
    deliver(press.sender(transport))
    (mail,) = [
        each for each in transport.sent if "Votes" in str(read_mail(each.payload)["Subject"])
    ]
    assert "Votes for 1 paper look like one person’s" in str(read_mail(mail.payload)["Subject"])
    text = " ".join(plain_text(mail.payload).split())
    assert "“Parsing number 1” (arxiv:2609.00001): 20 votes in 24 hours count as 8.3" in text
    assert "the most of them, 20, from stuffed.example." in text
    # More votes, also for another paper, are no further mail before a day is over.
    press.clock.forward(hours=23)
    assert vote(second, *voters) == []
    press.clock.forward(hours=1)
    assert len(of(press, STUFFED)) == 1
    press.settings = press.settings.model_copy(update={"votes": False})
    assert of(press, STUFFED) == []
