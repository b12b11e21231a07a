"""Run one seed from its plan to its end: workers, relay, queue, unsubscribes, and the next day.

`Story` acts as beat, supervisor and operator, injects the faults, and records what the promises are
checked against.
"""

import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from pathlib import Path
from typing import Any, ClassVar

import redis
from sqlalchemy import ColumnElement, Engine, and_, false, func, or_, select, text
from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.models import Delivery
from service.platform.database.engine import make_engine, make_sessions
from service.platform.queue import make_enqueue
from service.platform.settings.settings import Settings
from service.sending.deliver import resolve, sweep
from service.sending.steps import STEPS, Steps
from support.chaos.deeds import (
    Left,
    choose_leaver,
    cut_database,
    double,
    find_claimed,
    redeliver,
    unsubscribe,
)
from support.chaos.lane import LEASE_SECONDS, START, Lane
from support.chaos.orders import Orders, SharedClock, work
from support.chaos.outages import begin_outage, end_outage
from support.chaos.plan import HANGING_SECONDS, PATIENCE_SECONDS, QUEUES, Deed, Event, Plan
from support.chaos.pool import Worker, end_worker
from support.chaos.relay import ChaosRelay
from support.servers.databases import clone_database
from support.servers.processes import settings_environ
from support.web.papers import FRIDAY, THURSDAY

# A seed that takes longer hangs, however busy the machine is.
_LONGEST_SECONDS = 60.0
_BEAT_SECONDS = 0.2
# How long rows that wait for a provider's limit have their turn.
_TURN_SECONDS = 3.0


class StoryEnded(Exception):
    """The lane was ended while its seed was running."""


