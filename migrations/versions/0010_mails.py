"""Mails: what was sent stays as it was, more kinds of mail, a reader's way of writing dates

Revision: 0010, after 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

OLD_KINDS = ("digest", "confirmation", "already_subscribed", "welcome", "farewell")
NEW_KINDS = (
    "topics_changed", "paused", "resumed", "address_change", "operator_alert", "test",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "mail_parts",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_mail_parts"),
    )
    op.create_table(
        "mail_copies",
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("recipe", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", name="pk_mail_copies"),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["deliveries.id"],
            name="fk_mail_copies_delivery_id_deliveries",
            ondelete="CASCADE",
        ),
    )
    op.add_column("subscribers", sa.Column("locale", sa.Text(), server_default="", nullable=False))
    for kind in NEW_KINDS:
        op.execute(f"ALTER TYPE delivery_kind ADD VALUE IF NOT EXISTS '{kind}'")


def downgrade() -> None:
    op.drop_column("subscribers", "locale")
    op.drop_table("mail_copies")
    op.drop_table("mail_parts")
    # Postgres cannot take values out of an enum, so the column moves to a new one.
    said = ", ".join(f"'{kind}'" for kind in NEW_KINDS)
    op.execute(f"DELETE FROM deliveries WHERE kind::text IN ({said})")  # noqa: S608 - our own words
    op.drop_constraint("ck_deliveries_digest_has_edition", "deliveries")
    op.execute("ALTER TYPE delivery_kind RENAME TO former_delivery_kind")
    old = ", ".join(f"'{kind}'" for kind in OLD_KINDS)
    op.execute(f"CREATE TYPE delivery_kind AS ENUM ({old})")
    op.execute(
        "ALTER TABLE deliveries ALTER COLUMN kind TYPE delivery_kind"
        " USING kind::text::delivery_kind"
    )
    op.execute("DROP TYPE former_delivery_kind")
    op.execute(
        "ALTER TABLE deliveries ADD CONSTRAINT ck_deliveries_digest_has_edition"
        " CHECK ((edition_id IS NOT NULL) = (kind = 'digest'))"
    )
