-- Editions, one per cadence and date, their papers, and the chunks of subscribers to compose.

CREATE TYPE edition_state AS ENUM ('open', 'frozen', 'closed');

CREATE TABLE editions (
    id bigserial CONSTRAINT pk_editions PRIMARY KEY,
    cadence cadence NOT NULL,
    local_date date NOT NULL,
    covers_from date,
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
    -- The operator's note as it was when the edition was opened, in Markdown.
    note text NOT NULL DEFAULT '',
    -- The UTC month in which it was opened, as YYMM: 2611. The ids of its deliveries begin with it.
    month smallint NOT NULL GENERATED ALWAYS AS ((
        (extract(year FROM opened_at AT TIME ZONE 'UTC') - 2000) * 100
        + extract(month FROM opened_at AT TIME ZONE 'UTC')
    )::smallint) STORED,
    CONSTRAINT uq_editions_cadence_local_date UNIQUE (cadence, local_date),
    CONSTRAINT uq_editions_id_month UNIQUE (id, month)
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

-- Papers that some digests of an edition have beyond its own: the ledger looks for them there, too.
CREATE TABLE edition_extras (
    paper_id bigint NOT NULL
        CONSTRAINT fk_edition_extras_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    edition_id bigint NOT NULL
        CONSTRAINT fk_edition_extras_edition_id_editions REFERENCES editions ON DELETE CASCADE,
    CONSTRAINT pk_edition_extras PRIMARY KEY (paper_id, edition_id)
);
CREATE INDEX ix_edition_extras_edition_id ON edition_extras (edition_id);

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

-- The operator's note at the head of an edition to come. It is copied when that is opened.
CREATE TABLE edition_notes (
    cadence cadence,
    local_date date,
    note text NOT NULL,
    changed_at timestamptz NOT NULL,
    CONSTRAINT pk_edition_notes PRIMARY KEY (cadence, local_date)
);
