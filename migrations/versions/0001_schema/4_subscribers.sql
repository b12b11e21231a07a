-- Subscribers, their consents and their feedback on papers; suppressed addresses.

CREATE TYPE subscriber_state AS ENUM (
    'pending', 'active', 'paused', 'unsubscribed', 'suppressed'
);
CREATE TYPE cadence AS ENUM (
    'daily', 'weekdays', 'weekly', 'weekly-tuesday', 'weekly-wednesday', 'weekly-thursday',
    'weekly-friday', 'weekly-saturday', 'weekly-sunday', 'monthly'
);
CREATE TYPE timing AS ENUM ('at_hour', 'when_complete');
CREATE TYPE suppression_reason AS ENUM (
    'unsubscribed_for_good', 'hard_bounce', 'complaint', 'operator', 'erased'
);
CREATE TYPE opinion_kind AS ENUM ('kept', 'dismissed');
CREATE TYPE submission_state AS ENUM (
    'waiting', 'added', 'known', 'unknown', 'too_old', 'unreachable'
);

CREATE TABLE subscribers (
    id bigserial CONSTRAINT pk_subscribers PRIMARY KEY,
    email text NOT NULL,
    email_key text NOT NULL CONSTRAINT uq_subscribers_email_key UNIQUE,
    state subscriber_state NOT NULL,
    cadence cadence NOT NULL,
    hour smallint NOT NULL CONSTRAINT ck_subscribers_hour CHECK (hour BETWEEN 0 AND 23),
    timezone text NOT NULL,
    timing timing NOT NULL DEFAULT 'at_hour',
    created_at timestamptz NOT NULL,
    confirmed_at timestamptz,
    unsubscribed_at timestamptz,
    paused_until date,
    has_suggestions boolean NOT NULL DEFAULT true,
    has_empty_digests boolean NOT NULL DEFAULT false,
    has_catch_up boolean NOT NULL DEFAULT false,
    has_ai_summaries boolean NOT NULL DEFAULT true,
    full_cards smallint NOT NULL DEFAULT 10
        CONSTRAINT ck_subscribers_full_cards CHECK (full_cards BETWEEN 0 AND 100),
    max_papers smallint
        CONSTRAINT ck_subscribers_max_papers CHECK (max_papers BETWEEN 1 AND 100),
    weekly_topics_on smallint NOT NULL DEFAULT 0
        CONSTRAINT ck_subscribers_weekly_topics_on CHECK (weekly_topics_on BETWEEN 0 AND 6),
    gap_since timestamptz,
    paused_at timestamptz,
    catch_up_since date,
    moves_from_id bigint
        CONSTRAINT fk_subscribers_moves_from_id_subscribers REFERENCES subscribers ON DELETE CASCADE,
    locale text NOT NULL DEFAULT '',
    link_key bytea NOT NULL DEFAULT substr(uuid_send(gen_random_uuid()), 9),
    link_epoch bigint NOT NULL DEFAULT 0,
    -- The mailbox of an address: mails are counted by it, and none is sent to it. Gmail ignores dots
    -- and +tags (https://support.google.com/mail/answer/7436150), the disposable addresses of Yahoo
    -- are base-word (https://help.yahoo.com/kb/SLN28338.html), most others have +tags (RFC 5233).
    mailbox_key text NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN split_part(email_key, '@', 2) ~ '^(gmail|googlemail)\.com$'
            THEN replace(split_part(split_part(email_key, '@', 1), '+', 1), '.', '') || '@gmail.com'
            WHEN split_part(email_key, '@', 2) ~ '^(yahoo\.[a-z.]+|ymail\.com|rocketmail\.com)$'
            THEN split_part(split_part(email_key, '@', 1), '-', 1) || '@' || split_part(email_key, '@', 2)
            ELSE split_part(split_part(email_key, '@', 1), '+', 1) || '@' || split_part(email_key, '@', 2)
        END
    ) STORED
);
CREATE INDEX ix_subscribers_mailbox_key ON subscribers (mailbox_key);
CREATE INDEX ix_subscribers_state_cadence ON subscribers (state, cadence);
CREATE INDEX ix_subscribers_state_id ON subscribers (state, id);
CREATE INDEX ix_subscribers_moves_from_id ON subscribers (moves_from_id)
    WHERE moves_from_id IS NOT NULL;
CREATE INDEX ix_subscribers_catch_up_since ON subscribers (catch_up_since)
    WHERE catch_up_since IS NOT NULL;

-- Note since when editions may have papers that a subscriber was not asked about: from the last edition
-- on that the subscriber was in, where the cadence changes; from the newest one, where digests begin.
CREATE FUNCTION note_gap() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'active' AND OLD.state <> 'active' AND NEW.catch_up_since IS NULL THEN
        NEW.gap_since := (SELECT max(opened_at) FROM editions);
    END IF;
    IF NEW.cadence <> OLD.cadence AND NEW.gap_since IS NULL THEN
        -- Not after the next day begins, whose daily edition may have been open before.
        SELECT greatest(NEW.confirmed_at, least(
            opened_at,
            (local_date + (cadence IN ('daily', 'weekdays'))::int)::timestamp
                AT TIME ZONE 'America/New_York' - interval '4 hours'
        )) INTO NEW.gap_since
        FROM editions JOIN deliveries ON edition_id = editions.id
        WHERE subscriber_id = NEW.id ORDER BY opened_at DESC LIMIT 1;
        NEW.gap_since := coalesce(NEW.gap_since, (SELECT max(opened_at) FROM editions));
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER note_gap BEFORE UPDATE OF cadence, state ON subscribers
    FOR EACH ROW WHEN (NEW.cadence <> OLD.cadence OR NEW.state <> OLD.state)
    EXECUTE FUNCTION note_gap();

-- What forms asked for: settled by a worker, so that no answer depends on what is known.
CREATE TABLE mail_requests (
    id bigserial CONSTRAINT pk_mail_requests PRIMARY KEY,
    email text NOT NULL,
    domain text NOT NULL,
    choices jsonb,
    page text NOT NULL,
    locale text NOT NULL,
    created_at timestamptz NOT NULL,
    settled_at timestamptz
);
CREATE INDEX ix_mail_requests_created_at ON mail_requests (created_at);
CREATE INDEX ix_mail_requests_unsettled ON mail_requests (id) WHERE settled_at IS NULL;

-- Sign-ups of known addresses, which change nothing until one of them is confirmed.
CREATE TABLE pending_sign_ups (
    id bigserial CONSTRAINT pk_pending_sign_ups PRIMARY KEY,
    subscriber_id bigint NOT NULL
        CONSTRAINT fk_pending_sign_ups_subscriber_id_subscribers
        REFERENCES subscribers ON DELETE CASCADE,
    choices jsonb NOT NULL,
    page text NOT NULL,
    locale text NOT NULL,
    is_mailed boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL
);
CREATE INDEX ix_pending_sign_ups_subscriber_id ON pending_sign_ups (subscriber_id);
CREATE INDEX ix_pending_sign_ups_created_at ON pending_sign_ups (created_at);

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
CREATE INDEX ix_consents_created_at ON consents (created_at, action);

CREATE TABLE suppressions (
    id bigserial CONSTRAINT pk_suppressions PRIMARY KEY,
    address_hash bytea NOT NULL CONSTRAINT uq_suppressions_address_hash UNIQUE,
    reason suppression_reason NOT NULL,
    detail text NOT NULL DEFAULT '',
    -- The replies that caused it, without the address; empty where none did.
    reply text NOT NULL DEFAULT '',
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
    tags text[] NOT NULL DEFAULT '{}',
    note text NOT NULL DEFAULT '',
    CONSTRAINT uq_opinions_subscriber_id_paper_id UNIQUE (subscriber_id, paper_id)
);
CREATE INDEX ix_opinions_paper_id ON opinions (paper_id);

-- The random keys of private feeds; a subscriber without a row has no feed.
CREATE TABLE feed_keys (
    subscriber_id bigint CONSTRAINT pk_feed_keys PRIMARY KEY
        CONSTRAINT fk_feed_keys_subscriber_id_subscribers REFERENCES subscribers ON DELETE CASCADE,
    feed_key bytea NOT NULL DEFAULT substr(uuid_send(gen_random_uuid()), 9),
    created_at timestamptz NOT NULL
);

-- Papers that subscribers submitted: a worker looks each up at its source, and settles the row.
CREATE TABLE submissions (
    id bigserial CONSTRAINT pk_submissions PRIMARY KEY,
    subscriber_id bigint NOT NULL
        CONSTRAINT fk_submissions_subscriber_id_subscribers REFERENCES subscribers ON DELETE CASCADE,
    -- `arxiv:2611.01234` or `doi:10.1101/…`, never what was typed.
    name text NOT NULL,
    state submission_state NOT NULL,
    paper_id bigint
        CONSTRAINT fk_submissions_paper_id_papers REFERENCES papers ON DELETE SET NULL,
    created_at timestamptz NOT NULL,
    settled_at timestamptz,
    next_at timestamptz NOT NULL,
    CONSTRAINT uq_submissions_subscriber_id_name UNIQUE (subscriber_id, name)
);
CREATE INDEX ix_submissions_paper_id ON submissions (paper_id);
CREATE INDEX ix_submissions_created_at ON submissions (created_at);
CREATE INDEX ix_submissions_waiting ON submissions (next_at) WHERE state = 'waiting';
