"""The states of an edition."""

from enum import StrEnum


class EditionState(StrEnum):
    """Open while composed, frozen while sent, then closed."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"
