-- Topics, compiled topics and clauses, and changes of topics that subscribers make by a link. A
-- trigger clears the reference to the compiled topic when only the text of a topic is updated.

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
    name text NOT NULL,
    query text NOT NULL,
    canonical text NOT NULL,
    canonical_id bigint CONSTRAINT fk_topics_canonical_id_canonicals REFERENCES canonicals,
    position smallint NOT NULL DEFAULT '0',
    created_at timestamptz NOT NULL,
    is_weekly boolean NOT NULL DEFAULT false,
    at_least smallint NOT NULL DEFAULT 1
        CONSTRAINT ck_topics_at_least CHECK (at_least BETWEEN 1 AND 50),
    CONSTRAINT uq_topics_subscriber_id_canonical UNIQUE (subscriber_id, canonical)
);
-- Topics whose papers may have to wait: a few of millions.
CREATE INDEX ix_topics_measured ON topics (subscriber_id) WHERE is_weekly OR at_least > 1;
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

-- Papers that a topic matched and that wait for a later digest. They stay if the topic is deleted.
CREATE TABLE waiting_papers (
    id bigserial CONSTRAINT pk_waiting_papers PRIMARY KEY,
    subscriber_id bigint NOT NULL
        CONSTRAINT fk_waiting_papers_subscriber_id_subscribers
        REFERENCES subscribers ON DELETE CASCADE,
    topic_id bigint
        CONSTRAINT fk_waiting_papers_topic_id_topics REFERENCES topics ON DELETE SET NULL,
    since_on date NOT NULL,
    paper_ids integer[] NOT NULL
);
CREATE INDEX ix_waiting_papers_subscriber_id ON waiting_papers (subscriber_id);
CREATE INDEX ix_waiting_papers_topic_id ON waiting_papers (topic_id);

CREATE TABLE topic_changes (
    id bigserial CONSTRAINT pk_topic_changes PRIMARY KEY,
    subscriber_id bigint NOT NULL
        CONSTRAINT fk_topic_changes_subscriber_id_subscribers
        REFERENCES subscribers ON DELETE CASCADE,
    kind topic_change_kind NOT NULL,
    topic_id bigint
        CONSTRAINT fk_topic_changes_topic_id_topics REFERENCES topics ON DELETE SET NULL,
    clause text NOT NULL,
    before_query text NOT NULL,
    after_query text NOT NULL,
    created_at timestamptz NOT NULL,
    undone_at timestamptz
);
CREATE INDEX ix_topic_changes_subscriber_id ON topic_changes (subscriber_id);
CREATE INDEX ix_topic_changes_topic_id ON topic_changes (topic_id);
CREATE UNIQUE INDEX uq_topic_changes_topic_id_kind_clause ON topic_changes (topic_id, kind, clause)
    WHERE undone_at IS NULL;
