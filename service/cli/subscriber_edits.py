"""The commands `subscribers show search edit pause resume end-links unsubscribe`: one subscriber by hand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.context import (
    CommandContext,
    CommandError,
    Json,
    command_context,
    parse_date,
    parse_day,
)
from service.cli.output import counted, table
from service.cli.pause import operator_here
from service.cli.report_lines import moment
from service.cli.reports import find_subscriber

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from service.operations.subscriber_record import SubscriberRecord
    from service.subscribers.store.models import Subscriber

# Options of `add` and `edit`.
ZONE = typer.Option(metavar="ZONE", help="Like Europe/Berlin.")
HOUR = typer.Option(metavar="HOUR", help="0 to 23, local.")
CADENCE = typer.Option(
    metavar="daily|weekdays|weekly[-DAY]|monthly",
    help="How often; weekly is on Mondays, weekly-thursday on Thursdays.",
)
TIMING = typer.Option(
    metavar="at_hour|when_complete", help="At the hour, or as soon as a day's papers are complete."
)
CARDS = typer.Option(
    metavar="NUMBER",
    help="So many papers are shown in full, the others as one line each; 0 to 100.",
)
COMES = typer.Option(
    metavar="TEXT",
    help="When papers of the topic come: 'at once', weekly, 'at least 3'; in the order of topics.",
)
PAPERS = typer.Option(metavar="NUMBER|usual", help="At most so many papers in a mail, 1 to 100.")
WEEKDAY = typer.Option(metavar="WEEKDAY", help="When weekly topics come in a daily digest.")
LIST_HEAD = ("email", "state", "cadence", ">hour", "zone", "timing", "topics")

Email = Annotated[str, typer.Argument(metavar="EMAIL")]


def add_to(group: typer.Typer) -> None:
    group.command("show")(show)
    group.command("search")(search)
    group.command("edit")(edit)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("end-links")(end_links)
    group.command("unsubscribe")(unsubscribe)


def show(context: typer.Context, email: Email, as_json: Json = False) -> None:
    """Show one reader: settings, topics, history, latest mails."""
    with command_context(context, as_json=as_json) as command:
        record = _find_record(command, find_subscriber(command, email).id)
        command.print(_plain(record), *_lines(record))


def _find_record(command: CommandContext, subscriber_id: int) -> SubscriberRecord:
    from service.operations.subscriber_record import find_record

    today, settings = parse_day(command, None), command.settings
    record = find_record(
        command.sessions, subscriber_id, today, settings.secret_key, settings.envelope_domain
    )
    if record is None:
        raise CommandError("this reader has just been erased")
    return record


def _plain(record: SubscriberRecord) -> dict[str, Any]:
    """Return the record without the story of a date, which `why` prints."""
    from service.cli.output import to_plain

    value: dict[str, Any] = to_plain(record)
    del value["story"]
    return value


def _lines(record: SubscriberRecord) -> Iterator[str]:
    from service.presentation.phrases import comes_when
    from service.topics.domain.measure import AT_ONCE

    until = f" until {record.paused_until}" if record.paused_until else ""
    yield f"{record.email} is {record.state}{until}: number {record.id}, since {moment(record.created_at)}."
    if record.suppressed:
        yield f"The address is suppressed: {record.suppressed}."
    when = comes_when(record.cadence, record.hour, record.timing)
    yield f"{record.cadence.capitalize()} {when}, {record.timezone}."
    topics = [
        query if comes == AT_ONCE else f"{query} ({comes})"
        for query, comes in zip(record.topics, record.comes, strict=True)
    ]
    yield f"Topics: {'; '.join(topics) or 'none: trending papers'}."
    if any("weekly" in comes for comes in record.comes):
        yield f"Weekly topics come on {record.weekly_topics_on.capitalize()}s."
    if record.max_papers:
        yield f"At most {counted(record.max_papers, 'paper')} in a mail."
    yield from ("", "History, newest first:")
    yield from (f"  {moment(line.at)}  {line.text}" for line in record.history)
    if record.mails:
        rows = [(mail.on, _kind(mail), mail.state, mail.reason) for mail in record.mails]
        yield from ("", table(("mail of", "kind", "state", "reason"), rows))


def _kind(mail: Any) -> str:
    return " ".join(filter(None, (mail.cadence, mail.kind.replace("_", " "))))


def search(
    context: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A part of an address or of a topic.")
    ],
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Only active, paused, pending …")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """Find readers by a part of the address or of a topic."""
    from service.platform.database.engine import transaction
    from service.subscribers.store.directory import SubscriberFilter, list_page
    from service.subscribers.store.subscribers import get_topics

    with command_context(context, as_json=as_json) as command:
        chosen = SubscriberFilter(text.strip(), _parse_state(state))
        with transaction(command.sessions) as session:
            page = list_page(session, chosen, limit=limit)
            topics = get_topics(session, [subscriber.id for subscriber in page.subscribers])
        value = [
            subscriber_row(subscriber)
            | {"topics": [query for query, _ in topics.get(subscriber.id, [])]}
            for subscriber in page.subscribers
        ]
        rows = [
            (*list_cells(subscriber), "; ".join(row["topics"]))
            for subscriber, row in zip(page.subscribers, value, strict=True)
        ]
        lines = [table(LIST_HEAD, rows)]
        more = "; there are more: --limit" if page.older else ""
        total = f"{counted(len(rows), 'subscriber')}{more}."
        command.print(value, *(lines if rows else []), total)


def _parse_state(text: str | None) -> Any:
    from service.deliveries.domain.recipients import SubscriberState

    if text is None:
        return None
    try:
        return SubscriberState(text)
    except ValueError as error:
        message = f"--state is {', '.join(SubscriberState)}, not {text!r}"
        raise CommandError(message, 2) from error


def list_cells(subscriber: Subscriber) -> tuple[object, ...]:
    """Return a subscriber's cells below `LIST_HEAD`, but for the topics."""
    return tuple(subscriber_row(subscriber).values())[1:]


