"""The schema, room by room

Each room is one text of SQL, in an order that foreign keys allow: what a room stores, its types
first. Columns stand as in the room's models, which say what they mean.

Revision: 0001, after nothing
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# What was announced: papers, their versions, names and later events, and the batches they came in.
PAPERS = """
CREATE TYPE announce_type AS ENUM ('new', 'cross', 'replace', 'replace-cross', 'listed');
CREATE TYPE batch_state AS ENUM ('expected', 'partial', 'complete', 'closed');
CREATE TYPE paper_event_kind AS ENUM ('withdrawn', 'revised', 'published', 'code');

CREATE TABLE papers (
    id bigserial CONSTRAINT pk_papers PRIMARY KEY,
    key text NOT NULL CONSTRAINT uq_papers_key UNIQUE,
    work_id bigint CONSTRAINT fk_papers_work_id_papers REFERENCES papers ON DELETE SET NULL,
    source text NOT NULL,
    identifier text NOT NULL,
    version smallint NOT NULL,
    title text NOT NULL,
    title_raw text NOT NULL,
    abstract text NOT NULL,
    abstract_raw text NOT NULL,
    authors text[] NOT NULL,
    author_keys text[] NOT NULL,
    categories text[] NOT NULL,
    primary_category text NOT NULL DEFAULT '',
    url text NOT NULL DEFAULT '',
    license text NOT NULL DEFAULT '',
    doi text NOT NULL DEFAULT '',
    journal_ref text NOT NULL DEFAULT '',
    comment text NOT NULL DEFAULT '',
    is_withdrawn boolean NOT NULL DEFAULT false,
    first_announced_on date,
    first_announced_at timestamptz,
    announced_as announce_type,
    replaced_on date,
    sources text[] NOT NULL DEFAULT '{}',
    trend double precision NOT NULL DEFAULT '50',
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    title_lexemes tsvector NOT NULL
        GENERATED ALWAYS AS (to_tsvector('english'::regconfig, title)) STORED,
    abstract_lexemes tsvector NOT NULL
        GENERATED ALWAYS AS (to_tsvector('english'::regconfig, abstract)) STORED,
    title_words tsvector NOT NULL
        GENERATED ALWAYS AS (strip(to_tsvector('simple'::regconfig, title))) STORED,
    abstract_words tsvector NOT NULL
        GENERATED ALWAYS AS (strip(to_tsvector('simple'::regconfig, abstract))) STORED
);
CREATE INDEX ix_papers_work_id ON papers (work_id);
CREATE INDEX ix_papers_author_keys ON papers USING gin (author_keys);
CREATE INDEX ix_papers_categories ON papers USING gin (categories);
CREATE INDEX ix_papers_first_announced_on ON papers (first_announced_on);
CREATE INDEX ix_papers_replaced_on ON papers (replaced_on);
CREATE INDEX ix_papers_title_lexemes ON papers USING gin (title_lexemes);
CREATE INDEX ix_papers_abstract_lexemes ON papers USING gin (abstract_lexemes);
CREATE INDEX ix_papers_title_words ON papers USING gin (title_words);
CREATE INDEX ix_papers_abstract_words ON papers USING gin (abstract_words);

CREATE TABLE paper_identifiers (
    id bigserial CONSTRAINT pk_paper_identifiers PRIMARY KEY,
    value text NOT NULL,
    paper_id bigint NOT NULL
        CONSTRAINT fk_paper_identifiers_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    CONSTRAINT uq_paper_identifiers_value_paper_id UNIQUE (value, paper_id)
);
CREATE INDEX ix_paper_identifiers_paper_id ON paper_identifiers (paper_id);

CREATE TABLE paper_events (
    id bigserial CONSTRAINT pk_paper_events PRIMARY KEY,
    paper_id bigint NOT NULL
        CONSTRAINT fk_paper_events_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    kind paper_event_kind NOT NULL,
    detail text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    CONSTRAINT uq_paper_events_paper_id_kind_detail UNIQUE (paper_id, kind, detail)
);
CREATE INDEX ix_paper_events_created_at ON paper_events (created_at);

CREATE TABLE paper_versions (
    id bigserial CONSTRAINT pk_paper_versions PRIMARY KEY,
    paper_id bigint NOT NULL
        CONSTRAINT fk_paper_versions_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    version smallint NOT NULL,
    title_raw text NOT NULL,
    abstract_raw text NOT NULL,
    seen_at timestamptz NOT NULL,
    CONSTRAINT uq_paper_versions_paper_id_version UNIQUE (paper_id, version)
);

