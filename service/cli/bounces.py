"""`bounces read fetch listen report`: what comes back of what we sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator
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
            "--trust", help="Believe addresses without our signature: you know the mails are real."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Read raw bounces and complaints; once or twice is the same.

    Without --trust only a mail that bears a mark of ours (the signed return path or a Message-ID)
    changes anything; the others are read and told all the same.
    """
    from service.bounces.record import Channel, read_bounce_mail

    raws = list(_open_files(files or [STDIN]))
    with command_context(context, as_json=as_json) as command:
        channel = Channel(command.settings, "file", trusts_addresses=trust)
        told = [
            (name, read_bounce_mail(command.sessions, channel, raw, command.clock()))
            for name, raw in raws
        ]
        command.say([_plain(name, one) for name, one in told], _table(told))
    faults = [f"{name}: {one.fault}" for name, one in told if one.fault]
    if faults:
        raise CommandError(f"{counted(len(faults), 'mail')} could not be read; {faults[0]}")


def _open_files(names: list[str]) -> Iterator[tuple[str, bytes]]:
    """(name, raw mail) of files, of standard input, and of all messages of a Maildir."""
    from service.bounces.inbound.mime_parts import MOST_BYTES

    for name in names:
        if name == STDIN:
            yield "stdin", sys.stdin.buffer.read(MOST_BYTES + 1)
            continue
        path = Path(name)
        places = sorted(_messages_in(path)) if path.is_dir() else [path]
        for place in places:
            try:
                with place.open("rb") as file:
                    yield str(place), file.read(MOST_BYTES + 1)
            except OSError as error:
                raise CommandError(f"cannot read {place}: {error.strerror}", 2) from error


def _messages_in(path: Path) -> Iterator[Path]:
    """The messages of a Maildir, or every file of another folder."""
    is_maildir = (path / "cur").is_dir() and (path / "new").is_dir()
    folders = [path / "new", path / "cur"] if is_maildir else [path]
    return (file for folder in folders for file in folder.iterdir() if file.is_file())


def _plain(name: str, reading: Reading) -> dict[str, Any]:
    mail, outcomes = reading.mail, {one.address: one for one in reading.recorded}
    recipients = mail.recipients if mail else ()
    return {
        "file": name,
        "verdict": mail.verdict.value if mail else None,
        "fault": reading.fault,
        "recipients": [
            {
                "address": one.address,
                "aliases": list(one.aliases),
                "verdict": one.verdict.value,
                "code": one.code,
                "action": one.action,
                "reply": one.reply,
                "weight": one.weight,
                "outcome": outcomes[one.address].outcome if one.address in outcomes else "",
                "suppressed": one.address in outcomes and outcomes[one.address].is_suppressed,
            }
            for one in recipients
        ],
        "outcomes": [one.outcome for one in reading.recorded],
    }


def _table(told: list[tuple[str, Reading]]) -> str:
    rows = []
    for name, reading in told:
        mail, short = reading.mail, Path(name).name
        if mail is None:
            rows.append((short, "unreadable", "", "", reading.fault))
        elif not mail.recipients:
            outcome = reading.recorded[0].outcome if reading.recorded else ""
            rows.append((short, mail.verdict.value, "", "", outcome))
        outcomes = {one.address: one.outcome for one in reading.recorded}
        rows += [
            (short, one.verdict.value, one.code, one.address, outcomes.get(one.address, ""))
            for one in (mail.recipients if mail else ())
        ]
    return table(("mail", "verdict", "code", "address", "outcome"), rows)


def fetch(context: typer.Context, as_json: Json = False) -> None:
    """Read the bounce mailbox now; beat does it every minute."""
    from service.bounces.inbound.mailbox import MailboxUnavailable
    from service.bounces.record import read_bounce_mailbox, settle_bounces

    with command_context(context, as_json=as_json) as command:
        if not command.settings.bounce_mailbox:
            raise CommandError("no mailbox is set; set PAPERBOY_BOUNCE_MAILBOX", 2)
        try:
            total = read_bounce_mailbox(command.sessions, command.settings, command.clock)
        except MailboxUnavailable as error:
            raise CommandError(f"the bounce mailbox cannot be read: {error}") from error
        settle_bounces(command.sessions, command.clock())
        command.say(total, _tally_line(total))


def _tally_line(total: Tally) -> str:
    parts = [f"{count} {outcome}" for outcome, count in sorted(total.outcomes.items())]
    told = f": {', '.join(parts)}" if parts else ""
    return f"{counted(total.mails, 'mail')} read{told}; {total.suppressed} addresses suppressed."


def listen(
    context: typer.Context,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="0 takes a free one.")
    ] = 2525,
    lmtp: Annotated[bool, typer.Option("--lmtp", help="Speak LMTP instead of SMTP.")] = False,
    as_json: Json = False,
) -> None:
    """Take bounces by SMTP or LMTP until Ctrl-C.

    Refuses every address that is not a return path signed by us.
    """
    from service.bounces.record import open_listener
    from service.cli.processes import ending_at_signals

    with ending_at_signals(), command_context(context, as_json=as_json) as command:
        if not command.settings.bounce_domain:
            raise CommandError("return paths need a domain; set PAPERBOY_BOUNCE_DOMAIN", 2)
        listener = open_listener(command.sessions, command.settings, command.clock, lmtp=lmtp)
        with _started(listener, host, port) as started:
            where = {"host": host, "port": started.port, "protocol": "lmtp" if lmtp else "smtp"}
            command.say(where, f"Bounces are taken at {host}:{started.port}; Ctrl-C stops it.")
            _wait_for_the_end()


def _started(listener: BounceListener, host: str, port: int) -> BounceListener:
    from service.platform.smtp_server import CannotListen

    try:
        return listener.start(host, port)
    except CannotListen as error:
        raise CommandError(str(error), 2) from error


def _wait_for_the_end() -> None:
    from threading import Event

    Event().wait()


def report(
    context: typer.Context,
    days: Annotated[int, typer.Option(metavar="N", help="Of the last N days.")] = 7,
    as_json: Json = False,
) -> None:
    """Count what came back by whom it is about."""
    from service.bounces.store.bounces import count_verdicts
    from service.platform.database.engine import transaction

    if not 1 <= days <= 3650:
        raise CommandError("--days wants a number from 1 to 3650", 2)
    with command_context(context, as_json=as_json) as command:
        with transaction(command.sessions) as session:
            counts = count_verdicts(session, command.clock() - timedelta(days=days))
        rows = [
            (verdict.value, count, _MEANING[verdict.value]) for verdict, count in counts.items()
        ]
        made = table(("verdict", ">events", "about"), sorted(rows))
        command.say(counts, made if rows else f"Nothing came back in {counted(days, 'day')}.")


_MEANING = {
    "address": "the reader: there is no such mailbox",
    "full": "the reader: the mailbox is full",
    "complaint": "the reader: reported as spam",
    "policy": "you: the receiver refuses your server or your kind of mail",
    "content": "you: a mail was too large or malformed",
    "configuration": "you or the receiver: a server, a route or a name is broken",
}
