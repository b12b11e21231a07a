"""The commands `status preview why topics`: reports that change nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.context import CommandContext, CommandError, Date, Json, command_context, parse_day
from service.cli.output import counted, table
from service.cli.propose import propose
from service.cli.report_lines import (
    doubt_lines,
    gate_lines,
    moment,
    pause_lines,
    provider_lines,
    quarantine_lines,
    story_of_edition,
    warm_up_lines,
)

if TYPE_CHECKING:
    from service.operations.status import Status
    from service.subscribers.store.models import Subscriber
    from service.topics.topics import TopicPreview

BAR_WIDTH = 40


def register(app: typer.Typer) -> None:
    topics = typer.Typer(help="Try a topic before subscribing to it.", rich_markup_mode=None)
    topics.command("test")(try_topic)
    topics.command("propose")(propose)
    app.command()(status)
    app.command()(preview)
    app.command()(why)
    app.add_typer(topics, name="topics")


def find_subscriber(command: CommandContext, email: str) -> Subscriber:
    """Return the subscriber with an address. Raises `CommandError` where there is none."""
    from service.platform.database.engine import transaction
    from service.platform.signing.address_hash import email_key
    from service.subscribers.store.subscribers import find_by_email
    from service.subscribers.store.suppressions import find_reason
    from service.subscribers.validate import validate_address

    address = validate_address(email, takes_utf8=True)
    with transaction(command.sessions) as session:
        subscriber = find_by_email(session, email_key(address))
        suppressed = find_reason(session, email_key(address), command.settings.secret_key)
    if subscriber is None:
        raise unknown_subscriber(email, suppressed)
    return subscriber


def unknown_subscriber(email: str, suppressed: str | None) -> CommandError:
    """Return the error for an address that is no subscriber's."""
    note = f"; it is suppressed: {suppressed}" if suppressed else ""
    return CommandError(f"no subscriber has the address {email}{note}")


def status(context: typer.Context, date: Date = None, as_json: Json = False) -> None:
    """Show batches, editions, balances and waiting mail.

    Exit 1 if a balance does not close.
    """
    from service.operations.status import find_status

    with command_context(context, as_json=as_json) as command:
        found = find_status(
            command.sessions, command.settings, parse_day(command, date), command.clock()
        )
        command.print(found, *_status_lines(found))
        if any(edition.closes is False and edition.state != "open" for edition in found.editions):
            raise CommandError("a balance does not close")


def _status_lines(found: Status) -> list[str]:
    from service.presentation.coverage import coverage_text

    columns = ("batch", "state", "source", ">announced", ">unreadable", "note")
    rows = [
        (
            f"{b.source} {b.category}".strip(),
            b.state,
            b.answer,
            b.announced_count,
            b.bad_count,
            b.note,
        )
        for b in found.batches
    ]
    batches = f"Batches of {found.on}\n{table(columns, rows)}"
    lines = pause_lines(found.pause)
    if found.restored:
        lines.append(f"Nothing is sent: {found.restored}.")
    lines.append(batches if rows else f"No batch of {found.on} yet.")
    if found.coverage:
        lines.append(coverage_text(found.coverage))
    lines += [*gate_lines(found.gates), ""]
    for balance in found.editions:
        lines += [*story_of_edition(balance), ""]
    if not found.editions:
        lines += [f"No edition of {found.on} yet.", ""]
    subscribers = ", ".join(
        f"{count} {state}" for state, count in sorted(found.subscribers.items())
    )
    oldest = found.oldest_due_at
    since = f", the oldest since {moment(oldest)}" if oldest else ""
    lines.append(f"Subscribers: {subscribers or 'none'}.")
    lines.append(f"Mails: {found.due_count} due{since}; {found.in_doubt_count} in doubt.")
    transactional = [f"Of no edition: {line}" for line in doubt_lines(found.letters)]
    if transactional:
        transactional.append("Run: paperboy resolve 0 --in-doubt sent|resend")
    return [
        *lines,
        *transactional,
        *provider_lines(found.providers),
        *warm_up_lines(found.warm_up),
        *quarantine_lines(found.quarantined_count, found.quarantined),
    ]