@dataclass
class Story:
    """A running seed. `windows` counts the windows that faults may have left in flight."""

    steps: ClassVar[Steps] = STEPS

    lane: Lane
    plan: Plan
    settings: Settings
    engine: Engine
    home: Path
    workers: list[Worker] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    doubted: set[int] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)
    kill_count: int = 0
    stop_count: int = 0
    windows: int = 0
    # The states of the day's rows when all was settled but messages that hang, and how many these were.
    beside_hanging: dict[str, int] = field(default_factory=dict)
    held_count: int = 0

    def __post_init__(self) -> None:
        self.sessions: sessionmaker[Session] = make_sessions(self.engine)
        self.dice = random.Random(self.plan.seed)
        self.relay = self.make_relay()
        self.queue = redis.Redis.from_url(self.lane.redis_url)
        self.queue.flushdb()
        self._enqueue = make_enqueue(self.settings.queue_url)
        SharedClock.make_file(self.home / "clock")
        self.clock = SharedClock(self.home / "clock", START)
        self._faults = list(self.plan.faults)
        self._events = list(self.plan.events)
        self._next_beat = self._turn_ends = 0.0
        self._beats = 0
        self._spawned = 0
        site = self.lane.site
        site.state.context = replace(
            site.state.context,
            settings=self.settings,
            sessions=self.sessions,
            clock=self.clock,
            enqueue=lambda *_: None,
        )

    # -- the day ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Run the day of the faults, the hours after it, the operator's answer, and the next day."""
        with self.sessions.begin() as session:
            session.execute(
                text("DELETE FROM subscribers WHERE id > :last"), {"last": self.plan.subscribers}
            )
        if self.plan.outage:
            begin_outage(self)
        self.live_first_day()
        if self.plan.has_hanging:
            self.held_count, self.beside_hanging = self.relay.held_count, self._states()
            self.relay.release()
            self._settle("sweep", "deliver")
        self.relay.calm()
        self._end_faults()
        self._end_day()
        self.doubted = self._find_doubted()
        for edition_id in self._edition_ids():
            resolve(self.sessions, edition_id, self.plan.answer, self.clock())
        self._settle("deliver")
        if self.plan.outage:
            end_outage(self)
        self._be_down()
        self.forget_until(datetime.combine(self.back_on, time_of_day(7, 40), tzinfo=UTC))
        self._settle("open_editions", "sweep", "deliver", on=self.back_on)
        self._end_day()

    @property
    def back_on(self) -> date:
        """The day of the next edition: Friday, unless the service is down until after the weekend."""
        return FRIDAY + timedelta(days=self.plan.missed_days)

    def _be_down(self) -> None:
        """End all workers and start others, if the plan has days on which none ran."""
        if self.plan.missed_days:
            for worker in self.workers:
                end_worker(worker)
            self.workers.clear()
            self._spawn_all()

    def _spawn_all(self) -> None:
        for _ in range(self.plan.workers):
            self._spawn()

    def live_first_day(self) -> None:
        self._spawn_all()
        self._settle("open_editions", "sweep", "deliver")

    def forget_until(self, moment: datetime) -> None:
        """Set the clock forward to a moment, if it is in the future."""
        self.clock.forward(seconds=max(0.0, (moment - self.clock()).total_seconds()))

    def _end_day(self) -> None:
        """Retry every two hours, until no row waits or all are too late."""
        for _ in range(14):
            if not self._count(Delivery.state == DeliveryState.QUEUED):
                return
            self.clock.forward(hours=2)
            self._settle("sweep", "deliver")

    def _settle(self, *tasks: str, on: date = THURSDAY) -> None:
        """Enqueue tasks as beat does until the day's editions are frozen and no row is active."""
        deadline = time.monotonic() + _LONGEST_SECONDS
        self._next_beat, self._beats = 0.0, 0
        self._turn_ends = time.monotonic() + _TURN_SECONDS
        while time.monotonic() < deadline and not self.broken:
            self._tick(tasks)
            if self._is_settled(on):
                return
            time.sleep(0.03)
        if not self.broken:
            self.broken.append(f"nothing moved any more: {self._states()}")

    def _tick(self, tasks: tuple[str, ...]) -> None:
        if self.lane.ended.is_set():
            raise StoryEnded
        while self._events and self._events[0].after <= self.relay.dot_count:
            self._apply(self._events.pop(0))
        self._replace_dead()
        for worker in self.workers:
            if worker.is_stopped and not worker.has_slept:
                self._oversleep(worker)
        if time.monotonic() >= self._next_beat:
            self._next_beat = time.monotonic() + _BEAT_SECONDS
            # A queue without consumers must not grow for ever.
            is_short = sum(map(self.queue.llen, QUEUES)) < 3
            for enqueued in tasks:
                # It enqueues a task per chunk each time, so it runs more rarely than the others.
                if is_short and (enqueued != "open_editions" or self._beats % 3 == 0):
                    self._enqueue_unless_lost(enqueued)
            self._beats += 1

    def _enqueue_unless_lost(self, enqueued: str) -> None:
        if self.dice.random() >= self.plan.lost_share:
            self._enqueue(enqueued)

    def _is_settled(self, on: date) -> bool:
        with self.engine.connect() as connection:
            editions, frozen = connection.execute(
                text(
                    "SELECT count(*), count(*) FILTER (WHERE state <> 'open')"
                    " FROM editions WHERE local_date = :on"
                ),
                {"on": on},
            ).one()
        # Workers' clocks differ by seconds, and a row is due by the clock of its composer.
        soon = self.clock() + timedelta(seconds=2)
        # A row with a lane is not sent when it is due, but when its provider's limit allows: so it has
        # its turn.
        has_turn = Delivery.lane != "" if time.monotonic() < self._turn_ends else false()
        busy = or_(
            Delivery.state.in_([DeliveryState.CLAIMED, DeliveryState.IN_FLIGHT]),
            and_(Delivery.state == DeliveryState.QUEUED, or_(Delivery.due_at <= soon, has_turn)),
        )
        # A message that hangs is in flight until the relay releases it; nothing waits for that.
        return editions >= 2 and editions == frozen and self._count(busy) <= self.relay.held_count

    # -- processes -------------------------------------------------------------------------------

    def _spawn(self) -> None:
        number, self._spawned = self._spawned, self._spawned + 1
        name = f"worker{number}"
        orders = self._orders(name, self.plan.skews[number % len(self.plan.skews)])
        process = self.lane.fork(work, orders)
        self.workers.append(Worker(name, process, orders.fault))

    def _end_faults(self) -> None:
        """Drop the day's remaining faults; workers with a fault or a short timeout are replaced."""
        self._faults.clear()
        self._events.clear()
        is_short = self.plan.timeout_seconds < PATIENCE_SECONDS
        self.plan = replace(self.plan, timeout_seconds=PATIENCE_SECONDS)
        for worker in [worker for worker in self.workers if worker.fault or is_short]:
            self.workers.remove(worker)
            end_worker(worker)
            self._spawn()

    def _orders(self, name: str, skew: float) -> Orders:
        environ = settings_environ(
            self.settings,
            SEND_WINDOW=str(self.plan.window),
            SEND_CONNECTIONS=str(self.plan.connections),
            BOUNCE_DOMAIN=self.settings.bounce_domain,
            ARXIV_CATEGORIES=" ".join(self.settings.arxiv_categories),
            EMBEDDER="none",
            LOG_LEVEL="ERROR",
            **self.reach(name),
        )
        return Orders(
            name=name,
            environ={k: v for k, v in environ.items() if k.startswith("PAPERBOY_")},
            clock_file=self.home / "clock",
            start=START,
            skew=skew,
            fault=self._faults.pop(0) if self._faults else None,
            timeout_seconds=self.plan.timeout_seconds,
            hanging_seconds=HANGING_SECONDS if self.plan.has_hanging else None,
            chunk=self.plan.chunk,
            log_file=self.home / "log",
            namespace=self.namespace(name),
            steps=self.steps,
        )

    def reach(self, name: str) -> dict[str, str]:
        """Return the settings of a worker that differ from others': its own ports of the relay."""
        ports = [self.relay.open(name) for _ in range(self.plan.relays)]
        return {"SMTP_URL": " ".join(f"smtp://127.0.0.1:{port}?starttls=off" for port in ports)}

    def namespace(self, _name: str) -> str:
        """Return the network namespace of a worker; empty for this machine."""
        return ""

    def make_relay(self) -> ChaosRelay:
        return ChaosRelay(self.plan, self._pid_of)

    def _pid_of(self, name: str) -> int:
        return next(worker.pid for worker in self.workers if worker.name == name)

    def _replace_dead(self) -> None:
        """Count dead workers and start new ones, as a supervisor does."""
        for worker in [w for w in self.workers if w.process.exitcode is not None]:
            self.workers.remove(worker)
            if worker.process.exitcode != -signal.SIGKILL:
                self.broken.append(f"{worker.name} ended by itself: {worker.process.exitcode}")
            self.kill_count += 1
            self.windows += 1
            worker.process.close()
            self._spawn()

    def _oversleep(self, worker: Worker) -> None:
        """Let a stopped worker's lease end, unsubscribe one of its subscribers, let others take its
        rows, and then wake it.
        """
        worker.has_slept = True
        self.stop_count += 1
        # The clock is shared, so every worker's lease ends.
        self.windows += len(self.workers)
        for subscriber_id in find_claimed(self.engine, worker.name)[:1]:
            self._leave(subscriber_id)
        self.clock.forward(seconds=LEASE_SECONDS + 60)
        for _ in range(self.dice.randint(1, 12)):
            sweep(self.sessions, self.clock())
            self._enqueue("deliver")
            time.sleep(0.03)
        os.kill(worker.pid, signal.SIGCONT)

    # -- faults from outside ---------------------------------------------------------------------

    def _apply(self, event: Event) -> None:
        match event.deed:
            case Deed.LEAVE:
                left = [leaver.subscriber_id for leaver in self.left]
                self._leave(choose_leaver(self.engine, left, event.who))
            case Deed.WIPE:
                self.queue.flushdb()
            case Deed.LOSE:
                self.queue.delete(*QUEUES)
            case Deed.DOUBLE:
                double(self.queue)
                for enqueued in ("deliver", "deliver", "sweep", "open_editions"):
                    self._enqueue(enqueued)
            case Deed.REDELIVER:
                redeliver(self.queue)
            case Deed.CUT_DATABASE | Deed.CUT_LOCK:
                worker = self.workers[event.who % len(self.workers)]
                only_lock = event.deed is Deed.CUT_LOCK
                self.windows += cut_database(self.engine, worker.name, only_lock=only_lock)

    def _leave(self, subscriber_id: int) -> None:
        self.left.append(
            unsubscribe(self.lane.site, self.settings, self.engine, subscriber_id, self.clock())
        )

    # -- queries ---------------------------------------------------------------------------------

    def _count(self, *conditions: ColumnElement[bool]) -> int:
        with self.engine.connect() as connection:
            chosen = select(func.count()).select_from(Delivery).where(*conditions)
            return connection.execute(chosen).scalar_one()

    def _states(self) -> dict[str, int]:
        with self.engine.connect() as connection:
            rows = connection.execute(
                text(
                    "SELECT state::text AS state, count(*) AS row_count FROM deliveries GROUP BY state"
                )
            )
            return {row.state: row.row_count for row in rows}

    def _find_doubted(self) -> set[int]:
        with self.engine.connect() as connection:
            rows = connection.execute(text("SELECT id FROM deliveries WHERE state = 'in_doubt'"))
            return set(rows.scalars())

    def _edition_ids(self) -> list[int]:
        with self.engine.connect() as connection:
            return list(connection.execute(text("SELECT id FROM editions ORDER BY id")).scalars())

    def log(self) -> str:
        file = self.home / "log"
        return file.read_text(errors="replace") if file.exists() else ""

    def close(self) -> None:
        for worker in self.workers:
            end_worker(worker)
        self.relay.stop()
        self.queue.close()
        self.clock.close()
        self.engine.dispose()


@contextmanager
def play(lane: Lane, plan: Plan) -> Iterator[Story]:
    """Run a seed, and yield its story for inspection."""
    with open_story(lane, plan) as story:
        story.run()
        yield story


@contextmanager
def open_story(lane: Lane, plan: Plan, kind: type[Story] = Story) -> Iterator[Any]:
    """Yield a seed that has not started, with its own database and home."""
    home = Path(tempfile.mkdtemp(dir=lane.home))
    with clone_database(lane.servers, lane.template, lane.name) as url:
        story = kind(lane, plan, lane.settings(url, home), make_engine(url), home)
        try:
            yield story
        finally:
            story.close()
            shutil.rmtree(home, ignore_errors=True)
