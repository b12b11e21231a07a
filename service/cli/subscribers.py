"""The commands `subscribers suppress release`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from service.cli import subscriber_edits
from service.cli.context import CommandError, Json, command_context
from service.cli.import_subscribers import import_file
from service.cli.output import counted, table, to_json
from service.cli.reports import find_subscriber

if TYPE_CHECKING:
    from service.subscribers.store.models import Subscriber

Email = Annotated[str, typer.Argument(metavar="EMAIL")]
Confirmed = Annotated[
    bool, typer.Option("--confirmed", help="You vouch for the address: no confirmation mail.")
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="Find, show, change, add, import, export and erase readers.", rich_markup_mode=None
    )
    group.command("add")(add)
    group.command("list")(list_all)
    group.command("import")(import_file)
    group.command("export")(export)
    group.command("erase")(erase)
    subscriber_edits.add_to(group)
    app.add_typer(group, name="subscribers")
    app.command()(suppress)
    app.command()(release)


def add(
    context: typer.Context,
    email: Email,
    topic: Annotated[
        list[str] | None, typer.Option(metavar="QUERY", help="A topic; may be repeated.")
    ] = None,
    timezone: Annotated[str | None, subscriber_edits.ZONE] = None,
    hour: Annotated[str | None, subscriber_edits.HOUR] = None,
    cadence: Annotated[str, subscriber_edits.CADENCE] = "daily",
    timing: Annotated[str, subscriber_edits.TIMING] = "at_hour",
    empty_digests: Annotated[
        bool, typer.Option("--empty-digests", help="Send a short mail if nothing matched.")
    ] = False,
    full_cards: Annotated[str | None, subscriber_edits.CARDS] = None,
    comes: Annotated[list[str] | None, subscriber_edits.COMES] = None,
    max_papers: Annotated[str | None, subscriber_edits.PAPERS] = None,
    weekly_topics_on: Annotated[str | None, subscriber_edits.WEEKDAY] = None,
    confirmed: Confirmed = False,
    as_json: Json = False,
) -> None:
    """Add a subscriber.

    Without --confirmed they have to confirm by mail first.
    """
    from dataclasses import replace

    from service.platform.database.engine import transaction
    from service.subscribers.bulk_import import add_subscriber, blank_sign_up
    from service.subscribers.validate import validate_sign_up

    with command_context(context, as_json=as_json) as command:
        form = blank_sign_up(command.settings, email, topic or [])
        form = replace(
            form,
            cadence=cadence,
            hour=hour or form.hour,
            timezone=timezone or form.timezone,
            timing=timing,
            has_empty_digests=empty_digests,
            full_cards=full_cards or form.full_cards,
            measures=tuple(comes or ()),
            max_papers="" if max_papers == "usual" else max_papers,
            weekly_topics_on=weekly_topics_on or "",
        )
        keys = command.settings.secret_key
        with transaction(command.sessions) as session:
            takes_utf8 = command.settings.smtputf8
            valid = validate_sign_up(session, form, takes_utf8=takes_utf8, is_public=False)
            subscriber = add_subscriber(
                session, valid, keys, command.clock(), is_confirmed=confirmed
            )
        if subscriber is None:
            raise CommandError(f"{email} is subscribed already or suppressed; nothing was changed")
        command.wake_sender()
        note = "" if confirmed else "; a confirmation mail is queued"
        command.print(_row(subscriber), f"{subscriber.email} is {subscriber.state}{note}.")


def _row(subscriber: Subscriber) -> dict[str, object]:
    return subscriber_edits.subscriber_row(subscriber) | {
        "has_empty_digests": subscriber.has_empty_digests,
        "full_cards": subscriber.full_cards,
        "max_papers": subscriber.max_papers,
    }


def list_all(context: typer.Context, as_json: Json = False) -> None:
    """List the subscribers."""
    from service.platform.database.engine import transaction
    from service.subscribers.store.subscribers import get_named_topics, list_subscribers

    with command_context(context, as_json=as_json) as command:
        with transaction(command.sessions) as session:
            subscribers = list_subscribers(session)
            topics = get_named_topics(session, [subscriber.id for subscriber in subscribers])
        names = {i: [topic.name for topic in own] for i, own in topics.items()}
        rows = [
            (*subscriber_edits.list_cells(one), "; ".join(names.get(one.id, [])))
            for one in subscribers
        ]
        lines = table(subscriber_edits.LIST_HEAD, rows)
        total = f"{counted(len(rows), 'subscriber')}."
        value = [
            _row(subscriber)
            | {
                "topics": [topic.query for topic in topics.get(subscriber.id, [])],
                "topic_names": names.get(subscriber.id, []),
            }
            for subscriber in subscribers
        ]
        command.print(value, *([lines, total] if rows else [total]))


def export(
    context: typer.Context,
    email: Annotated[
        str | None, typer.Argument(metavar="EMAIL", help="Default: all readers.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Print all data about one reader, or about all.

    One JSON object per line; with --json all readers in one JSON array.
    """
    from service.platform.database.engine import transaction
    from service.subscribers.export import export_subscriber
    from service.subscribers.store.subscribers import list_subscribers

    with command_context(context, as_json=as_json) as command:
        found = find_subscriber(command, email) if email else None
        with transaction(command.sessions) as session:
            subscribers = [found] if found else list_subscribers(session)
            exports = [export_subscriber(session, subscriber) for subscriber in subscribers]
        command.print(exports[0] if found else exports, *map(to_json, exports))


