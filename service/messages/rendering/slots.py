"""Links that change what comes: the same for all readers but for their signed beginning."""

from __future__ import annotations

from markupsafe import Markup, escape

from service.messages.rendering.fast_path.fragments import CHANGE, OPEN_ENDS, OPEN_OPENS, TOPIC
from service.messages.rendering.fast_path.symbolic import SymbolicValue, inside
from service.presentation.sanitize import clean


def changed(query: str, *, is_text: bool = False) -> TextSlot:
    """`?keep=12` as the whole address, for a card: its beginning and its topic come later."""
    said = query if is_text else str(escape(query))
    return TextSlot(CHANGE + said.replace("topic=0", f"topic={TOPIC}", 1))


class TextSlot(Markup):
    """A place of our own making, which is filled after the template: never cleaned or escaped."""

    __slots__ = ()


def sanitize(value: object) -> object:
    """Jinja's last word on each value: cleaned, and escaped afterwards unless it is markup."""
    if type(value) is str:
        return clean(value)
    if isinstance(value, TextSlot):
        return value
    if isinstance(value, Markup):
        cleaned = clean(value)
        # Only characters were taken from safe markup.
        return value if cleaned is value else Markup(cleaned)  # noqa: S704
    if isinstance(value, SymbolicValue):
        return leave_open(value)
    return clean(value) if isinstance(value, str) else value


def leave_open(value: SymbolicValue) -> TextSlot:
    """A place for an open value."""
    places = inside(value).watch.places
    places.append(value)
    return TextSlot(f"{OPEN_OPENS}{len(places) - 1}{OPEN_ENDS}")
