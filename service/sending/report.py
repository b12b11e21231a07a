"""The result of a run of sending, in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.deliveries.domain.states import DeliveryState


@dataclass(frozen=True, slots=True)
class DeliverReport:
    """The result of one run, in rows."""

    sent: int = 0
    skipped: int = 0
    failed: int = 0
    retried: int = 0
    in_doubt: int = 0

    @property
    def total(self) -> int:
        return self.sent + self.skipped + self.failed + self.retried + self.in_doubt

    def plus(self, states: Sequence[DeliveryState]) -> DeliverReport:
        return replace(
            self,
            sent=self.sent + states.count(DeliveryState.SENT),
            skipped=self.skipped + states.count(DeliveryState.SKIPPED),
            failed=self.failed + states.count(DeliveryState.FAILED),
            retried=self.retried + states.count(DeliveryState.QUEUED),
            in_doubt=self.in_doubt + states.count(DeliveryState.IN_DOUBT),
        )
