"""${message}

The rule: additive first (add a column before the code that needs it, drop it a release later),
no long locks (indexes on filled tables CONCURRENTLY, constraints NOT VALID and then validated),
one concern per file, and a downgrade that leaves nothing behind.

Revision: ${up_revision}, after ${down_revision | comma,n}
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
