"""The steps of a sender at which a mail could be lost or sent twice, as one value.

A test that asks whether a broken step is found out gives a sender another one.
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
from service.sending.store.in_flight import (
    LockedClaim,
    RecordedResult,
    SendResult,
    lock_claimed,
    put_in_flight,
    record_results,
)

Decide: TypeAlias = Callable[[SendOutcome, Tries, datetime], Decision]
Record: TypeAlias = Callable[[Session, Sequence[SendResult], datetime], dict[int, RecordedResult]]
Hold: TypeAlias = Callable[[Session, int, Mapping[int, int], datetime], list[LockedClaim]]
Fly: TypeAlias = Callable[[Session, Mapping[int, int], Mapping[int, str], datetime], set[int]]
SkipInFlight: TypeAlias = Callable[
    [Session, Sequence[LockedClaim], Mapping[int, int], Settings, datetime], set[int]
]


@dataclass(frozen=True, slots=True)
class Steps:
    """`decide` on an outcome and `record` it; `hold` claimed rows, `skip_in_flight` those of readers who
    left since, let the rest `fly`."""

    decide: Decide = decide
    record: Record = record_results
    hold: Hold = lock_claimed
    skip_in_flight: SkipInFlight = skip_in_flight
    fly: Fly = put_in_flight


STEPS = Steps()
