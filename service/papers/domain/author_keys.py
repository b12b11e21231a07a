"""`author_matches` as sets of keys: a name is the one asked for where the two sets overlap.

A database can look keys up, and it cannot call Python. So what may stand for a name is written
out twice, once beside every stored name and once for the name asked, in such a way that a common
key exists exactly where `names.author_matches` finds a match.

Three kinds of keys, told apart by their first letter. `g` and `n`: the bare name of a
collaboration, and the same of everybody else, since "ATLAS" may stand for either. `t`: the tail a
family name asked alone must equal. `w` and `p`: family name, first name and middle names, where
`w` holds all middle names of the stored name and `p` leaves some out.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, product

# The rules of names belong to names.py; keys that had rules of their own would drift from it.
from service.papers.domain.author_names import (
    PARTICLES,
    author_key,
    group_name,
    is_group,
    without_suffix,
)

_LEADING_PARTICLES = frozenset(PARTICLES.split())
# Each middle name triples the keys of a stored name; further ones are not looked at.
MAX_MIDDLE_NAMES = 4


def author_index_keys(name: str) -> frozenset[str]:
    """The keys to store beside an author's name: 4 for `Yoshua Bengio`, 162 at the very most."""
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
    """The keys of which a stored name has at least one if it is, or may be, the name asked for."""
    words = author_key(query).split()
    if not words:
        return frozenset()
    if is_group(words):
        return frozenset({_group_key("g", words), _group_key("n", words)})
    asked = without_suffix(words)
    keys = {_group_key("g", words)}
    if len(asked) == 1 or asked[0] in _LEADING_PARTICLES:
        keys.add(_tail_key(asked))
    else:
        keys.update(_iterate_asked_persons(asked))
    return frozenset(keys)


def _group_key(kind: str, words: list[str]) -> str:
    return f"{kind} {' '.join(group_name(words))}"


def _tail_key(words: Sequence[str]) -> str:
    return f"t {' '.join(words)}"


def _iterate_tails(words: Sequence[str]) -> Iterator[str]:
    """The last word, and every tail that begins with a particle (`van der maaten`)."""
    for start, word in enumerate(words):
        if start == len(words) - 1 or word in _LEADING_PARTICLES:
            yield _tail_key(words[start:])


def _iterate_stored_persons(words: Sequence[str]) -> Iterator[str]:
    first, *middles, family = words
    middles = middles[:MAX_MIDDLE_NAMES]
    for kept in _iterate_subsequences(middles):
        kind = "w" if len(kept) == len(middles) else "p"
        yield from _iterate_spellings(
            kind, family, [_stored_compiled(each) for each in (first, *kept)]
        )


def _iterate_asked_persons(words: Sequence[str]) -> Iterator[str]:
    """Either name may have middle names that the other lacks, but not each some of its own."""
    first, *middles, family = words
    middles = middles[:MAX_MIDDLE_NAMES]
    for kept in _iterate_subsequences(middles):
        forms = [_asked_compiled(each) for each in (first, *kept)]
        yield from _iterate_spellings("w", family, forms)
        if len(kept) == len(middles):
            yield from _iterate_spellings("p", family, forms)


def _iterate_subsequences(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for count in range(len(names) + 1):
        yield from combinations(names, count)


def _iterate_spellings(kind: str, family: str, forms: Sequence[tuple[str, ...]]) -> Iterator[str]:
    for spelling in product(*forms):
        yield f"{kind} {family} {' '.join(spelling)}"


def _stored_compiled(word: str) -> tuple[str, ...]:
    """A whole name answers to itself and to its initial (`y*`), an initial (`y`) to itself alone."""
    return (word,) if len(word) == 1 else (word, f"{word[0]}*")


def _asked_compiled(word: str) -> tuple[str, ...]:
    """A whole name is met by itself and by its bare initial, an initial by all that begin so."""
    return (word, word[0]) if len(word) > 1 else (word, f"{word}*")
