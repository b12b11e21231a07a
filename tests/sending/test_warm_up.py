"""A new domain sends few mails to each provider a day; what waits is sent the next day, and only once."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select
from support.newsletter.press import PlannedTransport, Press
from support.newsletter.stored import count_lanes
from support.smtp.smtp_sink import SmtpSink
from support.web.papers import FRIDAY

from service.cli.report_lines import story_lines, warm_up_lines
from service.deliveries.domain.states import DeliveryKind, DeliveryState
from service.deliveries.store.deliveries import insert_mail
from service.deliveries.store.models import DeliveryEvent
from service.editions.domain.states import EditionState
from service.operations.explain import find_subscriber_story
from service.operations.figures import WarmUpLine
from service.operations.metrics import measure
from service.operations.status import Status, find_status
from service.platform.signing.address_hash import email_key
from service.sending.deliver import deliver, deliver_for, sweep
from service.sending.domain.providers import provider_of
from service.sending.domain.warm_up import FIRST_LIMIT
from service.sending.report import DeliverReport
from service.sending.store.models import WarmUpCount
from service.web.operator.metrics import write_metrics

DAYS = 3
pytestmark = pytest.mark.settings(warm_up_days=DAYS)
MONDAY = FRIDAY + timedelta(days=3)


def of(provider: str, count: int) -> list[str]:
    return [f"reader{number}@{provider}" for number in range(count)]


def begin(press: Press, *emails: str) -> int:
    press.add_subscribers(*emails)
    press.add_papers(1)
    return press.publish()


def send(press: Press, transport: PlannedTransport | None = None, **settings: Any) -> Counter[str]:
    """Run a sender; return how many mails each provider got."""
    transport = transport or PlannedTransport()
    deliver(press.sender(transport, send_window=16, **settings))
    return Counter(provider_of(message.recipient) for message in transport.sent)


def waiting(press: Press) -> dict[str, int]:
    with press.sessions() as session:
        return count_lanes(session)


def counts(press: Press) -> list[tuple[str, str, int]]:
    with press.sessions() as session:
        rows = session.scalars(select(WarmUpCount).order_by(WarmUpCount.day, WarmUpCount.provider))
        return [(str(row.day), row.provider, row.sent_count) for row in rows]


def next_day(press: Press) -> None:
    tomorrow = press.clock().date() + timedelta(days=1)
    press.clock.now = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=UTC)


def test_two_days_of_a_new_domain_over_real_smtp(press: Press, smtp_sink: SmtpSink) -> None:
    gmail, uni = of("gmail.com", FIRST_LIMIT + 12), of("uni.example", 3)
    edition_id = begin(press, *gmail, *uni)
    sender = press.sender()
    assert deliver(sender) == DeliverReport(sent=FIRST_LIMIT + 3)
    assert deliver_for(sender, timedelta(minutes=1)) == DeliverReport()
    press.clock.forward(hours=12)
    assert deliver(sender) == DeliverReport()
    assert sweep(press.sessions, press.clock()) == (0, 0)
    assert waiting(press) == {"gmail": 12}
    assert press.states(edition_id) == {"sent": FIRST_LIMIT + 3, "queued": 12}
    next_day(press)
    assert deliver(sender) == DeliverReport(sent=12)
    sender.transport.close()
    assert sorted(smtp_sink.recipients()) == sorted([*gmail, *uni])
    assert waiting(press) == {}
    assert press.balance(edition_id).closes
    assert press.edition(edition_id).state is EditionState.CLOSED


def test_all_senders_share_the_counts(press: Press) -> None:
    begin(press, *of("gmail.com", FIRST_LIMIT + 30))
    first = PlannedTransport()
    others: list[Counter[str]] = []

    def meanwhile() -> None:
        if len(others) < 1:
            others.append(Counter())
            others.append(send(press))

    first.meanwhile = meanwhile
    total = send(press, first) + sum(others, Counter())
    assert total == {"gmail": FIRST_LIMIT}
    assert waiting(press) == {"gmail": 30}


def test_mail_that_somebody_waits_for_is_counted_and_never_held(press: Press) -> None:
    people = press.add_subscribers(*of("gmail.com", FIRST_LIMIT))
    now = press.clock()

    def welcome(*subscribers: int) -> None:
        with press.sessions.begin() as session:
            for number in subscribers:
                insert_mail(
                    session,
                    DeliveryKind.PERSONAL_LINK,
                    number,
                    str(press.clock()),
                    press.clock(),
                    press.clock() + timedelta(hours=20),
                )

    welcome(*people[:10])
    press.add_papers(1)
    edition_id = press.publish()
    assert send(press) == {"gmail": FIRST_LIMIT}
    assert press.states(edition_id) == {"sent": FIRST_LIMIT - 10, "queued": 10}
    press.clock.forward(minutes=1)
    welcome(*people)
    assert send(press) == {"gmail": FIRST_LIMIT}
    assert press.states(edition_id)["queued"] == 10
    assert press.clock() > now


def test_what_waits_too_long_comes_in_the_next_edition_and_only_once(press: Press) -> None:
    first = begin(press, *of("gmail.com", FIRST_LIMIT + 5))
    transport = PlannedTransport()
    send(press, transport)
    late = {row.subscriber_id for row in press.rows(first) if row.state is DeliveryState.QUEUED}
    assert len(late) == 5
    # Nobody sends for three days.
    press.clock.forward(days=3)
    assert send(press, transport) == {"gmail": FIRST_LIMIT}
    assert press.states(first) == {"sent": FIRST_LIMIT, "skipped: late": 5}
    papers = press.add_papers(2, on=MONDAY)
    second = press.publish(MONDAY)
    send(press, transport)
    # 75 on the second day.
    assert press.states(second) == {"sent": FIRST_LIMIT + 5}
    for row in press.rows(second):
        assert len(row.paper_ids) == (2 if row.subscriber_id in late else 1), papers


def test_the_history_of_a_mail_says_why_it_waits(press: Press) -> None:
    begin(press, *of("gmail.com", FIRST_LIMIT + 1))
    send(press)
    with press.sessions() as session:
        details = session.scalars(
            select(DeliveryEvent.detail).where(DeliveryEvent.detail.contains("warm-up"))
        ).all()
    assert details == [
        "waits until 2026-09-19 00:00 UTC: a new domain sends at most 50 mails to each provider"
        " on day 1 of 3 of its warm-up"
    ]


def test_status_metrics_and_the_story_of_a_reader_say_who_waits_and_until_when(
    press: Press,
) -> None:
    emails = [*of("gmail.com", FIRST_LIMIT + 2), *of("uni.example", 1)]
    begin(press, *emails)
    assert find(press).warm_up == WarmUpLine(
        "paperboy.example", 1, DAYS, FIRST_LIMIT, datetime(2026, 9, 19, tzinfo=UTC), {}
    )
    send(press)
    found = find(press)
    assert warm_up_lines(found.warm_up) == [
        "Warm-up of paperboy.example: day 1 of 3 on which it sends, up to 50 mails to each provider.",
        "Held for gmail: 2 digests until 2026-09-19 00:00 UTC.",
    ]
    measured = write_metrics(measure(press.sessions, press.settings, press.clock())).decode()
    assert "paperboy_warm_up_day 1.0" in measured
    assert 'paperboy_warm_up_held{provider="gmail"} 2.0' in measured
    lines = [
        line
        for email in emails
        for line in explained(press, email)
        if "until 2026-09-19 00:00 UTC" in line
    ]
    assert len(lines) == 2
    next_day(press)
    send(press)
    line = find(press).warm_up
    assert line
    assert (line.day, line.limit, line.held) == (2, 75, {})


def find(press: Press) -> Status:
    return find_status(press.sessions, press.settings, FRIDAY, press.clock())


def explained(press: Press, email: str) -> list[str]:
    found = find_subscriber_story(press.sessions, email_key(email), FRIDAY, ("a key",))
    assert found.story
    return story_lines(found.story)


def test_after_its_days_nothing_is_counted_or_held(press: Press) -> None:
    press.add_subscribers(*of("gmail.com", FIRST_LIMIT + 40))
    # On the third day 55 of the second are too late, which takes nobody's place.
    expected = [50, 75, FIRST_LIMIT + 40, FIRST_LIMIT + 40]
    for number in range(DAYS + 1):
        on = FRIDAY + timedelta(days=number)
        press.add_papers(number + 1, on=on)
        press.publish(on)
        assert send(press)["gmail"] == expected[number]
        next_day(press)
    # What stays is one row for each day of the warm-up.
    assert [provider for _, provider, _ in counts(press)] == [""] * DAYS


def test_a_domain_that_has_sent_before_is_as_warm_as_it_was(press: Press) -> None:
    press.add_subscribers(*of("gmail.com", FIRST_LIMIT + 40))
    for number in range(DAYS):
        on = FRIDAY + timedelta(days=number)
        press.add_papers(number + 1, on=on)
        press.publish(on)
        assert send(press, warm_up_days=0) == {"gmail": FIRST_LIMIT + 40}
        next_day(press)
    assert counts(press) == []
    press.add_papers(9, on=MONDAY)
    press.publish(MONDAY)
    assert send(press) == {"gmail": FIRST_LIMIT + 40}
    # Another domain of the same installation is new.
    press.add_papers(10, on=MONDAY + timedelta(days=1))
    press.publish(MONDAY + timedelta(days=1))
    other: dict[str, Any] = {
        "mail_from": "New <digest@new.example>",
        "bounce_domain": "new.example",
    }
    assert send(press, **other) == {"gmail": FIRST_LIMIT}


@pytest.mark.parametrize("change", [{"warm_up_days": 0}, {"smtp_url": ()}])
def test_without_a_warm_up_and_in_the_development_mailbox_all_is_sent(
    press: Press, change: dict[str, Any]
) -> None:
    begin(press, *of("gmail.com", FIRST_LIMIT + 5))
    assert send(press, **change) == {"gmail": FIRST_LIMIT + 5}
    assert counts(press) == []
