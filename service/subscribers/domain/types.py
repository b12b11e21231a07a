"""What subscribers say of papers."""

from enum import StrEnum


class Feedback(StrEnum):
    """What a reader said of a paper: saved for later, or not of this kind again."""

    KEPT = "kept"
    DISMISSED = "dismissed"
