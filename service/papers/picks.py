"""The operator's picks: a paper is the editor's choice, with a sentence that says why."""

from datetime import datetime

from sqlalchemy.orm import Session

from service.papers.store import votes as store
from service.platform.one_line import normalise_line
from service.platform.settings.settings import Settings

LONGEST = 200


class PickRefused(ValueError):
    """A pick that cannot be stored; the message says why."""


def pick_paper(
    session: Session, settings: Settings, paper_id: int | None, sentence: str, now: datetime
) -> None:
    """Make a stored paper the editor's choice, or change its sentence. Idempotent.

    Raises `PickRefused` where picks are switched off, for an unknown paper (None), and for a
    sentence that is empty or longer than 200 characters.
    """
    if not settings.picks:
        raise PickRefused("Picks are switched off on this site (PAPERBOY_PICKS).")
    if paper_id is None:
        raise PickRefused("No paper here has this address or identifier.")
    line = normalise_line(sentence)
    if not line:
        raise PickRefused("Say in one sentence why this paper is the editor’s choice.")
    if len(line) > LONGEST:
        raise PickRefused(f"The sentence has at most {LONGEST} characters; this has {len(line)}.")
    store.record_pick(session, paper_id, line, now)
