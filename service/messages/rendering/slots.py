"""Slots in a template's output: text that is filled in later, and the values that are not."""

from markupsafe import Markup, escape

from service.messages.rendering.fragments import CHANGE, TOPIC
from service.presentation.sanitize import clean


class TextSlot(Markup):
    """A slot of our own making, filled in after the template: never cleaned, never escaped."""

    __slots__ = ()


def changed(query: str, *, in_topic: bool = False, is_text: bool = False) -> TextSlot:
    """Return the address that `query` (`?keep=12`) completes, for a card; `in_topic` names its topic.

    The signed beginning and the topic differ between subscribers: both are slots.
    """
    whole = f"{query}&topic={TOPIC}" if in_topic else query
    return TextSlot(CHANGE + (whole if is_text else str(escape(whole))))


def sanitize(value: object) -> object:
    """Clean a value before Jinja writes it; Jinja escapes it afterwards unless it is markup."""
    if type(value) is str:
        return clean(value)
    if isinstance(value, TextSlot):
        return value
    if isinstance(value, Markup):
        cleaned = clean(value)
        # Cleaning only removes characters, so safe markup stays safe.
        return value if cleaned is value else Markup(cleaned)  # noqa: S704
    return clean(value) if isinstance(value, str) else value
