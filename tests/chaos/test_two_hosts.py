"""Two hosts on one database and one queue; one is cut off in the middle of an edition."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import pytest
from sqlalchemy import make_url, text
from support.chaos.lane import LEASE_SECONDS, Lane
from support.chaos.plan import Phase, Plan, WireFault
from support.chaos.promises import check
from support.chaos.relay import ChaosRelay
from support.chaos.world import Story, open_story
from support.servers.hosts import Doors, Hosts, make_hosts
from support.web.papers import FRIDAY

from service.sending.deliver import resolve

# Slow enough to cut a host off in the middle of an edition.
PLAN = Plan(
    seed=0,
    kind="a host cut off",
    subscribers=60,
    window=6,
    connections=2,
    workers=2,
    chunk=1000,
    pipelining=True,
    is_late_to_refuse=False,
    timeout_seconds=60.0,
    skews=(0.2, -0.2),
    answer="carry",
    wire=(WireFault(Phase.DOT, 1, times=100_000, seconds=0.1),),
)
CUT_OFF, OTHER = "worker0", "worker1"
HOSTS = {CUT_OFF: "a", OTHER: "b"}
FINISHED = {"sent", "in_doubt", "skipped"}
WAKE_UP_TASKS = ("open_editions", "sweep", "deliver")


class StoryOfHosts(Story):
    """A story with workers on different hosts, which reach everything by the hub's addresses."""

    hosts: ClassVar[Hosts]
    doors: ClassVar[Doors]

    def make_relay(self) -> ChaosRelay:
        return ChaosRelay(self.plan, self._pid_of, self.hosts.hub)

    def namespace(self, name: str) -> str:
        return self.hosts.namespace(HOSTS[name])

    def reach(self, name: str) -> dict[str, str]:
        address = self.hosts.addresses[HOSTS[name]]
        database = make_url(self.settings.database_url)
        sockets = Path(str(database.query["host"]))
        postgres = self.doors.open(address, sockets / f".s.PGSQL.{database.port or 5432}")
        queue = urlsplit(self.settings.redis_url)
        valkey = self.doors.open(address, Path(queue.path))
        number = queue.query.removeprefix("db=")
        return {
            "SMTP_URL": f"smtp://{address}:{self.relay.open(name, address)}?starttls=off",
            "DATABASE_URL": f"postgresql://{database.username}@{address}:{postgres}/{database.database}",
            "REDIS_URL": f"redis://{address}:{valkey}/{number}",
        }

    def play_until(self, is_so: Callable[[], bool], *tasks: str) -> None:
        deadline = time.monotonic() + 90
        while not is_so():
            assert time.monotonic() < deadline, (self._states(), self.log()[-3000:])
            self._tick(tasks)
            time.sleep(0.02)

    def message_count(self, worker: str) -> int:
        return sum(
            exchange.worker == worker and exchange.dot_at is not None
            for exchange in self.relay.exchanges
        )

    def last_move(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT max(id) FROM moves")).scalar_one())

    def has_moved(self, worker: str, since: int) -> bool:
        moved = text("SELECT count(*) FROM moves WHERE worker = :worker AND id > :since")
        with self.engine.connect() as connection:
            given = {"worker": worker, "since": since}
            return bool(connection.execute(moved, given).scalar_one())

    def held_by(self, worker: str) -> set[int]:
        """Return the deliveries that were last put in flight by a worker, in any state now."""
        last = text(
            "SELECT DISTINCT ON (delivery_id) delivery_id, worker FROM moves"
            " WHERE new = 'in_flight' ORDER BY delivery_id, id DESC"
        )
        with self.engine.connect() as connection:
            return {row.delivery_id for row in connection.execute(last) if row.worker == worker}

    def has_work_beside(self, worker: str) -> bool:
        """Return whether a row is queued, or held by another worker."""
        last = "SELECT worker FROM moves WHERE delivery_id = d.id ORDER BY id DESC LIMIT 1"
        busy = text(
            "SELECT count(*) FROM deliveries d WHERE state = 'queued'"  # noqa: S608
            f" OR (state IN ('claimed', 'in_flight') AND ({last}) <> :worker)"
        )
        with self.engine.connect() as connection:
            return bool(connection.execute(busy, {"worker": worker}).scalar_one())

    def end(self, name: str) -> None:
        (worker,) = [worker for worker in self.workers if worker.name == name]
        self.workers.remove(worker)
        worker.process.kill()
        worker.process.join(5)


@pytest.fixture
def story(lane: Lane) -> Iterator[StoryOfHosts]:
    with make_hosts(*HOSTS.values()) as hosts:
        StoryOfHosts.hosts, StoryOfHosts.doors = hosts, Doors(hosts.hub)
        try:
            with open_story(lane, PLAN, StoryOfHosts) as story:
                yield story
        finally:
            StoryOfHosts.doors.stop()


@pytest.mark.hosts
@pytest.mark.slow
@pytest.mark.long
def test_one_of_two_hosts_is_cut_off_mid_edition_and_the_other_finishes(
    story: StoryOfHosts,
) -> None:
    for _ in HOSTS:
        story._spawn()
    story.play_until(lambda: min(map(story.message_count, HOSTS)) >= 4, *WAKE_UP_TASKS)
    story.hosts.cut("a")
    before = story.message_count(CUT_OFF)
    # Its window, and the rows briefly in doubt when the clock is set forward.
    story.windows += 2
    # Everything except the lost host's rows, which only an expired lease releases.
    story.play_until(lambda: not story.has_work_beside(CUT_OFF), "deliver")
    story.clock.forward(seconds=LEASE_SECONDS + 60)
    story._settle("sweep", "deliver")
    # On a busy machine a row that waits for its provider's limit is claimed when all others are done.
    story.play_until(lambda: set(story._states()) <= FINISHED, "sweep", "deliver")
    finished = story._states()
    assert 1 <= finished["in_doubt"] <= PLAN.window
    assert story.message_count(CUT_OFF) <= before + PLAN.connections
    held, since = story.held_by(CUT_OFF), story.last_move()

    story.hosts.join("a")
    story.play_until(lambda: story.has_moved(CUT_OFF, since), "deliver", "sweep")
    story._settle("sweep", "deliver")
    # It recorded the outcomes of its rows in flight, and sent no rows that others claimed meanwhile.
    assert story.held_by(CUT_OFF) == held
    story.doubted = story._find_doubted()
    for edition_id in story._edition_ids():
        resolve(story.sessions, edition_id, PLAN.answer, story.clock())

    story.end(OTHER)
    story.forget_until(datetime(2026, 9, 18, 7, 40, tzinfo=UTC))
    before_friday = story.message_count(CUT_OFF)
    story._settle(*WAKE_UP_TASKS, on=FRIDAY)
    assert story.message_count(CUT_OFF) > before_friday
    assert check(story).broken == ()
