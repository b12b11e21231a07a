"""Why a paper matched, as a sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from service.papers.domain.categories import category_name
from service.presentation.highlight import shorten
from service.presentation.phrases import joined, topic_title
from service.topics.domain.types import Reason

_LONGEST_TOPIC = 80
_LONGEST_WORDS = 80
_MOST_REASONS = 4
_MOST_WORDS = 4
_MOST_TOPICS = 12
_MOST_MUTES = 2


def listed_topics(topics: Sequence[str]) -> str:
    """The reader's topics in quotes, for "You asked for …"."""
    shown = [f"“{shorten(topic_title(topic), _LONGEST_TOPIC)}”" for topic in topics[:_MOST_TOPICS]]
    if len(topics) > len(shown):
        shown.append(f"{len(topics) - len(shown)} more")
    return joined(shown)


def marked_words(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """The words and phrases of `reasons` to mark in a title or an abstract."""
    said = (_phrases(reason) for reason in reasons if reason.field in {"title", "abstract"})
    return tuple(dict.fromkeys(phrase for phrases in said for phrase in phrases))


def mutable_words(reasons: Iterable[Reason], topic: str) -> tuple[str, ...]:
    """The words of `reasons` that can be muted in a topic; not one that is the whole topic."""
    words = marked_words(reasons)
    whole = topic_title(topic).casefold()
    return tuple(word for word in words if word.casefold() != whole)[:_MOST_MUTES]


@dataclass(frozen=True, slots=True)
class ReasonPiece:
    """A piece of a sentence; `is_marked` for the reader's own words."""

    text: str
    is_marked: bool = False


def because(reasons: Sequence[Reason]) -> tuple[ReasonPiece, ...]:
    """Why a paper is in the mail, as one sentence in pieces; empty without reasons.

    `You get this because the title says [prompt tuning] and it is in Computation and Language.`
    """
    clauses = _clauses(reasons)
    if not clauses:
        return ()
    pieces = [ReasonPiece("You get this because ")]
    for number, clause in enumerate(clauses):
        if number:
            pieces.append(ReasonPiece(" and " if number == len(clauses) - 1 else ", "))
        pieces += clause
    return (*pieces, ReasonPiece("."))


def _clauses(reasons: Sequence[Reason]) -> list[list[ReasonPiece]]:
    """One clause per place, with all the words found there; at most four."""
    places: dict[tuple[str, bool], list[str]] = {}
    for reason in reasons:
        phrases = _phrases(reason)
        places.setdefault((reason.field, reason.is_guess), []).extend(phrases)
    # The same words in title and abstract are one reason to a reader.
    title = places.get(("title", False), [])
    if title and title == places.get(("abstract", False)):
        del places["abstract", False]
    return [
        _clause(field, is_guess, list(dict.fromkeys(words)))
        for (field, is_guess), words in list(places.items())[:_MOST_REASONS]
    ]


def _clause(field: str, is_guess: bool, words: list[str]) -> list[ReasonPiece]:
    words = [shorten(word, _LONGEST_WORDS) for word in words[:_MOST_WORDS]]
    if field == "category":
        return [ReasonPiece(f"it is in {joined([_category(word) for word in words])}")]
    is_doubtful = field == "author" and is_guess
    pieces = [] if is_doubtful else [ReasonPiece(_LEADS.get(field, "it matches "))]
    for number, word in enumerate(words):
        if number:
            pieces.append(ReasonPiece(" and " if number == len(words) - 1 else ", "))
        pieces.append(ReasonPiece(word, is_marked=True))
    # The name may be somebody else's: the reader's words were a surname or had only initials.
    return [*pieces, ReasonPiece(" may be whom you follow")] if is_doubtful else pieces


_LEADS = {
    "title": "the title says ",
    "abstract": "the abstract says ",
    "author": "it is by ",
    "source": "it was told of by ",
    "trend": "among a hundred papers of its field and day it is noticed more than ",
    "meaning": "it reads like ",
}


def _category(pattern: str) -> str:
    name = category_name(pattern)
    return pattern if name == pattern else f"{name} ({pattern})"


def _phrases(reason: Reason) -> tuple[str, ...]:
    """What the reader wrote: a quoted clause is one phrase, whatever its words are split into."""
    if '"' in reason.clause and reason.words:
        return (" ".join(reason.words),)
    prefix, _, rest = reason.clause.rpartition(":")
    bare = (rest if prefix else reason.clause).strip('"')
    return reason.words or ((bare,) if bare else ())
