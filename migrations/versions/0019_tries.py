"""Tries: how far a message got on the wire, and through which relay

Revision: 0019, after 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Constants as defaults: no row of a filled table is written again.
    for column in ("phase", "relay"):
        op.add_column(
            "delivery_events", sa.Column(column, sa.Text(), server_default="", nullable=False)
        )


def downgrade() -> None:
    for column in ("relay", "phase"):
        op.drop_column("delivery_events", column)
