"""What nobody should have to look for: the operator is told of doubts that stay, and of bad accounts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import Alert, alert_operator
from service.deliveries.domain.recipients import Cadence
from service.editions.balance import edition_balance
from service.editions.coverage import day_statuses
from service.editions.domain.schedule import is_cadence_day
from service.editions.domain.states import EditionState
from service.editions.store.editions import find_edition, list_editions
from service.operations.store.edition_reports import (
    count_doubts_by_edition,
    count_old_doubts,
    last_of_each_cadence,
    last_reads,
)
from service.papers.domain.announcement_days import ARXIV_ZONE, announcement_date, is_past_deadline
from service.papers.domain.completeness import unfinished
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.presentation.phrases import count_of
from service.sending.store.claim import count_due

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


SILENCE = timedelta(hours=6)

# After the hour at which an edition goes out whatever is missing.
LATENESS = timedelta(hours=1)
COMPOSING = timedelta(hours=2)
DOUBT = timedelta(hours=1)
WAITING = timedelta(hours=2)
_LOOKS_BACK = timedelta(days=3)
_KNOWN_DAYS = 14


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong; `occasion` is the same for as long as it is the same thing."""

    occasion: str
    alert: Alert


def report_troubles(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> int:
    """Tell the operator what is wrong and was not told yet; returns how many mails were queued."""
    with transaction(sessions) as session:
        found = list(find_troubles(session, settings, now))
        told = [alert_operator(session, settings, t.occasion, t.alert, now) for t in found]
    return sum(number is not None for number in told)


def find_troubles(session: Session, settings: Settings, now: datetime) -> Iterator[Trouble]:
    """Everything that is wrong at `now`, told or not."""
    yield from _silent_sources(session, settings, now)
    yield from _late_editions(session, now)
    yield from _open_accounts(session, now)
    yield from _old_doubts(session, now)
    yield from _waiting_mail(session, now)


def _silent_sources(session: Session, settings: Settings, now: datetime) -> Iterator[Trouble]:
    on = announcement_date(now)
    waiting = {batch.source for batch in unfinished(day_statuses(session, on, settings), on)}
    began = datetime.combine(on, time(0), tzinfo=ARXIV_ZONE)
    reads = last_reads(session, on - timedelta(days=_KNOWN_DAYS))
    gating = {batch.source for batch in day_statuses(session, on, settings)}
    for source in sorted({*reads, *waiting}):
        if source.partition(".")[0] not in {*settings.sources, "journal"}:
            continue
        if source in gating and source not in waiting:
            # Its day is in: nobody asks it again before tomorrow.
            continue
        last = reads.get(source)
        since = max(last, began) if last is not None and source in gating else last or began
        if now - since >= SILENCE:
            hours = int((now - since).total_seconds() // 3600)
            yield Trouble(
                f"silent {source} {since.isoformat()}",
                Alert(
                    subject=f"{source} has not been read for {count_of(hours, 'hour')}",
                    detail=f"Its last good answer was at {last:%Y-%m-%d %H:%M} UTC."
                    if last
                    else "It has not answered once today.",
                    hint="Ask it by hand: paperboy ingest. What comes late is in a later edition.",
                ),
            )


def _late_editions(session: Session, now: datetime) -> Iterator[Trouble]:
    on = announcement_date(now)
    for cadence in Cadence:
        edition = find_edition(session, cadence, on)
        if edition is None:
            if is_cadence_day(cadence, on) and is_past_deadline(on, now - LATENESS):
                yield Trouble(
                    f"late {cadence} {on}",
                    Alert(
                        subject=f"The {cadence} edition of {on} was not opened",
                        detail="It goes out at 10:00 in New York whatever is missing, and did not.",
                        hint="Is a worker running, and beat? By hand: paperboy publish --force",
                    ),
                )
        elif edition.state is EditionState.OPEN and now - edition.opened_at >= COMPOSING:
            yield Trouble(
                f"composing {edition.id}",
                Alert(
                    subject=f"The {cadence} edition of {on} is not composed",
                    detail=f"It was opened at {edition.opened_at:%H:%M} UTC and is still open.",
                    hint="Is a worker running that serves the queue “compose”?",
                ),
            )


def _open_accounts(session: Session, now: datetime) -> Iterator[Trouble]:
    for edition in list_editions(session, (now - _LOOKS_BACK).date()):
        if edition.state is EditionState.OPEN:
            continue
        balance = edition_balance(session, edition)
        if not balance.closes:
            states = ", ".join(f"{count} {state}" for state, count in balance.states.items())
            yield Trouble(
                f"balance {edition.id}",
                Alert(
                    subject=f"The {edition.cadence} edition of {edition.local_date} does not balance",
                    detail=f"{balance.candidate_count} readers when it was frozen; now: {states}.",
                    hint=f"paperboy status --date {edition.local_date}",
                ),
            )


def _old_doubts(session: Session, now: datetime) -> Iterator[Trouble]:
    for edition_id, count in count_doubts_by_edition(session, now - DOUBT).items():
        of = f"edition {edition_id}" if edition_id is not None else "other mails"
        hint = (
            f"paperboy resolve {edition_id} --in-doubt sent|resend|carry"
            if edition_id is not None
            else "Nothing is sent again by itself; paperboy why ADDRESS DATE tells of one."
        )
        day = "" if edition_id is not None else f" {now.date()}"
        yield Trouble(
            f"in doubt {edition_id}{day}",
            Alert(
                subject=f"{count_of(count, 'mail')} in doubt",
                detail=f"Of {of}: the relay may have taken them, and never said so.",
                hint=hint,
            ),
        )


def _waiting_mail(session: Session, now: datetime) -> Iterator[Trouble]:
    count, oldest = count_due(session, now)
    if oldest is not None and now - oldest >= WAITING:
        yield Trouble(
            f"waiting {oldest.date()}",
            Alert(
                subject=f"{count_of(count, 'mail')} did not leave",
                detail=f"The oldest has been due since {oldest:%Y-%m-%d %H:%M} UTC.",
                hint="Is a worker running that serves the queue “send”? Does the relay answer:"
                " paperboy doctor",
            ),
        )
