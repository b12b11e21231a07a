"""The commands `up demo init migrate doctor`: running and checking the installation."""

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
from service.sample.manuscripts import SAMPLE_DAYS

if TYPE_CHECKING:
    from service.operations.domain.finding import Finding


def register(app: typer.Typer) -> None:
    for command in (up, demo, init, migrate, doctor):
        app.command()(command)


def up(
    context: typer.Context,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="The address to listen on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", min=1, max=65535, help="Default: that of a local BASE_URL, else 8000."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run the whole service on this machine until Ctrl-C.

    Settings come from the environment and from .env in the working directory.
    """
    from service.cli import up as service_up

    _refuse_clock(context)
    service_up.run(context, as_json=as_json, host=host, port=port)


def demo(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Print the accounting and stop.")] = False,
    days: Annotated[
        int,
        typer.Option(
            metavar="N",
            min=1,
            max=SAMPLE_DAYS,
            help=f"Let N days with papers pass, up to today; 1 to {SAMPLE_DAYS}.",
        ),
    ] = 1,
    as_json: Json = False,
) -> None:
    """Show a whole day: new papers, a sign-up, a digest.

    With today's papers if the sources answer, else with built-in invented ones; several days are
    always invented. It has a database and a mailbox of its own.
    """
    from service.cli import demo as sample_demo

    _refuse_clock(context)
    sample_demo.run(context, as_json=as_json, day_count=days, is_once=once)


def init(
    context: typer.Context,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="The address of the site.")
    ] = None,
    mail_from: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The From address of the mails.")
    ] = None,
    smtp_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The relay; empty for the mailbox on this machine."),
    ] = None,
    categories: Annotated[
        str | None, typer.Option(metavar="NAMES", help="The arXiv categories to watch.")
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(metavar="ZONE", help="The time zone of new readers.")
    ] = None,
    contact: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Your own address, for alerts.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing; take the defaults.")] = False,
    as_json: Json = False,
) -> None:
    """Write a settings file, .env, from six answers.

    Asks for those that are not given as options. An existing file is not changed.
    """
    from service.cli import init as settings_file

    given = {
        "base_url": base_url,
        "mail_from": mail_from,
        "smtp_url": smtp_url,
        "arxiv_categories": categories,
        "digest_timezone": timezone,
        "alert_to": contact,
    }
    output = make_output(context, as_json=as_json)
    settings_file.run(output, given, asks=not (yes or output.is_json))


def _refuse_clock(context: typer.Context) -> None:
    given: Globals = context.obj
    if given.now is not None:
        raise CommandError("--now sets the clock of one process, and up and demo start several", 2)


def migrate(context: typer.Context, as_json: Json = False) -> None:
    """Migrate the database to the newest schema."""
    from service.platform.database.engine import make_engine, make_sessions, transaction
    from service.platform.database.migrate import current_revision, upgrade
    from service.similarity.availability import describe_missing

    with open_settings() as (_, settings):
        upgrade(settings.database_url)
        revision = current_revision(settings.database_url)
        engine = make_engine(settings.database_url)
        with transaction(make_sessions(engine)) as session:
            missing = describe_missing(session)
        engine.dispose()
    output = make_output(context, as_json=as_json)
    output.print(
        {"revision": revision, "like": missing is None},
        f"The schema is at revision {revision}.",
        *([f"like: and similar papers are off: {missing[0]}.", missing[1]] if missing else []),
    )


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
