"""The kinds of feedback, and the states of a submitted paper."""

from enum import StrEnum


class Feedback(StrEnum):
    """A subscriber's feedback on a paper: saved for later, or less like this."""

    KEPT = "kept"
    DISMISSED = "dismissed"


class SubmissionState(StrEnum):
    """What became of a submitted paper.

    `added`: its source was asked, and it is among the papers now. `known`: it was here already.
    `unknown`: no source of ours has it. `too_old`: it appeared too long ago. `unreachable`: its
    source did not answer for days.
    """

    WAITING = "waiting"
    ADDED = "added"
    KNOWN = "known"
    UNKNOWN = "unknown"
    TOO_OLD = "too_old"
    UNREACHABLE = "unreachable"
