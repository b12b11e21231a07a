"""Limits of the topics that strangers and subscribers send, and their cost before any work is done.

The operator's own topics (commands, imports) have only the limits of the language.
"""

from typing import Final

from service.platform import linear_regex
from service.topics.domain.language import (
    Announced,
    Like,
    Query,
    QueryError,
    iterate_leaves,
    parse_query,
)

MOST_CLAUSES: Final = 60
MOST_LIKES: Final = 3
# Sixty words, or three texts beside some words, stay far below this.
MOST_COST: Final = 200

# In units of about a millisecond: a word is looked up in an index, a text is compared with the
# newest twenty thousand papers twice, and the beginning of a word stands for many words.
_LIKE_COST, _STAR_COST, _WORDS_A_UNIT = 20, 4, 4
_LIKE = linear_regex.compile(r"\blike\s*:", "i")


def estimate_cost(text: str) -> int:
    """Return about how many milliseconds a topic costs, from its text alone, before it is parsed."""
    likes, stars = len(_LIKE.findall(text)), text.count("*")
    return 1 + likes * _LIKE_COST + stars * _STAR_COST + len(text.split()) // _WORDS_A_UNIT


def check_size(text: str, query: Query) -> None:
    """Raise `QueryError`, with one sentence, for a topic that is larger than a visitor may send."""
    leaves = [leaf for leaf in iterate_leaves(query) if not isinstance(leaf, Announced)]
    if len(leaves) > MOST_CLAUSES:
        message = f"A topic has at most {MOST_CLAUSES} words, phrases and fields"
        raise QueryError(f"{message}; this one has {len(leaves)}", text, 0, len(text))
    if sum(isinstance(leaf, Like) for leaf in leaves) > MOST_LIKES:
        starts = [found.start() for found in _LIKE.finditer(text)]
        at = (starts[MOST_LIKES:] or [0])[0]
        raise QueryError(f"A topic has at most {MOST_LIKES} like: clauses", text, at)
    if estimate_cost(text) > MOST_COST:
        message = "This topic is too much work: use fewer words with a star, or fewer like: clauses"
        raise QueryError(message, text, 0, len(text))


def is_public_size(text: str) -> bool:
    """Return whether a topic is small enough for `check_size`. Raises `QueryError` if it is none."""
    query = parse_query(text)
    try:
        check_size(text, query)
    except QueryError:
        return False
    return True
