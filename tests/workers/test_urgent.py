"""Nothing waits behind an edition: real workers, with every process of the sending one busy."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Executable, func, select, text, update
from support.newsletter.confirmations import Arrivals, running_service, sign_ups_until_mailed
from support.newsletter.press import Press
from support.servers.processes import settings_environ
from support.smtp.smtp_sink import SmtpSink, wait_until

from service.cli.processes import Stack
from service.deliveries.domain.recipients import Cadence
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.editions.publish import Opening, open_edition
from service.editions.store.models import Edition, EditionChunk
from service.papers.domain.announcement_days import announcement_date
from service.platform.clock import system_clock
from service.platform.queue import make_enqueue
from service.platform.settings.settings import Settings
from service.subscribers.store.mail_requests import insert_mail_request

# What waits for a lock in this test's database.
WAITING = text("""
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
""")
EDITIONS = select(func.count()).select_from(Edition)
DIGESTS = 5_000
SIGN_UPS = 20
LONGEST_SECONDS = 10.0


@pytest.fixture
def now() -> datetime:
    """Return the real time, since the workers have the real clock."""
    return system_clock()


def count(press: Press, statement: Executable) -> int:
    with press.sessions() as session:
        return int(session.execute(statement).scalar_one())


@contextmanager
def busy_composing(press: Press, settings: Settings) -> Iterator[None]:
    """Keep both processes of the sending worker at chunks that do not end within the block."""
    on = announcement_date(press.clock()) - timedelta(days=30)
    opening = Opening(chunk_size=1)
    chunks = open_edition(press.sessions, settings, Cadence.WEEKLY, on, press.clock(), opening)
    for chunk_id in chunks:
        make_enqueue(settings.queue_url)("compose", chunk_id)
    with press.sessions.begin() as locking:
        locking.execute(select(EditionChunk.id).with_for_update())
        with Stack(settings, {}, stop_seconds=1, environ=settings_environ(settings)) as stack:
            stack.start_workers()
            wait_until(lambda: count(press, WAITING) == len(chunks), 60)
            yield


def test_a_link_a_sweep_and_an_opening_do_not_wait_for_chunks_being_composed(
    press: Press, settings: Settings, smtp_sink: SmtpSink
) -> None:
    today = announcement_date(press.clock())
    yesterday = today - timedelta(days=1)
    press.add_subscribers("one@example.org", "two@example.org", cadence=Cadence.WEEKLY)
    press.add_subscribers("ada@example.org", hour=0)
    press.add_papers(1, 2, on=yesterday)
    left_behind = press.publish(yesterday)
    press.add_papers(3, on=today)
    with press.sessions.begin() as session:
        # What a sender that died after its claim leaves behind.
        session.execute(
            update(Delivery).values(
                state=DeliveryState.CLAIMED, attempt=1, lease_owner=4711, lease_until=None
            )
        )
    enqueue = make_enqueue(settings.queue_url)
    with busy_composing(press, settings):
        before = count(press, EDITIONS)
        with press.sessions.begin() as session:
            insert_mail_request(session, "ada@example.org", press.clock())
        for task in ("sweep", "open_editions", "settle_requests"):
            enqueue(task)
        wait_until(lambda: press.states(left_behind) == {"queued": 1}, 30)
        wait_until(lambda: count(press, EDITIONS) > before, 30)
        (mail,) = smtp_sink.wait_for(1, seconds=30)
    assert "Your Paperboy link" in str(mail.message["Subject"])


@pytest.mark.slow
def test_confirmations_leave_within_ten_seconds_while_an_edition_is_being_sent(
    press: Press, settings: Settings, smtp_sink: SmtpSink
) -> None:
    """The relay takes about 70 messages a second, so the edition lasts for over a minute."""
    press.add_subscribers(*(f"reader{n}@site{n % 100}.example" for n in range(DIGESTS)), hour=0)
    today = announcement_date(press.clock())
    press.add_papers(1, 2, on=today)
    edition_id = press.publish(today)
    smtp_sink.delay_seconds = 0.28
    arrivals = Arrivals(smtp_sink)
    with running_service(settings) as url:
        # Both processes of the sending worker are at it from here on.
        arrivals.wait_for_count(100, 60)
        delays = sign_ups_until_mailed(url, arrivals, SIGN_UPS, 1.5, most_seconds=LONGEST_SECONDS)
        waiting = press.states(edition_id)["queued"]
    assert max(delays) < LONGEST_SECONDS
    # Otherwise the edition was no hindrance.
    assert waiting > DIGESTS / 5
