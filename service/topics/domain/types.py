"""Values of topics: why a paper matched, how a clause is looked up, how a link changed a topic."""

from enum import StrEnum
from typing import NamedTuple


class TopicChangeKind(StrEnum):
    """How a link in a mail changed a topic: it excludes a word, or it is new and names an author."""

    MUTED = "muted"
    FOLLOWED = "followed"


class ClauseKind(StrEnum):
    """How a clause is looked up: by what its keys are, or else by its text."""

    WORD = "word"
    PHRASE = "phrase"
    AUTHOR = "author"
    CATEGORY = "category"
    LIKE = "like"
    GROUP = "group"
    OTHER = "other"


class Reason(NamedTuple):
    """Why a paper matched: one clause of a topic, where it was found, and the words to mark.

    `clause` is the clause in canonical form (`"prompt tuning"`, `cat:cs.CL`), `field` is one of
    title, abstract, author, category; `words` are the reader's own words, to be marked in the
    text; `is_guess` is true where initials stood for a name.
    """

    clause: str
    field: str
    words: tuple[str, ...] = ()
    is_guess: bool = False