CREATE TABLE batches (
    id bigserial CONSTRAINT pk_batches PRIMARY KEY,
    source text NOT NULL,
    category text NOT NULL DEFAULT '',
    announced_on date NOT NULL,
    state batch_state NOT NULL,
    announced_count bigint NOT NULL DEFAULT '0',
    expected_count bigint,
    late_count bigint NOT NULL DEFAULT '0',
    bad_count bigint NOT NULL DEFAULT '0',
    etag text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    fetched_at timestamptz,
    completed_at timestamptz,
    closed_at timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT uq_batches_source_category_announced_on UNIQUE (source, category, announced_on)
);
CREATE INDEX ix_batches_announced_on ON batches (announced_on);

CREATE TABLE announcements (
    id bigserial CONSTRAINT pk_announcements PRIMARY KEY,
    batch_id bigint NOT NULL
        CONSTRAINT fk_announcements_batch_id_batches REFERENCES batches ON DELETE CASCADE,
    paper_id bigint NOT NULL
        CONSTRAINT fk_announcements_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    announce_type announce_type NOT NULL,
    version smallint NOT NULL,
    CONSTRAINT uq_announcements_batch_id_paper_id UNIQUE (batch_id, paper_id)
);
CREATE INDEX ix_announcements_paper_id ON announcements (paper_id);

CREATE TABLE signals (
    id bigserial CONSTRAINT pk_signals PRIMARY KEY,
    paper_id bigint NOT NULL
        CONSTRAINT fk_signals_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    source text NOT NULL,
    observed_on date NOT NULL,
    observed_at timestamptz NOT NULL,
    upvotes bigint NOT NULL DEFAULT '0',
    comments bigint NOT NULL DEFAULT '0',
    github_stars bigint,
    github_url text NOT NULL DEFAULT '',
    summary text NOT NULL DEFAULT '',
    keywords text[] NOT NULL DEFAULT '{}',
    CONSTRAINT uq_signals_paper_id_source_observed_on UNIQUE (paper_id, source, observed_on)
);

CREATE TABLE gates (
    name text CONSTRAINT pk_gates PRIMARY KEY,
    next_at timestamptz NOT NULL,
    failure_count smallint NOT NULL DEFAULT '0'
);

CREATE TABLE paper_changes (
    changed_in bigint NOT NULL,
    paper_id bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_paper_changes PRIMARY KEY (changed_in, paper_id)
);
"""

# Vectors of papers, queries of `like:` clauses, how common lexemes are. Needs pgvector 0.7 or newer,
# for `halfvec` and `sparsevec`; it is a trusted extension, so the database's owner may create it.
SIMILARITY = """
CREATE EXTENSION IF NOT EXISTS vector;

CREATE TABLE paper_meanings (
    paper_id bigint CONSTRAINT pk_paper_meanings PRIMARY KEY
        CONSTRAINT fk_paper_meanings_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    model text NOT NULL,
    dense halfvec,
    sparse sparsevec NOT NULL,
    paper_updated_at timestamptz NOT NULL
);

CREATE TABLE probes (
    id bigserial CONSTRAINT pk_probes PRIMARY KEY,
    text text NOT NULL,
    model text NOT NULL,
    generation bigint NOT NULL,
    dense halfvec,
    sparse sparsevec NOT NULL,
    dense_factor bigint NOT NULL,
    sparse_factor bigint NOT NULL,
    threshold bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_probes_text_model_generation UNIQUE (text, model, generation)
);

CREATE TABLE lexeme_counts (
    lexeme text CONSTRAINT pk_lexeme_counts PRIMARY KEY,
    paper_count bigint NOT NULL
);

