"""The faults of one seed of the chaos tests, as a pure function of its number.

The schedule is deterministic; the race between two processes is not, so a fault at the fifth message
may hit either of two senders.
"""

import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from support.chaos.outages import OUTAGES

# What a chaos worker serves: all but ingest.
QUEUES = ("paperboy.compose", "paperboy.send", "paperboy.urgent")

# The sender's timeout for the relay: short only where the relay is to exceed it, because on a busy
# machine every relay is slow.
PATIENCE_SECONDS = 60.0
SHORT_PATIENCE_SECONDS = 1.0
# After how long a message hangs where the plan holds some back; elsewhere it is as in production.
HANGING_SECONDS = 1.0


class Point(StrEnum):
    """A point where a sender can be killed or stopped: just after one of its own commits."""

    COMPOSED = "composed"
    CLAIMED = "claimed"
    IN_FLIGHT = "in_flight"
    RECORDED = "recorded"


class Phase(StrEnum):
    """A phase where the relay can fail. BODY is the middle of the message, DONE just after the 250."""

    GREETING = "greeting"
    EHLO = "ehlo"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    BODY = "body"
    DOT = "dot"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class ProcessFault:
    """A worker is killed the `nth` time it comes to a point, or stopped there for a while."""

    point: Point
    nth: int
    is_fatal: bool = True


@dataclass(frozen=True, slots=True)
class WireFault:
    """A fault of the relay in a phase, from its `nth` occurrence on, `times` times.

    `reply` is the line sent instead; empty with `seconds` means a delay, empty without means that
    the connection is cut. `kills` kills the sender at that moment; `hangs` holds the reply back until
    all other mail is sent.
    """

    phase: Phase
    nth: int
    times: int = 1
    reply: str = ""
    seconds: float = 0.0
    kills: bool = False
    hangs: bool = False


class Deed(StrEnum):
    """An action from outside while mail is being sent."""

    LEAVE = "leave"
    WIPE = "wipe"
    LOSE = "lose"
    DOUBLE = "double"
    REDELIVER = "redeliver"
    CUT_DATABASE = "cut database"
    CUT_LOCK = "cut the sender's lock"


@dataclass(frozen=True, slots=True)
class Event:
    """A deed after `after` messages came to their final dot; `who` picks a subscriber or a worker."""

    after: int
    deed: Deed
    who: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """All choices of one seed. `skews`: seconds by which workers' clocks differ; `lost_share`: the
    share of tasks that are lost; `missed_days`: for how many days after the first one's night the
    service is down; `outage`: what of the source is away on the first day.
    """

    seed: int
    kind: str
    subscribers: int
    window: int
    connections: int
    workers: int
    chunk: int
    pipelining: bool
    is_late_to_refuse: bool
    timeout_seconds: float
    skews: tuple[float, ...]
    answer: str
    faults: tuple[ProcessFault, ...] = ()
    wire: tuple[WireFault, ...] = ()
    events: tuple[Event, ...] = ()
    lost_share: float = 0.0
    relays: int = 1
    missed_days: int = 0
    outage: str = ""

    @property
    def has_hanging(self) -> bool:
        return any(fault.hangs for fault in self.wire)

    def as_json(self) -> dict[str, Any]:
        """Return the plan as it is printed beside a broken promise."""
        return asdict(self)


@dataclass
class _Draft:
    """A plan in the making, with its random generator."""

    dice: random.Random
    subscribers: int
    faults: list[ProcessFault] = field(default_factory=list)
    wire: list[WireFault] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    lost_share: float = 0.0

    def moment(self) -> int:
        return self.dice.randrange(max(1, self.subscribers - 8))

    def add_deed(self, *deeds: Deed, most: int = 3) -> None:
        for _ in range(self.dice.randint(1, most)):
            event = Event(self.moment(), self.dice.choice(deeds), self.dice.randrange(1000))
            self.events.append(event)


