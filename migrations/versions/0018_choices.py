"""Choices: days without papers, what a pause missed, another address

Revision: 0018, after 0016
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0016"
branch_labels = None
depends_on = None

NEW_KINDS = ("address_notice", "catch_up")
COLUMNS = ("has_empty_digests", "has_catch_up", "paused_at", "catch_up_since", "moves_from_id")


def upgrade() -> None:
    op.add_column(
        "subscribers",
        sa.Column("has_empty_digests", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column(
        "subscribers",
        sa.Column("has_catch_up", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.add_column("subscribers", sa.Column("paused_at", sa.DateTime(timezone=True)))
    op.add_column("subscribers", sa.Column("catch_up_since", sa.Date()))
    op.add_column("subscribers", sa.Column("moves_from_id", sa.BigInteger()))
    for kind in NEW_KINDS:
        op.execute(f"ALTER TYPE delivery_kind ADD VALUE IF NOT EXISTS '{kind}'")
    op.create_foreign_key(
        "fk_subscribers_moves_from_id_subscribers",
        "subscribers",
        "subscribers",
        ["moves_from_id"],
        ["id"],
        ondelete="CASCADE",
        postgresql_not_valid=True,
    )
    op.execute(
        "ALTER TABLE subscribers VALIDATE CONSTRAINT fk_subscribers_moves_from_id_subscribers"
    )
    # CONCURRENTLY cannot run inside the migration's transaction. The columns are new, so that these
    # two hold nothing and are made by one pass over a table that a million readers keep small.
    op.create_index(
        "ix_subscribers_moves_from_id",
        "subscribers",
        ["moves_from_id"],
        postgresql_where=sa.text("moves_from_id IS NOT NULL"),
    )
    op.create_index(
        "ix_subscribers_catch_up_since",
        "subscribers",
        ["catch_up_since"],
        postgresql_where=sa.text("catch_up_since IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_subscribers_catch_up_since", "subscribers")
    op.drop_index("ix_subscribers_moves_from_id", "subscribers")
    for column in COLUMNS[::-1]:
        op.drop_column("subscribers", column)
    # Postgres cannot take values out of an enum, so the column moves to a new one.
    said = ", ".join(f"'{kind}'" for kind in NEW_KINDS)
    op.execute(f"DELETE FROM deliveries WHERE kind::text IN ({said})")  # noqa: S608 - our own words
    op.execute(_LATER.format(before="former_delivery_kind", said=said))


# The kinds are read from the type itself, since other migrations add to it as well; what names a
# kind in a constraint or an index has to be made again.
_LATER = """
DO $$
DECLARE kinds text; made text; checks text[]; indexes text[];
BEGIN
  SELECT string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder) INTO kinds
    FROM pg_enum WHERE enumtypid = 'delivery_kind'::regtype AND enumlabel NOT IN ({said});
  SELECT array_agg(format('ALTER TABLE deliveries ADD CONSTRAINT %I %s', conname,
      pg_get_constraintdef(oid))) INTO checks
    FROM pg_constraint WHERE conrelid = 'deliveries'::regclass AND contype = 'c'
      AND pg_get_constraintdef(oid) LIKE '%delivery_kind%';
  SELECT array_agg(indexdef) INTO indexes
    FROM pg_indexes WHERE tablename = 'deliveries' AND indexdef LIKE '%delivery_kind%';
  FOR made IN SELECT conname FROM pg_constraint WHERE conrelid = 'deliveries'::regclass
      AND contype = 'c' AND pg_get_constraintdef(oid) LIKE '%delivery_kind%' LOOP
    EXECUTE format('ALTER TABLE deliveries DROP CONSTRAINT %I', made);
  END LOOP;
  FOR made IN SELECT indexname FROM pg_indexes
      WHERE tablename = 'deliveries' AND indexdef LIKE '%delivery_kind%' LOOP
    EXECUTE format('DROP INDEX %I', made);
  END LOOP;
  ALTER TYPE delivery_kind RENAME TO {before};
  EXECUTE format('CREATE TYPE delivery_kind AS ENUM (%s)', kinds);
  ALTER TABLE deliveries ALTER COLUMN kind TYPE delivery_kind USING kind::text::delivery_kind;
  DROP TYPE {before};
  FOREACH made IN ARRAY coalesce(checks, '{{}}') LOOP EXECUTE made; END LOOP;
  FOREACH made IN ARRAY coalesce(indexes, '{{}}') LOOP EXECUTE made; END LOOP;
END $$
"""
