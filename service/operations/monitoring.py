"""Find problems and mail them to the operator: one threshold and one text per kind of problem."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy.orm import Session, sessionmaker

from service.bounces.store.quarantined import count_quarantined, list_quarantined
from service.deliveries.alerts import Alert, alert_operator, find_last_alert
from service.deliveries.domain.recipients import Cadence
from service.deliveries.store.months import list_months
from service.editions.balance import Balance, edition_balance
from service.editions.coverage import day_statuses
from service.editions.domain.schedule import (
    awaited_last_day,
    editions_due,
    is_opened_late,
    missed_dates,
)
from service.editions.domain.states import EditionState
from service.editions.store.editions import list_editions, list_open, newest_dates
from service.editions.store.models import Edition
from service.editions.store.uptime import find_back_at
from service.operations.domain.retention import is_overdue
from service.operations.store import edition_reports
from service.papers.domain.announcement_days import ARXIV_ZONE, announcement_date
from service.papers.domain.completeness import unfinished
from service.papers.domain.latex.readable import to_readable_line
from service.papers.domain.source_names import JOURNALS
from service.papers.domain.votes import WINDOW
from service.papers.store.gates import list_closed_gates
from service.papers.store.models import Gate
from service.papers.store.votes import VotedPaper, list_voted
from service.platform.database.engine import limit_time, transaction
from service.platform.settings.settings import Settings
from service.presentation.dates import moment
from service.presentation.phrases import count_of, day_of_week, span_name
from service.sending.pause_switch import find_pause
from service.sending.store.claim import count_due
from service.subscribers.store.candidates import read_cadences

SILENCE = timedelta(hours=6)
# After the deadline at which an edition is published even if batches are missing.
LATENESS = timedelta(hours=1)
COMPOSING = timedelta(hours=2)
# Most doubts resolve by themselves in this time: by a late reply, or by a provider's webhook.
DOUBT = timedelta(minutes=30)
WAITING = timedelta(hours=2)
BETWEEN_CRASHES = timedelta(hours=1)
# Anybody can send mails that end in quarantine, so an alert is about all of an hour.
BETWEEN_QUARANTINES = timedelta(hours=1)
# The reason of a gate whose host answered 403.
FORBIDDEN = "HTTP 403"
QUARANTINED = "quarantine after "
STUFFED = "votes after "
# An alert about votes names so many papers.
_MOST_STUFFED = 5
# The start of the occasions of mails about failed pages.
CRASHES = "crash after "
# The most time for a statement: a visitor waits for the page meanwhile.
CRASH_SECONDS = 2

# How far back closed editions are checked for their balance, and sources for their last read.
_BALANCE_DAYS = 3
_KNOWN_DAYS = 14
# How long after an edition that made up for missed ones they may still be reported.
_MISSED_KNOWN = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem; `occasion` identifies it, so that it is mailed once for as long as it lasts."""

    occasion: str
    alert: Alert


def report_troubles(sessions: sessionmaker[Session], settings: Settings, now: datetime) -> int:
    """Mail problems to the operator, once per occasion; return how many mails were queued."""
    with transaction(sessions) as session:
        found = list(find_troubles(session, settings, now))
        queued = [alert_operator(session, settings, p.occasion, p.alert, now) for p in found]
    return sum(delivery_id is not None for delivery_id in queued)


@dataclass(frozen=True, slots=True)
class Crash:
    """A web request that failed: its id, its method and route, and the name of the error's class."""

    request_id: str
    place: str
    error: str


