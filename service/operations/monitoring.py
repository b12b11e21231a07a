"""What nobody should have to look for: the operator is told of doubts that stay, and of bad accounts."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import alert_operator
from service.editions.balance import edition_balance
from service.messages.contexts.transactional import Alert
from service.operations.store.edition_reports import count_old_doubts, last_of_each_cadence
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.presentation.phrases import count_of

# A slow relay's answer, or a provider's webhook, settles most doubts before anybody need look.
PATIENCE = timedelta(minutes=30)


def watch_accounts(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> int:
    """Tell the operator, once for each edition, what is wrong with it; returns how many were told."""
    with transaction(sessions) as session:
        told = [
            alert_operator(session, settings, f"in doubt {number}", _doubt(number, count), now)
            for number, count in count_old_doubts(session, now - PATIENCE).items()
        ]
        for edition in last_of_each_cadence(session):
            # What is still being composed has nothing yet that could balance.
            balance = edition_balance(session, edition) if edition.frozen_at else None
            if balance is not None and not balance.closes:
                alert = _unbalanced(edition.id)
                told.append(alert_operator(session, settings, f"balance {edition.id}", alert, now))
    return sum(number is not None for number in told)


def _doubt(edition_id: int, count: int) -> Alert:
    return Alert(
        subject=f"{count_of(count, 'digest')} in doubt in edition {edition_id}",
        detail="They were on the wire, and no reply came; nothing has settled it for half an hour.",
        hint=f"Look into the relay's log, then: paperboy resolve {edition_id} --in-doubt sent, "
        "resend or carry. What is left open is carried into each reader's next edition.",
    )


def _unbalanced(edition_id: int) -> Alert:
    return Alert(
        subject=f"The balance of edition {edition_id} does not close",
        detail="Its rows are not as many as the readers it was made for. This is a fault of ours.",
        hint="Keep the database as it is, and report it with: paperboy status --json",
    )
