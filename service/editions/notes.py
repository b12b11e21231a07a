"""The operator's note at the head of an edition: written before it is opened, unchanged afterwards."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from service.deliveries.domain.recipients import Cadence
from service.editions.store.editions import find_edition
from service.editions.store.models import Edition, EditionNote
from service.platform.settings.settings import Settings

LONGEST = 4_000


class NoteRefused(ValueError):
    """A note that cannot be stored; the message says why."""


class Note(NamedTuple):
    """A note for the edition of one cadence and local date, in Markdown."""

    cadence: Cadence
    on: date
    text: str
    is_opened: bool


def put_note(
    session: Session,
    settings: Settings,
    cadences: Sequence[Cadence],
    on: date,
    text: str,
    now: datetime,
) -> None:
    """Put a note at the head of the editions of these cadences; an empty one removes it. Idempotent.

    Raises `NoteRefused` where notes are switched off, for one that is too long, and where one of the
    editions has been opened: its mails are being sent.
    """
    if not settings.edition_notes:
        raise NoteRefused("Notes are switched off on this site (PAPERBOY_EDITION_NOTES).")
    if not cadences:
        raise NoteRefused("Choose at least one kind of edition.")
    note = check_note(text)
    for cadence in cadences:
        edition = find_edition(session, cadence, on)
        if edition is not None and edition.note != note:
            raise NoteRefused(
                f"The {cadence} edition of {on} was opened at {edition.opened_at:%H:%M} UTC, and its"
                " mails are the same for all. Its note cannot be changed any more."
            )
        if not note:
            is_own = (EditionNote.cadence == cadence, EditionNote.local_date == on)
            session.execute(delete(EditionNote).where(*is_own))
            continue
        values = {"note": note, "changed_at": now}
        session.execute(
            insert(EditionNote)
            .values(cadence=cadence, local_date=on, **values)
            .on_conflict_do_update(index_elements=["cadence", "local_date"], set_=values)
        )


def check_note(text: str) -> str:
    """Return a note as it is stored. Raises `NoteRefused` for one that is too long."""
    note = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n")).strip()
    if len(note) > LONGEST:
        raise NoteRefused(f"A note has at most {LONGEST:,} characters; this has {len(note):,}.")
    return note


def list_notes(session: Session, since: date) -> list[Note]:
    """Return the notes of editions on or after a date, and whether each edition is opened."""
    rows = session.execute(
        select(EditionNote, Edition.id)
        .outerjoin(
            Edition,
            (Edition.cadence == EditionNote.cadence)
            & (Edition.local_date == EditionNote.local_date),
        )
        .where(EditionNote.local_date >= since)
        .order_by(EditionNote.local_date, EditionNote.cadence)
    )
    return [
        Note(note.cadence, note.local_date, note.note, edition_id is not None)
        for note, edition_id in rows
    ]


def find_note(session: Session, cadence: Cadence, on: date) -> str:
    """Return the note for an edition to come, "" where there is none."""
    row = session.get(EditionNote, (cadence, on))
    return row.note if row else ""


def find_opened_note(session: Session, cadence: Cadence, on: date) -> str:
    """Return the note of an edition that was opened, for its page; "" where there is none."""
    edition = find_edition(session, cadence, on)
    return edition.note if edition else ""
