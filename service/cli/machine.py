"""`up demo migrate doctor`: the machine itself."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from service.actions.doctor import Finding, examine
from service.cli import demo as sample_demo
from service.cli.desk import CommandError, Globals, Json, open_desk
from service.cli.relay import development_mailbox
from service.cli.stack import Stack, beat_schedule, is_free, listening_port
from service.config import load_settings
from service.embedded import resolve_services
from service.logs import configure
from service.store.migrate import current_revision, upgrade


def register(app: typer.Typer) -> None:
    for command in (up, demo, migrate, doctor):
        app.command()(command)


def up(context: typer.Context) -> None:
    """Run everything on this machine until Ctrl-C."""
    with open_desk(context) as desk, development_mailbox(desk.settings) as settings:
        port = listening_port(settings)
        if not is_free(port):
            raise CommandError(f"port {port} is taken; set PAPERBOY_BASE_URL to another one")
        with Stack(settings, {"PAPERBOY_MAILBOX_URL": settings.mailbox_url}) as stack:
            stack.start("web", "--port", str(port))
            stack.start("worker")
            stack.start("beat", *beat_schedule(settings.data_dir))
            stack.wait_for_web(f"http://127.0.0.1:{port}")
            desk.say(
                {"url": settings.base_url},
                f"Paperboy runs at {settings.base_url} (Ctrl-C stops it).",
                "" if settings.smtp_url else f"Its mail: {settings.base_url}/mailbox",
            )
            while True:
                stack.check()
                time.sleep(1)


def demo(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Print the accounting and stop.")] = False,
    as_json: Json = False,
) -> None:
    """A whole day on this machine: papers in, a reader signs up, the digest arrives."""
    with open_desk(context, as_json=as_json) as desk:
        sample_demo.run(desk, is_once=once)


def migrate(context: typer.Context, as_json: Json = False) -> None:
    """Bring the database to the newest schema."""
    loaded = load_settings()
    configure("WARNING")
    with resolve_services(loaded) as settings:
        upgrade(settings.database_url)
        revision = current_revision(settings.database_url)
    given: Globals = context.obj
    if as_json or given.is_json:
        typer.echo(f'{{"revision": "{revision}"}}')
    else:
        typer.echo(f"The schema is at revision {revision}.")


def doctor(
    context: typer.Context,
    probe: Annotated[str | None, typer.Option(help="Send a test mail to this address.")] = None,
    as_json: Json = False,
) -> None:
    """Check settings, database, broker, relay, sources, DNS and one-click; exit 1 on a fault."""
    with open_desk(context, as_json=as_json) as desk:
        with development_mailbox(desk.settings) as settings:
            findings = examine(settings, desk.sessions, probe)
        desk.say(findings, *map(_finding_line, findings))
        failed = [finding for finding in findings if finding.state == "bad"]
        if failed:
            raise CommandError(f"{len(failed)} faults")


def _finding_line(finding: Finding) -> str:
    sign = {"good": "✓", "warn": "!", "bad": "✗"}[finding.state]
    hint = f"\n    {finding.hint}" if finding.hint else ""
    return f"{sign} {finding.subject}: {finding.detail}{hint}"
