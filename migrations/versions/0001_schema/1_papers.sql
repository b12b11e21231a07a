-- Papers, their versions, identifiers and later events, and the batches they were announced in.

CREATE TYPE announce_type AS ENUM ('new', 'cross', 'replace', 'replace-cross', 'listed');
CREATE TYPE batch_state AS ENUM ('expected', 'partial', 'complete', 'closed');
CREATE TYPE source_answer AS ENUM ('silent', 'read', 'nothing', 'unreadable', 'unreachable');
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
        GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
            translate(title, '“”„‟«»‹›‘’‚‛—–―…•≈∼≃≲≳≤≥≡≠→←↔±×÷⟨⟩∣‖　、。，：；？！（）「」『』【】《》〈〉‐‑−',
                '                                                        ---'))) STORED,
    abstract_lexemes tsvector NOT NULL
        GENERATED ALWAYS AS (to_tsvector('english'::regconfig,
            translate(abstract, '“”„‟«»‹›‘’‚‛—–―…•≈∼≃≲≳≤≥≡≠→←↔±×÷⟨⟩∣‖　、。，：；？！（）「」『』【】《》〈〉‐‑−',
                '                                                        ---'))) STORED,
    title_words tsvector NOT NULL
        GENERATED ALWAYS AS (strip(to_tsvector('simple'::regconfig,
            translate(title, '“”„‟«»‹›‘’‚‛—–―…•≈∼≃≲≳≤≥≡≠→←↔±×÷⟨⟩∣‖　、。，：；？！（）「」『』【】《》〈〉‐‑−',
                '                                                        ---')))) STORED,
    abstract_words tsvector NOT NULL
        GENERATED ALWAYS AS (strip(to_tsvector('simple'::regconfig,
            translate(abstract, '“”„‟«»‹›‘’‚‛—–―…•≈∼≃≲≳≤≥≡≠→←↔±×÷⟨⟩∣‖　、。，：；？！（）「」『』【】《》〈〉‐‑−',
                '                                                        ---')))) STORED
);
CREATE INDEX ix_papers_work_id ON papers (work_id);
-- Without `fastupdate`, by which the words of the last thousand papers wait in a list that each search reads: two
-- to ten times as long, until a vacuum, which insertions alone do not bring about for days.
CREATE INDEX ix_papers_author_keys ON papers USING gin (author_keys) WITH (fastupdate = off);
CREATE INDEX ix_papers_categories ON papers USING gin (categories) WITH (fastupdate = off);
CREATE INDEX ix_papers_first_announced_on ON papers (first_announced_on);
CREATE INDEX ix_papers_replaced_on ON papers (replaced_on);
CREATE INDEX ix_papers_title_lexemes ON papers USING gin (title_lexemes) WITH (fastupdate = off);
CREATE INDEX ix_papers_abstract_lexemes ON papers USING gin (abstract_lexemes) WITH (fastupdate = off);
CREATE INDEX ix_papers_title_words ON papers USING gin (title_words) WITH (fastupdate = off);
CREATE INDEX ix_papers_abstract_words ON papers USING gin (abstract_words) WITH (fastupdate = off);

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
    answer source_answer NOT NULL DEFAULT 'silent',
    failure text NOT NULL DEFAULT '',
    listed_on date,
    listed_ids text[] NOT NULL DEFAULT '{}',
    announced_count bigint NOT NULL DEFAULT '0',
    expected_count bigint,
    late_count bigint NOT NULL DEFAULT '0',
    bad_count bigint NOT NULL DEFAULT '0',
    etag text NOT NULL DEFAULT '',
    failed_at timestamptz,
    listed_at timestamptz,
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

-- The operator's choice: a paper, and one sentence why.
CREATE TABLE picks (
    paper_id bigint CONSTRAINT pk_picks PRIMARY KEY
        CONSTRAINT fk_picks_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    sentence text NOT NULL,
    picked_at timestamptz NOT NULL
);
CREATE INDEX ix_picks_picked_at ON picks (picked_at);

CREATE TABLE gates (
    name text CONSTRAINT pk_gates PRIMARY KEY,
    next_at timestamptz NOT NULL,
    failure_count smallint NOT NULL DEFAULT '0',
    forbidden_count smallint NOT NULL DEFAULT '0',
    closed_at timestamptz,
    reason text NOT NULL DEFAULT ''
);

CREATE TABLE harvests (
    category text CONSTRAINT pk_harvests PRIMARY KEY,
    responded_at timestamptz,
    reread_on date
);

CREATE TABLE paper_changes (
    changed_in bigint NOT NULL,
    paper_id bigint NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_paper_changes PRIMARY KEY (changed_in, paper_id)
);
