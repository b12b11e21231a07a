"""The demonstration: the real service, today's papers (or the sample day), one subscriber, one digest.

It goes the same way as real use: the subscriber signs up and confirms over HTTP, the papers come
through the sources' own clients, the mails are sent by SMTP and arrive in a Maildir.
"""

import re
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date, datetime
from email import message_from_bytes
from email.policy import default
from urllib.parse import urlsplit

import httpx2

from service.cli.context import CommandContext, CommandError
from service.cli.mail_target import development_mailbox
from service.cli.output import counted, progress_bar
from service.cli.processes import Stack, beat_schedule, free_port, is_free, listening_port
from service.cli.report_lines import batch_table, edition_lines
from service.deliveries.domain.recipients import Cadence, SubscriberState
from service.deliveries.domain.states import DeliveryState
from service.editions.balance import Balance, find_balance
from service.editions.publish import publish_now
from service.papers.domain.announcement_days import announcement_date
from service.papers.ingest import BatchReport, ingest_source
from service.papers.sources.arxiv_feed import feed_address
from service.papers.sources.registry import build_sources
from service.platform.database.engine import transaction
from service.platform.dev_mailbox import list_messages, load_message
from service.platform.queue import make_enqueue
from service.platform.settings.settings import Settings
from service.sample.papers import nearest_weekday
from service.sample.server import SampleServer
from service.subscribers.store.subscribers import find_by_email

SUBSCRIBER = "reader@example.org"
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
    """The day that is shown, and the settings for its sources."""

    on: date
    settings: Settings
    is_sample: bool


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The result of the day; with `is_up` the services go on, so their addresses are printed."""

    reports: list[BatchReport]
    balance: Balance
    is_up: bool


def run(command: CommandContext, *, is_once: bool) -> None:
    """Show a whole day; with `is_once` end after the accounting. Raises `CommandError`."""
    if command.settings.smtp_url:
        message = "the demo sends only into its own mailbox; unset PAPERBOY_SMTP_URL"
        raise CommandError(message, 2)
    with ExitStack() as stack:
        settings = stack.enter_context(development_mailbox(command.settings))
        day = _choose_day(stack, settings, command.clock())
        settings = _with_free_port(day.settings)
        settings, password = _with_password(settings)
        services = stack.enter_context(Stack(settings, _changes(settings) | password))
        services.start("web", "--port", str(urlsplit(settings.base_url).port))
        services.start("worker")
        services.wait_for_web(settings.base_url)
        _subscribe(command, settings, services)
        reports = _ingest(command, settings, day)
        balance = _publish(command, settings, day.on, services)
        _print_summary(command, settings, day, _Outcome(reports, balance, is_up=not is_once))
        if not balance.closes or not balance.states.get(DeliveryState.SENT):
            raise CommandError("the balance does not close, or nothing was sent")
        if not is_once:
            services.start("beat", *beat_schedule(settings.data_dir))
            services.stay_up()


def _with_free_port(settings: Settings) -> Settings:
    """Return the settings with a local address: the usual port, or else a free one."""
    port = listening_port(settings)
    port = port if is_free(port) else free_port()
    return settings.model_copy(update={"base_url": f"http://127.0.0.1:{port}"})


def _with_password(settings: Settings) -> tuple[Settings, dict[str, str]]:
    """Return the settings with a password for /admin, and the environment that sets a new one."""
    if settings.admin_password:
        return settings, {}
    password = secrets.token_urlsafe(9)
    changed = settings.model_copy(update={"admin_password": password})
    return changed, {"PAPERBOY_ADMIN_PASSWORD": password}


def _choose_day(stack: ExitStack, settings: Settings, now: datetime) -> _Day:
    """Return today from the live sources if they answer in time, else the built-in sample day."""
    on = announcement_date(now)
    if _answers_live(settings) and nearest_weekday(on) == on:
        return _Day(on, settings, is_sample=False)
    on = nearest_weekday(on)
    server = stack.enter_context(SampleServer(on))
    changes = {"arxiv_feed_url": server.url, "huggingface_url": server.url}
    return _Day(on, settings.model_copy(update=changes), is_sample=True)


def _answers_live(settings: Settings) -> bool:
    url = feed_address(settings.arxiv_feed_url, settings.arxiv_categories[0])
    started = time.monotonic()
    try:
        response = httpx2.get(url, timeout=LIVE_SECONDS, follow_redirects=True)
    except httpx2.HTTPError:
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


def _subscribe(command: CommandContext, settings: Settings, services: Stack) -> None:
    """Sign the sample subscriber up and confirm, by HTTP and the mail, as any person would."""
    state = _subscriber_state(command)
    if state is SubscriberState.ACTIVE:
        return
    if state in {SubscriberState.PAUSED, SubscriberState.SUPPRESSED}:
        raise CommandError(f"{SUBSCRIBER} is {state}; start again with another PAPERBOY_DATA_DIR")
    form = {"email": SUBSCRIBER, "topic": list(TOPICS), "timezone": "UTC", "hour": "7"}
    response = httpx2.post(f"{settings.base_url}/subscribe", data=form | {"cadence": "daily"})
    if not response.is_success:
        raise CommandError(f"the sign-up failed with HTTP status {response.status_code}")
    _confirm(command, settings, services)


def _subscriber_state(command: CommandContext) -> SubscriberState | None:
    with transaction(command.sessions) as session:
        subscriber = find_by_email(session, SUBSCRIBER)
        return subscriber.state if subscriber else None


def _confirm(command: CommandContext, settings: Settings, services: Stack) -> None:
    """Follow the links in the subscriber's mails as they arrive, until one has confirmed.

    The mailbox may hold mails of earlier runs with expired links or another port, so only the token
    of each link is used.
    """
    tried: set[str] = set()
    deadline = time.monotonic() + MAIL_SECONDS
    while time.monotonic() < deadline:
        services.check()
        for token in _confirmation_tokens(settings) - tried:
            tried.add(token)
            httpx2.post(f"{settings.base_url}/confirm/{token}")
            if _subscriber_state(command) is SubscriberState.ACTIVE:
                return
        time.sleep(0.1)
    raise CommandError(f"no mail confirmed the reader within {MAIL_SECONDS:.0f} s")


def _confirmation_tokens(settings: Settings) -> set[str]:
    texts = "\n".join(_message_texts(settings))
    return set(re.findall(r"https?://[^/\s]+/confirm/([\w.~-]+)", texts))


def _message_texts(settings: Settings) -> list[str]:
    """Return the text parts of the subscriber's mails, newest first."""
    maildir = settings.data_dir / "mailbox"
    texts = []
    for stored in list_messages(maildir, limit=20):
        if SUBSCRIBER in stored.to:
            message = message_from_bytes(load_message(maildir, stored.key), policy=default)
            body = message.get_body(("plain",))
            texts.append(body.get_content() if body else "")
    return texts


