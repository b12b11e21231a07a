"""The states of an edition."""

from __future__ import annotations

from enum import StrEnum


class EditionState(StrEnum):
    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"
