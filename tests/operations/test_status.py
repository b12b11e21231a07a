"""The details of an edition: failures and replies, waiting mail and its times, mail in doubt."""

from datetime import datetime, timedelta

import pytest
from support.newsletter.press import (
    ACCEPTED,
    LATER,
    NOBODY,
    SILENCE,
    PlannedTransport,
    Press,
    await_end_of_senders,
)
from support.web.papers import FRIDAY

from service.deliveries.domain.states import DeliveryKind, SendOutcome
from service.deliveries.store.deliveries import insert_mail
from service.messages.mime.mime import Envelope
from service.operations.figures import gather_doubts
from service.operations.status import EditionStory, expected_end, find_status
from service.operations.store.edition_reports import DoubtRow, ReplyCount, Waiting
from service.sending.deliver import deliver, sweep
from service.sending.domain.provider_limits import BreakerState
from service.sending.store.models import ProviderLimit

ANSWERS = {"accepted": ACCEPTED, "later": LATER, "nobody": NOBODY, "silence": SILENCE}


def answer(envelope: Envelope) -> SendOutcome:
    return ANSWERS[envelope.recipient.partition("@")[0]]


def tell(press: Press) -> EditionStory:
    (story,) = find_status(press.sessions, press.settings, FRIDAY, press.clock()).editions
    return story


def test_an_edition_shows_failures_waiting_mail_and_doubts(press: Press) -> None:
    press.add_subscribers(*(f"{name}@example.org" for name in ANSWERS), "silence@hotmail.co.uk")
    press.add_papers(1)
    press.publish()
    before = tell(press)
    assert (before.waiting.due_count, before.waiting.oldest_due_at) == (5, press.clock())
    assert (before.rate_per_second, before.ends_at) == (0, None)
    deliver(press.sender(PlannedTransport(answer)))
    started = press.clock()
    story = tell(press)
    assert story.states == {"sent": 1, "queued": 1, "failed": 1, "in_doubt": 2}
    assert story.closes
    assert story.failures == (ReplyCount("550 5.1.1", 1, "550 5.1.1 no such mailbox"),)
    waiting = story.waiting
    assert (waiting.due_count, waiting.later_count, waiting.retry_count) == (0, 1, 1)
    assert waiting.next_retry_at is not None
    assert waiting.next_retry_at > started
    assert story.rate_per_second == round(1 / 60, 2)
    assert story.ends_at == waiting.next_retry_at
    assert [(d.provider, d.count, d.since) for d in story.doubts] == [
        ("example.org", 1, started),
        ("outlook", 1, started),
    ]
    assert "no reply after the final dot" in story.doubts[0].detail
    press.clock.forward(hours=1)
    assert tell(press).rate_per_second == 0
    assert tell(press).waiting.due_count == 1


def test_rows_of_a_dead_sender_are_in_doubt_since_the_sweep(press: Press) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        raise Killed

    press.add_subscribers("anne@example.org")
    press.add_papers(1)
    press.publish()
    with pytest.raises(Killed):
        deliver(press.sender(PlannedTransport(meanwhile=die)))
    await_end_of_senders(press.sessions)
    sweep(press.sessions, press.clock.forward(minutes=1))
    (doubt,) = tell(press).doubts
    assert (doubt.since, doubt.detail) == (press.clock(), "")


def test_mails_of_no_edition_and_paused_providers_are_shown(press: Press) -> None:
    (anne,) = press.add_subscribers("anne@gmail.com")
    now = press.clock()
    with press.sessions.begin() as session:
        insert_mail(session, DeliveryKind.WELCOME, anne, "first", now, now + timedelta(hours=5))
    deliver(press.sender(PlannedTransport(lambda _: SILENCE)))
    with press.sessions.begin() as session:
        session.add(
            ProviderLimit(
                provider="gmail",
                rate=2.5,
                changed_at=now,
                breaker=BreakerState.OPEN,
                opened_at=now,
                probe_at=now + timedelta(minutes=30),
                last_reply="550 5.7.1 no",
            )
        )
    status = find_status(press.sessions, press.settings, FRIDAY, now)
    (letter,) = status.letters
    assert (letter.provider, letter.count, status.in_doubt_count) == ("gmail", 1, 1)
    (provider,) = status.providers
    assert (provider.provider, provider.breaker, provider.rate) == ("gmail", "open", 2.5)
    assert (provider.since, provider.last_reply) == (now, "550 5.7.1 no")


NOW = datetime.fromisoformat("2026-09-18T05:00:00+00:00")
SOON, LATE = NOW + timedelta(minutes=1), NOW + timedelta(hours=3)


@pytest.mark.parametrize(
    ("waiting", "rate", "end"),
    [
        (Waiting(0, None, 0, 0, None, None), 5.0, None),
        (Waiting(600, NOW, 0, 0, None, NOW), 10.0, SOON),
        (Waiting(600, NOW, 1, 1, LATE, LATE), 10.0, LATE),
        (Waiting(600, NOW, 1, 1, LATE, LATE), 0.0, None),
        (Waiting(0, None, 1, 1, LATE, LATE), 0.0, LATE),
    ],
)
def test_the_end_is_the_later_of_rate_and_due_time(
    waiting: Waiting, rate: float, end: datetime | None
) -> None:
    assert expected_end(waiting, rate, NOW) == end


def test_domains_of_one_provider_are_one_doubt() -> None:
    rows = [
        DoubtRow("live.com", "", "cut", 2, SOON),
        DoubtRow("hotmail.fr", "", "cut", 3, NOW),
        DoubtRow("hotmail.fr", "", "", 1, LATE),
        DoubtRow("", "", "", 1, LATE),
    ]
    assert [(d.provider, d.detail, d.count, d.since) for d in gather_doubts(rows)] == [
        ("outlook", "cut", 5, NOW),
        ("a reader who was erased", "", 1, LATE),
        ("outlook", "", 1, LATE),
    ]
