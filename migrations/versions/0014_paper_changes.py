"""A log of which papers came, changed or went, for what is kept of them in memory

The triggers see a whole statement at once, so that storing a batch costs one INSERT more. A trend
or a day of reading moves no word of a paper and is not told.

Revision: 0014, after 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# A change is one in what previews and searches read of a paper.
TELL_PAPERS = """
CREATE FUNCTION tell_paper_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO paper_changes (changed_in, paper_id)
        SELECT pg_current_xact_id()::text::bigint, id FROM now_there ON CONFLICT DO NOTHING;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO paper_changes (changed_in, paper_id)
        SELECT pg_current_xact_id()::text::bigint, id FROM were_there ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO paper_changes (changed_in, paper_id)
        SELECT pg_current_xact_id()::text::bigint, id
        FROM (
            SELECT id, key, title, abstract, author_keys, categories, primary_category, sources,
                first_announced_on, announced_as, replaced_on FROM now_there
            EXCEPT
            SELECT id, key, title, abstract, author_keys, categories, primary_category, sources,
                first_announced_on, announced_as, replaced_on FROM were_there
        ) AS differ
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$
"""
TELL_MEANINGS = """
CREATE FUNCTION tell_meaning_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO paper_changes (changed_in, paper_id)
    SELECT pg_current_xact_id()::text::bigint, paper_id FROM touched ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$
"""
TRIGGERS = (
    ("tell_new_papers", "papers", "INSERT", "NEW TABLE AS now_there", "tell_paper_changes"),
    (
        *("tell_changed_papers", "papers", "UPDATE"),
        "OLD TABLE AS were_there NEW TABLE AS now_there",
        "tell_paper_changes",
    ),
    ("tell_gone_papers", "papers", "DELETE", "OLD TABLE AS were_there", "tell_paper_changes"),
    *(
        (f"tell_{name}_meanings", "paper_meanings", event, f"{side} TABLE AS touched",
         "tell_meaning_changes")
        for name, event, side in (
            ("new", "INSERT", "NEW"), ("changed", "UPDATE", "NEW"), ("gone", "DELETE", "OLD"),
        )
    ),
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "paper_changes",
        sa.Column("changed_in", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("paper_id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column(
            "changed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False
        ),
        sa.PrimaryKeyConstraint("changed_in", "paper_id", name="pk_paper_changes"),
    )
    op.execute(TELL_PAPERS)
    op.execute(TELL_MEANINGS)
    for name, table, event, tables, function in TRIGGERS:
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event} ON {table} REFERENCING {tables}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {function}()"
        )


def downgrade() -> None:
    for name, table, *_ in TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    op.execute("DROP FUNCTION tell_meaning_changes()")
    op.execute("DROP FUNCTION tell_paper_changes()")
    op.drop_table("paper_changes")
