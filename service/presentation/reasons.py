"""The sentence that explains why a paper matched."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from service.papers.domain.categories import category_name
from service.platform.caches import cached
from service.presentation.highlight import shorten
from service.presentation.phrases import joined, topic_title
from service.topics.domain.names import derive_name
from service.topics.domain.types import Reason

_LONGEST_TOPIC = 80
_LONGEST_WORDS = 80
_MOST_REASONS = 4
_MOST_WORDS = 4
_MOST_TOPICS = 12
_INNER_QUOTES = str.maketrans({'"': "'", "“": "‘", "”": "’"})


def listed_topics(topics: Sequence[str]) -> str:
    """Return the names of topics in quotes, as one list: `“a b”, “cs.CL” and “c”`.

    Quotes inside a name become single ones, so that none stand side by side.
    """
    shown = [f"“{_quotable(topic)}”" for topic in topics[:_MOST_TOPICS]]
    if len(topics) > len(shown):
        shown.append(f"{len(topics) - len(shown)} more")
    return joined(shown)


@cached("quoted topics", maxsize=8_192)
def _quotable(topic: str) -> str:
    return shorten(topic_title(topic), _LONGEST_TOPIC).translate(_INNER_QUOTES)


def marked_words(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return the words and phrases of `reasons` to mark in a title or an abstract."""
    found = (_phrases(reason) for reason in reasons if reason.field in {"title", "abstract"})
    return tuple(dict.fromkeys(phrase for phrases in found for phrase in phrases))


def quoted_words(reasons: Iterable[Reason]) -> tuple[str, ...]:
    """Return the words that `because` quotes from the abstract; the title shows its own."""
    words: dict[str, list[str]] = {"title": [], "abstract": []}
    for reason in reasons:
        if reason.field in words:
            words[reason.field] += _phrases(reason)
    return tuple(
        phrase for phrase in dict.fromkeys(words["abstract"]) if phrase not in words["title"]
    )


# Reasons of other fields say a number or a likeness, which no heading does.
_SAYABLE = frozenset({"title", "abstract", "author", "category", "source"})


def heading_says(heading: str, reasons: tuple[Reason, ...]) -> bool:
    """Return whether a topic's heading says all that the reasons do, and nothing else.

    It does where it is the name that a topic of their clauses would get: `Diffusion` for the word,
    `Prompt tuning in cs.CL` for both clauses, but `Graphs, molecules` for neither.
    """
    for each in reasons:
        if each.is_guess or each.field not in _SAYABLE:
            return False
    return bool(reasons) and _is_name_of(heading, tuple([each.clause for each in reasons]))


# Some thousand topics, each with the clauses of its papers.
@cached("clauses that headings say", maxsize=16_384)
def _is_name_of(heading: str, found: tuple[str, ...]) -> bool:
    name = topic_title(heading).casefold()
    clauses = tuple(dict.fromkeys(found))
    if len(clauses) == 1:
        return _name_of(clauses[0]) == name
    # Parsing takes longer than a card does: most names end here, those of alternatives too.
    is_close = "," not in name and " or " not in name
    return (
        is_close and name.startswith(_name_of(clauses[0])) and _name_of(" ".join(clauses)) == name
    )


def _name_of(clause: str) -> str:
    """Return the name of a topic in small letters; a word or a phrase is its own, without parsing."""
    bare = clause.strip('"')
    # A word, or a phrase in quotes; two bare words are two clauses.
    is_plain = clause == f'"{bare}"' or (clause == bare and " " not in bare)
    is_text = is_plain and bare.replace(" ", "").isalnum()
    return (bare if is_text else derive_name(clause)).casefold()


class ReasonPiece(NamedTuple):
    """A piece of the sentence; `is_marked` for the words of the topic."""

    text: str
    is_marked: bool = False


def because(reasons: Sequence[Reason]) -> tuple[ReasonPiece, ...]:
    """Return the sentence that says why a paper is in the mail; empty without reasons.

    `You get this because the title says [prompt tuning] and it is in Computation and Language.`
    """
    return _because(tuple(reasons))


# The parts of a mail show the same sentence one after the other.
@cached("sentences of reasons", maxsize=512)
def _because(reasons: tuple[Reason, ...]) -> tuple[ReasonPiece, ...]:
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
    """Return one clause for each place, with all words found there; at most four."""
    places: dict[tuple[str, bool], list[str]] = {}
    for reason in reasons:
        places.setdefault((reason.field, reason.is_guess), []).extend(_phrases(reason))
    # The same words in title and abstract are one reason, not two.
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
    if field == "trend":
        return [ReasonPiece(f"it is trending above {words[0]}% of that day’s papers in its field")]
    if field == "source":
        words = [_SOURCE_NAMES.get(word, word) for word in words]
    is_doubtful = field == "author" and is_guess
    pieces = [] if is_doubtful else [ReasonPiece(_LEADS.get(field, "it matches "))]
    for number, word in enumerate(words):
        if number:
            pieces.append(ReasonPiece(" and " if number == len(words) - 1 else ", "))
        pieces.append(ReasonPiece(word, is_marked=True))
    # The topic has only a surname or initials, so this may be a different author.
    return [*pieces, ReasonPiece(" may be an author you follow")] if is_doubtful else pieces


_SOURCE_NAMES = {"arxiv": "arXiv", "huggingface": "Hugging Face"}
_LEADS = {
    "title": "the title says ",
    "abstract": "the abstract says ",
    "author": "it is by ",
    "source": "it was listed on ",
    "meaning": "it is similar to ",
}


def _category(pattern: str) -> str:
    name = category_name(pattern)
    return pattern if name == pattern else f"{name} ({pattern})"


def _phrases(reason: Reason) -> tuple[str, ...]:
    """Return the words of the clause; a quoted clause is one phrase, however it is split."""
    if '"' in reason.clause and reason.words:
        return (" ".join(reason.words),)
    prefix, _, rest = reason.clause.rpartition(":")
    bare = (rest if prefix else reason.clause).strip('"')
    return reason.words or ((bare,) if bare else ())
