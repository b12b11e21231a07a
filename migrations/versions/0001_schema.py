"""The schema, room by room

One SQL file per room, in an order that foreign keys allow, each with its types first. Columns are in
the order of the room's models, which document them.

Revision: 0001, after nothing
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROOMS = Path(__file__).with_suffix("")

# The extension is not dropped: it may have existed before, and other schemas may use it.
DROP = """
DROP TABLE IF EXISTS meaning_generations, lexeme_counts, probes, paper_meanings;
DROP FUNCTION IF EXISTS tell_meaning_changes();
DROP TABLE
    quarantined_mails, webhook_tokens, bounce_events, sending_pauses, warm_up_counts, paces, restores, installations, mail_copies, mail_parts, delivery_events,
    deliveries, edition_notes, edition_chunks, edition_revisions, edition_extras, edition_papers, editions, topic_changes, waiting_papers,
    topics,
    clauses, canonicals, votes, submissions, feed_keys, opinions, suppressions, consents, pending_sign_ups,
    mail_requests, subscribers,
    paper_changes, picks, harvests, gates, signals, announcements, batches,
    paper_versions, paper_events, paper_identifiers, papers;
DROP FUNCTION forget_canonical(), note_gap(), tell_paper_changes(), tell_page_change(), make_month(integer);
DROP TYPE
    bounce_verdict, breaker_state, delivery_state, delivery_kind, edition_state, topic_change_kind,
    clause_kind, submission_state, opinion_kind, suppression_reason, timing, cadence, subscriber_state, paper_event_kind,
    batch_state, source_answer, announce_type;
"""


def upgrade() -> None:
    for room in sorted(ROOMS.glob("*.sql")):
        op.execute(room.read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute(DROP)
