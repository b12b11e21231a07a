"""Mails that cannot be built: each fails alone, with a reason, and the operator hears of it once."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import Alert, alert_operator
from service.deliveries.domain.states import OPERATOR_KINDS, DeliveryState
from service.deliveries.store.claimed_rows import Claim
from service.messages.domain.errors import MailError
from service.platform.database.engine import transaction
from service.platform.logs import get_logger
from service.platform.row_errors import is_of_one_row
from service.platform.settings.settings import Settings
from service.sending.store.in_flight import TerminalTransition

# So many mails of an edition failed before one could be built: the fault is not in their rows.
MOST_UNBUILDABLE = 50

log = get_logger(__name__)


class Unbuildable(Exception):
    """No mail of an edition can be built; its rows return to the queue."""


@dataclass(slots=True)
class BuildFailures:
    """What one run could not build, and of which editions (None: other mails) it built something."""

    sessions: sessionmaker[Session]
    settings: Settings
    counts: Counter[int | None] = field(default_factory=Counter)
    built: set[int | None] = field(default_factory=set)

    def note(self, claim: Claim, error: Exception, now: datetime) -> TerminalTransition:
        """Return the failure of one row, after the operator's alert.

        Raises the error itself where it is no row's, and `Unbuildable` where every mail fails.
        """
        if not is_of_one_row(error):
            raise error
        edition_id = claim.delivery.edition_id
        reason = (
            f"render: {error}" if isinstance(error, MailError) else f"build: {type(error).__name__}"
        )
        self.counts[edition_id] += 1
        # One traceback, for the others are most often the same.
        is_traced = self.counts[edition_id] == 1 and not isinstance(error, MailError)
        log.warning("deliver.unbuildable", delivery_id=claim.id, reason=reason, exc_info=is_traced)
        is_stopped = edition_id not in self.built and self.counts[edition_id] >= MOST_UNBUILDABLE
        is_of_operator = (
            claim.delivery.kind in OPERATOR_KINDS
        )  # An alert about an alert helps nobody.
        if (self.counts[edition_id] == 1 and not is_of_operator) or is_stopped:
            self._alert(edition_id, reason, now, is_stopped=is_stopped)
        if is_stopped:
            raise Unbuildable(f"edition {edition_id}: {reason}") from error
        return TerminalTransition(claim.id, claim.attempt, DeliveryState.FAILED, reason)

    def _alert(
        self, edition_id: int | None, reason: str, now: datetime, *, is_stopped: bool
    ) -> None:
        what = f"edition {edition_id}" if edition_id else "the mails of no edition"
        alert = Alert(
            subject=f"A mail of {what} cannot be built",
            detail=f"The first reason: {reason}. Such a mail fails alone, and all others are sent.",
            hint="How many: paperboy status. Which and why: “deliver.unbuildable” in the worker’s log.",
        )
        if is_stopped:
            alert = Alert(
                subject=f"No mail of {what} can be built",
                detail=f"The first {MOST_UNBUILDABLE} failed, the last with: {reason}. They stay queued"
                " and are tried again every minute.",
                hint="The worker’s log has the error under “deliver.unbuildable”.",
            )
        occasion = f"{'unbuilt' if is_stopped else 'unbuildable'} {edition_id or now.date()}"
        with transaction(self.sessions) as session:
            alert_operator(session, self.settings, occasion, alert, now)