def _add_kills(point: Point) -> Callable[[_Draft], None]:
    def add(draft: _Draft) -> None:
        for _ in range(draft.dice.randint(1, 3)):
            draft.faults.append(ProcessFault(point, draft.dice.randint(1, 3)))

    return add


def _add_relay_kills(phase: Phase) -> Callable[[_Draft], None]:
    def add(draft: _Draft) -> None:
        for _ in range(draft.dice.randint(1, 3)):
            draft.wire.append(WireFault(phase, 1 + draft.moment(), kills=True))

    return add


def _add_sleep(draft: _Draft) -> None:
    point = draft.dice.choice((Point.CLAIMED, Point.CLAIMED, Point.IN_FLIGHT, Point.RECORDED))
    draft.faults.append(ProcessFault(point, draft.dice.randint(1, 2), is_fatal=False))


def _add_lost_tasks(draft: _Draft) -> None:
    draft.lost_share = draft.dice.uniform(0.3, 0.8)
    draft.faults.append(ProcessFault(Point.COMPOSED, 1))
    draft.add_deed(Deed.LOSE)


def _add_cuts(draft: _Draft) -> None:
    for _ in range(draft.dice.randint(1, 4)):
        phase = draft.dice.choice([one for one in Phase if one is not Phase.DONE])
        draft.wire.append(_anywhere(draft, phase, times=draft.dice.randint(1, 2)))


def _add_delays(draft: _Draft) -> None:
    for _ in range(draft.dice.randint(1, 3)):
        phase = draft.dice.choice([one for one in Phase if one is not Phase.DONE])
        # Some delays exceed the sender's timeout.
        seconds = draft.dice.choice((0.05, 0.1, 0.3, 2 * SHORT_PATIENCE_SECONDS))
        draft.wire.append(_anywhere(draft, phase, seconds=seconds))


def _add_hanging(draft: _Draft) -> None:
    for _ in range(draft.dice.randint(1, 3)):
        phase = draft.dice.choice((Phase.MAIL, Phase.DATA, Phase.DOT, Phase.DOT))
        fault = _anywhere(draft, phase, times=draft.dice.randint(1, 4), hangs=True)
        draft.wire.append(fault)


_LATER = {
    Phase.GREETING: ("421 4.3.2 not now",),
    Phase.EHLO: ("421 4.3.2 not now", "451 4.3.0 broken today"),
    Phase.MAIL: ("451 4.7.1 try again in 300 seconds", "452 4.3.1 no room"),
    Phase.RCPT: ("450 4.7.1 greylisted", "452 4.2.2 mailbox full", "421 4.7.0 too many"),
    Phase.DATA: ("451 4.3.0 broken today", "421 4.3.2 going down"),
    Phase.DOT: ("451 4.3.0 broken today", "452 4.2.2 mailbox full", "421 4.7.0 too many"),
}
_NEVER = {
    Phase.GREETING: ("554 5.3.2 no service here",),
    Phase.EHLO: ("550 5.7.1 not you",),
    Phase.MAIL: ("550 5.1.8 no such sender", "553 5.1.7 strange sender"),
    Phase.RCPT: ("550 5.1.1 no such mailbox", "550 5.7.1 refused", "552 5.2.2 mailbox full"),
    Phase.DATA: ("554 5.5.1 no",),
    Phase.DOT: ("554 5.6.0 no such content", "550 5.7.1 looks like spam", "552 5.3.4 too big"),
}


def _add_refusals(replies: dict[Phase, tuple[str, ...]]) -> Callable[[_Draft], None]:
    def add(draft: _Draft) -> None:
        for _ in range(draft.dice.randint(1, 4)):
            phase = draft.dice.choice(sorted(replies))
            reply = draft.dice.choice(replies[phase])
            draft.wire.append(_anywhere(draft, phase, times=draft.dice.randint(1, 3), reply=reply))

    return add


def _anywhere(draft: _Draft, phase: Phase, **fault: Any) -> WireFault:
    # Greetings are few, because a connection is reused for many messages.
    is_rare = phase in {Phase.GREETING, Phase.EHLO}
    return WireFault(phase, draft.dice.randint(1, 4) if is_rare else 1 + draft.moment(), **fault)


