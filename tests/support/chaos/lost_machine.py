"""A day on which the machine is lost: its database comes back from a dump of some moment of that day.

The marks are lost or kept, as the seed says. Workers run on the restored database before the operator
answers with the true time.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from service.deliveries.domain.recipients import SubscriberState
from service.deliveries.domain.states import DeliveryState
from service.deliveries.store.restores import get_installation
from service.sending.restore_guard import accept_restored, find_suspicion, refuse_restored
from service.sending.watermark_files import load_watermarks, watermark_paths
from support.chaos import promises
from support.chaos.plan import QUEUES, Plan, make_plan
from support.chaos.pool import end_worker
from support.chaos.promises import Aftermath
from support.chaos.world import Story
from support.servers.dumps import dump_database, restore_database
from support.web.papers import FRIDAY, THURSDAY

MARKS = ("lost", "kept", "lost in Valkey", "lost in the file")
TASKS = ("open_editions", "sweep", "deliver")


KIND = "machine lost"
# No divisor of the number of kinds, so that the machine is lost in the middle of each of them.
_EVERY = 11


def loses_machine(seed: int) -> bool:
    """Return whether a day of the whole test loses its machine."""
    return seed % _EVERY == _EVERY - 1


def plan_loss(seed: int) -> Plan:
    """Return the faults of a seed, without the one answer that may send a second copy, and without
    those that make more than one day of it.
    """
    plan = make_plan(seed)
    return replace(
        plan,
        kind=KIND,
        answer="carry" if plan.answer == "resend" else plan.answer,
        wire=tuple(fault for fault in plan.wire if not fault.hangs),
        missed_days=0,
        outage="",
    )


class LostMachine(Story):
    """A story whose machine is lost after some messages. `marks` says what is left of the marks.

    `thursday_count` is the number of exchanges with the relay before the next day.
    """

    marks: str
    thursday_count: int = 0

    def live_first_day(self) -> None:
        """Live until the machine is lost, and on another one until the end of the day."""
        dice = random.Random(f"paperboy lost machine {self.plan.seed}")
        self.marks = MARKS[self.plan.seed % len(MARKS)]
        dumped_after = dice.randrange(self.plan.subscribers - 8)
        lost_after = dice.randint(dumped_after, self.plan.subscribers)
        # It has been running for days.
        refuse_restored(self.sessions, self.settings, self.clock())
        self._spawn_all()
        self._play_until(dumped_after)
        dump = dump_database(self.settings.database_url, self.home / "database.dump")
        dumped_at = self.clock()
        self._play_until(lost_after)
        for worker in self.workers:
            end_worker(worker)
        self.workers.clear()
        # Workers' clocks differ by less than a second.
        self.clock.forward(seconds=1)
        lost_at = self.clock()
        restore_database(self.engine, self.settings.database_url, dump)
        # Where nothing was sent since the dump, nothing is lost, and nobody is asked.
        self._look_at_marks(dumped_at)
        self._lose_marks()
        self.clock.forward(minutes=3)
        self._spawn_all()
        self._work_unanswered()
        self.answer(lost_at)
        # The operator unsubscribes again who left since the backup.
        left, self.left = self.left, []
        for leaver in left:
            self._leave(leaver.subscriber_id)
        self._settle(*TASKS)

    def answer(self, lost_at: datetime) -> None:
        """Answer as the operator: with the time, where no mark knows it."""
        until = lost_at if self.marks == "lost" else None
        accept_restored(self.sessions, self.settings, self.clock(), until)

    def forget_until(self, moment: datetime) -> None:
        self.thursday_count = len(self.relay.exchanges)
        super().forget_until(moment)

    def _play_until(self, messages: int) -> None:
        """Live until so many messages came to their final dot, or nothing is left to send."""
        deadline = time.monotonic() + 120
        while self.relay.dot_count < messages and not self.broken:
            assert time.monotonic() < deadline, self._states()
            self._tick(TASKS)
            if self._is_settled(THURSDAY):
                return
            time.sleep(0.01)

    def _look_at_marks(self, dumped_at: datetime) -> None:
        """Lose marks that cannot show the loss: a sender that is killed within a second after its last
        mark leaves none of what it sent since. Workers' clocks differ by less than half a second.
        """
        if find_suspicion(self.sessions, self.settings, self.clock()):
            return
        with self.sessions() as session:
            marks = load_watermarks(self.settings, get_installation(session))
        if any(mark.at > dumped_at + timedelta(seconds=0.5) for mark in marks):
            self.broken.append("a mark is newer than the dump, and nothing is suspected")
        self.marks = "lost"

    def _lose_marks(self) -> None:
        if self.marks in {"lost", "lost in Valkey"}:
            self.queue.flushdb()
        if self.marks in {"lost", "lost in the file"}:
            for path in watermark_paths(self.settings.data_dir):
                path.unlink(missing_ok=True)

    def _work_unanswered(self) -> None:
        """Let workers do what beat asks for, before the operator answers."""
        for _ in range(3):
            for task in TASKS:
                self._enqueue(task)
            deadline = time.monotonic() + 60
            while sum(map(self.queue.llen, QUEUES)):
                assert time.monotonic() < deadline, "the workers take no task"
                self._replace_dead()
                time.sleep(0.02)
        names = {worker.name for worker in self.workers}
        if any(exchange.worker in names for exchange in self.relay.exchanges):
            self.broken.append("a mail was sent before the operator answered")


def _nobody_has_two_copies_of_a_day(after: Aftermath) -> Iterator[str]:
    """Also where the edition was made again, with other ids."""
    assert isinstance(after.story, LostMachine)
    exchanges, count = after.story.relay.exchanges, after.story.thursday_count
    for day in (exchanges[:count], exchanges[count:]):
        copies = Counter(exchange.recipient for exchange in day if exchange.is_kept)
        yield from (f"{email} got {n} mails of a day" for email, n in copies.items() if n > 1)


def _no_paper_is_lost(after: Aftermath) -> Iterator[str]:
    """An active subscriber got the mail of the first day, or its papers in the next edition."""
    assert isinstance(after.story, LostMachine)
    first_day = after.story.relay.exchanges[: after.story.thursday_count]
    have_it = {exchange.recipient for exchange in first_day if exchange.code == 250}
    for subscriber in after.subscribers.values():
        first, second = (after.row_of(subscriber.id, on) for on in (THURSDAY, FRIDAY))
        if subscriber.state is not SubscriberState.ACTIVE or subscriber.email in have_it:
            continue
        if first is None or first.state is DeliveryState.SENT:
            continue
        is_sent = second is not None and second.state is DeliveryState.SENT
        brought = set(second.paper_ids) if second and is_sent else set()
        if lost := set(first.paper_ids) - brought:
            yield f"{subscriber.email} never gets papers {sorted(lost)}; delivery {first.id}"


# The others compare messages with rows by the id of the delivery, and rows were lost.
PROMISES: tuple[Callable[[Aftermath], Iterator[str]], ...] = (
    _nobody_has_two_copies_of_a_day,
    _no_paper_is_lost,
    promises._nobody_has_two_copies,
    promises._each_row_has_ended,
    promises._steps_are_foreseen,
    promises._windows_are_kept,
    promises._balances_close,
    promises._who_left_gets_nothing,
    promises._nothing_comes_twice,
)
