"""Restores: a database's own name, and what was said when it came back from a backup

Revision: 0017, after 0018
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installations",
        sa.Column("name", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_installations"),
    )
    op.execute("INSERT INTO installations DEFAULT VALUES")
    op.create_table(
        "restores",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("editions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_restores"),
    )
    # Few rows are ever in doubt; without it each look for them reads the whole table. Not
    # CONCURRENTLY, for the reason that 0016 gives.
    op.create_index(
        "ix_deliveries_in_doubt",
        "deliveries",
        ["edition_id", "subscriber_id"],
        postgresql_where=sa.text("state = 'in_doubt'"),
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_in_doubt", "deliveries")
    op.drop_table("restores")
    op.drop_table("installations")
