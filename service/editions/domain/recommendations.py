"""You may also like: papers near those a reader kept, and not near those they dismissed.

Rocchio's method on vectors of words (Rocchio 1971, "Relevance feedback in information retrieval"):
the middle of what was kept, less a part of the middle of what was dismissed, compared with each
candidate by its cosine. Vectors are arguments, so that other ones can take the place of words. How
the numbers below were chosen is in docs/ranking.md.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeAlias

from service.deliveries.domain.digest import Digest, DigestEntry

Vector: TypeAlias = Mapping[str, float]
"""Term -> weight, of length 1 or empty."""

# One kept paper is an accident.
FEWEST_KEPT = 2
MOST_SUGGESTIONS = 3
# Interests drift, and a hundred papers of last year must not outvote this month's.
MOST_FEEDBACK = 50

TITLE_WEIGHT = 2
# The heaviest terms say what a reader likes; the thousand light ones only cost time.
PROFILE_TERMS = 64
DISMISSED_SHARE = 0.5
# The best of a thousand papers of another field, or for a reader who kept anything, stays below.
THRESHOLD = 0.2
# Rounding a thousand scores takes longer than making them.
_SURELY_BELOW = THRESHOLD - 1e-6


def count_terms(
    title: Mapping[str, Sequence[int]], abstract: Mapping[str, Sequence[int]]
) -> Vector:
    """1 + log of how often each lexeme stands in a paper, in its title twice over."""
    counts: Counter[str] = Counter()
    for lexemes, weight in ((title, TITLE_WEIGHT), (abstract, 1)):
        for lexeme, positions in lexemes.items():
            # A stripped vector has no positions, and still each lexeme at least once.
            counts[lexeme] += weight * max(1, len(positions))
    return {lexeme: 1 + math.log(count) for lexeme, count in counts.items()}


class Rarity:
    """How rare each term is among some papers: log((papers + 1) / (papers with it + 1))."""

    def __init__(self, papers: Iterable[Iterable[str]]) -> None:
        given = list(papers)
        self._size = len(given)
        self._counts = Counter(chain.from_iterable(given))

    def weigh(self, terms: Vector) -> Vector:
        """`terms` times their rarity, at length 1."""
        size, counts = self._size + 1, self._counts
        return _normalize({t: w * math.log(size / (counts[t] + 1)) for t, w in terms.items()})


class Candidates:
    """The papers that may be suggested, turned round: from term to papers."""

    def __init__(self, vectors: Mapping[int, Vector]) -> None:
        self.ids = list(vectors)
        # Places and weights in two lists: pairs would lie about in memory and be met a third as fast.
        self._postings: dict[str, tuple[list[int], list[float]]] = {}
        for place, vector in enumerate(vectors.values()):
            for term, weight in vector.items():
                places, weights = self._postings.setdefault(term, ([], []))
                places.append(place)
                weights.append(weight)

    def score(self, profile: Vector) -> list[float]:
        """The inner product of `profile` with every candidate, in the order of `ids`."""
        scores = [0.0] * len(self.ids)
        for term, wanted in profile.items():
            if term in self._postings:
                for place, weight in zip(*self._postings[term], strict=True):
                    scores[place] += wanted * weight
        return scores


@dataclass(frozen=True, slots=True)
class Taste:
    """What a subscriber kept and dismissed, the newest first, and what must never be suggested.

    `excluded`: papers judged already, under any name, and those that a topic of theirs excludes.
    """

    kept: tuple[Vector, ...]
    dismissed: tuple[Vector, ...]
    excluded: frozenset[int]


def recommend(
    digest: Digest, taste: Taste | None, candidates: Candidates, known_ids: Collection[int]
) -> Digest:
    """Return the digest with the papers that the subscriber may also like.

    `known_ids`: papers the subscriber was sent or is to get again; those of the digest are known.
    """
    if taste is None:
        return digest
    known = taste.excluded.union(known_ids, digest.paper_ids, digest.cut_ids)
    also = suggest(taste.kept, taste.dismissed, candidates, known)
    return replace(digest, also=tuple(map(DigestEntry, also))) if also else digest


def suggest(
    kept: Sequence[Vector],
    dismissed: Sequence[Vector],
    candidates: Candidates,
    barred: Collection[int] = (),
    limit: int = MOST_SUGGESTIONS,
) -> tuple[int, ...]:
    """At most `limit` candidates that are near what was kept, the nearest first.

    Nothing below two kept papers, nothing weak, nothing `barred`. Equals: the higher id first.
    """
    if len(kept) < FEWEST_KEPT:
        return ()
    scores = candidates.score(make_profile(kept, dismissed))
    near = [
        # Rounded, so that papers that are equal but for the order of a sum are equals.
        (-round(score, 9), -paper_id)
        for paper_id, score in zip(candidates.ids, scores, strict=True)
        if score >= _SURELY_BELOW and round(score, 9) >= THRESHOLD and paper_id not in barred
    ]
    return tuple(-paper_id for _, paper_id in sorted(near)[:limit])


def make_profile(kept: Sequence[Vector], dismissed: Sequence[Vector]) -> Vector:
    """What a reader likes, as one vector to compare papers with."""
    liked, disliked = _middle(kept), _middle(dismissed)
    return {
        term: liked.get(term, 0.0) - DISMISSED_SHARE * disliked.get(term, 0.0)
        for term in dict.fromkeys(chain(liked, disliked))
    }


def _middle(vectors: Sequence[Vector]) -> Vector:
    summed: dict[str, float] = defaultdict(float)
    for vector in vectors:
        for term, weight in vector.items():
            summed[term] += weight
    heaviest = sorted(summed.items(), key=lambda item: (-round(item[1], 9), item[0]))
    return _normalize(dict(heaviest[:PROFILE_TERMS]))


def _normalize(vector: Vector) -> Vector:
    length = math.sqrt(math.fsum(weight * weight for weight in vector.values()))
    return {term: weight / length for term, weight in vector.items() if weight} if length else {}
