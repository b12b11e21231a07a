"""The demonstration: the real service, with today's papers or with days of invented ones.

It goes the same way as real use: subscribers sign up and confirm over HTTP, the papers come through
the sources' own clients, the mails are sent by SMTP and arrive in a Maildir. Its servers and files
are in a directory of their own, and it takes none of the operator's settings about mail.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from functools import partial
from pathlib import Path

import httpx2
import typer

from service.cli.context import CommandContext, CommandError, command_context
from service.cli.demo_bounce import return_last_mail
from service.cli.demo_subscribers import (
    DAILY,
    MAIL_SECONDS,
    MOVED,
    WEEKLY,
    SampleSubscriber,
    SignUps,
    count_mails,
)
from service.cli.mail_target import development_mailbox
from service.cli.output import counted, progress_bar, table
from service.cli.processes import (
    LOOPBACK,
    Stack,
    beat_schedule,
    ending_at_signals,
    free_port,
    is_free,
    listening_port,
)
from service.cli.report_lines import batch_table, edition_lines
from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.demo_mark import mark_demo
from service.editions.balance import Balance, find_balance
from service.editions.domain.schedule import is_cadence_day
from service.editions.publish import force_due, publish_now
from service.papers.domain.announcement_days import announcement_date, is_announcement_day
from service.papers.domain.source_names import SOURCE_NAMES
from service.papers.domain.types import AnnounceType
from service.papers.ingest import BatchReport, ingest_source, refresh_lists
from service.papers.sources.arxiv_feed import feed_address
from service.papers.sources.http_fetch import MAX_BODY_BYTES, Caller
from service.papers.sources.registry import build_sources
from service.papers.store.batches import count_by_type
from service.papers.watched_sources import watched_categories
from service.platform.clock import DEMO_CLOCK, demo_clock, set_demo_clock, system_clock
from service.platform.database.engine import transaction
from service.platform.outgoing_http import Request, open_answer
from service.platform.queue import make_enqueue
from service.platform.settings.env_file import environ_with_file
from service.platform.settings.faults import PREFIX
from service.platform.settings.load import load_settings
from service.platform.settings.settings import Settings
from service.sample.papers import nearest_weekday
from service.sample.server import SampleServer

LIVE_SECONDS = 5.0
_BOUNCE_DAYS = 4
_SHOWN_TYPES = (AnnounceType.NEW, AnnounceType.CROSS, AnnounceType.REPLACE)

# The operator's settings that a demo takes. All others, which may name a relay or a database with
# real people in it, are left out.
_TAKEN = frozenset(
    PREFIX + name
    for name in ("ARXIV_FEED_URL", "BASE_URL", "CONTACT", "DATA_DIR", "HTTP_TIMEOUT_SECONDS",
                 "HUGGINGFACE_URL", "LOG_LEVEL")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is shown: the days with papers, the last of them today, and the settings."""

    days: tuple[date, ...]
    settings: Settings
    environ: Mapping[str, str]
    is_sample: bool

    def moment(self, on: date) -> datetime:
        """Return the moment at which a day is shown: now if it is today, else its noon."""
        now = system_clock()
        if announcement_date(now) == on:
            return now
        return datetime.combine(on, time_of_day(12), tzinfo=UTC)

    @property
    def subscribers(self) -> tuple[SampleSubscriber, ...]:
        several = (DAILY, WEEKLY, MOVED) if self.bounces_on else (DAILY, WEEKLY)
        return several if len(self.days) > 1 else (DAILY,)

    @property
    def bounces_on(self) -> date | None:
        """The day on which a mail bounces, if there are enough days to see what follows."""
        return self.days[len(self.days) // 2] if len(self.days) >= _BOUNCE_DAYS else None


@dataclass(frozen=True, slots=True)
class _Day:
    """The accounting of one day."""

    on: date
    counts: Mapping[AnnounceType, int]
    batches: list[BatchReport]
    balances: list[Balance]


@dataclass(frozen=True, slots=True)
class _Demo:
    """A running demo. `clock` is its own and that of its child processes."""

    command: CommandContext
    plan: _Plan
    settings: Settings
    services: Stack
    clock_file: Path

    @property
    def clock(self) -> Callable[[], datetime]:
        return demo_clock(self.clock_file)


def run(context: typer.Context, *, as_json: bool, day_count: int, is_once: bool) -> None:
    """Show the days; with `is_once` end after the accounting. Raises `CommandError`."""
    plan = _make_plan(day_count, system_clock())
    with (
        ending_at_signals(),
        command_context(context, as_json=as_json, loaded=plan.settings) as command,
        ExitStack() as stack,
    ):
        _mark(command, plan)
        demo = _start(stack, command, plan)
        states = [_sign_up(demo, one) for one in plan.subscribers]
        days = _live(demo)
        print_all = partial(_print_summary, demo, days, is_up=not is_once)
        fault = _find_fault(days, is_sending=SubscriberState.ACTIVE in states)
        if is_once or fault:
            print_all()
        if fault:
            raise CommandError(fault)
        if not is_once:
            demo.services.start("beat", *beat_schedule(demo.settings.data_dir))
            demo.services.stay_up(print_all)


def _make_plan(day_count: int, now: datetime) -> _Plan:
    """Return a day with live papers if the sources answer in time, else days of the sample.

    Live and invented papers never meet in one database: each kind of demo has its own directory.
    """
    given = environ_with_file()
    environ = {k: v for k, v in given.items() if k in _TAKEN or not k.startswith(PREFIX)}
    data_dir = Path(environ.get(f"{PREFIX}DATA_DIR") or Settings.model_fields["data_dir"].default)
    environ[f"{PREFIX}DATA_DIR"] = str(data_dir / "demo")
    settings = load_settings(SOURCE_NAMES, environ)
    today = announcement_date(now)
    if day_count == 1 and is_announcement_day(today) and _answers_live(settings):
        environ[f"{PREFIX}DATA_DIR"] = str(data_dir / "demo-live")
        return _Plan((today,), load_settings(SOURCE_NAMES, environ), environ, is_sample=False)
    return _Plan(_last_days(nearest_weekday(today), day_count), settings, environ, is_sample=True)


def _last_days(last: date, count: int) -> tuple[date, ...]:
    """Return `count` days with papers, in order, the last of which is given."""
    days = [last]
    while len(days) < count:
        days.insert(0, nearest_weekday(days[0] - timedelta(days=1)))
    return tuple(days)


def _answers_live(settings: Settings) -> bool:
    url = feed_address(settings.arxiv_feed_url, settings.arxiv_categories[0])
    try:
        agent = {"User-Agent": Caller(settings.base_url, settings.contact).user_agent}
        with open_answer(Request(url, LIVE_SECONDS, LIVE_SECONDS, headers=agent)) as answer:
            answer.response.raise_for_status()
            body = answer.read(MAX_BODY_BYTES)
    except httpx2.HTTPError:
        return False
    return b"<item>" in body or b"<entry>" in body


def _mark(command: CommandContext, plan: _Plan) -> None:
    with transaction(command.sessions) as session:
        if not mark_demo(session, has_sample_papers=plan.is_sample):
            where = command.settings.data_dir
            raise CommandError(f"{where} holds an installation that is no demo; move it away")


def _start(stack: ExitStack, command: CommandContext, plan: _Plan) -> _Demo:
    """Start the mailbox, the sample's server, the web site and the workers."""
    clock_file = command.settings.data_dir / "clock"
    set_demo_clock(clock_file, system_clock())
    clock = demo_clock(clock_file)
    settings = stack.enter_context(development_mailbox(command.settings))
    if plan.is_sample:
        url = stack.enter_context(SampleServer(lambda: announcement_date(clock()))).url
        settings = settings.model_copy(
            update={
                "arxiv_feed_url": url, "arxiv_list_url": f"{url}/list", "huggingface_url": url,
            }
        )  # fmt: skip
    port = listening_port(settings)
    port = port if is_free(port) else free_port()
    own = {"base_url": f"http://{LOOPBACK}:{port}", "admin_password": secrets.token_urlsafe(18)}
    settings = settings.model_copy(update=own)
    changes = {
        f"{PREFIX}{name.upper()}": str(getattr(settings, name))
        for name in (*own, "mailbox_url", "arxiv_feed_url", "arxiv_list_url", "huggingface_url")
    }
    changes[DEMO_CLOCK] = str(clock_file)
    changes[f"{PREFIX}WEB_PROCESSES"] = "1"  # for one visitor
    services = stack.enter_context(
        Stack(settings, changes, environ=plan.environ, may_stay_root=True)
    )
    services.start("web", "--host", LOOPBACK, "--port", str(port))
    services.start_workers()
    services.wait_for_web(settings.base_url)
    return _Demo(command, plan, settings, services, clock_file)


def _sign_up(demo: _Demo, one: SampleSubscriber) -> SubscriberState:
    """Let a new subscriber sign up on the first day; one of an earlier demo, who has left, now.

    A confirmation from before somebody left does not subscribe them again.
    """
    sign_ups = SignUps(demo.command.sessions, demo.settings, demo.services)
    is_new = sign_ups.find_state(one) is None
    set_demo_clock(
        demo.clock_file, demo.plan.moment(demo.plan.days[0]) if is_new else system_clock()
    )
    return sign_ups.sign_up(one)


def _live(demo: _Demo) -> list[_Day]:
    """Let the days pass and return their accounting; afterwards the clock is the system's."""
    sources = build_sources(demo.settings, demo.command.rate_limiter)
    batch_count = sum(len(watched_categories(demo.settings, source.name)) for source in sources)
    days: list[_Day] = []
    with progress_bar("reading and sending") as set_done:
        for number, on in enumerate(demo.plan.days):
            # Not back within a day: mails queued since its moment would not be due yet.
            if announcement_date(demo.clock()) != on:
                set_demo_clock(demo.clock_file, demo.plan.moment(on))
            done = iter(range(number * batch_count + 1, (number + 1) * batch_count + 1))
            whole = len(demo.plan.days) * batch_count
            reports = _ingest(demo, on, lambda: set_done(next(done), whole))  # noqa: B023
            balances = list(_publish(demo, on))
            if on == demo.plan.bounces_on:
                balances = [*_bounce(demo, balances)]
            days.append(_Day(on, _count(demo, on), reports, balances))
    set_demo_clock(demo.clock_file, system_clock())
    return days


def _count(demo: _Demo, on: date) -> Mapping[AnnounceType, int]:
    with transaction(demo.command.sessions) as session:
        return count_by_type(session, "arxiv", on)


def _ingest(demo: _Demo, on: date, on_batch: Callable[[], None]) -> list[BatchReport]:
    sessions, settings = demo.command.sessions, demo.settings
    sources = build_sources(settings, demo.command.rate_limiter)
    reports: list[BatchReport] = []
    for source in sources:
        reports += ingest_source(
            sessions, settings, source, on, demo.clock(), on_batch=lambda _: on_batch()
        )
    if demo.plan.is_sample:
        refresh_lists(sessions, settings, sources, demo.clock())
    return reports


def _publish(demo: _Demo, on: date) -> Iterator[Balance]:
    """Publish each cadence of a date, wake the worker, and wait until every delivery has ended."""
    sessions, settings = demo.command.sessions, demo.settings
    cadences = {one.cadence: None for one in demo.plan.subscribers}
    for cadence in cadences:
        if not is_cadence_day(cadence, on):
            continue
        edition_id = publish_now(sessions, settings, cadence, on, demo.clock())
        # An edition that an earlier run left open may wait for its subscribers' hours.
        force_due(sessions, edition_id, demo.clock())
        make_enqueue(settings.queue_url)("deliver")
        deadline = time.monotonic() + MAIL_SECONDS
        while True:
            demo.services.check()
            balance = find_balance(sessions, cadence, on)
            if balance is None:
                raise CommandError(f"edition {edition_id} is gone")
            waiting = {"queued", "claimed", "in_flight"} & balance.states.keys()
            if not waiting or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        yield balance


def _bounce(demo: _Demo, balances: list[Balance]) -> Iterator[Balance]:
    """Let a mail of the day bounce, and yield the balances of the day after that."""
    sessions = demo.command.sessions
    return_last_mail(sessions, demo.settings, MOVED.email, demo.clock())
    for balance in balances:
        yield find_balance(sessions, balance.cadence, balance.local_date) or balance


def _find_fault(days: list[_Day], *, is_sending: bool) -> str:
    """Return what is wrong: an edition that does not balance, or nothing came of all of them."""
    balances = [balance for day in days for balance in day.balances]
    wrong = [f"{one.cadence} {one.local_date}" for one in balances if not one.closes]
    if wrong:
        return f"the balance does not close: {', '.join(wrong)}"
    is_sent = any(one.states.get(DeliveryState.SENT) for one in balances)
    return "nothing was sent" if is_sending and not is_sent else ""


def _print_summary(demo: _Demo, days: list[_Day], *, is_up: bool) -> None:
    maildir = demo.settings.data_dir / "mailbox"
    mails = {one.email: count_mails(maildir, one) for one in demo.plan.subscribers}
    places = _places(demo, is_up=is_up)
    password = demo.settings.admin_password
    value = {
        "day": days[-1].on,
        "is_sample": demo.plan.is_sample,
        "batches": days[-1].batches,
        "balance": days[-1].balances[0],
        "days": days,
        "mail_count": mails[DAILY.email],
        "mails": mails,
        "places": places,
        "password": password if is_up else "",
    }
    signed_ups = SignUps(demo.command.sessions, demo.settings, demo.services)
    demo.command.print(
        value,
        *(_day_lines(demo, days[0]) if len(days) == 1 else _days_lines(days)),
        "",
        *(
            f"{one.email} ({one.cadence}, {signed_ups.find_state(one)}) has"
            f" {counted(mails[one.email], 'mail')}."
            for one in demo.plan.subscribers
        ),
        *(f"{name + ':':10}{place}" for name, place in places.items()),
        *([f"          any name, password {password}", "Ctrl-C stops it."] if is_up else []),
    )


def _places(demo: _Demo, *, is_up: bool) -> dict[str, str]:
    data_dir, site = demo.settings.data_dir, demo.settings.base_url
    if not is_up:
        return {"Maildir": str(data_dir / "mailbox")}
    return {
        "Site": site,
        "The day": f"{site}/daily/{demo.plan.days[-1]}",
        "Mailbox": f"{site}/mailbox",
        "Data": f"{data_dir} (remove it to begin again)",
        "Operator": f"{site}/admin",
    }


def _day_lines(demo: _Demo, day: _Day) -> list[str]:
    is_sample = demo.plan.is_sample
    origin = "the built-in sample (invented papers)" if is_sample else "the live sources"
    lines = [f"Papers of {day.on} from {origin}:", batch_table(day.batches), ""]
    return [*lines, *(line for balance in day.balances for line in edition_lines(balance))]


def _days_lines(days: list[_Day]) -> list[str]:
    """Return a line for each edition of each day."""
    columns = ("day", ">new", ">cross", ">replaced", "edition", ">papers", "digests", "balance")
    rows: list[tuple[object, ...]] = []
    for day in days:
        counts = [day.counts.get(kind, 0) for kind in _SHOWN_TYPES]
        left: tuple[object, ...] = (f"{day.on:%a %Y-%m-%d}", *counts)
        for balance in day.balances:
            states = ", ".join(f"{count} {state}" for state, count in balance.states.items())
            verdict = "closes" if balance.closes else "DOES NOT CLOSE"
            rows.append((*left, balance.cadence, balance.paper_count, states or "none", verdict))
            left = ("", "", "", "")
    return [f"{counted(len(days), 'day')} of invented papers:", table(columns, rows)]