def report_crash(
    sessions: sessionmaker[Session], settings: Settings, crash: Crash, now: datetime
) -> int | None:
    """Mail a crash to the operator, at most once in any hour; return the mail's delivery id.

    Return None where the last hour has such a mail. Each mail's occasion names the one before it, so
    that of two processes with the same last mail only one can add the next.
    """
    alert = Alert(
        subject="A page failed",
        detail=f"{crash.place} ended with {crash.error}. Its request id is {crash.request_id}.",
        hint=f"The lines of this request in the log: grep {crash.request_id} in the logs of web and"
        " worker. You get at most one mail an hour about failed pages; the log has all of them.",
    )
    with transaction(sessions) as session:
        limit_time(session, CRASH_SECONDS)
        last = find_last_alert(session, CRASHES)
        if last is not None and now - last.created_at < BETWEEN_CRASHES:
            return None
        occasion = f"{CRASHES}{last.id if last is not None else 0}"
        return alert_operator(session, settings, occasion, alert, now)


def find_troubles(session: Session, settings: Settings, now: datetime) -> Iterator[Problem]:
    """Yield every problem at `now`, whether it was mailed before or not."""
    yield from _silent_sources(session, settings, now)
    yield from _closed_gates(session)
    yield from _late_editions(session, now)
    yield from _missed_editions(session, now)
    yield from _open_balances(session, now)
    yield from _old_doubts(session, now)
    yield from _waiting_mail(session, now)
    yield from _quarantined_mail(session, now)
    yield from _overdue_months(session, settings, now)
    yield from _stuffed_votes(session, settings, now)


def _overdue_months(session: Session, settings: Settings, now: datetime) -> Iterator[Problem]:
    """Yield the months that should have been dropped days ago."""
    for month in list_months(session):
        if is_overdue(month, settings, now):
            alert = Alert(
                subject=f"Mail of 20{month // 100:02}-{month % 100:02} is not deleted",
                detail=f"All of it is older than {settings.keep_deliveries_days} days"
                " (PAPERBOY_KEEP_DELIVERIES_DAYS), and each hour something else was using the table.",
                hint="Is worker-default running? Has a transaction been open for days, such as a dump?"
                " SELECT pid, xact_start, query FROM pg_stat_activity ORDER BY xact_start",
            )
            yield Problem(f"overdue month {month}", alert)


def _silent_sources(session: Session, settings: Settings, now: datetime) -> Iterator[Problem]:
    on = announcement_date(now)
    statuses = day_statuses(session, on, settings)
    gating = {batch.source for batch in statuses}
    waiting = {batch.source for batch in unfinished(statuses, on)}
    began = datetime.combine(on, time(0), tzinfo=ARXIV_ZONE)
    reads = edition_reports.last_reads(session, on - timedelta(days=_KNOWN_DAYS))
    for source in sorted({*reads, *waiting}):
        if source.partition(".")[0] not in {*settings.sources, JOURNALS.name}:
            continue
        if source in gating and source not in waiting:
            # Its batch is complete, so it is not fetched again before tomorrow.
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
        else "It has not answered today.",
        hint="Try it by hand: paperboy ingest. Papers that come late are in a later edition.",
    )
    return Problem(f"silent {source} {since.isoformat()}", alert)


def _closed_gates(session: Session) -> Iterator[Problem]:
    """Yield the hosts that forbid us; one that is only busy is asked again within hours."""
    for gate in list_closed_gates(session):
        if gate.reason == FORBIDDEN:
            yield _closed_gate(gate)


def _closed_gate(gate: Gate) -> Problem:
    times = count_of(gate.forbidden_count, "time")
    alert = Alert(
        subject=f"{gate.name} refuses our requests",
        detail=f"It answered {gate.reason} at {gate.closed_at:%Y-%m-%d %H:%M} UTC, {times} in a row."
        f" We send it no request until {gate.next_at:%Y-%m-%d %H:%M} UTC.",
        hint="Ask the source why; PAPERBOY_CONTACT tells it whom to write to. When it is settled:"
        f" paperboy reopen {gate.name}",
    )
    return Problem(f"gate {gate.name} {gate.closed_at}", alert)


def _late_editions(session: Session, now: datetime) -> Iterator[Problem]:
    # As if no batch were in: what should have been opened by the deadline, an hour ago.
    newest, back_at = newest_dates(session), find_back_at(session)
    read = read_cadences(session)
    for cadence, on in editions_due(now - LATENESS, (), newest, back_at, read):
        yield _not_opened(cadence, on)
    for edition in list_open(session):
        if now - edition.opened_at >= COMPOSING:
            yield _not_composed(edition)