def _ingest(command: CommandContext, settings: Settings, day: _Day) -> list[BatchReport]:
    reports: list[BatchReport] = []
    with progress_bar("reading papers") as set_done:
        for source in build_sources(settings, command.rate_limiter):
            reports += ingest_source(command.sessions, settings, source, day.on, command.clock())
            set_done(len(reports))
    return reports


def _publish(command: CommandContext, settings: Settings, on: date, services: Stack) -> Balance:
    """Publish, enqueue a wake-up task for the worker, and wait until every delivery has ended."""
    edition_id = publish_now(command.sessions, settings, Cadence.DAILY, on, command.clock())
    make_enqueue(settings.broker_url)("deliver")
    deadline = time.monotonic() + MAIL_SECONDS
    while True:
        services.check()
        balance = find_balance(command.sessions, Cadence.DAILY, on)
        if balance is None:
            raise CommandError(f"edition {edition_id} is gone")
        waiting = {"queued", "claimed", "in_flight"} & balance.states.keys()
        if not waiting or time.monotonic() > deadline:
            return balance
        time.sleep(0.2)


def _print_summary(
    command: CommandContext, settings: Settings, day: _Day, outcome: _Outcome
) -> None:
    origin = "the built-in sample day (invented papers)" if day.is_sample else "the live sources"
    maildir = settings.data_dir / "mailbox"
    mail_count = sum(SUBSCRIBER in stored.to for stored in list_messages(maildir))
    places = {"Maildir": str(maildir)}
    if outcome.is_up:
        places = {
            "Site": settings.base_url,
            "The day": f"{settings.base_url}/daily/{day.on}",
            "Mailbox": f"{settings.base_url}/mailbox",
            "Operator": f"{settings.base_url}/admin",
        } | places
    value = {
        "day": day.on,
        "is_sample": day.is_sample,
        "batches": outcome.reports,
        "balance": outcome.balance,
        "mail_count": mail_count,
        "places": places,
        "admin_password": settings.admin_password if outcome.is_up else "",
    }
    command.print(
        value,
        f"Papers of {day.on} from {origin}:",
        batch_table(outcome.reports),
        "",
        *edition_lines(outcome.balance),
        "",
        f"{SUBSCRIBER} has {counted(mail_count, 'mail')}.",
        *(f"{name + ':':10}{place}" for name, place in places.items()),
        *(
            [f"Operator’s password, with any name: {settings.admin_password}"]
            if outcome.is_up
            else []
        ),
        *(["Ctrl-C stops it."] if outcome.is_up else []),
    )
