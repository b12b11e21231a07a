"""Integer vectors of papers, and the rule that says whether a paper satisfies a like query.

Integers, so that Postgres and memory agree on every pair: a sum of floats depends on its order,
while a sum of integers below 2**24 is exact in any order, even in 32-bit floats (IEEE 754 binary32
has 24 significant bits), in which pgvector and BLAS compute.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from service.papers.domain import identifiers

Sparse: TypeAlias = tuple[tuple[int, int], ...]
"""(key of a lexeme, weight), ascending by key, no key twice."""

DENSE_SCALE: Final = 512
"""A vector of length 1 is stored times this: its dot products stay below 2**19."""
DENSE_LIMIT: Final = 127
SPARSE_LIMIT: Final = 255
"""The largest weight of a lexeme of a paper."""
LIKE_QUERY_LEXEMES: Final = 64
LIKE_QUERY_LIMIT: Final = 1023
"""The largest weight of a lexeme of a like query: 64 * 1023 * 255 < 2**24."""
FACTOR_LIMIT: Final = 2**28
"""The largest factor: 2**28 * 2**24 twice, the sum of a score, stays exact in 64-bit floats."""
MOST_PAPERS: Final = 20
"""Papers that one `like:` clause may name."""
SPARSE_DIMENSIONS: Final = 1_000_000_000
"""Keys of lexemes are below this, the limit of pgvector's `sparsevec`."""
MINILM: Final = "minilm-l6-384-int8"
"""The name under which vectors of MiniLM are stored."""
WORDLLAMA: Final = "wordllama-l2-256-folded"
"""The name under which vectors of WordLlama are stored."""
WORDS_ONLY: Final = "words"
"""The name of the missing model: similarity then uses shared words alone."""


@dataclass(frozen=True, slots=True)
class PaperVectors:
    """The vectors of a paper. `dense` holds signed bytes; it is empty for `WORDS_ONLY`.

    An empty `model` means that the paper is not embedded yet and satisfies no like query.
    """

    paper_id: int
    model: str
    dense: bytes
    sparse: Sparse


@dataclass(frozen=True, slots=True)
class LikeQueryView:
    """A compiled `like:` clause: a paper satisfies it if its score reaches the threshold.

    The score is dense_factor * dot(dense) + sparse_factor * dot(sparse). `text` is folded;
    `generation` is the count of the corpus that was used, 0 for the shipped numbers.
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
    """Return whether a paper satisfies a like query, as `like_sets` and `like_condition` do."""
    return (
        paper.model == like_query.model and score_paper(like_query, paper) >= like_query.threshold
    )


def score_paper(like_query: LikeQueryView, paper: PaperVectors) -> int:
    """Return the paper's score; scores of different like queries are not comparable."""
    dense = like_query.dense_factor * dot_dense(like_query.dense, paper.dense)
    return dense + like_query.sparse_factor * dot_sparse(like_query.sparse, paper.sparse)


def dot_dense(first: bytes, second: bytes) -> int:
    """Return the inner product of two dense vectors; 0 where either is empty."""
    return sum(a * b for a, b in zip(array("b", first), array("b", second), strict=False))


def dot_sparse(first: Sparse, second: Sparse) -> int:
    """Return the inner product of two sparse vectors."""
    weights = dict(first)
    return sum(weight * weights.get(key, 0) for key, weight in second)


def quantize(values: Sequence[float]) -> bytes:
    """Return the direction of a vector as signed bytes; empty for a vector of length 0."""
    length = sum(value * value for value in values) ** 0.5
    if not length:
        return b""
    scale = DENSE_SCALE / length
    rounded = (round(value * scale) for value in values)
    return array("b", (max(-DENSE_LIMIT, min(DENSE_LIMIT, n)) for n in rounded)).tobytes()


def like_keys(text: str) -> tuple[str, ...]:
    """Return the distinct keys of the papers that `like:text` names, sorted; none for a description.

    Accepts arXiv identifiers in any spelling and keys as pages show them (`biorxiv:10.1101/…`), with
    commas between them. Joined with commas, the keys give the same keys.
    """
    keys = [_like_key(part) for part in text.split(",")]
    # A DOI may contain a comma, so the whole text may be one key.
    known = {key for key in keys if key} if all(keys) else {_like_key(text) or ""} - {""}
    return tuple(sorted(known))


def _like_key(text: str) -> str | None:
    if identifiers.is_arxiv_id(text):
        return identifiers.paper_key("arxiv", text)
    source, colon, identifier = text.strip().partition(":")
    if not colon or " " in identifier:
        return None
    try:
        if source.lower() == "doi":
            return f"doi:{identifiers.normalized_doi(identifier)}"
        return identifiers.paper_key(source.lower(), identifier)
    except identifiers.IdentifierError:
        return None
