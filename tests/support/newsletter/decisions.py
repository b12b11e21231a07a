"""What an outcome means for a row that has the whole day before it."""

from datetime import UTC, datetime, timedelta

from service.deliveries.domain.states import Decision, SendOutcome
from service.sending.domain.retries import Tries, decide

_NOW = datetime(2026, 9, 18, 5, 0, tzinfo=UTC)


def decide_now(outcome: SendOutcome) -> Decision:
    return decide(outcome, Tries(1, 0, _NOW + timedelta(hours=20)), _NOW)
