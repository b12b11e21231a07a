"""The demonstration: the real service, a real day (or the sample day), one reader, one digest.

Nothing is taken past the parts that readers use: the reader signs up and confirms over HTTP, the
papers come through the sources' own clients, the mails leave by SMTP and arrive in a Maildir.
"""

from __future__ import annotations

import re
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from email import message_from_bytes
from email.policy import default

import httpx

from service.actions.balance import Balance, find_balance
from service.actions.ingest import BatchReport, ingest_source
from service.actions.publish import publish_now
from service.cli.desk import CommandError, Desk, progress_bar
from service.cli.publishing import balance_lines, batch_table
from service.cli.relay import development_mailbox
from service.cli.stack import Stack, beat_schedule, free_port, is_free, listening_port
from service.config import Settings
from service.domain.schedule import announcement_date
from service.domain.types import Cadence, DeliveryState, SubscriberState
from service.mailbox import list_messages, read_message
from service.queue import make_ring
from service.sample.papers import nearest_weekday
from service.sample.server import SampleServer
from service.sources.arxiv_feed import feed_address
from service.sources.fetching import LocalGate
from service.sources.registry import build_sources
from service.store.engine import transaction
from service.store.subscribers import find_by_email

READER = "reader@example.org"
TOPICS = (
    '"prompt tuning" OR "continual learning"',
    "diffusion cat:cs.CV",
    "reasoning cat:cs.CL -survey",
    "forecasting OR causal",
)
LIVE_SECONDS = 5.0
MAIL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class _Day:
    """Which day is shown, and the settings that read it."""

    on: date
    settings: Settings
    is_sample: bool


def run(desk: Desk, *, is_once: bool) -> None:
    """Show a whole day; with `is_once` end after the accounting. Raises `CommandError`."""
    with ExitStack() as stack:
        settings = stack.enter_context(development_mailbox(desk.settings))
        day = _choose_day(stack, settings, desk.clock())
        port = listening_port(day.settings)
        port = port if is_free(port) else free_port()
        base_url = f"http://127.0.0.1:{port}"
        settings = day.settings.model_copy(update={"base_url": base_url})
        services = stack.enter_context(Stack(settings, _changes(settings)))
        services.start("web", "--port", str(port))
        services.start("worker")
        services.wait_for_web(base_url)
        _subscribe(desk, settings, services)
        reports = _ingest(desk, settings, day)
        balance = _publish(desk, settings, day.on, services)
        digests = _count_digests(settings)
        _tell(desk, settings, day, reports, balance, digests)
        if not balance.closes or not balance.states.get(DeliveryState.SENT):
            raise CommandError("the balance does not close, or nothing was sent")
        if not is_once:
            services.start("beat", *beat_schedule(settings.data_dir))
            desk.say({}, "Ctrl-C stops it.")
            while True:
                services.check()
                time.sleep(1)


def _choose_day(stack: ExitStack, settings: Settings, now: datetime) -> _Day:
    """Today from the live sources where they answer in time, else the built-in sample day."""
    on = announcement_date(now)
    if _is_live(settings) and nearest_weekday(on) == on:
        return _Day(on, settings, is_sample=False)
    on = nearest_weekday(on)
    server = stack.enter_context(SampleServer(on))
    changes = {"arxiv_feed_url": server.url, "huggingface_url": server.url}
    return _Day(on, settings.model_copy(update=changes), is_sample=True)


def _is_live(settings: Settings) -> bool:
    url = feed_address(settings.arxiv_feed_url, settings.arxiv_categories[0])
    started = time.monotonic()
    try:
        response = httpx.get(url, timeout=LIVE_SECONDS, follow_redirects=True)
    except httpx.HTTPError:
        return False
    has_papers = b"<item>" in response.content or b"<entry>" in response.content
    is_quick = time.monotonic() - started < LIVE_SECONDS
    return response.is_success and has_papers and is_quick


def _changes(settings: Settings) -> dict[str, str]:
    return {
        "PAPERBOY_BASE_URL": settings.base_url,
        "PAPERBOY_MAILBOX_URL": settings.mailbox_url,
        "PAPERBOY_ARXIV_FEED_URL": settings.arxiv_feed_url,
        "PAPERBOY_HUGGINGFACE_URL": settings.huggingface_url,
    }


