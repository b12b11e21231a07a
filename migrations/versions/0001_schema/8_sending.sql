-- Provider limits: how fast we send to each provider, and whether it is paused (circuit breaker).
-- Warm-ups: what each provider got from a new domain on a day.
-- Pauses of all sending: the row without an end is the switch, and there is at most one.

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

CREATE TABLE warm_up_counts (
    domain text,
    day date,
    provider text,
    sent_count bigint NOT NULL,
    CONSTRAINT pk_warm_up_counts PRIMARY KEY (domain, day, provider)
);

CREATE TABLE sending_pauses (
    id bigserial CONSTRAINT pk_sending_pauses PRIMARY KEY,
    began_at timestamptz NOT NULL,
    began_by text NOT NULL,
    ended_at timestamptz,
    ended_by text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX uq_sending_pauses_open ON sending_pauses (ended_by) WHERE ended_at IS NULL;
