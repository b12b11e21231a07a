"""Distinct topics and clauses, compiled once; topics point to theirs

Nothing is compiled here: what has no form yet is compiled when it is met, before an edition at the
latest. The new column of topics is empty, which costs no rewriting, and its constraint and index
find nothing to check.

Revision: 0013, after 0017
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0017"
branch_labels = None
depends_on = None

KINDS = ("word", "phrase", "author", "category", "like", "group", "other")

FORGET = """
CREATE FUNCTION forget_canonical() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.canonical <> OLD.canonical AND NEW.canonical_id = OLD.canonical_id THEN
        NEW.canonical_id := NULL;
    END IF;
    RETURN NEW;
END $$
"""


def upgrade() -> None:
    op.create_table(
        "canonicals",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("form", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_canonicals"),
        sa.UniqueConstraint("digest", name="uq_canonicals_digest"),
    )
    op.create_table(
        "clauses",
        sa.Column("id", sa.BigInteger(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("kind", postgresql.ENUM(*KINDS, name="clause_kind"), nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_clauses"),
        sa.UniqueConstraint("digest", name="uq_clauses_digest"),
    )
    op.add_column("topics", sa.Column("canonical_id", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        "fk_topics_canonical_id_canonicals",
        "topics",
        "canonicals",
        ["canonical_id"],
        ["id"],
        postgresql_not_valid=True,
    )
    op.execute("ALTER TABLE topics VALIDATE CONSTRAINT fk_topics_canonical_id_canonicals")
    op.create_index("ix_topics_canonical_id", "topics", ["canonical_id"])
    op.execute(FORGET)
    op.execute(
        "CREATE TRIGGER forget_canonical BEFORE UPDATE OF canonical ON topics"
        " FOR EACH ROW EXECUTE FUNCTION forget_canonical()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER forget_canonical ON topics")
    op.execute("DROP FUNCTION forget_canonical()")
    op.drop_index("ix_topics_canonical_id", "topics")
    op.drop_constraint("fk_topics_canonical_id_canonicals", "topics")
    op.drop_column("topics", "canonical_id")
    op.drop_table("clauses")
    op.drop_table("canonicals")
    op.execute("DROP TYPE clause_kind")
