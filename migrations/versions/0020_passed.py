"""Passed: how far sending an edition has come

Revision: 0020, after 0019
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("editions", sa.Column("passed_due_at", sa.DateTime(timezone=True)))
    op.add_column("editions", sa.Column("passed_id", sa.BigInteger()))


def downgrade() -> None:
    op.drop_column("editions", "passed_id")
    op.drop_column("editions", "passed_due_at")
