"""Works: one paper under several names, and what happens to it later

Revision: 0004, after 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

paper_event_kind = postgresql.ENUM(
    "withdrawn", "revised", "published", "code", name="paper_event_kind", create_type=False
)


def upgrade() -> None:
    paper_event_kind.create(op.get_bind())
    op.add_column("papers", sa.Column("work_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        "fk_papers_work_id_papers", "papers", "papers", ["work_id"], ["id"], ondelete="SET NULL"
    )
    op.create_index("ix_papers_work_id", "papers", ["work_id"])
    op.create_table(
        "paper_identifiers",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("paper_id", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["paper_id"],
            ["papers.id"],
            name="fk_paper_identifiers_paper_id_papers",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_paper_identifiers"),
        sa.UniqueConstraint("value", "paper_id", name="uq_paper_identifiers_value_paper_id"),
    )
    op.create_index("ix_paper_identifiers_paper_id", "paper_identifiers", ["paper_id"])
    op.create_table(
        "paper_events",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("paper_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", paper_event_kind, nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name="fk_paper_events_paper_id_papers", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_paper_events"),
        sa.UniqueConstraint(
            "paper_id", "kind", "detail", name="uq_paper_events_paper_id_kind_detail"
        ),
    )
    op.create_index("ix_paper_events_created_at", "paper_events", ["created_at"])


def downgrade() -> None:
    op.drop_table("paper_events")
    op.drop_table("paper_identifiers")
    op.drop_column("papers", "work_id")
    paper_event_kind.drop(op.get_bind())
