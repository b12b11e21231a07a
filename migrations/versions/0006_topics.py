"""Topics: whole words for prefixes, sources, the trend, replacements and the editions they came in

The words are computed columns, so the table is written anew once and is locked meanwhile: about
ten seconds for 100,000 papers.

Revision: 0006, after 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

cadence = postgresql.ENUM("daily", "weekdays", "weekly", name="cadence", create_type=False)


def upgrade() -> None:
    for field in ("title", "abstract"):
        op.add_column(
            "papers",
            sa.Column(
                f"{field}_words",
                postgresql.TSVECTOR(),
                sa.Computed(f"strip(to_tsvector('simple'::regconfig, {field}))", persisted=True),
                nullable=False,
            ),
        )
        op.create_index(
            f"ix_papers_{field}_words", "papers", [f"{field}_words"], postgresql_using="gin"
        )
    op.add_column(
        "papers",
        sa.Column("sources", postgresql.ARRAY(sa.Text()), server_default="{}", nullable=False),
    )
    op.add_column("papers", sa.Column("trend", sa.Double(), server_default="50", nullable=False))
    op.add_column("papers", sa.Column("replaced_on", sa.Date(), nullable=True))
    op.create_index("ix_papers_replaced_on", "papers", ["replaced_on"])
    op.execute(
        "UPDATE papers SET sources = array(SELECT DISTINCT b.source FROM batches b"
        " JOIN announcements a ON a.batch_id = b.id WHERE a.paper_id = papers.id"
        " UNION SELECT papers.source ORDER BY 1),"
        " replaced_on = (SELECT max(b.announced_on) FROM batches b"
        " JOIN announcements a ON a.batch_id = b.id WHERE a.paper_id = papers.id"
        " AND a.announce_type IN ('replace', 'replace-cross'))"
    )
    op.create_table(
        "edition_revisions",
        sa.Column("edition_id", sa.BigInteger(), nullable=False),
        sa.Column("paper_id", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("cadence", cadence, nullable=False),
        sa.ForeignKeyConstraint(
            ["edition_id"],
            ["editions.id"],
            name="fk_edition_revisions_edition_id_editions",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["paper_id"],
            ["papers.id"],
            name="fk_edition_revisions_paper_id_papers",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("edition_id", "paper_id", name="pk_edition_revisions"),
        sa.UniqueConstraint(
            "cadence",
            "paper_id",
            "version",
            name="uq_edition_revisions_cadence_paper_id_version",
        ),
    )


def downgrade() -> None:
    op.drop_table("edition_revisions")
    op.drop_index("ix_papers_replaced_on", "papers")
    op.drop_column("papers", "replaced_on")
    op.drop_column("papers", "trend")
    op.drop_column("papers", "sources")
    for field in ("abstract", "title"):
        op.drop_index(f"ix_papers_{field}_words", "papers")
        op.drop_column("papers", f"{field}_words")
