"""The commands `bounces read fetch listen report`: bounces and complaints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.context import CommandError, Json, command_context
from service.cli.output import counted, table

if TYPE_CHECKING:
    from service.bounces.inbound.listener import BounceListener
    from service.bounces.record import Reading, Tally

STDIN = "-"


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Read bounces and complaints.", rich_markup_mode=None)
    group.command("read")(read)
    group.command("fetch")(fetch)
    group.command("listen")(listen)
    group.command("report")(report)
    app.add_typer(group, name="bounces")


def read(
    context: typer.Context,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE…", help="Raw mails or Maildirs; - is stdin.")
    ] = None,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="Trust addresses without our signature: you know the mails are real."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Read raw bounces and complaints; reading twice is harmless.

    Without --trust only a mail with proof from us (the signed return path or a Message-ID)
    changes anything; the others are only reported.
    """
    from service.bounces.inbound.confined_parser import ParserUnavailable
    from service.bounces.record import Channel, record_bounce_mail

    raws = list(_open_files(files or [STDIN]))
    with command_context(context, as_json=as_json) as command:
        channel = Channel(command.settings, "file", trusts_addresses=trust)
        try:
            readings = [
                (name, record_bounce_mail(command.sessions, channel, raw, command.clock()))
                for name, raw in raws
            ]
        except ParserUnavailable as error:
            raise CommandError(str(error)) from error
        command.print([_plain(name, reading) for name, reading in readings], _table(readings))
    faults = [f"{name}: {reading.fault}" for name, reading in readings if reading.fault]
    if faults:
        raise CommandError(f"{counted(len(faults), 'mail')} could not be read; {faults[0]}")


