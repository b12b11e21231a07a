"""The kinds of feedback."""

from enum import StrEnum


class Feedback(StrEnum):
    """A subscriber's feedback on a paper: saved for later, or less like this."""

    KEPT = "kept"
    DISMISSED = "dismissed"
