"""Waiting rows: each edition's own in the order in which they are claimed

Revision: 0015, after 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not CONCURRENTLY: that waits for every transaction, and a second process that would migrate,
    # too, waits for us in one. Only rows that wait are in it, so it is one reading of the table.
    op.create_index(
        "ix_deliveries_queued",
        "deliveries",
        ["edition_id", "due_at", "id"],
        postgresql_where=sa.text("state = 'queued'"),
    )


def downgrade() -> None:
    op.drop_index("ix_deliveries_queued", "deliveries")
