"""The steps of a sender at which a mail could be lost or sent twice, as one value.

Fault-injection tests replace a step by a broken one to prove that the fault is detected.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from sqlalchemy.orm import Session

from service.deliveries.domain.states import Decision, SendOutcome
from service.platform.settings.settings import Settings
from service.sending.domain.retries import Tries, decide
from service.sending.eligibility import skip_in_flight
from service.sending.store import in_flight

Decide: TypeAlias = Callable[[SendOutcome, Tries, datetime], Decision]
Record: TypeAlias = Callable[
    [Session, Sequence[in_flight.SendResult], datetime], dict[int, in_flight.RecordedResult]
]
Lock: TypeAlias = Callable[[Session, int, Mapping[int, int], datetime], list[in_flight.LockedClaim]]
PutInFlight: TypeAlias = Callable[
    [Session, Mapping[int, int], Mapping[int, str], datetime], set[int]
]
SkipInFlight: TypeAlias = Callable[
    [Session, Sequence[in_flight.LockedClaim], Mapping[int, int], Settings, datetime], set[int]
]


@dataclass(frozen=True, slots=True)
class Steps:
    """`decide` on outcomes, `record` them; `lock` claims, `skip_in_flight`, `put_in_flight`."""

    decide: Decide = decide
    record: Record = in_flight.record_results
    lock: Lock = in_flight.lock_claimed
    skip_in_flight: SkipInFlight = skip_in_flight
    put_in_flight: PutInFlight = in_flight.put_in_flight


STEPS = Steps()
