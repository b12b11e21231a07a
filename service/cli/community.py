"""The commands `picks add|remove|list` and `notes set|show|remove|list`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.cli.context import CommandContext, CommandError, Json, command_context, parse_date
from service.cli.output import table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from sqlalchemy.orm import Session

    from service.deliveries.domain.recipients import Cadence

_MOST_LISTED = 50

Paper = Annotated[
    str, typer.Argument(metavar="PAPER", help="An arXiv id, a DOI, or the address of its page.")
]
Day = Annotated[
    str, typer.Argument(metavar="DATE", help="The local date of the edition, like 2026-11-30.")
]
Cadences = Annotated[
    list[str] | None,
    typer.Option("--cadence", metavar="CADENCE", help="May be repeated; default: all."),
]


def register(app: typer.Typer) -> None:
    picks = typer.Typer(help="Choose papers: editor’s choice.", rich_markup_mode=None)
    picks.command("add")(add_pick)
    picks.command("remove")(remove_pick)
    picks.command("list")(show_picks)
    app.add_typer(picks, name="picks")
    notes = typer.Typer(help="Notes at the head of editions.", rich_markup_mode=None)
    notes.command("set")(set_note)
    notes.command("show")(show_note)
    notes.command("remove")(remove_note)
    notes.command("list")(show_notes)
    app.add_typer(notes, name="notes")


def add_pick(
    context: typer.Context,
    paper: Paper,
    why: Annotated[str, typer.Option(metavar="SENTENCE", help="One sentence, shown with it.")],
    as_json: Json = False,
) -> None:
    """Make a paper the editor's choice, or change its sentence.

    Pages show it at once, and mails from the next edition on.
    """
    from service.papers.picks import PickRefused, pick_paper
    from service.platform.database.engine import transaction
    from service.subscribers.saved_papers import find_by_address

    with command_context(context, as_json=as_json) as command:
        try:
            with transaction(command.sessions) as session:
                paper_id = find_by_address(session, paper)
                pick_paper(session, command.settings, paper_id, why, command.clock())
        except PickRefused as error:
            raise CommandError(str(error), 2) from error
        command.print({"paper": paper, "sentence": why}, f"{paper} is the editor’s choice.")


def remove_pick(context: typer.Context, paper: Paper, as_json: Json = False) -> None:
    """Take a pick back; twice is once."""
    from service.papers.store.votes import delete_pick
    from service.platform.database.engine import transaction

    with command_context(context, as_json=as_json) as command:
        with transaction(command.sessions) as session:
            is_gone = delete_pick(session, _find_paper(session, paper))
        outcome = "is not picked any more" if is_gone else "was not picked"
        command.print({"paper": paper, "is_removed": is_gone}, f"{paper} {outcome}.")


def show_picks(context: typer.Context, as_json: Json = False) -> None:
    """List the latest picks, newest first."""
    from service.papers.store.votes import list_picks
    from service.platform.database.engine import transaction

    with command_context(context, as_json=as_json) as command:
        with transaction(command.sessions) as session:
            found = list_picks(session, _MOST_LISTED)
        rows = [
            {"paper": one.key, "sentence": one.sentence, "picked_at": one.picked_at.isoformat()}
            for one in found
        ]
        lines = (
            table(["paper", "sentence"], [[one.key, one.sentence] for one in found])
            if found
            else "None yet."
        )
        command.print({"picks": rows}, lines)


def set_note(
    context: typer.Context,
    day: Day,
    file: Annotated[
        str, typer.Option(metavar="FILE", help="A file with the note in Markdown; - is stdin.")
    ],
    cadence: Cadences = None,
    as_json: Json = False,
) -> None:
    """Put a note at the head of a day's editions, before they are opened."""
    _parse_day(day)
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text in UTF-8"
        raise CommandError(f"{file} cannot be read: {reason}", 2) from error
    with command_context(context, as_json=as_json) as command:
        _put(command, day, cadence, text)


def remove_note(
    context: typer.Context, day: Day, cadence: Cadences = None, as_json: Json = False
) -> None:
    """Remove the note of a day's editions, before they are opened."""
    with command_context(context, as_json=as_json) as command:
        _put(command, day, cadence, "")


def _put(command: CommandContext, day: str, cadence: list[str] | None, text: str) -> None:
    from service.editions.notes import NoteRefused, put_note
    from service.platform.database.engine import transaction
    from service.presentation.sanitize import clean

    on, chosen, note = _parse_day(day), _parse_cadences(cadence), clean(text)
    try:
        with transaction(command.sessions) as session:
            put_note(session, command.settings, chosen, on, note, command.clock())
    except NoteRefused as error:
        raise CommandError(str(error), 2) from error
    names = ", ".join(chosen)
    outcome = "have this note" if note.strip() else "have no note"
    command.print(
        {"date": day, "cadences": list(chosen), "has_note": bool(note.strip())},
        f"The editions of {day} ({names}) {outcome}.",
    )


def show_note(
    context: typer.Context, day: Day, cadence: Cadences = None, as_json: Json = False
) -> None:
    """Show the notes of a day's editions: as HTML with --json, too."""
    from service.editions.notes import find_note
    from service.platform.database.engine import transaction
    from service.presentation.markdown import note_html

    on, chosen = _parse_day(day), _parse_cadences(cadence)
    with command_context(context, as_json=as_json) as command:
        with transaction(command.sessions) as session:
            found = {one: find_note(session, one, on) for one in chosen}
        rows = [
            {"cadence": str(one), "note": text, "html": str(note_html(text))}
            for one, text in found.items()
            if text
        ]
        lines = "\n\n".join(f"{one}:\n{text}" for one, text in found.items() if text)
        command.print({"date": day, "notes": rows}, lines or f"The editions of {day} have no note.")


def show_notes(context: typer.Context, as_json: Json = False) -> None:
    """List the notes of editions from today on."""
    from service.editions.notes import list_notes
    from service.platform.database.engine import transaction

    with command_context(context, as_json=as_json) as command:
        with transaction(command.sessions) as session:
            found = list_notes(session, command.clock().date())
        rows = [
            {"date": str(one.on), "cadence": str(one.cadence), "note": one.text,
             "is_opened": one.is_opened}
            for one in found
        ]  # fmt: skip
        lines = [[str(one.on), str(one.cadence), one.text.partition("\n")[0][:60]] for one in found]
        command.print(
            {"notes": rows}, table(["date", "cadence", "note"], lines) if lines else "None."
        )


def _find_paper(session: Session, paper: str) -> int:
    from service.subscribers.saved_papers import find_by_address

    paper_id = find_by_address(session, paper)
    if paper_id is None:
        raise CommandError(f"no paper here has the identifier or address {paper[:80]!r}", 2)
    return paper_id


def _parse_day(text: str) -> date:
    on = parse_date(text, "DATE")
    assert on is not None  # noqa: S101  # only of None
    return on


def _parse_cadences(names: Sequence[str] | None) -> tuple[Cadence, ...]:
    from service.deliveries.domain.recipients import Cadence

    known = ", ".join(Cadence)
    for name in names or ():
        if name not in {*Cadence}:
            raise CommandError(f"--cadence must be one of {known}, not {name[:40]!r}", 2)
    return tuple(one for one in Cadence if not names or one in names)