CREATE TABLE meaning_generations (
    generation bigint CONSTRAINT pk_meaning_generations PRIMARY KEY,
    model text NOT NULL,
    paper_count bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
"""

# Triggers that log each paper that comes, changes or goes, for what is kept of them in memory. They
# see a whole statement at once, so that storing a batch costs one INSERT more. A change is one in
# what previews and searches read of a paper, or in its vectors; a trend moves none of it.
PAPER_CHANGES = """
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
END $$;
CREATE TRIGGER tell_new_papers AFTER INSERT ON papers
    REFERENCING NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION tell_paper_changes();
CREATE TRIGGER tell_changed_papers AFTER UPDATE ON papers
    REFERENCING OLD TABLE AS were_there NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION tell_paper_changes();
CREATE TRIGGER tell_gone_papers AFTER DELETE ON papers
    REFERENCING OLD TABLE AS were_there
    FOR EACH STATEMENT EXECUTE FUNCTION tell_paper_changes();

CREATE FUNCTION tell_meaning_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO paper_changes (changed_in, paper_id)
    SELECT pg_current_xact_id()::text::bigint, paper_id FROM touched ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_new_meanings AFTER INSERT ON paper_meanings
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION tell_meaning_changes();
CREATE TRIGGER tell_changed_meanings AFTER UPDATE ON paper_meanings
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION tell_meaning_changes();
CREATE TRIGGER tell_gone_meanings AFTER DELETE ON paper_meanings
    REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION tell_meaning_changes();
"""

# Readers, what they agreed to and what they say of papers; addresses that must not be mailed.
SUBSCRIBERS = """
CREATE TYPE subscriber_state AS ENUM (
    'pending', 'active', 'paused', 'unsubscribed', 'suppressed'
);
CREATE TYPE cadence AS ENUM ('daily', 'weekdays', 'weekly');
CREATE TYPE suppression_reason AS ENUM (
    'unsubscribed_for_good', 'hard_bounce', 'complaint', 'operator', 'erased'
);
CREATE TYPE opinion_kind AS ENUM ('kept', 'dismissed');

CREATE TABLE subscribers (
    id bigserial CONSTRAINT pk_subscribers PRIMARY KEY,
    email text NOT NULL,
    email_key text NOT NULL CONSTRAINT uq_subscribers_email_key UNIQUE,
    state subscriber_state NOT NULL,
    cadence cadence NOT NULL,
    hour smallint NOT NULL CONSTRAINT ck_subscribers_hour CHECK (hour BETWEEN 0 AND 23),
    timezone text NOT NULL,
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    unsubscribed_at timestamptz,
    paused_until date,
    confirmation_count smallint NOT NULL DEFAULT '0',
    has_suggestions boolean NOT NULL DEFAULT true,
    has_empty_digests boolean NOT NULL DEFAULT false,
    has_catch_up boolean NOT NULL DEFAULT false,
    paused_at timestamptz,
    catch_up_since date,
    moves_from_id bigint
        CONSTRAINT fk_subscribers_moves_from_id_subscribers REFERENCES subscribers ON DELETE CASCADE,
    locale text NOT NULL DEFAULT ''
);
CREATE INDEX ix_subscribers_state_cadence ON subscribers (state, cadence);
CREATE INDEX ix_subscribers_moves_from_id ON subscribers (moves_from_id)
    WHERE moves_from_id IS NOT NULL;
CREATE INDEX ix_subscribers_catch_up_since ON subscribers (catch_up_since)
    WHERE catch_up_since IS NOT NULL;

CREATE TABLE consents (
    id bigserial CONSTRAINT pk_consents PRIMARY KEY,
    subscriber_id bigint NOT NULL
        CONSTRAINT fk_consents_subscriber_id_subscribers REFERENCES subscribers ON DELETE CASCADE,
    action text NOT NULL,
    text_version text NOT NULL,
    page text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ix_consents_subscriber_id ON consents (subscriber_id);

CREATE TABLE suppressions (
    id bigserial CONSTRAINT pk_suppressions PRIMARY KEY,
    address_hash bytea NOT NULL CONSTRAINT uq_suppressions_address_hash UNIQUE,
    reason suppression_reason NOT NULL,
    detail text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL
);

CREATE TABLE opinions (
    id bigserial CONSTRAINT pk_opinions PRIMARY KEY,
    subscriber_id bigint NOT NULL
        CONSTRAINT fk_opinions_subscriber_id_subscribers REFERENCES subscribers ON DELETE CASCADE,
    paper_id bigint NOT NULL
        CONSTRAINT fk_opinions_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    kind opinion_kind NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT uq_opinions_subscriber_id_paper_id UNIQUE (subscriber_id, paper_id)
);
CREATE INDEX ix_opinions_paper_id ON opinions (paper_id);
"""

# Topics, what they and their clauses are compiled to, and what readers change of them by a link. A
# trigger empties a topic's link to its compiled form where somebody changes the text alone.
TOPICS = """
CREATE TYPE clause_kind AS ENUM (
    'word', 'phrase', 'author', 'category', 'like', 'group', 'other'
);
CREATE TYPE topic_change_kind AS ENUM ('muted', 'followed');

CREATE TABLE canonicals (
    id bigserial CONSTRAINT pk_canonicals PRIMARY KEY,
    digest bytea NOT NULL CONSTRAINT uq_canonicals_digest UNIQUE,
    text text NOT NULL,
    form bigint[] NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE clauses (
    id bigserial CONSTRAINT pk_clauses PRIMARY KEY,
    digest bytea NOT NULL CONSTRAINT uq_clauses_digest UNIQUE,
    text text NOT NULL,
    kind clause_kind NOT NULL,
    keys text NOT NULL,
    version bigint NOT NULL
);

CREATE TABLE topics (
    id bigserial CONSTRAINT pk_topics PRIMARY KEY,
    subscriber_id bigint NOT NULL
        CONSTRAINT fk_topics_subscriber_id_subscribers REFERENCES subscribers ON DELETE CASCADE,
    query text NOT NULL,
    canonical text NOT NULL,
    canonical_id bigint CONSTRAINT fk_topics_canonical_id_canonicals REFERENCES canonicals,
    position smallint NOT NULL DEFAULT '0',
    created_at timestamptz NOT NULL,
    CONSTRAINT uq_topics_subscriber_id_canonical UNIQUE (subscriber_id, canonical)
);
CREATE INDEX ix_topics_canonical ON topics (canonical);
CREATE INDEX ix_topics_canonical_id ON topics (canonical_id);

CREATE FUNCTION forget_canonical() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.canonical <> OLD.canonical AND NEW.canonical_id = OLD.canonical_id THEN
        NEW.canonical_id := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER forget_canonical BEFORE UPDATE OF canonical ON topics
    FOR EACH ROW EXECUTE FUNCTION forget_canonical();

CREATE TABLE topic_changes (
    id bigserial CONSTRAINT pk_topic_changes PRIMARY KEY,
    subscriber_id bigint NOT NULL
        CONSTRAINT fk_topic_changes_subscriber_id_subscribers
        REFERENCES subscribers ON DELETE CASCADE,
    kind topic_change_kind NOT NULL,
    topic_id bigint
        CONSTRAINT fk_topic_changes_topic_id_topics REFERENCES topics ON DELETE SET NULL,
    asked text NOT NULL,
    before_query text NOT NULL,
    after_query text NOT NULL,
    created_at timestamptz NOT NULL,
    undone_at timestamptz
);
CREATE INDEX ix_topic_changes_subscriber_id ON topic_changes (subscriber_id);
CREATE INDEX ix_topic_changes_topic_id ON topic_changes (topic_id);
CREATE UNIQUE INDEX uq_topic_changes_topic_id_kind_asked ON topic_changes (topic_id, kind, asked)
    WHERE undone_at IS NULL;
"""

# One publication for one date, its papers, and the ranges of readers that are to be composed.
EDITIONS = """
CREATE TYPE edition_state AS ENUM ('open', 'frozen', 'closed');

CREATE TABLE editions (
    id bigserial CONSTRAINT pk_editions PRIMARY KEY,
    cadence cadence NOT NULL,
    local_date date NOT NULL,
    state edition_state NOT NULL,
    sends_now boolean NOT NULL DEFAULT false,
    opened_at timestamptz NOT NULL,
    frozen_at timestamptz,
    closed_at timestamptz,
    candidate_count bigint,
    paper_count bigint NOT NULL DEFAULT '0',
    coverage jsonb NOT NULL DEFAULT '{}',
    passed_due_at timestamptz,
    passed_id bigint,
    CONSTRAINT uq_editions_cadence_local_date UNIQUE (cadence, local_date)
);

CREATE TABLE edition_papers (
    edition_id bigint NOT NULL
        CONSTRAINT fk_edition_papers_edition_id_editions REFERENCES editions ON DELETE CASCADE,
    paper_id bigint NOT NULL
        CONSTRAINT fk_edition_papers_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    cadence cadence NOT NULL,
    is_late boolean NOT NULL DEFAULT false,
    CONSTRAINT pk_edition_papers PRIMARY KEY (edition_id, paper_id),
    CONSTRAINT uq_edition_papers_cadence_paper_id UNIQUE (cadence, paper_id)
);

CREATE TABLE edition_revisions (
    edition_id bigint NOT NULL
        CONSTRAINT fk_edition_revisions_edition_id_editions REFERENCES editions ON DELETE CASCADE,
    paper_id bigint NOT NULL
        CONSTRAINT fk_edition_revisions_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    version smallint NOT NULL,
    cadence cadence NOT NULL,
    CONSTRAINT pk_edition_revisions PRIMARY KEY (edition_id, paper_id),
    CONSTRAINT uq_edition_revisions_cadence_paper_id_version UNIQUE (cadence, paper_id, version)
);

CREATE TABLE edition_chunks (
    id bigserial CONSTRAINT pk_edition_chunks PRIMARY KEY,
    edition_id bigint NOT NULL
        CONSTRAINT fk_edition_chunks_edition_id_editions REFERENCES editions ON DELETE CASCADE,
    first_subscriber_id bigint NOT NULL,
    last_subscriber_id bigint NOT NULL,
    composed_at timestamptz,
    CONSTRAINT uq_edition_chunks_edition_id_first_subscriber_id
        UNIQUE (edition_id, first_subscriber_id)
);
"""

# The row before the send, its events, and the copy of what was sent. `installations` has one row: a
# random name that a restored backup shares with the database it was made from.
DELIVERIES = """
CREATE TYPE delivery_kind AS ENUM (
    'digest', 'confirmation', 'already_subscribed', 'welcome', 'farewell', 'topics_changed',
    'paused', 'resumed', 'address_change', 'operator_alert', 'test', 'address_notice', 'catch_up'
);
CREATE TYPE delivery_state AS ENUM (
    'queued', 'claimed', 'in_flight', 'sent', 'failed', 'skipped', 'in_doubt', 'carried',
    'bounced', 'complained'
);

CREATE TABLE deliveries (
    id bigserial CONSTRAINT pk_deliveries PRIMARY KEY,
    kind delivery_kind NOT NULL,
    edition_id bigint
        CONSTRAINT fk_deliveries_edition_id_editions REFERENCES editions ON DELETE CASCADE,
    subscriber_id bigint
        CONSTRAINT fk_deliveries_subscriber_id_subscribers
        REFERENCES subscribers ON DELETE SET NULL,
    occasion text NOT NULL DEFAULT '',
    state delivery_state NOT NULL,
    reason text NOT NULL DEFAULT '',
    attempt smallint NOT NULL DEFAULT '0',
    deferral_count smallint NOT NULL DEFAULT '0',
    lane text NOT NULL DEFAULT '',
    due_at timestamptz NOT NULL,
    send_not_after timestamptz NOT NULL,
    lease_owner bigint,
    lease_until timestamptz,
    paper_ids bigint[] NOT NULL DEFAULT '{}',
    digest jsonb,
    alert jsonb,
    message_id text NOT NULL DEFAULT '',
    last_reply text NOT NULL DEFAULT '',
    carried_into_id bigint
        CONSTRAINT fk_deliveries_carried_into_id_deliveries
        REFERENCES deliveries ON DELETE SET NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CONSTRAINT uq_deliveries_edition_id_subscriber_id UNIQUE (edition_id, subscriber_id),
    CONSTRAINT ck_deliveries_digest_has_edition
        CHECK ((edition_id IS NOT NULL) = (kind = 'digest'))
);
CREATE UNIQUE INDEX uq_deliveries_kind_subscriber_id_occasion
    ON deliveries (kind, subscriber_id, occasion) WHERE edition_id IS NULL;
CREATE UNIQUE INDEX uq_deliveries_alert_occasion
    ON deliveries (occasion) WHERE kind = 'operator_alert';
CREATE INDEX ix_deliveries_due_at ON deliveries (due_at, id) WHERE state = 'queued';
CREATE INDEX ix_deliveries_queued ON deliveries (edition_id, due_at, id) WHERE state = 'queued';
CREATE INDEX ix_deliveries_lane ON deliveries (lane, id) WHERE state = 'queued' AND lane <> '';
CREATE INDEX ix_deliveries_lease_until ON deliveries (lease_until)
    WHERE state IN ('claimed', 'in_flight');
CREATE INDEX ix_deliveries_in_doubt ON deliveries (edition_id, subscriber_id)
    WHERE state = 'in_doubt';
CREATE INDEX ix_deliveries_edition_id_state ON deliveries (edition_id, state);
CREATE INDEX ix_deliveries_subscriber_id ON deliveries (subscriber_id);

CREATE TABLE delivery_events (
    id bigserial CONSTRAINT pk_delivery_events PRIMARY KEY,
    delivery_id bigint NOT NULL
        CONSTRAINT fk_delivery_events_delivery_id_deliveries REFERENCES deliveries ON DELETE CASCADE,
    attempt smallint NOT NULL,
    state delivery_state NOT NULL,
    detail text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    phase text NOT NULL DEFAULT '',
    relay text NOT NULL DEFAULT ''
);
CREATE INDEX ix_delivery_events_delivery_id ON delivery_events (delivery_id);

CREATE TABLE mail_parts (
    key bytea CONSTRAINT pk_mail_parts PRIMARY KEY,
    body bytea NOT NULL
);

CREATE TABLE mail_copies (
    delivery_id bigint CONSTRAINT pk_mail_copies PRIMARY KEY
        CONSTRAINT fk_mail_copies_delivery_id_deliveries REFERENCES deliveries ON DELETE CASCADE,
    content_hash bytea NOT NULL,
    recipe bytea NOT NULL,
    created_at timestamptz NOT NULL
);

CREATE TABLE installations (
    name uuid DEFAULT gen_random_uuid() CONSTRAINT pk_installations PRIMARY KEY
);
INSERT INTO installations DEFAULT VALUES;

CREATE TABLE restores (
    id bigserial CONSTRAINT pk_restores PRIMARY KEY,
    until timestamptz NOT NULL,
    editions jsonb NOT NULL,
    accepted_at timestamptz NOT NULL
);
"""

# How fast each provider takes our mail, and whether it is paused.
SENDING = """
CREATE TYPE breaker_state AS ENUM ('closed', 'open', 'probing');

CREATE TABLE paces (
    provider text CONSTRAINT pk_paces PRIMARY KEY,
    rate double precision,
    changed_at timestamptz NOT NULL,
    free_at timestamptz,
    recent text NOT NULL DEFAULT '',
    breaker breaker_state NOT NULL DEFAULT 'closed',
    opened_at timestamptz,
    open_count smallint NOT NULL DEFAULT '0',
    probe_at timestamptz,
    last_reply text NOT NULL DEFAULT ''
);
"""

# What came back: one row for each bounce or complaint.
BOUNCES = """
CREATE TYPE bounce_verdict AS ENUM (
    'address', 'full', 'policy', 'content', 'configuration', 'complaint', 'auto_reply',
    'not_a_bounce'
);

CREATE TABLE bounce_events (
    id bigserial CONSTRAINT pk_bounce_events PRIMARY KEY,
    key text NOT NULL CONSTRAINT uq_bounce_events_key UNIQUE,
    source text NOT NULL,
    delivery_id bigint
        CONSTRAINT fk_bounce_events_delivery_id_deliveries
        REFERENCES deliveries ON DELETE SET NULL,
    subscriber_id bigint
        CONSTRAINT fk_bounce_events_subscriber_id_subscribers
        REFERENCES subscribers ON DELETE CASCADE,
    verdict bounce_verdict NOT NULL,
    weight smallint NOT NULL DEFAULT '0',
    code text NOT NULL DEFAULT '',
    detail text NOT NULL DEFAULT '',
    occurred_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    settled_at timestamptz
);
CREATE INDEX ix_bounce_events_subscriber_id ON bounce_events (subscriber_id);
CREATE INDEX ix_bounce_events_delivery_id ON bounce_events (delivery_id);
CREATE INDEX ix_bounce_events_created_at ON bounce_events (created_at);
CREATE INDEX ix_bounce_events_unsettled ON bounce_events (id) WHERE settled_at IS NULL;
"""

ROOMS = (
    PAPERS, SIMILARITY, PAPER_CHANGES, SUBSCRIBERS, TOPICS, EDITIONS, DELIVERIES, SENDING, BOUNCES,
)  # fmt: skip

# The extension stays: it may have been there before, and others may use it.
DROP = """
DROP TABLE
    bounce_events, paces, restores, installations, mail_copies, mail_parts, delivery_events,
    deliveries, edition_chunks, edition_revisions, edition_papers, editions, topic_changes, topics,
    clauses, canonicals, opinions, suppressions, consents, subscribers, meaning_generations,
    lexeme_counts, probes, paper_meanings, paper_changes, gates, signals, announcements, batches,
    paper_versions, paper_events, paper_identifiers, papers;
DROP FUNCTION forget_canonical(), tell_meaning_changes(), tell_paper_changes();
DROP TYPE
    bounce_verdict, breaker_state, delivery_state, delivery_kind, edition_state, topic_change_kind,
    clause_kind, opinion_kind, suppression_reason, cadence, subscriber_state, paper_event_kind,
    batch_state, announce_type;
"""


def upgrade() -> None:
    for room in ROOMS:
        op.execute(room)


def downgrade() -> None:
    op.execute(DROP)
