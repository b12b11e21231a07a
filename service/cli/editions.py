"""The commands `ingest publish deliver sweep resolve restored`: a day's steps by hand."""

from __future__ import annotations

import sys
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.context import (
    CommandContext,
    CommandError,
    Date,
    Json,
    command_context,
    parse_date,
    parse_day,
    parse_moment,
)
from service.cli.embeddings import learn_all
from service.cli.output import counted, progress_bar
from service.cli.pause import refuse_paused
from service.cli.report_lines import batch_table, edition_lines, story_of_edition
from service.deliveries.domain.recipients import Cadence
from service.papers.domain.types import BatchState

if TYPE_CHECKING:
    from service.operations.status import EditionStory
    from service.papers.ingest import BatchReport
    from service.papers.sources.base import Source
    from service.sending.report import DeliverReport
    from service.sending.restore_guard import RestoreReport


def register(app: typer.Typer) -> None:
    app.command()(ingest)
    app.command()(publish)
    app.command()(deliver)
    app.command("sweep")(sweep_stale)
    app.command("resolve")(resolve_in_doubt)
    app.command()(restored)


def ingest(
    context: typer.Context,
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="SOURCE", help="Default: all that are set.")
    ] = None,
    date: Date = None,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Every day from this date on.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch and store papers now.

    Without a date: what the sources show now and is not stored yet. Exit 1 if a batch could
    not be read.
    """
    with command_context(context, as_json=as_json) as command:
        first = parse_date(since, "--since")
        days = _days(command, parse_date(date, "--date"), first)
        wanted = _wanted_sources(command, sources or [])
        reports = _harvest(command, wanted, first) if first else []
        done = {report.source for report in reports}
        reports += _ingest(command, [source for source in wanted if source.name not in done], days)
        learn_all(command)
        command.print(reports, batch_table(reports) if reports else "Everything is stored already.")
        if failed := sum(bool(report.error) for report in reports):
            # Which ones, and why, is in the table.
            raise CommandError(f"{counted(failed, 'batch', 'es')} could not be read")


def _ingest(
    command: CommandContext, sources: list[Source], days: list[date | None]
) -> list[BatchReport]:
    from service.papers.ingest import ingest_source

    reports: list[BatchReport] = []
    with progress_bar("reading") as set_done:

        def add_report(report: BatchReport) -> None:
            reports.append(report)
            set_done(len(reports))

        for source in sources:
            for day in days:
                ingest_source(
                    command.sessions,
                    command.settings,
                    source,
                    day,
                    command.clock(),
                    on_batch=add_report,
                )
    return reports


def _harvest(command: CommandContext, sources: list[Source], since: date) -> list[BatchReport]:
    """Fetch arXiv's past days from its OAI-PMH service, because the feeds hold only today."""
    from service.papers.arxiv_backfill import heal_arxiv
    from service.papers.ingest import BatchReport
    from service.papers.sources.registry import build_oai

    oai = build_oai(command.settings, command.rate_limiter)
    if oai is None or "arxiv" not in {source.name for source in sources}:
        return []
    return [
        BatchReport(
            source="arxiv",
            category=healed.category,
            announced_on=healed.since,
            state=BatchState.PARTIAL if healed.error else BatchState.CLOSED,
            counts={},
            stored_count=healed.late_count,
            updated_count=healed.updated_count,
            bad_count=healed.bad_count,
            note="; ".join(
                filter(None, (f"{healed.record_count} records changed since", healed.note))
            ),
            error=healed.error,
        )
        for healed in heal_arxiv(command.sessions, command.settings, oai, command.clock(), since)
    ]


def _days(command: CommandContext, on: date | None, since: date | None) -> list[date | None]:
    today = parse_day(command, None)
    for option, day in (("--date", on), ("--since", since)):
        if day is not None and day > today:
            raise CommandError(f"{option} {day} is in the future", 2)
    if on and since:
        raise CommandError("give --date or --since, not both", 2)
    if since is None:
        return [on]
    return [since + timedelta(days=n) for n in range((today - since).days + 1)]


