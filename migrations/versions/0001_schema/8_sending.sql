-- Provider limits: how fast we send to each provider, and whether it is paused (circuit breaker).

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
