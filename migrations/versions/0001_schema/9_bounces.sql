-- Bounces and complaints, one row each, mails that could not be parsed, and tokens of
-- webhook calls.

CREATE TYPE bounce_verdict AS ENUM (
    'address', 'full', 'policy', 'content', 'configuration', 'complaint', 'auto_reply',
    'not_a_bounce', 'unsubscribe', 'unknown'
);

CREATE TABLE bounce_events (
    id bigserial CONSTRAINT pk_bounce_events PRIMARY KEY,
    key text NOT NULL CONSTRAINT uq_bounce_events_key UNIQUE,
    source text NOT NULL,
    -- No foreign key, so that dropping a month of deliveries searches for none of its bounces.
    delivery_id bigint,
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

CREATE TABLE quarantined_mails (
    id bigserial CONSTRAINT pk_quarantined_mails PRIMARY KEY,
    key text NOT NULL CONSTRAINT uq_quarantined_mails_key UNIQUE,
    source text NOT NULL,
    reason text NOT NULL,
    place text NOT NULL,
    size integer NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ix_quarantined_mails_created_at ON quarantined_mails (created_at);

CREATE TABLE webhook_tokens (
    key text CONSTRAINT pk_webhook_tokens PRIMARY KEY,
    content text NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ix_webhook_tokens_created_at ON webhook_tokens (created_at);