def _not_opened(cadence: Cadence, on: date) -> Problem:
    alert = Alert(
        subject=f"The {cadence} edition of {on} was not opened",
        detail=f"It should have been opened by {_latest_opening(cadence, on)}, and was not.",
        hint="Are a worker and beat running? By hand: paperboy publish --force",
    )
    return Problem(f"late {cadence} {on}", alert)


def _latest_opening(cadence: Cadence, on: date) -> str:
    if cadence.collects_days and awaited_last_day(cadence, on) is None:
        return (
            f"{day_of_week((on.weekday() - 1) % 7)} 9:00 UTC, when its {span_name(cadence)} is over"
        )
    return "10:00 in New York even if papers are missing"


def _missed_editions(session: Session, now: datetime) -> Iterator[Problem]:
    """Yield the editions that made up for missed ones, and weekly or monthly ones opened late."""
    for edition in list_editions(session, (now - _MISSED_KNOWN).date()):
        cadence, on = edition.cadence, edition.local_date
        if edition.sends_now:
            continue  # the operator published it
        missed = missed_dates(cadence, on, edition.covers_from or on)
        is_late = is_opened_late(cadence, on, edition.opened_at)
        if missed or is_late:
            yield _missed(edition, missed, is_late=is_late)


def _missed(edition: Edition, missed: Sequence[date], *, is_late: bool) -> Problem:
    cadence, on = edition.cadence, edition.local_date
    dates = ", ".join(map(str, missed))
    what = [f"No {cadence} edition was opened for {dates}."] if missed else []
    if is_late:
        what.append(f"The {cadence} edition of {on} was opened late, {moment(edition.opened_at)}.")
    if missed:
        what.append(f"That of {on} has the papers of all these days, and its mails say so.")
    alert = Alert(
        subject=f"Missed: {cadence} edition of {dates}"
        if missed
        else f"The {cadence} edition of {on} is late",
        detail=" ".join(what),
        hint="Was the service down? Nothing is left to do: papers that were not read yet come marked"
        " as late. To look: paperboy status",
    )
    return Problem(f"missed {cadence} {on}", alert)


def _not_composed(edition: Edition) -> Problem:
    alert = Alert(
        subject=f"The {edition.cadence} edition of {edition.local_date} is not composed",
        detail=f"It was opened at {edition.opened_at:%H:%M} UTC and is still open.",
        hint="Is a worker running that serves the queue “compose”?",
    )
    return Problem(f"composing {edition.id}", alert)


def _open_balances(session: Session, now: datetime) -> Iterator[Problem]:
    since = (now - timedelta(days=_BALANCE_DAYS)).date()
    for edition in edition_reports.list_unsettled_editions(session, since):
        # An edition that is still being composed cannot balance yet.
        if edition.state is not EditionState.OPEN:
            balance = edition_balance(session, edition)
            if not balance.closes:
                yield _unbalanced(balance)


def _unbalanced(balance: Balance) -> Problem:
    states = ", ".join(f"{count} {state}" for state, count in balance.states.items()) or "no rows"
    alert = Alert(
        subject=f"The {balance.cadence} edition of {balance.local_date} does not balance",
        detail=f"{count_of(balance.candidate_count or 0, 'reader')} when it was frozen; "
        f"now: {states}. This is a bug in Paperboy.",
        hint="Keep the database as it is, and report it with: "
        f"paperboy status --date {balance.local_date} --json",
    )
    return Problem(f"balance {balance.edition_id}", alert)


def _old_doubts(session: Session, now: datetime) -> Iterator[Problem]:
    for edition_id, count in edition_reports.count_old_doubts(session, now - DOUBT).items():
        if edition_id is None:
            yield _doubts_of_no_edition(count, now)
        else:
            yield _doubts(edition_id, count)