def _subscribe(desk: Desk, settings: Settings, services: Stack) -> None:
    """The sample reader signs up and confirms, as anybody would, by HTTP and the mail."""
    if _reader_state(desk) is SubscriberState.ACTIVE:
        return
    form = {"email": READER, "topic": list(TOPICS), "timezone": "UTC", "hour": "7"}
    answer = httpx.post(f"{settings.base_url}/subscribe", data=form | {"cadence": "daily"})
    if not answer.is_success:
        raise CommandError(f"the sign-up was answered with {answer.status_code}")
    link = _wait_for_link(settings, services)
    httpx.post(link).raise_for_status()
    if _reader_state(desk) is not SubscriberState.ACTIVE:
        raise CommandError("the confirmation did not make the reader active")


def _reader_state(desk: Desk) -> SubscriberState | None:
    with transaction(desk.sessions) as session:
        reader = find_by_email(session, READER)
        return reader.state if reader else None


def _wait_for_link(settings: Settings, services: Stack) -> str:
    """The confirmation link out of the reader's mail, once the worker has sent it."""
    pattern = re.compile(re.escape(settings.base_url) + r"/confirm/[\w.~-]+")
    deadline = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < deadline:
        services.check()
        for text in _mail_texts(settings):
            found = pattern.search(text)
            if found:
                return found.group()
        time.sleep(0.2)
    raise CommandError(f"no confirmation mail came within {MAIL_SECONDS:.0f} s")


def _mail_texts(settings: Settings) -> list[str]:
    """The text parts of the reader's mails, newest first."""
    maildir = settings.data_dir / "mailbox"
    texts = []
    for stored in list_messages(maildir, limit=20):
        if READER in stored.to:
            message = message_from_bytes(read_message(maildir, stored.key), policy=default)
            body = message.get_body(("plain",))
            texts.append(body.get_content() if body else "")
    return texts


def _ingest(desk: Desk, settings: Settings, day: _Day) -> list[BatchReport]:
    reports: list[BatchReport] = []
    with progress_bar("reading papers", None) as set_done:
        for source in build_sources(settings, LocalGate()):
            reports += ingest_source(desk.sessions, settings, source, day.on, desk.clock())
            set_done(len(reports))
    return reports


def _publish(desk: Desk, settings: Settings, on: date, services: Stack) -> Balance:
    """Publish, ring for the worker, and wait until every row has come to its end."""
    edition_id = publish_now(desk.sessions, settings, Cadence.DAILY, on, desk.clock())
    make_ring(settings.broker_url)("deliver")
    deadline = time.monotonic() + MAIL_SECONDS
    while True:
        services.check()
        balance = find_balance(desk.sessions, Cadence.DAILY, on)
        if balance is None:
            raise CommandError(f"edition {edition_id} is gone")
        waiting = {"queued", "claimed", "in_flight"} & balance.states.keys()
        if not waiting or time.monotonic() > deadline:
            return balance
        time.sleep(0.2)


def _count_digests(settings: Settings) -> int:
    maildir = settings.data_dir / "mailbox"
    return sum(READER in stored.to for stored in list_messages(maildir))


def _tell(
    desk: Desk,
    settings: Settings,
    day: _Day,
    reports: list[BatchReport],
    balance: Balance,
    mail_count: int,
) -> None:
    origin = "the built-in sample day (invented papers)" if day.is_sample else "the live sources"
    places = {
        "Site": settings.base_url,
        "The day": f"{settings.base_url}/daily/{day.on}",
        "Mailbox": f"{settings.base_url}/mailbox",
        "Maildir": str(settings.data_dir / "mailbox"),
    }
    value = {"day": day.on, "is_sample": day.is_sample, "balance": balance, "batches": reports}
    desk.say(
        value | {"places": places, "mail_count": mail_count},
        f"Papers of {day.on} from {origin}.",
        batch_table(reports),
        *balance_lines(balance),
        f"{READER} has {mail_count} mails.",
        *(f"{name + ':':10}{place}" for name, place in places.items()),
    )
