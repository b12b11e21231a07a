"""Find what is wrong and mail it to the operator: one threshold and one text a kind of trouble."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.deliveries.alerts import Alert, alert_operator
from service.deliveries.domain.recipients import Cadence
from service.editions.balance import Balance, edition_balance
from service.editions.coverage import day_statuses
from service.editions.domain.schedule import is_cadence_day
from service.editions.domain.states import EditionState
from service.editions.store.editions import find_edition
from service.editions.store.models import Edition
from service.operations.store.edition_reports import (
    count_old_doubts,
    last_reads,
    list_unsettled_editions,
)
from service.papers.domain.announcement_days import ARXIV_ZONE, announcement_date, is_past_deadline
from service.papers.domain.completeness import unfinished
from service.papers.domain.source_names import JOURNALS
from service.platform.database.engine import transaction
from service.platform.settings.settings import Settings
from service.presentation.phrases import count_of
from service.sending.store.claim import count_due

SILENCE = timedelta(hours=6)
# After the hour at which an edition goes out whatever is missing.
LATENESS = timedelta(hours=1)
COMPOSING = timedelta(hours=2)
# A slow relay's answer, or a provider's webhook, settles most doubts before anybody need look.
DOUBT = timedelta(minutes=30)
WAITING = timedelta(hours=2)

# How far back closed editions are checked for their balance, and sources for their last answer.
_BALANCE_DAYS = 3
_KNOWN_DAYS = 14


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `occasion` is the same for as long as it is the same thing."""

    occasion: str
    alert: Alert


def report_troubles(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> int:
    """Mail the operator what is wrong, once for each occasion; returns how many were queued."""
    with transaction(sessions) as session:
        found = list(find_troubles(session, settings, now))
        told = [alert_operator(session, settings, t.occasion, t.alert, now) for t in found]
    return sum(number is not None for number in told)


def find_troubles(session: Session, settings: Settings, now: datetime) -> Iterator[Problem]:
    """Yield everything that is wrong at `now`, mailed before or not."""
    yield from _silent_sources(session, settings, now)
    yield from _late_editions(session, now)
    yield from _open_balances(session, now)
    yield from _old_doubts(session, now)
    yield from _waiting_mail(session, now)


def _silent_sources(session: Session, settings: Settings, now: datetime) -> Iterator[Problem]:
    on = announcement_date(now)
    statuses = day_statuses(session, on, settings)
    gating = {batch.source for batch in statuses}
    waiting = {batch.source for batch in unfinished(statuses, on)}
    began = datetime.combine(on, time(0), tzinfo=ARXIV_ZONE)
    reads = last_reads(session, on - timedelta(days=_KNOWN_DAYS))
    for source in sorted({*reads, *waiting}):
        if source.partition(".")[0] not in {*settings.sources, JOURNALS.name}:
            continue
        if source in gating and source not in waiting:
            # Its day is in: nobody asks it again before tomorrow.
            continue
        last = reads.get(source)
        since = max(last, began) if last is not None and source in gating else last or began
        if now - since >= SILENCE:
            yield _silent(source, last, since, now)


def _silent(source: str, last: datetime | None, since: datetime, now: datetime) -> Problem:
    hours = int((now - since).total_seconds() // 3600)
    alert = Alert(
        subject=f"{source} has not been read for {count_of(hours, 'hour')}",
        detail=f"Its last good answer was at {last:%Y-%m-%d %H:%M} UTC."
        if last
        else "It has not answered once today.",
        hint="Ask it by hand: paperboy ingest. What comes late is in a later edition.",
    )
    return Problem(f"silent {source} {since.isoformat()}", alert)


def _late_editions(session: Session, now: datetime) -> Iterator[Problem]:
    on = announcement_date(now)
    for cadence in Cadence:
        edition = find_edition(session, cadence, on)
        if edition is None:
            if is_cadence_day(cadence, on) and is_past_deadline(on, now - LATENESS):
                yield _not_opened(cadence, on)
        elif edition.state is EditionState.OPEN and now - edition.opened_at >= COMPOSING:
            yield _not_composed(edition)


def _not_opened(cadence: Cadence, on: date) -> Problem:
    alert = Alert(
        subject=f"The {cadence} edition of {on} was not opened",
        detail="It goes out at 10:00 in New York whatever is missing, and did not.",
        hint="Is a worker running, and beat? By hand: paperboy publish --force",
    )
    return Problem(f"late {cadence} {on}", alert)


def _not_composed(edition: Edition) -> Problem:
    alert = Alert(
        subject=f"The {edition.cadence} edition of {edition.local_date} is not composed",
        detail=f"It was opened at {edition.opened_at:%H:%M} UTC and is still open.",
        hint="Is a worker running that serves the queue “compose”?",
    )
    return Problem(f"composing {edition.id}", alert)


def _open_balances(session: Session, now: datetime) -> Iterator[Problem]:
    since = (now - timedelta(days=_BALANCE_DAYS)).date()
    for edition in list_unsettled_editions(session, since):
        # What is still being composed has nothing yet that could balance.
        if edition.state is not EditionState.OPEN:
            balance = edition_balance(session, edition)
            if not balance.closes:
                yield _unbalanced(balance)


def _unbalanced(balance: Balance) -> Problem:
    states = ", ".join(f"{count} {state}" for state, count in balance.states.items()) or "no rows"
    alert = Alert(
        subject=f"The {balance.cadence} edition of {balance.local_date} does not balance",
        detail=f"{count_of(balance.candidate_count or 0, 'reader')} when it was frozen; "
        f"now: {states}. This is a fault of ours.",
        hint="Keep the database as it is, and report it with: "
        f"paperboy status --date {balance.local_date} --json",
    )
    return Problem(f"balance {balance.edition_id}", alert)


def _old_doubts(session: Session, now: datetime) -> Iterator[Problem]:
    for edition_id, count in count_old_doubts(session, now - DOUBT).items():
        if edition_id is None:
            yield _doubts_of_no_edition(count, now)
        else:
            yield _doubts(edition_id, count)


def _doubts(edition_id: int, count: int) -> Problem:
    alert = Alert(
        subject=f"{count_of(count, 'digest')} in doubt in edition {edition_id}",
        detail="They were on the wire, and no reply came; nothing has settled it for half an hour.",
        hint=f"Look into the relay's log, then: paperboy resolve {edition_id} --in-doubt sent, "
        "resend or carry. What is left open is carried into each reader's next edition.",
    )
    return Problem(f"in doubt {edition_id}", alert)


def _doubts_of_no_edition(count: int, now: datetime) -> Problem:
    alert = Alert(
        subject=f"{count_of(count, 'other mail')} in doubt",
        detail="They belong to no edition. The relay may have taken them, and never said so.",
        hint="Nothing is sent again by itself. paperboy why ADDRESS DATE tells of one; "
        "paperboy resolve 0 --in-doubt sent or resend answers for all.",
    )
    # New ones come without end and share no edition: one mail a day.
    return Problem(f"in doubt without edition {now.date()}", alert)


def _waiting_mail(session: Session, now: datetime) -> Iterator[Problem]:
    count, oldest = count_due(session, now)
    if oldest is not None and now - oldest >= WAITING:
        alert = Alert(
            subject=f"{count_of(count, 'mail')} did not leave",
            detail=f"The oldest has been due since {oldest:%Y-%m-%d %H:%M} UTC.",
            hint="Is a worker running that serves the queue “send”? Does the relay answer:"
            " paperboy doctor",
        )
        yield Problem(f"waiting {oldest.date()}", alert)
