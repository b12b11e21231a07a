"""The commands `pause resume`: all sending."""

from __future__ import annotations

import getpass

import typer

from service.cli.context import CommandContext, CommandError, Json, command_context
from service.cli.report_lines import pause_text


def register(app: typer.Typer) -> None:
    app.command()(pause)
    app.command()(resume)


def operator_here() -> str:
    """Return who gives a command, for records of changes."""
    from service.subscribers.by_operator import operator_name

    try:
        return operator_name(getpass.getuser(), "in a shell")
    except (KeyError, OSError):  # a container's user may have no name
        return operator_name("", "in a shell")


def pause(context: typer.Context, as_json: Json = False) -> None:
    """Pause all sending, confirmations included, within 5 seconds.

    Mails on their way to the relay are finished; all others stay queued until: paperboy resume
    """
    from service.sending.pause_switch import pause_sending

    with command_context(context, as_json=as_json) as command:
        is_new = pause_sending(command.sessions, operator_here(), command.clock())
        state = "is paused" if is_new else "was paused already"
        command.print(
            {"is_paused": True, "is_new": is_new}, f"All sending {state}. To go on: paperboy resume"
        )


def resume(context: typer.Context, as_json: Json = False) -> None:
    """Resume all sending after a pause."""
    from service.sending.pause_switch import resume_sending

    with command_context(context, as_json=as_json) as command:
        is_new = resume_sending(command.sessions, operator_here(), command.clock())
        if is_new:
            command.wake_sender()
        line = "Sending goes on." if is_new else "Sending was not paused."
        command.print({"is_paused": False, "is_new": is_new}, line)


def refuse_paused(command: CommandContext) -> None:
    """Raise `CommandError` while all sending is paused."""
    from service.platform.database.engine import transaction
    from service.sending.pause_switch import find_pause

    with transaction(command.sessions) as session:
        found = find_pause(session)
    if found is not None:
        raise CommandError(f"nothing was sent: {pause_text(found)}")