def subscriber_row(subscriber: Subscriber) -> dict[str, Any]:
    """Return a subscriber as commands print it in JSON."""
    return {
        "id": subscriber.id,
        "email": subscriber.email,
        "state": subscriber.state,
        "cadence": subscriber.cadence,
        "hour": subscriber.hour,
        "timezone": subscriber.timezone,
        "timing": subscriber.timing,
    }


@contextmanager
def _locked(command: CommandContext, email: str) -> Iterator[tuple[Session, Subscriber]]:
    """Yield the subscriber with an address, locked, in a transaction."""
    from service.platform.database.engine import transaction
    from service.subscribers.store.subscribers import get_subscriber

    found = find_subscriber(command, email)
    with transaction(command.sessions) as session:
        subscriber = get_subscriber(session, found.id, lock=True)
        if subscriber is None:
            raise CommandError("this reader has just been erased")
        yield session, subscriber


def edit(
    context: typer.Context,
    email: Email,
    topic: Annotated[
        list[str] | None,
        typer.Option(metavar="QUERY", help="A topic, instead of all present ones; repeatable."),
    ] = None,
    no_topics: Annotated[bool, typer.Option("--no-topics", help="Remove all topics.")] = False,
    timezone: Annotated[str | None, ZONE] = None,
    hour: Annotated[str | None, HOUR] = None,
    cadence: Annotated[str | None, CADENCE] = None,
    timing: Annotated[str | None, TIMING] = None,
    empty_digests: Annotated[
        bool | None,
        typer.Option("--empty-digests/--no-empty-digests", help="A mail if nothing matched."),
    ] = None,
    full_cards: Annotated[str | None, CARDS] = None,
    comes: Annotated[list[str] | None, COMES] = None,
    max_papers: Annotated[str | None, PAPERS] = None,
    weekly_topics_on: Annotated[str | None, WEEKDAY] = None,
    as_json: Json = False,
) -> None:
    """Change a reader's topics, cadence, hour, timing or time zone."""
    from dataclasses import replace

    from service.subscribers.by_operator import edit_subscriber
    from service.subscribers.stored_form import form_of

    if topic and no_topics:
        raise CommandError("give --topic or --no-topics, not both", 2)
    given: dict[str, Any] = {
        "topics": tuple(topic) if topic else () if no_topics else None,
        "timezone": timezone,
        "hour": hour,
        "cadence": cadence,
        "timing": timing,
        "has_empty_digests": empty_digests,
        "full_cards": full_cards,
        "measures": tuple(comes) if comes else None,
        "max_papers": "" if max_papers == "usual" else max_papers,
        "weekly_topics_on": weekly_topics_on,
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    if "topics" in wanted:
        # Names and measures of the present topics are not for the new ones.
        wanted = {"names": (), "measures": ()} | wanted
    if not wanted:
        message = "nothing to change; give --topic, --hour or another option"
        raise CommandError(message, 2)
    with command_context(context, as_json=as_json) as command:
        with _locked(command, email) as (session, subscriber):
            form = replace(form_of(session, subscriber), **wanted)
            changes = edit_subscriber(session, subscriber, form, operator_here(), command.clock())
        line = f"changed: {', '.join(changes)}" if changes else "nothing changed"
        value = {"email": subscriber.email, "changes": changes}
        command.print(value, f"{subscriber.email}: {line}.")


def pause(
    context: typer.Context,
    email: Email,
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="Default: until resumed.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Pause a reader's digests."""
    from service.subscribers.by_operator import pause_subscriber

    end = parse_date(until, "--until")
    with command_context(context, as_json=as_json) as command:
        with _locked(command, email) as (session, subscriber):
            now, by = command.clock(), operator_here()
            if not pause_subscriber(session, subscriber, end, by, now):
                raise _idle(subscriber)
        _print_state(command, subscriber, f" until {end}" if end else "")


def resume(context: typer.Context, email: Email, as_json: Json = False) -> None:
    """Resume a paused reader's digests."""
    from service.subscribers.by_operator import resume_subscriber

    with command_context(context, as_json=as_json) as command:
        with _locked(command, email) as (session, subscriber):
            if not resume_subscriber(session, subscriber, operator_here(), command.clock()):
                raise CommandError(f"{subscriber.email} is {subscriber.state}, not paused")
        _print_state(command, subscriber)


def end_links(context: typer.Context, email: Email, as_json: Json = False) -> None:
    """End all links in a reader's earlier mails but those to unsubscribe, and mail new ones."""
    from service.subscribers import lifecycle

    with command_context(context, as_json=as_json) as command:
        with _locked(command, email) as (session, subscriber):
            lifecycle.end_links(session, subscriber, operator_here(), command.clock())
        _print_state(command, subscriber, "; the links in earlier mails are ended")


def unsubscribe(context: typer.Context, email: Email, as_json: Json = False) -> None:
    """Unsubscribe a reader; the address may sign up again."""
    from service.subscribers.by_operator import unsubscribe_subscriber

    with command_context(context, as_json=as_json) as command:
        with _locked(command, email) as (session, subscriber):
            settings, now = command.settings, command.clock()
            if not unsubscribe_subscriber(session, settings, subscriber, operator_here(), now):
                raise _idle(subscriber)
        _print_state(command, subscriber)


def _idle(subscriber: Subscriber) -> CommandError:
    return CommandError(f"{subscriber.email} is {subscriber.state}; nothing was changed")


def _print_state(command: CommandContext, subscriber: Subscriber, note: str = "") -> None:
    """Print the new state, and wake a worker for the mail that says so."""
    command.wake_sender()
    command.print(subscriber_row(subscriber), f"{subscriber.email} is {subscriber.state}{note}.")
