"""The tables of `like:`: what papers mean, what clauses look for, how common lexemes are.

`halfvec` holds whole numbers up to 2,048 exactly, and `sparsevec` any below 2**24 (pgvector 0.7).
"""

from __future__ import annotations

from array import array
from datetime import datetime
from typing import Any

from pgvector import SparseVector
from pgvector.sqlalchemy import HALFVEC, SPARSEVEC
from sqlalchemy import DDL, ForeignKey, TypeDecorator, UniqueConstraint, event, func
from sqlalchemy.orm import Mapped, mapped_column

from service.domain.meaning import SPARSE_DIMENSIONS, Sparse
from service.store.base import Base

# For a schema that is made from these classes alone; the migrations create it themselves.
_EXTENSION = DDL("CREATE EXTENSION IF NOT EXISTS vector")  # type: ignore[no-untyped-call]  # SQLAlchemy's own has none
event.listen(Base.metadata, "before_create", _EXTENSION)


class DenseInts(TypeDecorator[bytes]):
    """Signed bytes as a `halfvec`; no bytes are no value, since a vector has a dimension at least."""

    impl = HALFVEC
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Any) -> list[int] | None:  # noqa: ARG002
        return array("b", value).tolist() if value else None

    def process_result_value(self, value: Any, dialect: Any) -> bytes:  # noqa: ARG002
        return array("b", map(int, value)).tobytes() if value is not None else b""


class SparseInts(TypeDecorator[Sparse]):
    """Pairs of key and weight as a `sparsevec`."""

    impl = SPARSEVEC
    cache_ok = True

    def process_bind_param(self, value: Sparse | None, dialect: Any) -> SparseVector | None:  # noqa: ARG002
        return SparseVector(dict(value), SPARSE_DIMENSIONS) if value is not None else None

    def process_result_value(self, value: Any, dialect: Any) -> Sparse:  # noqa: ARG002
        return tuple(zip(value.indices(), map(int, value.values()), strict=True))


class PaperMeaningRow(Base):
    """What one paper means to one model. `paper_updated_at` tells of which text."""

    __tablename__ = "paper_meanings"

    paper_id: Mapped[int] = mapped_column(
        ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True
    )
    model: Mapped[str]
    dense: Mapped[bytes | None] = mapped_column(DenseInts)
    sparse: Mapped[Sparse] = mapped_column(SparseInts)
    paper_updated_at: Mapped[datetime]


class ProbeRow(Base):
    """What a `like:` clause looks for: the same row for all who wrote it, on every page and mail."""

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
    """In how many stored papers a lexeme stands, when it was last counted."""

    __tablename__ = "lexeme_counts"

    lexeme: Mapped[str] = mapped_column(primary_key=True)
    paper_count: Mapped[int]


class MeaningGeneration(Base):
    """A state of the corpus from which probes were made; the newest is the one that counts."""

    __tablename__ = "meaning_generations"

    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    model: Mapped[str]
    paper_count: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
