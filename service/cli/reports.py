"""`status preview why topics`: what is, what would be, and why."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Annotated

import typer

from service.actions.balance import Status, find_status
from service.actions.preview import preview_digest
from service.actions.topics import TopicPreview, preview_topic
from service.actions.why import DeliveryStory, Story, tell_why
from service.cli.desk import CommandError, Desk, Json, open_desk, read_date, table
from service.cli.publishing import Date, balance_lines
from service.domain.addresses import email_key
from service.domain.schedule import announcement_date
from service.store.engine import transaction
from service.store.models import Subscriber
from service.store.subscribers import find_by_email

BAR_WIDTH = 40


def register(app: typer.Typer) -> None:
    topics = typer.Typer(help="Try a topic.", no_args_is_help=True)
    topics.command("test")(try_topic)
    app.command()(status)
    app.command()(preview)
    app.command()(why)
    app.add_typer(topics, name="topics")


def find_reader(desk: Desk, email: str) -> Subscriber:
    """The subscriber with an address. Raises `CommandError` where there is none."""
    with transaction(desk.sessions) as session:
        reader = find_by_email(session, email_key(email))
    if reader is None:
        raise CommandError(f"no subscriber has the address {email}")
    return reader


def status(context: typer.Context, date: Date = None, as_json: Json = False) -> None:
    """Batches, editions and their balances, what waits, what is in doubt."""
    with open_desk(context, as_json=as_json) as desk:
        on = read_date(date, "--date") or announcement_date(desk.clock())
        found = find_status(desk.sessions, on, desk.clock())
        desk.say(found, *_status_lines(found))
        if any(edition.closes is False and edition.state != "open" for edition in found.editions):
            raise CommandError("a balance does not close")


def _status_lines(found: Status) -> list[object]:
    batches = table(f"Batches of {found.on}", "batch", "state", ">announced", ">unreadable", "note")
    for batch in found.batches:
        name = f"{batch.source} {batch.category}".strip()
        numbers = str(batch.announced_count), str(batch.bad_count)
        batches.add_row(name, batch.state, *numbers, batch.note)
    lines: list[object] = [batches if found.batches else f"No batch of {found.on} yet."]
    for balance in found.editions:
        lines += [f"Edition {balance.edition_id}", *balance_lines(balance)]
    readers = ", ".join(f"{count} {state}" for state, count in sorted(found.subscribers.items()))
    lines.append(f"Subscribers: {readers or 'none'}.")
    oldest = (
        f", the oldest since {found.oldest_due_at:%Y-%m-%d %H:%M} UTC"
        if found.oldest_due_at
        else ""
    )
    lines.append(f"{found.due_count} due{oldest}; {found.in_doubt_count} in doubt.")
    return lines


def preview(
    context: typer.Context,
    email: str,
    date: Date = None,
    out: Annotated[Path, typer.Option(help="Where to write the files.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write the exact mail as .eml, .html and .txt; nothing is sent."""
    with open_desk(context, as_json=as_json) as desk:
        on = read_date(date, "--date") or announcement_date(desk.clock())
        reader = find_reader(desk, email)
        made = preview_digest(desk.sessions, desk.settings, reader.id, on, desk.clock())
        if made.payload is None:
            desk.say({"written": [], "reason": made.reason}, f"No mail for {on}: {made.reason}.")
            return
        written = _write(made.payload, out, f"{on}-{reader.id}")
        desk.say(
            {"written": [str(path) for path in written], "papers": made.paper_count},
            f"{made.paper_count} papers.",
            *(str(path) for path in written),
        )


def _write(payload: bytes, folder: Path, name: str) -> list[Path]:
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
    email: str,
    date: Annotated[str, typer.Argument(help="The edition's date, like 2026-09-18.")],
    as_json: Json = False,
) -> None:
    """Which papers matched which clause, what was cut, and every reply of the relay."""
    with open_desk(context, as_json=as_json) as desk:
        on = read_date(date, "DATE") or announcement_date(desk.clock())
        reader = find_reader(desk, email)
        with transaction(desk.sessions) as session:
            story = tell_why(session, reader, on)
        desk.say(story, *_story_lines(story))


def _story_lines(story: Story) -> list[object]:
    topics = "; ".join(story.topics) or "none: trending papers"
    lines: list[object] = [f"{story.email} is {story.state}. Topics: {topics}."]
    if not story.deliveries:
        lines.append(f"Nothing was queued for {story.on}.")
    for delivery in story.deliveries:
        lines += _delivery_lines(delivery)
    return lines


def _delivery_lines(told: DeliveryStory) -> list[object]:
    why_so = f" ({told.reason})" if told.reason else ""
    edition = f" of edition {told.edition_id} ({told.cadence})" if told.edition_id else ""
    lines: list[object] = [f"\n{told.kind}{edition}: {told.state}{why_so} {told.message_id}"]
    for paper in told.papers:
        reasons = "; ".join(paper.reasons) or "carried or trending"
        lines.append(f"  {paper.key}  {paper.title}\n      {paper.topic}: {reasons}")
    if told.cut:
        lines.append(f"  cut for length: {', '.join(told.cut)}")
    lines += [
        f"  {event.at:%H:%M:%S} try {event.attempt}: {event.state} {event.detail}"
        for event in told.events
    ]
    return lines


def try_topic(
    context: typer.Context,
    query: str,
    days: Annotated[int, typer.Option(min=1, max=366, help="How many days back.")] = 30,
    as_json: Json = False,
) -> None:
    """What a topic would have matched, per day."""
    with open_desk(context, as_json=as_json) as desk:
        until = announcement_date(desk.clock())
        with transaction(desk.sessions) as session:
            found = preview_topic(session, query, until, days)
        desk.say(
            {
                "total": found.total,
                "per_day": {day.isoformat(): count for day, count in found.per_day},
                "newest": [{"key": paper.key, "title": paper.title} for paper in found.newest],
            },
            *_preview_lines(found),
        )


def _preview_lines(found: TopicPreview) -> list[object]:
    most = max((count for _, count in found.per_day), default=0)
    lines: list[object] = [
        f"{day}  {'█' * round(BAR_WIDTH * count / most)} {count}"
        for day, count in found.per_day
        if count
    ]
    lines.append(f"{found.total} papers in {len(found.per_day)} days.")
    return lines + [f"  {paper.key}  {paper.title}" for paper in found.newest]