def _wanted_sources(command: CommandContext, names: list[str]) -> list[Source]:
    from service.papers.sources.registry import SourceNotAvailable, build_sources

    try:
        known = {
            source.name: source for source in build_sources(command.settings, command.rate_limiter)
        }
    except SourceNotAvailable as error:
        raise CommandError(str(error), 2) from error
    for name in names:
        if name not in known:
            message = f"there is no source {name!r}; PAPERBOY_SOURCES has {', '.join(known)}"
            raise CommandError(message, 2)
    return [known[name] for name in names or known]


def publish(
    context: typer.Context,
    cadence: Annotated[
        Cadence,
        typer.Option(
            metavar="daily|weekdays|weekly[-DAY]|monthly", help="Which edition; weekly is Monday's."
        ),
    ] = Cadence.DAILY,
    date: Date = None,
    force: Annotated[
        bool, typer.Option("--force", help="Do not wait for batches or readers' hours.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Open, compose and send an edition now.

    Running it again sends nothing twice. Exit 1 if a batch is not complete or the balance does not
    close.
    """
    from service.editions.balance import find_balance

    with command_context(context, as_json=as_json) as command:
        on = _past_day(command, date)
        if not force:
            _refuse_unfinished(command, cadence, on)
        _publish(command, cadence, on, is_forced=force)
        balance = find_balance(command.sessions, cadence, on)
        if balance is None:
            raise CommandError(f"the {cadence} edition of {on} is gone")
        command.print(balance, *edition_lines(balance))
        if not balance.closes:
            raise CommandError("the balance does not close; see: paperboy status")


def _past_day(command: CommandContext, text: str | None) -> date:
    """Return the edition's date. A future edition would take the papers of today's edition."""
    on = parse_day(command, text)
    if on > parse_day(command, None):
        raise CommandError(f"--date {on} is in the future", 2)
    return on


def _refuse_unfinished(command: CommandContext, cadence: Cadence, on: date) -> None:
    from service.editions.balance import find_balance
    from service.editions.coverage import find_unfinished

    if find_balance(command.sessions, cadence, on) is not None:
        return
    waiting = find_unfinished(command.sessions, command.settings, on)
    if waiting:
        names = ", ".join(f"{b.source} {b.category}".strip() for b in waiting)
        hint = "ingest again, or add --force"
        raise CommandError(f"not complete yet for {on}: {names}; {hint}")


def _publish(command: CommandContext, cadence: Cadence, on: date, *, is_forced: bool) -> None:
    from service.editions.publish import force_due, publish_now
    from service.sending.demo_guard import refuse_demo

    refuse_demo(command.sessions, command.settings)
    with progress_bar("composing") as set_done:
        edition_id = publish_now(
            command.sessions, command.settings, cadence, on, command.clock(), set_done
        )
    if is_forced:
        force_due(command.sessions, edition_id, command.clock())
    _deliver(command, edition_id)


def _deliver(command: CommandContext, edition_id: int | None) -> DeliverReport:
    from service.cli.mail_target import open_sender
    from service.sending.deliver import deliver

    refuse_paused(command)
    with open_sender(command) as sender, progress_bar("sending") as set_done:
        return deliver(sender, edition_id, lambda report: set_done(report.total), _note_hanging)


def _note_hanging(count: int) -> None:
    print(
        f"paperboy: waiting for the relay's reply to {counted(count, 'message')}, up to ten minutes;"
        " everything else is done (Ctrl-C leaves them in doubt)",
        file=sys.stderr,
    )


def deliver(
    context: typer.Context,
    edition: Annotated[
        int | None, typer.Option(metavar="NUMBER", help="Only this edition (see: paperboy status).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Send everything that is due.

    This includes what readers back from a pause asked for of the days they missed.
    """
    from service.editions.catch_up import compose_catch_ups

    with command_context(context, as_json=as_json) as command:
        if edition is not None:
            _check_edition(command, edition)
        else:
            compose_catch_ups(command.sessions, command.settings, command.clock())
        report = _deliver(command, edition)
        command.print(
            report,
            f"{report.sent} sent, {report.skipped} skipped, {report.failed} failed, "
            f"{report.retried} to retry, {report.in_doubt} in doubt.",
        )


def _check_edition(command: CommandContext, edition_id: int) -> None:
    from service.editions.store.editions import get_edition
    from service.platform.database.engine import transaction

    with transaction(command.sessions) as session:
        if get_edition(session, edition_id) is None:
            raise CommandError(f"there is no edition {edition_id}; see: paperboy status", 2)


def _edition_story(command: CommandContext, edition_id: int) -> EditionStory:
    from service.operations.status import find_story

    story = find_story(command.sessions, edition_id, command.clock())
    if story is None:
        raise CommandError(f"edition {edition_id} is gone")
    return story


def sweep_stale(context: typer.Context, as_json: Json = False) -> None:
    """Recover the mails of senders that have died.

    Claimed mails go back into the queue, mails that were being sent are in doubt.
    """
    from service.sending.deliver import sweep
    from service.sending.restore_guard import refuse_restored

    with command_context(context, as_json=as_json) as command:
        refuse_restored(command.sessions, command.settings, command.clock())
        requeued, doubtful = sweep(command.sessions, command.clock())
        value = {"requeued": requeued, "in_doubt": doubtful}
        command.print(value, f"{requeued} put back into the queue, {doubtful} now in doubt.")


def resolve_in_doubt(
    context: typer.Context,
    edition: Annotated[
        int, typer.Argument(metavar="EDITION", min=0, help="Its number; 0 for other mails.")
    ],
    in_doubt: Annotated[
        str,
        typer.Option(
            metavar="sent|resend|carry",
            help="They arrived, are sent again, or their papers come in the next edition.",
        ),
    ],
    as_json: Json = False,
) -> None:
    """Resolve the digests of an edition that are in doubt."""
    from service.sending.deliver import RESOLUTIONS, resolve

    if in_doubt not in RESOLUTIONS:
        raise CommandError(f"--in-doubt is {', '.join(RESOLUTIONS)}, not {in_doubt!r}", 2)
    if not edition and in_doubt == "carry":
        raise CommandError("mails of no edition have no papers to carry; use sent or resend", 2)
    with command_context(context, as_json=as_json) as command:
        if edition:
            _check_edition(command, edition)
        count = resolve(command.sessions, edition or None, in_doubt, command.clock())
        noun = "digest" if edition else "mail"
        lines = [f"{counted(count, noun)}: {RESOLUTIONS[in_doubt][1]}."]
        story = _edition_story(command, edition) if edition else None
        if count and story:
            lines += story_of_edition(story)
        kind = f"digest of edition {edition}" if edition else "mail of no edition"
        value = {"resolved": count, "as": in_doubt, "edition": story}
        command.print(value, *(lines if count else [f"No {kind} is in doubt."]))


def restored(
    context: typer.Context,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="When mail was last sent, if you know: 2026-09-18T05:00Z."
        ),
    ] = None,
    nothing_lost: Annotated[
        bool,
        typer.Option(
            "--nothing-lost", help="This is the newest database, and only its sent marks were lost."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Confirm that this database was restored from a backup.

    Mails that may have been sent since the backup are in doubt and not sent again; then sending
    continues. Without --until that is all mail that was due by the newest sent mark, or by now.
    """
    from service.sending.restore_guard import RestoreReport, accept_newest, accept_restored

    if until is not None and nothing_lost:
        raise CommandError("choose --until or --nothing-lost", 2)
    with command_context(context, as_json=as_json) as command:
        if nothing_lost:
            was_refused = accept_newest(command.sessions, command.settings, command.clock())
            line = "Sending continues where it stopped." if was_refused else NOTHING_SUSPECTED
            command.print(RestoreReport(None, {}), line)
            return
        moment = parse_moment(until, "--until")
        report = accept_restored(command.sessions, command.settings, command.clock(), moment)
        command.print(report, *_restored_lines(report))


NOTHING_SUSPECTED = "This database is not older than the sent watermark; nothing to do."


def _restored_lines(report: RestoreReport) -> list[str]:
    if report.until is None:
        return [NOTHING_SUSPECTED]
    total = counted(sum(report.doubtful.values()), "mail")
    line = f"{total} due until {report.until:%Y-%m-%d %H:%M} UTC may have been sent already"
    lines = [f"{line}:" if report.doubtful else f"{line}."]
    for number, count in sorted(report.doubtful.items()):
        choices = "sent|resend|carry" if number else "sent|resend"
        command = f"paperboy resolve {number} --in-doubt {choices}"
        where = f"edition {number}" if number else "no edition (confirmations and the like)"
        lines.append(f"  {where}: {count} in doubt; run: {command}")
    return [*lines, "Editions of those days that are composed again are in doubt as well."]
