-- Deliveries (inserted before the send), their events, and copies of sent messages. `installations`
-- has one row: a random name that a restored backup shares with its original database.

CREATE TYPE delivery_kind AS ENUM (
    'digest', 'confirmation', 'personal_link', 'welcome', 'farewell', 'topics_changed',
    'paused', 'resumed', 'address_change', 'operator_alert', 'daily_report', 'test', 'address_notice', 'catch_up'
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
    paper_ids integer[] NOT NULL DEFAULT '{}',
    digest bytea,
    alert jsonb,
    message_id text NOT NULL DEFAULT '',
    last_reply text NOT NULL DEFAULT '',
    sent_at timestamptz,
    relay text NOT NULL DEFAULT '',
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
    ON deliveries (occasion) WHERE kind IN ('operator_alert', 'daily_report');
CREATE INDEX ix_deliveries_queued ON deliveries (edition_id, due_at, id) WHERE state = 'queued';
CREATE INDEX ix_deliveries_urgent ON deliveries (due_at, id)
    WHERE edition_id IS NULL AND state = 'queued'
        AND send_not_after - created_at <= interval '5 days';
CREATE INDEX ix_deliveries_patient ON deliveries (due_at, id)
    WHERE edition_id IS NULL AND state = 'queued'
        AND send_not_after - created_at > interval '5 days';
CREATE INDEX ix_deliveries_lane ON deliveries (
    lane, (edition_id IS NOT NULL OR send_not_after - created_at > interval '5 days'), id
) WHERE state = 'queued' AND lane <> '';
CREATE INDEX ix_deliveries_lease_until ON deliveries (lease_until)
    WHERE state IN ('claimed', 'in_flight');
CREATE INDEX ix_deliveries_in_doubt ON deliveries (edition_id, subscriber_id)
    WHERE state = 'in_doubt';
CREATE INDEX ix_deliveries_edition_id_state ON deliveries (edition_id, state);
CREATE INDEX ix_deliveries_sent_at ON deliveries (sent_at) WHERE sent_at IS NOT NULL;
CREATE INDEX ix_deliveries_subscriber_id ON deliveries (subscriber_id);
CREATE INDEX ix_deliveries_created_at ON deliveries (created_at) WHERE edition_id IS NULL;

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
CREATE INDEX ix_delivery_events_created_at ON delivery_events USING brin (created_at);

CREATE TABLE mail_parts (
    id bigserial CONSTRAINT pk_mail_parts PRIMARY KEY,
    key bytea NOT NULL CONSTRAINT uq_mail_parts_key UNIQUE,
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
    name uuid DEFAULT gen_random_uuid() CONSTRAINT pk_installations PRIMARY KEY,
    is_demo boolean NOT NULL DEFAULT false,
    has_sample_papers boolean NOT NULL DEFAULT false,
    seen_at timestamptz,
    back_at timestamptz,
    marked_at timestamptz
);
INSERT INTO installations DEFAULT VALUES;

CREATE TABLE restores (
    id bigserial CONSTRAINT pk_restores PRIMARY KEY,
    until timestamptz NOT NULL,
    editions jsonb NOT NULL,
    accepted_at timestamptz NOT NULL
);
