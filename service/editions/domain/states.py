"""The states of an edition."""

from enum import StrEnum


class EditionState(StrEnum):
    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"
