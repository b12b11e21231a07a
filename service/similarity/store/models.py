"""Tables of `like:`: embeddings of papers, like queries, document frequencies of lexemes.

`halfvec` holds whole numbers up to 2,048 exactly, and `sparsevec` any below 2**24 (pgvector 0.7).
"""

from array import array
from collections.abc import Callable
from datetime import datetime

from pgvector.sqlalchemy import HALFVEC, SPARSEVEC
from sqlalchemy import DDL, Dialect, ForeignKey, UniqueConstraint, event, func
from sqlalchemy.orm import Mapped, mapped_column

from service.platform.database.base import Base
from service.similarity.domain.vectors import SPARSE_DIMENSIONS, Sparse

# For a schema that is created from these classes alone; the migrations create it themselves.
_EXTENSION = DDL("CREATE EXTENSION IF NOT EXISTS vector")  # type: ignore[no-untyped-call]  # SQLAlchemy's own has none
event.listen(Base.metadata, "before_create", _EXTENSION)


class DenseInts(HALFVEC):
    """Signed bytes as a `halfvec`; empty bytes are NULL, since a vector has at least one dimension.

    Converted as text here: pgvector's own conversion takes ten times as long.
    """

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[bytes | None], str | None]:  # noqa: ARG002
        return _write_dense

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], bytes]:  # noqa: ARG002
        return _parse_dense


class SparseInts(SPARSEVEC):
    """Pairs of key and weight as a `sparsevec`, whose text form counts dimensions from 1."""

    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Sparse | None], str | None]:  # noqa: ARG002
        return _write_sparse

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str], Sparse]:  # noqa: ARG002
        return _parse_sparse


def _write_dense(value: bytes | None) -> str | None:
    return f"[{','.join(map(str, array('b', value)))}]" if value else None


def _parse_dense(value: str | None) -> bytes:
    return array("b", map(int, value[1:-1].split(","))).tobytes() if value else b""


def _write_sparse(value: Sparse | None) -> str | None:
    if value is None:
        return None
    pairs = ",".join([f"{key + 1}:{weight}" for key, weight in value])
    return f"{{{pairs}}}/{SPARSE_DIMENSIONS}"


def _parse_sparse(value: str) -> Sparse:
    pairs = value[1 : value.index("}")]
    if not pairs:
        return ()
    numbers = [*map(int, pairs.replace(":", ",").split(","))]
    return tuple(zip((key - 1 for key in numbers[::2]), numbers[1::2], strict=True))


class PaperMeaning(Base):
    """The embedding of a paper by one model, of its text as of `paper_updated_at`."""

    __tablename__ = "paper_meanings"

    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    model: Mapped[str]
    dense: Mapped[bytes | None] = mapped_column(DenseInts)
    sparse: Mapped[Sparse] = mapped_column(SparseInts)
    paper_updated_at: Mapped[datetime]


class LikeQuery(Base):
    """A compiled `like:` clause, shared by all topics, pages and mails that use it."""

    __tablename__ = "probes"
    __table_args__ = (UniqueConstraint("text", "model", "generation"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    model: Mapped[str]
    generation: Mapped[int]
    dense: Mapped[bytes | None] = mapped_column(DenseInts)
    sparse: Mapped[Sparse] = mapped_column(SparseInts)
    dense_factor: Mapped[int]
    sparse_factor: Mapped[int]
    threshold: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LexemeCount(Base):
    """The document frequency of a lexeme, when it was last counted."""

    __tablename__ = "lexeme_counts"

    lexeme: Mapped[str] = mapped_column(primary_key=True)
    paper_count: Mapped[int]


class MeaningGeneration(Base):
    """A count of the corpus from which like queries are built; the newest one is used."""

    __tablename__ = "meaning_generations"

    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str]
    paper_count: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
