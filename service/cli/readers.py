"""`subscribers suppress release`: who gets mail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from service.actions.readers import (
    ImportFault,
    add_subscriber,
    blank_sign_up,
    export_reader,
    import_subscribers,
    read_import,
)
from service.actions.subscribe import erase as erase_reader
from service.actions.subscribe import read_address, release_address, suppress_address
from service.cli.desk import CommandError, Json, open_desk, table
from service.cli.reports import find_reader
from service.queue import make_ring
from service.store.engine import transaction
from service.store.models import Subscriber
from service.store.subscribers import get_subscriber, get_topics, list_subscribers

Confirmed = Annotated[
    bool, typer.Option("--confirmed", help="You vouch for the address: no confirmation mail.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Who gets mail.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_all)
    group.command("import")(import_file)
    group.command("export")(export)
    group.command("erase")(erase)
    app.add_typer(group, name="subscribers")
    app.command()(suppress)
    app.command()(release)


def add(
    context: typer.Context,
    email: str,
    topic: Annotated[list[str] | None, typer.Option(help="A topic; may be repeated.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Like Europe/Berlin.")] = None,
    hour: Annotated[str | None, typer.Option(help="0 to 23, local.")] = None,
    cadence: Annotated[str, typer.Option(help="daily, weekdays or weekly")] = "daily",
    confirmed: Confirmed = False,
    as_json: Json = False,
) -> None:
    """Add a subscriber; without --confirmed they are asked by mail first."""
    with open_desk(context, as_json=as_json) as desk:
        form = blank_sign_up(desk.settings, email, topic or [])
        form = replace(
            form, cadence=cadence, hour=hour or form.hour, timezone=timezone or form.timezone
        )
        keys = desk.settings.secret_key
        with transaction(desk.sessions) as session:
            reader = add_subscriber(session, form, keys, desk.clock(), is_confirmed=confirmed)
        if reader is None:
            raise CommandError(f"{email} is subscribed already or suppressed; nothing was changed")
        make_ring(desk.settings.broker_url)("deliver")
        desk.say(_row(reader), f"{reader.email} is {reader.state}.")


def _row(reader: Subscriber) -> dict[str, object]:
    return {
        "id": reader.id,
        "email": reader.email,
        "state": reader.state,
        "cadence": reader.cadence,
        "hour": reader.hour,
        "timezone": reader.timezone,
    }


def list_all(context: typer.Context, as_json: Json = False) -> None:
    """List the subscribers."""
    with open_desk(context, as_json=as_json) as desk:
        with transaction(desk.sessions) as session:
            readers = list_subscribers(session)
            topics = get_topics(session, [reader.id for reader in readers])
        made = table("", "email", "state", "cadence", ">hour", "zone", "topics")
        rows = []
        for reader in readers:
            texts = [text for text, _ in topics.get(reader.id, [])]
            rows.append(_row(reader) | {"topics": texts})
            made.add_row(
                reader.email, reader.state, reader.cadence, str(reader.hour), reader.timezone,
                "; ".join(texts),
            )  # fmt: skip
        desk.say(rows, made, f"{len(rows)} subscribers.")


def import_file(
    context: typer.Context, file: Path, confirmed: Confirmed = False, as_json: Json = False
) -> None:
    """Import a CSV file with columns email, topic…, cadence, hour, timezone; all of it or nothing."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"cannot read {file}: {error}", 2) from error
    with open_desk(context, as_json=as_json) as desk:
        try:
            forms = read_import(text, desk.settings)
            with transaction(desk.sessions) as session:
                report = import_subscribers(
                    session, forms, desk.settings.secret_key, desk.clock(), is_confirmed=confirmed
                )
        except ImportFault as error:
            raise CommandError(f"{file}: {error}; nothing was imported", 2) from error
        make_ring(desk.settings.broker_url)("deliver")
        desk.say(
            report,
            f"{report.added} added, {report.known} known already, {report.suppressed} suppressed.",
        )


def export(
    context: typer.Context,
    email: Annotated[str | None, typer.Argument(help="One reader; everybody if left out.")] = None,
    as_json: Json = False,
) -> None:
    """Print everything held about one reader, or about all, as JSON lines."""
    with open_desk(context, as_json=as_json) as desk:
        one = find_reader(desk, email) if email else None
        with transaction(desk.sessions) as session:
            for reader in [one] if one else list_subscribers(session):
                desk.is_json = True
                desk.say(export_reader(session, reader))


def erase(context: typer.Context, email: str, as_json: Json = False) -> None:
    """Forget a reader; a keyed hash stays, so that no import brings the address back."""
    with open_desk(context, as_json=as_json) as desk:
        found = find_reader(desk, email)
        with transaction(desk.sessions) as session:
            reader = get_subscriber(session, found.id, lock=True)
            if reader is not None:
                erase_reader(session, reader, desk.settings.secret_key, desk.clock())
        desk.say({"erased": found.email}, f"{found.email} is forgotten.")


def suppress(
    context: typer.Context,
    email: str,
    why: Annotated[str, typer.Option(help="The reason, kept with the suppression.")],
    as_json: Json = False,
) -> None:
    """Never mail an address again, whoever signs it up."""
    with open_desk(context, as_json=as_json) as desk:
        address = read_address(email)
        with transaction(desk.sessions) as session:
            keys = desk.settings.secret_key
            is_new = suppress_address(session, address, keys, why, desk.clock())
        desk.say(
            {"suppressed": address, "is_new": is_new},
            f"{address} is suppressed." if is_new else f"{address} was suppressed already.",
        )


def release(context: typer.Context, email: str, as_json: Json = False) -> None:
    """Let an address be mailed again; its owner has to sign up anew."""
    with open_desk(context, as_json=as_json) as desk:
        address = read_address(email)
        with transaction(desk.sessions) as session:
            released = release_address(session, address, desk.settings.secret_key)
        if not released:
            raise CommandError(f"{address} is not suppressed")
        desk.say({"released": address}, f"{address} is released.")