def erase(context: typer.Context, email: Email, as_json: Json = False) -> None:
    """Erase a reader and all data about them.

    Only a keyed hash of the address is kept, so that no import adds it again.
    """
    from service.platform.database.engine import transaction
    from service.subscribers.lifecycle import erase as erase_subscriber
    from service.subscribers.store.subscribers import get_subscriber

    with command_context(context, as_json=as_json) as command:
        found = find_subscriber(command, email)
        with transaction(command.sessions) as session:
            subscriber = get_subscriber(session, found.id, lock=True)
            if subscriber is not None:
                erase_subscriber(session, subscriber, command.settings.secret_key, command.clock())
        command.print({"erased": found.email}, f"{found.email} is erased.")


def suppress(
    context: typer.Context,
    email: Email,
    why: Annotated[
        str, typer.Option(metavar="REASON", help="The reason, kept with the suppression.")
    ],
    as_json: Json = False,
) -> None:
    """Never mail an address again, even if it signs up again."""
    from service.platform.database.engine import transaction
    from service.subscribers.lifecycle import suppress_address
    from service.subscribers.validate import validate_address

    with command_context(context, as_json=as_json) as command:
        address = validate_address(email, takes_utf8=True)
        with transaction(command.sessions) as session:
            keys = command.settings.secret_key
            is_new = suppress_address(session, address, keys, why, command.clock())
        command.print(
            {"suppressed": address, "is_new": is_new},
            f"{address} is suppressed." if is_new else f"{address} was suppressed already.",
        )


def release(
    context: typer.Context,
    email: Annotated[
        str | None, typer.Argument(metavar="EMAIL", help="The address, or --because.")
    ] = None,
    because: Annotated[
        str | None, typer.Option(metavar="TEXT", help="All whom replies with this text suppressed.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="With --because: release them.")] = False,
    as_json: Json = False,
) -> None:
    """Allow mail to a suppressed address again.

    Its owner has to sign up again. With --because all readers are counted whom a bounce or refusal
    with a text suppressed, for a fault that was yours; --yes gives them their subscriptions back.
    """
    from service.platform.database.engine import transaction
    from service.subscribers.lifecycle import release_address
    from service.subscribers.validate import validate_address

    if (email is None) == (because is None) or (yes and because is None):
        raise CommandError("release needs an address, or --because TEXT with or without --yes", 2)
    if email is None:
        _release_because(context, because or "", is_real=yes, as_json=as_json)
        return
    with command_context(context, as_json=as_json) as command:
        address = validate_address(email, takes_utf8=True)
        with transaction(command.sessions) as session:
            released = release_address(session, address, command.settings.secret_key)
        if not released:
            raise CommandError(f"{address} is not suppressed")
        command.print({"released": address}, f"{address} is released.")


def _release_because(context: typer.Context, text: str, *, is_real: bool, as_json: bool) -> None:
    """Count the suppressions that a reply caused; with `is_real` lift them."""
    from service.bounces.release import NoSuchReply, clean_text, find_caused, release_caused
    from service.platform.database.engine import transaction

    try:
        wanted = clean_text(text)
    except NoSuchReply as error:
        raise CommandError(str(error), 2) from error
    with command_context(context, as_json=as_json) as command:
        try:
            with transaction(command.sessions) as session:
                found = find_caused(session, command.settings, wanted)
            released = (
                release_caused(command.sessions, command.settings, wanted, command.clock())
                if is_real
                else 0
            )
        except NoSuchReply as error:
            raise CommandError(str(error), 2) from error
        count = len(found.subscriber_ids)
        value = {
            "because": wanted,
            "suppressed": count,
            "erased": found.others,
            "replies": [{"reply": reply, "count": n} for reply, n in found.replies],
            "released": released,
        }
        lines = [table((">readers", "reply"), [(n, reply) for reply, n in found.replies])]
        if found.others:
            lines.append(f"{counted(found.others, 'erased address', 'es')} stays suppressed.")
        if is_real:
            lines.append(f"{counted(released, 'reader')} released.")
        elif count:
            lines.append(f"{counted(count, 'reader')} would be released; --yes does it.")
        else:
            lines.append("Nobody is suppressed by it any more.")
        command.print(value, *(lines if found.replies else lines[1:]))
