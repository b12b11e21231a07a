"""What a paper means, in whole numbers, and the one rule that says whether it is like a probe.

Integers, so that Postgres and memory agree on every pair: a sum of floats depends on the order in
which it is taken, a sum of integers below 2**24 is exact in any order, even in 32-bit floats
(IEEE 754 binary32 has 24 significant bits), which is what pgvector and BLAS compute in.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from service.papers.domain.identifiers import (
    IdentifierError,
    is_arxiv_id,
    normalized_doi,
    paper_key,
)

Sparse: TypeAlias = tuple[tuple[int, int], ...]
"""(key of a lexeme, weight), ascending by key, no key twice."""

DENSE_SCALE: Final = 512
"""A vector of length 1 is stored times this: its dot products stay below 2**19."""
DENSE_LIMIT: Final = 127
SPARSE_LIMIT: Final = 255
"""The most that one lexeme of a paper weighs."""
LIKE_QUERY_LEXEMES: Final = 64
PROBE_LIMIT: Final = 1023
"""The most that one lexeme of a probe weighs: 64 * 1023 * 255 < 2**24."""
FACTOR_LIMIT: Final = 2**28
"""The most that a factor may be: 2**28 * 2**24 twice is below 2**53, exact in 64-bit floats."""
SPARSE_DIMENSIONS: Final = 1_000_000_000
"""Keys of lexemes are below this, the most that pgvector's `sparsevec` takes."""
WORDS_ONLY: Final = "words"
"""The model's name where there is none: likeness then goes by shared words alone."""


@dataclass(frozen=True, slots=True)
class PaperVectors:
    """A paper for `like:`. `dense` holds signed bytes, none without a model.

    Without a `model` nothing is known yet of the paper, and it is like nothing.
    """

    paper_id: int
    model: str
    dense: bytes
    sparse: Sparse


@dataclass(frozen=True, slots=True)
class LikeQueryView:
    """What `like:text` looks for: a paper is like it where its score reaches the threshold.

    The score is dense_factor * dot(dense) + sparse_factor * dot(sparse). `text` is folded;
    `generation` tells from which state of the corpus the numbers come, 0 from the shipped ones.
    """

    text: str
    model: str
    generation: int
    dense: bytes
    sparse: Sparse
    dense_factor: int
    sparse_factor: int
    threshold: int


def is_like(like_query: LikeQueryView, paper: PaperVectors) -> bool:
    """The rule. `scoring.like_sets` and `meanings.like_condition` say the same of every pair."""
    return (
        paper.model == like_query.model and score_paper(like_query, paper) >= like_query.threshold
    )


def score_paper(like_query: LikeQueryView, paper: PaperVectors) -> int:
    """How like the paper is; comparable for one probe only."""
    dense = dot_dense(like_query.dense, paper.dense)
    return like_query.dense_factor * dense + like_query.sparse_factor * dot_sparse(
        like_query.sparse, paper.sparse
    )


def dot_dense(one: bytes, other: bytes) -> int:
    """The inner product; 0 where either has no vector."""
    return sum(a * b for a, b in zip(array("b", one), array("b", other), strict=False))


def dot_sparse(one: Sparse, other: Sparse) -> int:
    weights = dict(one)
    return sum(weight * weights.get(key, 0) for key, weight in other)


def quantize(values: Sequence[float]) -> bytes:
    """A vector of any length as the signed bytes of its direction; empty where it has none."""
    length = sum(value * value for value in values) ** 0.5
    if not length:
        return b""
    scale = DENSE_SCALE / length
    return array("b", (_clip(round(value * scale)) for value in values)).tobytes()


def _clip(value: int) -> int:
    return max(-DENSE_LIMIT, min(DENSE_LIMIT, value))


def like_key(text: str) -> str | None:
    """The key of the paper that `like:text` names, or None where the text describes something.

    An arXiv identifier in any spelling, or a stored key as pages show it (`biorxiv:10.1101/…`).
    """
    if is_arxiv_id(text):
        return paper_key("arxiv", text)
    source, colon, identifier = text.strip().partition(":")
    if not colon or " " in identifier:
        return None
    try:
        if source.lower() == "doi":
            return f"doi:{normalized_doi(identifier)}"
        return paper_key(source.lower(), identifier)
    except IdentifierError:
        return None
