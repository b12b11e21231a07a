"""Editions and deliveries

Revision: 0003, after 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

cadence = postgresql.ENUM("daily", "weekdays", "weekly", name="cadence", create_type=False)
edition_state = postgresql.ENUM("open", "frozen", "closed", name="edition_state", create_type=False)
delivery_kind = postgresql.ENUM(
    "digest",
    "confirmation",
    "already_subscribed",
    "welcome",
    "farewell",
    name="delivery_kind",
    create_type=False,
)
delivery_state = postgresql.ENUM(
    "queued",
    "claimed",
    "in_flight",
    "sent",
    "failed",
    "skipped",
    "in_doubt",
    "carried",
    "bounced",
    "complained",
    name="delivery_state",
    create_type=False,
)
own_enums = (
    edition_state,
    delivery_kind,
    delivery_state,
)


def upgrade() -> None:
    for enum in own_enums:
        enum.create(op.get_bind())
    op.create_table(
        "editions",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("cadence", cadence, nullable=False),
        sa.Column("local_date", sa.Date(), nullable=False),
        sa.Column("state", edition_state, nullable=False),
        sa.Column("sends_now", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("candidate_count", sa.BigInteger(), nullable=True),
        sa.Column("paper_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column(
            "coverage",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_editions")),
        sa.UniqueConstraint("cadence", "local_date", name=op.f("uq_editions_cadence_local_date")),
    )
    op.create_table(
        "edition_papers",
        sa.Column("edition_id", sa.BigInteger(), nullable=False),
        sa.Column("paper_id", sa.BigInteger(), nullable=False),
        sa.Column("cadence", cadence, nullable=False),
        sa.Column("is_late", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"],
            ["editions.id"],
            name=op.f("fk_edition_papers_edition_id_editions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["paper_id"],
            ["papers.id"],
            name=op.f("fk_edition_papers_paper_id_papers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("edition_id", "paper_id", name=op.f("pk_edition_papers")),
        sa.UniqueConstraint("cadence", "paper_id", name=op.f("uq_edition_papers_cadence_paper_id")),
    )
    op.create_table(
        "edition_chunks",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("edition_id", sa.BigInteger(), nullable=False),
        sa.Column("first_subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("last_subscriber_id", sa.BigInteger(), nullable=False),
        sa.Column("composed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["edition_id"],
            ["editions.id"],
            name=op.f("fk_edition_chunks_edition_id_editions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edition_chunks")),
        sa.UniqueConstraint(
            "edition_id",
            "first_subscriber_id",
            name=op.f("uq_edition_chunks_edition_id_first_subscriber_id"),
        ),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("kind", delivery_kind, nullable=False),
        sa.Column("edition_id", sa.BigInteger(), nullable=True),
        sa.Column("subscriber_id", sa.BigInteger(), nullable=True),
        sa.Column("occasion", sa.Text(), server_default="", nullable=False),
        sa.Column("state", delivery_state, nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("attempt", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("send_not_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.BigInteger(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "paper_ids",
            postgresql.ARRAY(sa.BigInteger()),
            server_default=sa.text("'{}'"),
            nullable=False,
        ),
        sa.Column("digest", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("message_id", sa.Text(), server_default="", nullable=False),
        sa.Column("last_reply", sa.Text(), server_default="", nullable=False),
        sa.Column("carried_into_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(edition_id IS NOT NULL) = (kind = 'digest')",
            name=op.f("ck_deliveries_digest_has_edition"),
        ),
        sa.ForeignKeyConstraint(
            ["carried_into_id"],
            ["deliveries.id"],
            name=op.f("fk_deliveries_carried_into_id_deliveries"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["edition_id"],
            ["editions.id"],
            name=op.f("fk_deliveries_edition_id_editions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name=op.f("fk_deliveries_subscriber_id_subscribers"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deliveries")),
        sa.UniqueConstraint(
            "edition_id", "subscriber_id", name=op.f("uq_deliveries_edition_id_subscriber_id")
        ),
    )
    op.create_index(
        "ix_deliveries_due_at",
        "deliveries",
        ["due_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_deliveries_edition_id_state", "deliveries", ["edition_id", "state"], unique=False
    )
    op.create_index(
        "ix_deliveries_lease_until",
        "deliveries",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state IN ('claimed', 'in_flight')"),
    )
    op.create_index("ix_deliveries_subscriber_id", "deliveries", ["subscriber_id"], unique=False)
    op.create_index(
        "uq_deliveries_kind_subscriber_id_occasion",
        "deliveries",
        ["kind", "subscriber_id", "occasion"],
        unique=True,
        postgresql_where=sa.text("edition_id IS NULL"),
    )
    op.create_table(
        "delivery_events",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.SmallInteger(), nullable=False),
        sa.Column("state", delivery_state, nullable=False),
        sa.Column("detail", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name=op.f("fk_delivery_events_delivery_id_deliveries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_events")),
    )
    op.create_index(
        op.f("ix_delivery_events_delivery_id"), "delivery_events", ["delivery_id"], unique=False
    )


def downgrade() -> None:
    op.drop_table("delivery_events")
    op.drop_table("deliveries")
    op.drop_table("edition_chunks")
    op.drop_table("edition_papers")
    op.drop_table("editions")
    for enum in reversed(own_enums):
        enum.drop(op.get_bind())
