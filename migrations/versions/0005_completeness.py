"""Completeness: what a batch should hold, when signals were seen, how polite we must be

Revision: 0005, after 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("batches", sa.Column("expected_count", sa.BigInteger(), nullable=True))
    op.add_column(
        "batches", sa.Column("late_count", sa.BigInteger(), server_default="0", nullable=False)
    )
    op.add_column("batches", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("signals", sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "gates",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("failure_count", sa.SmallInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_gates"),
    )


def downgrade() -> None:
    op.drop_table("gates")
    op.drop_column("signals", "observed_at")
    op.drop_column("batches", "closed_at")
    op.drop_column("batches", "late_count")
    op.drop_column("batches", "expected_count")