def _add_deeds(*deeds: Deed, most: int = 3) -> Callable[[_Draft], None]:
    return lambda draft: draft.add_deed(*deeds, most=most)


_SINGLE: dict[str, Callable[[_Draft], None]] = {
    "killed after composing": _add_kills(Point.COMPOSED),
    "killed after the claim": _add_kills(Point.CLAIMED),
    "killed after going into flight": _add_kills(Point.IN_FLIGHT),
    "killed in the middle of the message": _add_relay_kills(Phase.BODY),
    "killed after the final dot": _add_relay_kills(Phase.DOT),
    "killed after the 250": _add_relay_kills(Phase.DONE),
    "killed after recording": _add_kills(Point.RECORDED),
    "slept longer than its lease": _add_sleep,
    "tasks doubled": _add_deeds(Deed.DOUBLE, most=6),
    "tasks redelivered": _add_deeds(Deed.REDELIVER, most=6),
    "tasks lost": _add_lost_tasks,
    "queue wiped": _add_deeds(Deed.WIPE, most=4),
    "database connections killed": _add_deeds(Deed.CUT_DATABASE, Deed.CUT_DATABASE, Deed.CUT_LOCK),
    "wire cut": _add_cuts,
    "wire slow": _add_delays,
    "messages hang": _add_hanging,
    "wire says 4xx": _add_refusals(_LATER),
    "wire says 5xx": _add_refusals(_NEVER),
    "many unsubscribe": _add_deeds(Deed.LEAVE, most=12),
}
EVERYTHING = "several at once"
KINDS = (*_SINGLE, EVERYTHING)


def make_plan(seed: int) -> Plan:
    """Return the plan of a seed. Kinds alternate, so that any run of seeds has them equally often."""
    dice = random.Random(f"paperboy chaos {seed}")
    kind = KINDS[seed % len(KINDS)]
    draft = _Draft(dice, subscribers=dice.randint(20, 60))
    for name in _chosen(dice, kind):
        _SINGLE[name](draft)
    # Some subscribers leave in every seed.
    draft.add_deed(Deed.LEAVE)
    is_slept = any(not fault.is_fatal for fault in draft.faults)
    is_slow = any(fault.seconds for fault in draft.wire)
    workers = 2 if is_slept else dice.randint(1, 2)
    dice.shuffle(draft.faults)
    outage = random.Random(f"paperboy outages {seed}").choice(OUTAGES)
    return Plan(
        seed=seed,
        kind=kind,
        subscribers=draft.subscribers,
        window=dice.randint(2, 12),
        connections=dice.randint(1, 6),
        workers=workers,
        chunk=dice.choice((7, 20, 1000)),
        pipelining=dice.random() < 0.6,
        is_late_to_refuse=dice.random() < 0.5,
        timeout_seconds=SHORT_PATIENCE_SECONDS if is_slow else PATIENCE_SECONDS,
        skews=tuple(round(dice.uniform(-0.4, 0.4), 2) for _ in range(4)),
        answer=dice.choice(("carry", "resend", "sent")),
        faults=tuple(draft.faults),
        wire=tuple(draft.wire),
        events=tuple(sorted(draft.events, key=lambda event: event.after)),
        lost_share=draft.lost_share,
        # A generator of its own keeps the rest of each seed as it was before several relays existed.
        relays=random.Random(f"paperboy relays {seed}").choice((1, 1, 2)),
        # Not both: the papers of an outage must be late in the very next edition.
        missed_days=random.Random(f"paperboy missed days {seed}").choice((0, 0, 3, 4))
        if not outage
        else 0,
        outage=outage,
    )


def _chosen(dice: random.Random, kind: str) -> list[str]:
    if kind == EVERYTHING:
        return dice.sample(sorted(_SINGLE), 4)
    others = [name for name in sorted(_SINGLE) if name != kind]
    return [kind, dice.choice(others)] if dice.random() < 0.35 else [kind]
