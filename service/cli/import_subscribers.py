"""The command `subscribers import`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.context import CommandError, Json, command_context
from service.cli.output import counted, progress_bar

if TYPE_CHECKING:
    from service.cli.context import CommandContext
    from service.subscribers.bulk_import import ImportReport
    from service.subscribers.domain.sign_up import SignUpForm
    from service.subscribers.import_file import ImportSource


_File = Annotated[Path, typer.Argument(metavar="FILE")]
_Topics = Annotated[
    list[str] | None,
    typer.Option(metavar="QUERY", help="A topic for rows without one; may be repeated."),
]
_Cadence = Annotated[
    str, typer.Option(metavar="daily|weekdays|weekly[-DAY]|monthly", help="For rows without one.")
]
_Timezone = Annotated[str | None, typer.Option(metavar="ZONE", help="For rows without one.")]
_Hour = Annotated[str | None, typer.Option(metavar="HOUR", help="For rows without one.")]
_Timing = Annotated[
    str, typer.Option(metavar="at_hour|when_complete", help="For rows without one.")
]
_Confirmed = Annotated[
    bool | None,
    typer.Option(
        "--confirmed/--unconfirmed",
        help="You can prove everybody's consent: no confirmation mail; or: ask everybody"
        " again. Default: ask those whose file does not prove it.",
        show_default=False,
    ),
]
_ListsChecked = Annotated[
    bool,
    typer.Option(
        "--lists-checked", help="For listmonk: nobody in the file has unsubscribed from the list."
    ),
]
_DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]
_Report = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="For the rows not taken; default: FILE.rejected.csv."),
]


def import_file(
    context: typer.Context,
    file: _File,
    topic: _Topics = None,
    cadence: _Cadence = "daily",
    timezone: _Timezone = None,
    hour: _Hour = None,
    timing: _Timing = "at_hour",
    confirmed: _Confirmed = None,
    lists_checked: _ListsChecked = False,
    dry_run: _DryRun = False,
    report: _Report = None,
    as_json: Json = False,
) -> None:
    """Import subscribers from a CSV file or export.

    Taken are exports of Paperboy, listmonk, Mailchimp, Substack and Ghost, any CSV file with a
    column email (and topic…, cadence, hour, timezone, timing, empty_digests, ai_summaries, state), and
    plain addresses, one a line.

    Consent means that the person asked for the newsletter from this very address. A time of
    confirmation in the file proves it (Mailchimp's CONFIRM_TIME, Paperboy's confirmed_at; a member
    of Ghost opened a link in a mail); then the person is active at once. Everybody else is sent a
    confirmation mail, unless you vouch for them with --confirmed. People who left stay
    unsubscribed; those who were blocked, bounced or complained are suppressed.

    Nobody who is here already is changed, so the import may be stopped and run again.
    """
    from service.subscribers import bulk_import
    from service.subscribers.import_file import ImportFault

    rejected = report or file.with_name(f"{file.name}.rejected.csv")
    try:
        source = _inspect(file)
        with command_context(context, as_json=as_json) as command:
            schedule = {"cadence": cadence, "timezone": timezone, "hour": hour, "timing": timing}
            defaults = _check_defaults(command, topic or [], schedule)
            with progress_bar("Lines") as set_done:
                result = bulk_import.import_file(
                    command.sessions,
                    command.settings,
                    source,
                    bulk_import.ImportChoices(
                        defaults, rejected, confirmed, dry_run, lists_checked
                    ),
                    command.clock(),
                    set_done,
                )
            if not dry_run:
                command.wake_sender()
            command.print(result, *_lines(file, source, result))
    except ImportFault as error:
        raise CommandError(f"{file}: {error}; nothing was imported", 2) from error
    if result.rejected and not (result.added or result.suppressed or result.known):
        raise CommandError(f"no row of {file} could be taken; see {result.report}")


def _check_defaults(
    command: CommandContext, topics: list[str], schedule: dict[str, str | None]
) -> SignUpForm:
    """Return what fills the empty fields of a row. Raises `SignUpError`."""
    from dataclasses import replace

    from service.platform.database.engine import transaction
    from service.subscribers.bulk_import import blank_sign_up
    from service.subscribers.validate import validate_preferences

    blank = blank_sign_up(command.settings, "", topics)
    given: dict[str, Any] = {name: value for name, value in schedule.items() if value}
    defaults = replace(blank, **given)
    with transaction(command.sessions) as session:
        validate_preferences(session, defaults, is_public=False)
    return defaults


def _inspect(file: Path) -> ImportSource:
    from service.subscribers.import_file import inspect_file

    try:
        return inspect_file(file)
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}", 2) from error


def _lines(file: Path, source: ImportSource, result: ImportReport) -> list[str]:
    """Return the report for people."""
    would = "would be " if result.is_dry_run else ""
    note = ", read as Windows-1252" if source.encoding == "cp1252" else ""
    lines = [f"{file}: {result.format}{note}."]
    lines.append(f"{sum(result.added.values())} {would}added{_states(result.added)}.")
    if result.added.get("pending"):
        pending = result.added["pending"]
        lines.append(
            f"{counted(pending, 'person', 's')} {would or ('is ' if pending == 1 else 'are ')}sent a"
            " confirmation mail: the file does not prove their consent (--confirmed: you do)."
        )
    if result.suppressed:
        lines.append(
            f"{sum(result.suppressed.values())} {would}suppressed{_states(result.suppressed)}."
        )
    if result.known:
        lines.append(
            f"{sum(result.known.values())} already here, unchanged{_states(result.known)}."
        )
    if result.differing:
        lines.append(
            f"{result.differing} of them left or were blocked according to the file, and stay"
            " subscribed here."
        )
    if result.rejected:
        lines.append(f"{counted(result.rejected, 'row')} not taken.")
    if result.report:
        lines.append(f"Each with its line and the reason: {result.report}")
    if result.is_dry_run:
        lines.append("Nothing was changed (--dry-run).")
    return lines


def _states(counts: dict[str, int]) -> str:
    parts = (f"{count} {name.replace('_', ' ')}" for name, count in sorted(counts.items()))
    return f": {', '.join(parts)}" if counts else ""
