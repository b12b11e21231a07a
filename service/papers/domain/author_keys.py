"""`author_matches` as an inverted index: two names match where their sets of keys overlap.

A database can look up keys but cannot call Python. So the spellings of a name are listed twice,
once beside every stored name and once for the queried name, such that a common key exists exactly
where `author_names.author_matches` finds a match.

The first letter is the kind of key. `g` and `n`: the bare name of a collaboration, and the same of
everybody else, since "ATLAS" may stand for either. `t`: the tail that a lone queried family name
must equal. `w` and `p`: family name, first name and middle names, where `w` holds all middle names
of the stored name and `p` leaves some out.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

# All rules about names are in author_names.py; rules repeated here would drift apart.
from service.papers.domain.author_names import (
    PARTICLES,
    author_key,
    group_name,
    is_group,
    without_suffix,
)

_LEADING_PARTICLES = frozenset(PARTICLES.split())
# Each middle name triples the keys of a stored name, so further ones are ignored.
MAX_MIDDLE_NAMES = 4


def author_index_keys(name: str) -> frozenset[str]:
    """Return the keys to store beside an author's name: 4 for `Yoshua Bengio`, at most 162."""
    words = author_key(name).split()
    if not words:
        return frozenset()
    if is_group(words):
        return frozenset({_group_key("g", words)})
    stored = without_suffix(words)
    keys = {_group_key("n", words), *_iterate_tails(stored)}
    if len(stored) > 1:
        keys.update(_iterate_stored_persons(stored))
    return frozenset(keys)


def author_query_keys(query: str) -> frozenset[str]:
    """Return the keys to look up: a stored name that matches the query has at least one of them."""
    words = author_key(query).split()
    if not words:
        return frozenset()
    if is_group(words):
        return frozenset({_group_key("g", words), _group_key("n", words)})
    queried = without_suffix(words)
    keys = {_group_key("g", words)}
    if len(queried) == 1 or queried[0] in _LEADING_PARTICLES:
        keys.add(_tail_key(queried))
    else:
        keys.update(_iterate_queried_persons(queried))
    return frozenset(keys)


def _group_key(kind: str, words: list[str]) -> str:
    return f"{kind} {' '.join(group_name(words))}"


def _tail_key(words: Sequence[str]) -> str:
    return f"t {' '.join(words)}"


def _iterate_tails(words: Sequence[str]) -> Iterator[str]:
    """Yield keys of the last word and of tails that begin with a particle (`van der maaten`)."""
    for start, word in enumerate(words):
        if start == len(words) - 1 or word in _LEADING_PARTICLES:
            yield _tail_key(words[start:])


def _iterate_stored_persons(words: Sequence[str]) -> Iterator[str]:
    first, *middles, family = words
    middles = middles[:MAX_MIDDLE_NAMES]
    for chosen in _iterate_subsequences(middles):
        kind = "w" if len(chosen) == len(middles) else "p"
        forms = [_stored_forms(each) for each in (first, *chosen)]
        yield from _iterate_spellings(kind, family, forms)


def _iterate_queried_persons(words: Sequence[str]) -> Iterator[str]:
    """Either name may have middle names that the other lacks, but not both at once."""
    first, *middles, family = words
    middles = middles[:MAX_MIDDLE_NAMES]
    for chosen in _iterate_subsequences(middles):
        forms = [_queried_forms(each) for each in (first, *chosen)]
        yield from _iterate_spellings("w", family, forms)
        if len(chosen) == len(middles):
            yield from _iterate_spellings("p", family, forms)


def _iterate_subsequences(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for count in range(len(names) + 1):
        yield from combinations(names, count)


def _iterate_spellings(kind: str, family: str, forms: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for spelling in product(*forms):
        yield f"{kind} {family} {' '.join(spelling)}"


def _stored_forms(word: str) -> tuple[str, ...]:
    """A whole name is found by itself and its initial (`y*`), an initial (`y`) by itself alone."""
    return (word,) if len(word) == 1 else (word, f"{word[0]}*")


def _queried_forms(word: str) -> tuple[str, ...]:
    """A whole name finds itself and its bare initial, an initial all names that begin with it."""
    return (word, word[0]) if len(word) > 1 else (word, f"{word}*")