def preview(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL")],
    date: Date = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where to write the files.", show_default="here")
    ] = Path(),
    as_json: Json = False,
) -> None:
    """Write a reader's exact mail as files; nothing is sent.

    As .eml, .html and .txt: the frozen digest if there is one, else what it would be now.
    """
    from service.messages.preview import preview_digest

    with command_context(context, as_json=as_json) as command:
        on = parse_day(command, date)
        subscriber = find_subscriber(command, email)
        mail = preview_digest(
            command.sessions, command.settings, subscriber.id, on, command.clock()
        )
        if mail.payload is None:
            command.print(
                {"written": [], "reason": mail.reason}, f"No mail for {on}: {mail.reason}."
            )
            return
        written = _write(mail.payload, out, f"{on}-{subscriber.id}")
        command.print(
            {"written": [str(path) for path in written], "papers": mail.paper_count},
            f"{counted(mail.paper_count, 'paper')} in the mail of {on}:",
            *(f"  {path}" for path in written),
        )


def _write(payload: bytes, folder: Path, name: str) -> list[Path]:
    from email import message_from_bytes
    from email.policy import default

    message = message_from_bytes(payload, policy=default)
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    contents = {
        "eml": payload,
        "html": html.get_content().encode() if html else b"",
        "txt": text.get_content().encode() if text else b"",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for ending, content in contents.items():
            (folder / f"{name}.{ending}").write_bytes(content)
    except OSError as error:
        raise CommandError(f"cannot write to {folder}: {error.strerror}") from error
    return [folder / f"{name}.{ending}" for ending in contents]


def why(
    context: typer.Context,
    email: Annotated[str, typer.Argument(metavar="EMAIL")],
    date: Annotated[str, typer.Argument(metavar="DATE", help="The edition's, like 2026-09-18.")],
    as_json: Json = False,
) -> None:
    """Show what a reader was sent on a date, and why.

    Which papers matched which clause, what was cut, and every reply of the relay.
    """
    from service.cli.report_lines import story_lines
    from service.operations.explain import find_subscriber_story
    from service.platform.signing.address_hash import email_key
    from service.subscribers.validate import validate_address

    with command_context(context, as_json=as_json) as command:
        on = parse_day(command, date, "DATE")
        key = email_key(validate_address(email, takes_utf8=True))
        settings = command.settings
        found = find_subscriber_story(
            command.sessions, key, on, settings.secret_key, settings.envelope_domain
        )
        if found.story is None:
            raise unknown_subscriber(email, found.suppressed)
        command.print(found.story, *story_lines(found.story))


def try_topic(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY")],
    days: Annotated[
        int, typer.Option(min=1, max=366, metavar="N", help="How many days back.")
    ] = 30,
    as_json: Json = False,
) -> None:
    """Show what a topic would have matched, per day."""
    from service.platform.database.engine import transaction
    from service.topics.topics import preview_topic

    with command_context(context, as_json=as_json) as command:
        until = parse_day(command, None)
        with transaction(command.sessions) as session:
            found = preview_topic(session, command.settings, query, until, days)
        command.print(
            {
                "total": found.total,
                "per_day": {day.isoformat(): count for day, count in found.per_day},
                "newest": [{"key": paper.key, "title": paper.title} for paper in found.newest],
            },
            *_preview_lines(found),
        )


def _preview_lines(found: TopicPreview) -> list[str]:
    most = max((count for _, count in found.per_day), default=0)
    lines = [
        f"{day}  {'█' * max(1, round(BAR_WIDTH * count / most))} {count}"
        for day, count in found.per_day
        if count
    ]
    lines.append(f"{counted(found.total, 'paper')} in {counted(len(found.per_day), 'day')}.")
    if found.newest:
        lines.append("The newest:")
    return lines + [f"  {paper.key}  {paper.title}" for paper in found.newest]
