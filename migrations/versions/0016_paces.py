"""Paces: how fast a provider takes our mail, rows held for one that does not, alerts sent once

Revision: 0016, after 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0012"
branch_labels = None
depends_on = None

breaker_state = postgresql.ENUM(
    "closed", "open", "probing", name="breaker_state", create_type=False
)


def upgrade() -> None:
    breaker_state.create(op.get_bind())
    op.create_table(
        "paces",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("rate", sa.Double(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("free_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recent", sa.Text(), server_default="", nullable=False),
        sa.Column("breaker", breaker_state, server_default="closed", nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("open_count", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_reply", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("provider", name="pk_paces"),
    )
    # Constants as defaults: no row of a filled table is written again.
    op.add_column("deliveries", sa.Column("lane", sa.Text(), server_default="", nullable=False))
    op.add_column(
        "deliveries",
        sa.Column("deferral_count", sa.SmallInteger(), server_default="0", nullable=False),
    )
    op.add_column(
        "deliveries",
        sa.Column("alert", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )
    # Not CONCURRENTLY: that waits for every transaction, and a second process that would migrate,
    # too, waits for us in one. Both indexes are empty at first, so it is one reading of the table.
    op.create_index(
        "ix_deliveries_lane",
        "deliveries",
        ["lane", "id"],
        postgresql_where=sa.text("state = 'queued' AND lane <> ''"),
    )
    op.create_index(
        "uq_deliveries_alert_occasion",
        "deliveries",
        ["occasion"],
        unique=True,
        postgresql_where=sa.text("kind = 'operator_alert'"),
    )


def downgrade() -> None:
    op.drop_index("uq_deliveries_alert_occasion", "deliveries")
    op.drop_index("ix_deliveries_lane", "deliveries")
    for column in ("alert", "deferral_count", "lane"):
        op.drop_column("deliveries", column)
    op.drop_table("paces")
    op.execute("DROP TYPE breaker_state")