def _open_files(names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield (name, raw mail) of files, of standard input, and of all messages of a Maildir."""
    from service.bounces.inbound.mime_parts import MOST_BYTES

    for name in names:
        if name == STDIN:
            yield "stdin", sys.stdin.buffer.read(MOST_BYTES + 1)
            continue
        path = Path(name)
        messages = sorted(_messages_in(path)) if path.is_dir() else [path]
        for message in messages:
            try:
                with message.open("rb") as file:
                    yield str(message), file.read(MOST_BYTES + 1)
            except OSError as error:
                raise CommandError(f"cannot read {message}: {error.strerror}", 2) from error


def _messages_in(path: Path) -> Iterator[Path]:
    """Return the messages of a Maildir, or every file of another folder."""
    is_maildir = (path / "cur").is_dir() and (path / "new").is_dir()
    folders = [path / "new", path / "cur"] if is_maildir else [path]
    return (file for folder in folders for file in folder.iterdir() if file.is_file())


def _plain(name: str, reading: Reading) -> dict[str, Any]:
    mail, outcomes = reading.mail, {event.address: event for event in reading.recorded}
    recipients = mail.recipients if mail else ()
    return {
        "file": name,
        "verdict": mail.verdict.value if mail else None,
        "fault": reading.fault,
        "recipients": [
            {
                "address": r.address,
                "aliases": list(r.aliases),
                "verdict": r.verdict.value,
                "code": r.code,
                "action": r.action,
                "reply": r.reply,
                "weight": r.weight,
                "outcome": outcomes[r.address].outcome if r.address in outcomes else "",
                "suppressed": r.address in outcomes and outcomes[r.address].is_suppressed,
            }
            for r in recipients
        ],
        "outcomes": [event.outcome for event in reading.recorded],
    }


def _table(readings: list[tuple[str, Reading]]) -> str:
    rows = []
    for name, reading in readings:
        mail, short = reading.mail, Path(name).name
        if mail is None:
            rows.append((short, "unreadable", "", "", reading.fault))
        elif not mail.recipients:
            outcome = reading.recorded[0].outcome if reading.recorded else ""
            rows.append((short, mail.verdict.value, "", "", outcome))
        outcomes = {event.address: event.outcome for event in reading.recorded}
        rows += [
            (short, r.verdict.value, r.code, r.address, outcomes.get(r.address, ""))
            for r in (mail.recipients if mail else ())
        ]
    return table(("mail", "verdict", "code", "address", "outcome"), rows)


def fetch(context: typer.Context, as_json: Json = False) -> None:
    """Read the bounce mailbox now; beat does it every minute."""
    from service.bounces.inbound.mailbox import MailboxUnavailable
    from service.bounces.record import fetch_bounce_mailbox, settle_bounces
    from service.platform.settings.kinds import LISTENER

    with command_context(context, as_json=as_json) as command:
        if command.settings.bounce_mailbox in {"", LISTENER}:
            raise CommandError("no mailbox is set; set PAPERBOY_BOUNCE_MAILBOX", 2)
        try:
            total = fetch_bounce_mailbox(command.sessions, command.settings, command.clock)
        except MailboxUnavailable as error:
            raise CommandError(f"the bounce mailbox cannot be read: {error}") from error
        settle_bounces(command.sessions, command.clock())
        command.print(total, _tally_line(total))


def _tally_line(total: Tally) -> str:
    parts = [f"{count} {outcome}" for outcome, count in sorted(total.outcomes.items())]
    outcomes = f": {', '.join(parts)}" if parts else ""
    mails, addresses = counted(total.mails, "mail"), counted(total.suppressed, "address", "es")
    held = f"; {counted(total.unreadable, 'mail')} moved to quarantine" if total.unreadable else ""
    return f"{mails} read{outcomes}; {addresses} suppressed{held}."


def listen(
    context: typer.Context,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 2525,
    lmtp: Annotated[bool, typer.Option("--lmtp", help="Speak LMTP instead of SMTP.")] = False,
    as_json: Json = False,
) -> None:
    """Receive bounces and unsubscribe mails until Ctrl-C.

    Every address that we did not sign is refused.
    """
    from service.bounces.record import open_listener
    from service.cli.processes import ending_at_signals

    with (
        suppress(KeyboardInterrupt),  # Its ordinary end, also while it starts.
        ending_at_signals(),
        command_context(context, as_json=as_json) as command,
    ):
        if not command.settings.bounce_domain:
            raise CommandError("return paths need a domain; set PAPERBOY_BOUNCE_DOMAIN", 2)
        listener = open_listener(command.sessions, command.settings, command.clock, lmtp=lmtp)
        with _started(listener, host, port) as started:
            where = {"host": host, "port": started.port, "protocol": "lmtp" if lmtp else "smtp"}
            command.print(
                where, f"Listening for bounces at {host}:{started.port}; Ctrl-C stops it."
            )
            _wait_forever()


def _started(listener: BounceListener, host: str, port: int) -> BounceListener:
    from service.platform.smtp_server import CannotListen

    try:
        return listener.start(host, port)
    except CannotListen as error:
        raise CommandError(str(error), 2) from error


def _wait_forever() -> None:
    from threading import Event

    Event().wait()


def report(
    context: typer.Context,
    days: Annotated[int, typer.Option(metavar="N", help="Of the last N days.")] = 7,
    as_json: Json = False,
) -> None:
    """Count bounces and complaints by their cause."""
    from service.bounces.store.bounces import count_verdicts
    from service.platform.database.engine import transaction

    if not 1 <= days <= 3650:
        raise CommandError("--days needs a number from 1 to 3650", 2)
    with command_context(context, as_json=as_json) as command:
        with transaction(command.sessions) as session:
            counts = count_verdicts(session, command.clock() - timedelta(days=days))
        rows = [
            (verdict.value, count, _MEANING[verdict.value]) for verdict, count in counts.items()
        ]
        lines = table(("verdict", ">events", "about"), sorted(rows))
        command.print(counts, lines if rows else f"Nothing came back in {counted(days, 'day')}.")


_MEANING = {
    "address": "the reader: there is no such mailbox",
    "full": "the reader: the mailbox is full",
    "complaint": "the reader: reported as spam",
    "policy": "you: the receiver refuses your server or your kind of mail",
    "content": "you: a mail was too large or malformed",
    "configuration": "you or the receiver: a server, a route or a name is broken",
    "unsubscribe": "the reader: unsubscribed by mail",
    "unknown": "nobody: words and code explain nothing",
}
