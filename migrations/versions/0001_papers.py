"""Papers and how they came

Revision: 0001, after nothing
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

announce_type = postgresql.ENUM(
    "new", "cross", "replace", "replace-cross", "listed", name="announce_type", create_type=False
)
batch_state = postgresql.ENUM(
    "expected", "partial", "complete", "closed", name="batch_state", create_type=False
)
own_enums = (
    announce_type,
    batch_state,
)


def upgrade() -> None:
    for enum in own_enums:
        enum.create(op.get_bind())
    op.create_table(
        "papers",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("title_raw", sa.Text(), nullable=False),
        sa.Column("abstract", sa.Text(), nullable=False),
        sa.Column("abstract_raw", sa.Text(), nullable=False),
        sa.Column("authors", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("author_keys", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("categories", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("primary_category", sa.Text(), server_default="", nullable=False),
        sa.Column("url", sa.Text(), server_default="", nullable=False),
        sa.Column("license", sa.Text(), server_default="", nullable=False),
        sa.Column("doi", sa.Text(), server_default="", nullable=False),
        sa.Column("journal_ref", sa.Text(), server_default="", nullable=False),
        sa.Column("comment", sa.Text(), server_default="", nullable=False),
        sa.Column("is_withdrawn", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("first_announced_on", sa.Date(), nullable=True),
        sa.Column("first_announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("announced_as", announce_type, nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "title_lexemes",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('english'::regconfig, title)", persisted=True),
            nullable=False,
        ),
        sa.Column(
            "abstract_lexemes",
            postgresql.TSVECTOR(),
            sa.Computed("to_tsvector('english'::regconfig, abstract)", persisted=True),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_papers")),
        sa.UniqueConstraint("key", name=op.f("uq_papers_key")),
    )
    op.create_index(
        "ix_papers_abstract_lexemes",
        "papers",
        ["abstract_lexemes"],
        unique=False,
        postgresql_using="gin",
    )
    op.create_index(
        "ix_papers_author_keys", "papers", ["author_keys"], unique=False, postgresql_using="gin"
    )
    op.create_index(
        "ix_papers_categories", "papers", ["categories"], unique=False, postgresql_using="gin"
    )
    op.create_index(
        op.f("ix_papers_first_announced_on"), "papers", ["first_announced_on"], unique=False
    )
    op.create_index(
        "ix_papers_title_lexemes", "papers", ["title_lexemes"], unique=False, postgresql_using="gin"
    )
    op.create_table(
        "paper_versions",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("paper_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("title_raw", sa.Text(), nullable=False),
        sa.Column("abstract_raw", sa.Text(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["paper_id"],
            ["papers.id"],
            name=op.f("fk_paper_versions_paper_id_papers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_paper_versions")),
        sa.UniqueConstraint("paper_id", "version", name=op.f("uq_paper_versions_paper_id_version")),
    )
    op.create_table(
        "batches",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("category", sa.Text(), server_default="", nullable=False),
        sa.Column("announced_on", sa.Date(), nullable=False),
        sa.Column("state", batch_state, nullable=False),
        sa.Column("announced_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bad_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("etag", sa.Text(), server_default="", nullable=False),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
        sa.UniqueConstraint(
            "source",
            "category",
            "announced_on",
            name=op.f("uq_batches_source_category_announced_on"),
        ),
    )
    op.create_index(op.f("ix_batches_announced_on"), "batches", ["announced_on"], unique=False)
    op.create_table(
        "announcements",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("batch_id", sa.BigInteger(), nullable=False),
        sa.Column("paper_id", sa.BigInteger(), nullable=False),
        sa.Column("announce_type", announce_type, nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch_id"],
            ["batches.id"],
            name=op.f("fk_announcements_batch_id_batches"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["paper_id"],
            ["papers.id"],
            name=op.f("fk_announcements_paper_id_papers"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_announcements")),
        sa.UniqueConstraint(
            "batch_id", "paper_id", name=op.f("uq_announcements_batch_id_paper_id")
        ),
    )
    op.create_index(op.f("ix_announcements_paper_id"), "announcements", ["paper_id"], unique=False)
    op.create_table(
        "signals",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("paper_id", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("observed_on", sa.Date(), nullable=False),
        sa.Column("upvotes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("comments", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("github_stars", sa.BigInteger(), nullable=True),
        sa.Column("github_url", sa.Text(), server_default="", nullable=False),
        sa.Column("summary", sa.Text(), server_default="", nullable=False),
        sa.Column(
            "keywords", postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["paper_id"], ["papers.id"], name=op.f("fk_signals_paper_id_papers"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signals")),
        sa.UniqueConstraint(
            "paper_id", "source", "observed_on", name=op.f("uq_signals_paper_id_source_observed_on")
        ),
    )


def downgrade() -> None:
    op.drop_table("signals")
    op.drop_table("announcements")
    op.drop_table("batches")
    op.drop_table("paper_versions")
    op.drop_table("papers")
    for enum in reversed(own_enums):
        enum.drop(op.get_bind())
