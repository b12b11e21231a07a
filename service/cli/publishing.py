"""`ingest publish deliver sweep resolve`: the day, by hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

import typer

from service.actions.balance import Balance, find_balance, find_unfinished
from service.actions.deliver import RESOLUTIONS, DeliverReport, resolve, sweep
from service.actions.deliver import deliver as deliver_due
from service.actions.ingest import BatchReport, ingest_source
from service.actions.publish import force_due, publish_now
from service.cli.desk import CommandError, Desk, Json, open_desk, progress_bar, read_date, table
from service.cli.relay import open_sender
from service.domain.schedule import announcement_date
from service.domain.types import Cadence
from service.sources.base import Source
from service.sources.fetching import LocalGate
from service.sources.registry import SourceNotAvailable, build_sources

Date = Annotated[
    str | None, typer.Option(help="A date like 2026-09-18; today where it is left out.")
]


def register(app: typer.Typer) -> None:
    for command in (ingest, publish, deliver, sweep_left, resolve_doubt):
        app.command(name=_NAMES.get(command.__name__, command.__name__))(command)


_NAMES = {"sweep_left": "sweep", "resolve_doubt": "resolve"}


def ingest(
    context: typer.Context,
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]…")] = None,
    date: Date = None,
    since: Annotated[str | None, typer.Option(help="Every day from this date on.")] = None,
    as_json: Json = False,
) -> None:
    """Fetch and store papers now; exit 1 if a batch could not be read."""
    with open_desk(context, as_json=as_json) as desk:
        days = _days(desk, read_date(date, "--date"), read_date(since, "--since"))
        wanted = _wanted_sources(desk, sources or [])
        reports: list[BatchReport] = []
        with progress_bar("reading", None) as set_done:

            def note(report: BatchReport) -> None:
                reports.append(report)
                set_done(len(reports))

            for source in wanted:
                for day in days:
                    ingest_source(
                        desk.sessions, desk.settings, source, day, desk.clock(),
                        on_batch=note,
                    )  # fmt: skip
        desk.say(reports, batch_table(reports))
        failed = [report for report in reports if report.error]
        if failed:
            raise CommandError("; ".join(f"{_name(r)}: {r.error}" for r in failed))


def _days(desk: Desk, on: date | None, since: date | None) -> list[date | None]:
    if on and since:
        raise CommandError("give --date or --since, not both", 2)
    if since is None:
        return [on]
    today = announcement_date(desk.clock())
    if since > today:
        raise CommandError(f"--since {since} lies in the future", 2)
    return [since + timedelta(days=n) for n in range((today - since).days + 1)]


def _wanted_sources(desk: Desk, names: list[str]) -> list[Source]:
    try:
        known = {source.name: source for source in build_sources(desk.settings, LocalGate())}
    except SourceNotAvailable as error:
        raise CommandError(str(error), 2) from error
    for name in names:
        if name not in known:
            message = f"no source {name!r} here; PAPERBOY_SOURCES has {', '.join(known)}"
            raise CommandError(message, 2)
    return [known[name] for name in names or known]


def _name(report: BatchReport) -> str:
    return " ".join(filter(None, (report.source, report.category, str(report.announced_on))))


def batch_table(reports: list[BatchReport]) -> object:
    made = table("", "batch", "state", ">new", ">cross", ">replaced", ">listed", ">withdrawn",
                 ">stored", ">unreadable", "note")  # fmt: skip
    for report in reports:
        count = report.counts.get
        replaced = count("replace", 0) + count("replace-cross", 0)
        numbers = (
            count("new", 0), count("cross", 0), replaced, count("listed", 0),
            report.withdrawn_count, report.stored_count, report.bad_count,
        )  # fmt: skip
        made.add_row(_name(report), report.state, *map(str, numbers), report.error or report.note)
    return made


def publish(
    context: typer.Context,
    cadence: Annotated[Cadence, typer.Option(help="Which edition.")] = Cadence.DAILY,
    date: Date = None,
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for batches or readers' hours.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Open, compose and send an edition now; exit 1 if its balance does not close."""
    with open_desk(context, as_json=as_json) as desk:
        on = read_date(date, "--date") or announcement_date(desk.clock())
        if not force:
            _refuse_unfinished(desk, cadence, on)
        with progress_bar("composing", None) as set_done:
            edition_id = publish_now(
                desk.sessions, desk.settings, cadence, on, desk.clock(), set_done
            )
        if force:
            force_due(desk.sessions, edition_id, desk.clock())
        _deliver(desk, edition_id)
        balance = find_balance(desk.sessions, cadence, on)
        if balance is None:
            raise CommandError(f"the {cadence} edition of {on} is gone")
        desk.say(balance, *balance_lines(balance))
        if not balance.closes:
            raise CommandError("the balance does not close; see: paperboy status")


def _refuse_unfinished(desk: Desk, cadence: Cadence, on: date) -> None:
    if find_balance(desk.sessions, cadence, on) is not None:
        return
    waiting = find_unfinished(desk.sessions, desk.settings, on)
    if waiting:
        names = ", ".join(f"{b.source} {b.category}".strip() for b in waiting)
        raise CommandError(f"not complete yet for {on}: {names}; ingest again, or add --force")


def balance_lines(balance: Balance) -> list[object]:
    """The accounting of an edition, for people."""
    made = table(
        f"{balance.cadence.capitalize()} edition of {balance.local_date} "
        f"({balance.state}, {balance.paper_count} papers)",
        "state", ">digests",
    )  # fmt: skip
    for state, count in balance.states.items():
        made.add_row(state, str(count))
    made.add_row("candidates", str(balance.candidate_count), style="bold")
    verdict = "The balance closes." if balance.closes else "THE BALANCE DOES NOT CLOSE."
    return [made, verdict]


def _deliver(desk: Desk, edition_id: int | None) -> DeliverReport:
    with open_sender(desk) as sender, progress_bar("sending", None) as set_done:
        return deliver_due(sender, edition_id, lambda report: set_done(report.total))


def deliver(
    context: typer.Context,
    edition: Annotated[int | None, typer.Option(help="Only this edition (its number).")] = None,
    as_json: Json = False,
) -> None:
    """Send everything that is due."""
    with open_desk(context, as_json=as_json) as desk:
        report = _deliver(desk, edition)
        desk.say(
            report,
            f"{report.sent} sent, {report.skipped} skipped, {report.failed} failed, "
            f"{report.retried} to be tried again, {report.in_doubt} in doubt.",
        )


def sweep_left(context: typer.Context, as_json: Json = False) -> None:
    """Heal what dead senders left: claimed rows go back, rows on the wire fall in doubt."""
    with open_desk(context, as_json=as_json) as desk:
        requeued, doubtful = sweep(desk.sessions, desk.clock())
        value = {"requeued": requeued, "in_doubt": doubtful}
        desk.say(value, f"{requeued} put back into the queue, {doubtful} in doubt.")


def resolve_doubt(
    context: typer.Context,
    edition: Annotated[int, typer.Argument(help="The edition's number (see: paperboy status).")],
    in_doubt: Annotated[str, typer.Option(help="sent, resend or carry")],
    as_json: Json = False,
) -> None:
    """Say what became of an edition's digests in doubt."""
    if in_doubt not in RESOLUTIONS:
        raise CommandError(f"--in-doubt is {', '.join(RESOLUTIONS)}, not {in_doubt!r}", 2)
    with open_desk(context, as_json=as_json) as desk:
        count = resolve(desk.sessions, edition, in_doubt, desk.clock())
        desk.say({"resolved": count, "as": in_doubt}, f"{count} rows: {RESOLUTIONS[in_doubt][1]}.")
