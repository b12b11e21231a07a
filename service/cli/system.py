"""The commands `up demo migrate doctor`: running and checking the installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.context import (
    CommandError,
    Globals,
    Json,
    command_context,
    make_output,
    open_settings,
)
from service.cli.output import counted

if TYPE_CHECKING:
    from service.operations.domain.finding import Finding


def register(app: typer.Typer) -> None:
    for command in (up, demo, migrate, doctor):
        app.command()(command)


def up(context: typer.Context, as_json: Json = False) -> None:
    """Run the whole service on this machine until Ctrl-C."""
    from service.cli import up as service_up

    _refuse_clock(context)
    service_up.run(context, as_json=as_json)


def demo(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Print the accounting and stop.")] = False,
    as_json: Json = False,
) -> None:
    """Show a whole day: new papers, a sign-up, a digest.

    With today's papers if the sources answer, else with a built-in day of invented ones.
    """
    from service.cli import demo as sample_demo
    from service.cli.processes import ending_at_signals

    _refuse_clock(context)
    with ending_at_signals(), command_context(context, as_json=as_json) as command:
        sample_demo.run(command, is_once=once)


def _refuse_clock(context: typer.Context) -> None:
    given: Globals = context.obj
    if given.now is not None:
        raise CommandError("--now sets the clock of one process, and up and demo start several", 2)


def migrate(context: typer.Context, as_json: Json = False) -> None:
    """Migrate the database to the newest schema."""
    from service.platform.database.migrate import current_revision, upgrade

    with open_settings() as (_, settings):
        upgrade(settings.database_url)
        revision = current_revision(settings.database_url)
    output = make_output(context, as_json=as_json)
    output.print({"revision": revision}, f"The schema is at revision {revision}.")


def doctor(
    context: typer.Context,
    probe: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send a test mail to this address.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check settings, servers, relay, sources, DNS and one-click.

    Exit 1 if a check fails.
    """
    from service.cli.mail_target import development_mailbox
    from service.operations.doctor import examine

    with command_context(context, as_json=as_json, needs_schema=False) as command:
        with development_mailbox(command.settings) as settings:
            findings = examine(settings, command.sessions, probe)
        command.print(findings, *map(_finding_line, findings))
        failed = [finding.subject for finding in findings if finding.state == "bad"]
        if failed:
            raise CommandError(f"{counted(len(failed), 'fault')}: {', '.join(failed)}")


def _finding_line(finding: Finding) -> str:
    sign = {"good": "✓", "warn": "!", "bad": "✗"}[finding.state]
    hint = f"\n    {finding.hint}" if finding.hint else ""
    return f"{sign} {finding.subject}: {finding.detail}{hint}"
