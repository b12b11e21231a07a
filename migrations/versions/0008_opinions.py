"""Opinions: what readers say of papers, and what they change of their topics by a link

Revision: 0008, after 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

opinion_kind = postgresql.ENUM("kept", "dismissed", name="opinion_kind", create_type=False)
topic_change_kind = postgresql.ENUM(
    "muted", "followed", name="topic_change_kind", create_type=False
)
own_enums = (opinion_kind, topic_change_kind)


def upgrade() -> None:
    # Constant defaults: Postgres writes them into the catalogue and no row.
    op.add_column(
        "subscribers",
        sa.Column("has_suggestions", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.add_column(
        "topics", sa.Column("position", sa.SmallInteger(), server_default="0", nullable=False)
    )
    for enum in own_enums:
        enum.create(op.get_bind())
    op.create_table(
        "opinions",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("paper_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", opinion_kind, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name=op.f("fk_opinions_subscriber_id_subscribers"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["paper_id"],
            ["papers.id"],
            name=op.f("fk_opinions_paper_id_papers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opinions")),
        sa.UniqueConstraint(
            "subscriber_id", "paper_id", name=op.f("uq_opinions_subscriber_id_paper_id")
        ),
    )
    op.create_index(op.f("ix_opinions_paper_id"), "opinions", ["paper_id"], unique=False)
    op.create_table(
        "topic_changes",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", topic_change_kind, nullable=False),
        sa.Column("topic_id", sa.BigInteger(), nullable=True),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("before_query", sa.Text(), nullable=False),
        sa.Column("after_query", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name=op.f("fk_topic_changes_subscriber_id_subscribers"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["topic_id"],
            ["topics.id"],
            name=op.f("fk_topic_changes_topic_id_topics"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topic_changes")),
    )
    op.create_index(
        op.f("ix_topic_changes_subscriber_id"), "topic_changes", ["subscriber_id"], unique=False
    )
    op.create_index(op.f("ix_topic_changes_topic_id"), "topic_changes", ["topic_id"], unique=False)
    op.create_index(
        "uq_topic_changes_topic_id_kind_asked",
        "topic_changes",
        ["topic_id", "kind", "asked"],
        unique=True,
        postgresql_where=sa.text("undone_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("topic_changes")
    op.drop_table("opinions")
    for enum in reversed(own_enums):
        enum.drop(op.get_bind())
    op.drop_column("topics", "position")
    op.drop_column("subscribers", "has_suggestions")
