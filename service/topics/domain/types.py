"""Value types of topics: a named topic, the reason of a match, the kind of a clause, the kind of a change."""

from enum import StrEnum
from typing import Final, NamedTuple

# The largest number of papers for which a topic may wait.
MOST_AT_LEAST: Final = 50


class TopicChangeKind(StrEnum):
    """The kind of change by a link: a topic excludes a clause, or a new topic follows an author."""

    MUTED = "muted"
    FOLLOWED = "followed"


class ClauseKind(StrEnum):
    """The kind of a clause: what its keys are. `OTHER` has none and is evaluated from its text."""

    WORD = "word"
    PHRASE = "phrase"
    AUTHOR = "author"
    CATEGORY = "category"
    LIKE = "like"
    GROUP = "group"
    OTHER = "other"


class TopicMeasure(NamedTuple):
    """When a topic's papers come: once a week, or only when so many are together; or at once."""

    is_weekly: bool = False
    at_least: int = 1


class NamedTopic(NamedTuple):
    """A saved topic for people: its row, its name, its text as the subscriber wrote it."""

    topic_id: int
    name: str
    query: str
    measure: TopicMeasure = TopicMeasure()


class Reason(NamedTuple):
    """The reason of a match: one clause of a topic, where it was found, and the words to highlight.

    `clause` is in canonical form (`"prompt tuning"`, `cat:cs.CL`). `field` is title, abstract,
    author, category, source, trend or meaning. `words` are highlighted in the text. `is_guess` is
    true where initials stood for a name.
    """

    clause: str
    field: str
    words: tuple[str, ...] = ()
    is_guess: bool = False
