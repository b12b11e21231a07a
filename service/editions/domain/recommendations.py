"""Recommend papers ("You may also like") similar to those a subscriber saved, not dismissed ones.

Rocchio's method on TF-IDF vectors (Rocchio 1971, "Relevance feedback in information retrieval"):
the centroid of the saved papers minus a share of the centroid of the dismissed ones, compared with
each candidate by cosine similarity. Vectors are arguments, so that other ones can replace TF-IDF.
docs/ranking.md says how the numbers below were chosen.
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

# One saved paper is too little to go by.
FEWEST_KEPT = 2
MOST_SUGGESTIONS = 3
# Interests drift, and a hundred papers of last year must not outvote this month's.
MOST_FEEDBACK = 50

TITLE_WEIGHT = 2
# The heaviest terms say what a subscriber likes; the thousand light ones only cost time.
PROFILE_TERMS = 64
DISMISSED_SHARE = 0.5
# The best of a thousand papers of another field, or for a random saved set, stays below.
THRESHOLD = 0.2
# A cheap test first: rounding a thousand scores takes longer than computing them.
_SURELY_BELOW = THRESHOLD - 1e-6


def count_terms(
    title: Mapping[str, Sequence[int]], abstract: Mapping[str, Sequence[int]]
) -> Vector:
    """Return the term frequencies, 1 + log(count), of a paper; title lexemes count twice."""
    counts: Counter[str] = Counter()
    for lexemes, weight in ((title, TITLE_WEIGHT), (abstract, 1)):
        for lexeme, positions in lexemes.items():
            # A stripped tsvector has no positions, but each lexeme occurs at least once.
            counts[lexeme] += weight * max(1, len(positions))
    return {lexeme: 1 + math.log(count) for lexeme, count in counts.items()}


class Rarity:
    """The inverse document frequency of terms: log((papers + 1) / (papers with the term + 1))."""

    def __init__(self, papers: Iterable[Iterable[str]]) -> None:
        given = list(papers)
        self._size = len(given)
        self._counts = Counter(chain.from_iterable(given))

    def weigh(self, terms: Vector) -> Vector:
        """Return `terms` times their rarity, normalised to length 1."""
        size, counts = self._size + 1, self._counts
        return _normalize({t: w * math.log(size / (counts[t] + 1)) for t, w in terms.items()})


class Candidates:
    """The papers that may be suggested, as an inverted index: term -> papers and weights."""

    def __init__(self, vectors: Mapping[int, Vector]) -> None:
        self.ids = list(vectors)
        # Places and weights are two lists: pairs are scattered in memory and a third as fast.
        self._postings: dict[str, tuple[list[int], list[float]]] = {}
        for place, vector in enumerate(vectors.values()):
            for term, weight in vector.items():
                places, weights = self._postings.setdefault(term, ([], []))
                places.append(place)
                weights.append(weight)

    def score(self, profile: Vector) -> list[float]:
        """Return the inner product of `profile` with every candidate, in the order of `ids`."""
        scores = [0.0] * len(self.ids)
        for term, factor in profile.items():
            if term in self._postings:
                for place, weight in zip(*self._postings[term], strict=True):
                    scores[place] += factor * weight
        return scores


@dataclass(frozen=True, slots=True)
class Taste:
    """The vectors of a subscriber's saved and dismissed papers, newest first, and exclusions.

    `excluded`: papers with feedback, by any key, and those that a topic of theirs excludes.
    """

    kept: tuple[Vector, ...]
    dismissed: tuple[Vector, ...]
    excluded: frozenset[int]


def recommend(
    digest: Digest, taste: Taste | None, candidates: Candidates, known_ids: Collection[int]
) -> Digest:
    """Return the digest with the papers that the subscriber may also like.

    `known_ids`: papers that were sent or are carried over; the digest's papers are added to them.
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
    """Return at most `limit` candidates similar to the saved papers, the most similar first.

    None for fewer than `FEWEST_KEPT` saved, below `THRESHOLD`, or `barred`. Ties: higher id first.
    """
    if len(kept) < FEWEST_KEPT:
        return ()
    scores = candidates.score(make_profile(kept, dismissed))
    near = [
        # Rounded, so that scores that differ only by the order of summation are ties.
        (-round(score, 9), -paper_id)
        for paper_id, score in zip(candidates.ids, scores, strict=True)
        if score >= _SURELY_BELOW and round(score, 9) >= THRESHOLD and paper_id not in barred
    ]
    return tuple(-paper_id for _, paper_id in sorted(near)[:limit])


def make_profile(kept: Sequence[Vector], dismissed: Sequence[Vector]) -> Vector:
    """Return Rocchio's query: the saved centroid minus `DISMISSED_SHARE` x the dismissed one."""
    liked, disliked = _centroid(kept), _centroid(dismissed)
    return {
        term: liked.get(term, 0.0) - DISMISSED_SHARE * disliked.get(term, 0.0)
        for term in dict.fromkeys(chain(liked, disliked))
    }


def _centroid(vectors: Sequence[Vector]) -> Vector:
    sums: dict[str, float] = defaultdict(float)
    for vector in vectors:
        for term, weight in vector.items():
            sums[term] += weight
    heaviest = sorted(sums.items(), key=lambda item: (-round(item[1], 9), item[0]))
    return _normalize(dict(heaviest[:PROFILE_TERMS]))


def _normalize(vector: Vector) -> Vector:
    length = math.sqrt(math.fsum(weight * weight for weight in vector.values()))
    return {term: weight / length for term, weight in vector.items() if weight} if length else {}