def _doubts(edition_id: int, count: int) -> Problem:
    alert = Alert(
        subject=f"{count_of(count, 'digest')} in doubt in edition {edition_id}",
        detail="They were sent, but no reply came within half an hour.",
        hint=f"Look into the relay's log, then: paperboy resolve {edition_id} --in-doubt sent, "
        "resend or carry. Otherwise the papers are carried over into each reader's next edition.",
    )
    return Problem(f"in doubt {edition_id}", alert)


def _doubts_of_no_edition(count: int, now: datetime) -> Problem:
    alert = Alert(
        subject=f"{count_of(count, 'other mail')} in doubt",
        detail="They belong to no edition. The relay may have accepted them without a reply.",
        hint="Nothing is sent again by itself. paperboy why ADDRESS DATE shows one of them; "
        "paperboy resolve 0 --in-doubt sent or resend resolves all.",
    )
    # They share no edition that would group them, so the occasion is the day: one mail a day.
    return Problem(f"in doubt without edition {now.date()}", alert)


def _waiting_mail(session: Session, now: datetime) -> Iterator[Problem]:
    if find_pause(session) is not None:
        return  # the operator knows why it waits
    count, oldest = count_due(session, now)
    if oldest is not None and now - oldest >= WAITING:
        alert = Alert(
            subject=f"{count_of(count, 'mail')} not sent in time",
            detail=f"The oldest has been due since {oldest:%Y-%m-%d %H:%M} UTC.",
            hint="Are workers running that serve the queues “send” and “urgent”? Does the relay answer?"
            " Run: paperboy doctor",
        )
        yield Problem(f"waiting {oldest.date()}", alert)


def _quarantined_mail(session: Session, now: datetime) -> Iterator[Problem]:
    """Yield one problem for all mails quarantined since the last alert about such mails."""
    last = find_last_alert(session, QUARANTINED)
    if last is not None and now - last.created_at < BETWEEN_QUARANTINES:
        return
    count = count_quarantined(session, last.created_at if last is not None else None)
    if not count:
        return
    (newest,) = list_quarantined(session, 1)
    alert = Alert(
        subject=f"{count_of(count, 'mail')} to the bounce address in quarantine",
        detail=f"The newest could not be parsed: {newest.reason}. It is in {newest.place}.",
        hint="All other mails were read, and these are not read again. An ordinary bounce among them"
        " is a bug in Paperboy; the others you may delete.",
    )
    yield Problem(f"{QUARANTINED}{last.id if last is not None else 0}", alert)


def _stuffed_votes(session: Session, settings: Settings, now: datetime) -> Iterator[Problem]:
    """Yield one problem for all papers whose votes of the last 24 hours look like one person's.

    At most one in 24 hours, since strangers choose how often they try.
    """
    last = find_last_alert(session, STUFFED)
    if not settings.votes or (last is not None and now - last.created_at < WINDOW):
        return
    found = [one for one in list_voted(session, now - WINDOW) if one.votes.is_outlier]
    if not found:
        return
    more = len(found) - _MOST_STUFFED
    alert = Alert(
        subject=f"Votes for {count_of(len(found), 'paper')} look like one person’s",
        detail=" ".join(map(_tell_votes, found[:_MOST_STUFFED]))
        + (f" And {count_of(more, 'more paper')}." if more > 0 else ""),
        hint="You need do nothing: such votes count for less. They are all at"
        f" {settings.base_url}/admin/community. paperboy subscribers search shows the readers of a"
        " domain; erasing one erases the votes. You get at most one such mail in 24 hours.",
    )
    yield Problem(f"{STUFFED}{last.id if last is not None else 0}", alert)


def _tell_votes(one: VotedPaper) -> str:
    votes = one.votes
    return (
        f"“{to_readable_line(one.title)}” ({one.key}): {count_of(votes.count, 'vote')} in 24 hours count"
        f" as {votes.weight:.1f}, the most of them, {votes.of_domain}, from {votes.domain}."
    )
