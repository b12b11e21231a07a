"""Meanings: vectors of papers, probes of `like:` clauses, how common lexemes are

Needs pgvector 0.7 or newer, for `halfvec` and `sparsevec`. The extension is a trusted one, so the
database's owner may create it.

Revision: 0007, after 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import HALFVEC, SPARSEVEC

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS vector")
    op.create_table(
        "paper_meanings",
        sa.Column("paper_id", sa.BigInteger(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("dense", HALFVEC(), nullable=True),
        sa.Column("sparse", SPARSEVEC(), nullable=False),
        sa.Column("paper_updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["paper_id"],
            ["papers.id"],
            name="fk_paper_meanings_paper_id_papers",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("paper_id", name="pk_paper_meanings"),
    )
    op.create_table(
        "probes",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("dense", HALFVEC(), nullable=True),
        sa.Column("sparse", SPARSEVEC(), nullable=False),
        sa.Column("dense_factor", sa.BigInteger(), nullable=False),
        sa.Column("sparse_factor", sa.BigInteger(), nullable=False),
        sa.Column("threshold", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_probes"),
        sa.UniqueConstraint("text", "model", "generation", name="uq_probes_text_model_generation"),
    )
    op.create_table(
        "lexeme_counts",
        sa.Column("lexeme", sa.Text(), nullable=False),
        sa.Column("paper_count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("lexeme", name="pk_lexeme_counts"),
    )
    op.create_table(
        "meaning_generations",
        sa.Column("generation", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("paper_count", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("generation", name="pk_meaning_generations"),
    )


def downgrade() -> None:
    op.drop_table("meaning_generations")
    op.drop_table("lexeme_counts")
    op.drop_table("probes")
    op.drop_table("paper_meanings")
    # The extension stays: it may have been there before, and others may use it.
