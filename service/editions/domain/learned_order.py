"""Learn from a subscriber's saved and dismissed papers which papers come first under a topic.

A linear model on the TF-IDF vectors of `recommendations`: a paper's factor is 2 to the power of its
inner product with the sum of the saved papers minus that of the dismissed ones, each shrunk to nothing
for few papers. The factor is bounded like the trend's, and no paper is hidden or added by it.
docs/ranking.md says how the numbers below were chosen.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from service.editions.domain.recommendations import Candidates, Vector

# One paper saved or dismissed changes no order: it is too little to go by.
FEWEST_SIGNALS = 2
# Papers that are added to a mean in which they say nothing: shrinks the sum of few papers.
_SHRINKAGE = 2
_STRENGTH = 20
# The heaviest terms decide; the thousand light ones only cost time.
_TERMS = 256
# In thousandths, as the trend: the least like what was saved x 0.5, the most x 2.
UNCHANGED = 1000


def learn_factors(
    saved: Sequence[Vector], dismissed: Sequence[Vector], candidates: Candidates
) -> dict[int, int]:
    """Return each candidate's factor in thousandths, 500 to 2,000; empty for too few signals."""
    if len(saved) + len(dismissed) < FEWEST_SIGNALS:
        return {}
    weights: dict[str, float] = defaultdict(float)
    for vectors, sign in ((saved, 1), (dismissed, -1)):
        for vector in vectors:
            for term, weight in vector.items():
                weights[term] += sign * weight / (len(vectors) + _SHRINKAGE)
    heaviest = sorted(weights.items(), key=lambda item: (-abs(round(item[1], 9)), item[0]))
    scores = candidates.score(dict(heaviest[:_TERMS]))
    return {i: _factor(score) for i, score in zip(candidates.ids, scores, strict=True)}


def _factor(score: float) -> int:
    # Rounded first, so that the order of summation changes no factor.
    power = max(-1.0, min(1.0, _STRENGTH * round(score, 9)))
    return round(UNCHANGED * 2**power)


def place_factors(factors: Mapping[int, int], ids: Sequence[int]) -> list[int] | None:
    """Return the factor of each of `ids`, for an index in their order; None where none changes."""
    return [factors.get(i, UNCHANGED) for i in ids] if factors else None
