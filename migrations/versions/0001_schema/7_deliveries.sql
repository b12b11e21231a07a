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

-- Deliveries, their events and their copies are partitioned by ranges of the delivery's id, all alike.
-- The id of a digest begins with the month of its edition: 2611000000000042 is the sequence's number 42
-- in November 2026 (decision 0021). All other mails have the sequence's number alone, and are in
-- `…_single`. So a look-up by id reads one partition, and a month is emptied or dropped as a whole.

-- Columns are in the order of their alignment, eight bytes first: in another a digest has up to 30 bytes
-- of padding. `message_id` is 14 bytes, see `domain/message_ids.py`.
CREATE TABLE deliveries (
    id bigserial CONSTRAINT pk_deliveries PRIMARY KEY,
    edition_id bigint,
    subscriber_id bigint
        CONSTRAINT fk_deliveries_subscriber_id_subscribers
        REFERENCES subscribers ON DELETE SET NULL,
    due_at timestamptz NOT NULL,
    send_not_after timestamptz NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    sent_at timestamptz,
    lease_owner bigint,
    lease_until timestamptz,
    -- No foreign key: it may be of another month, which would have to be searched for each one dropped.
    carried_into_id bigint,
    kind delivery_kind NOT NULL,
    state delivery_state NOT NULL,
    edition_month smallint NOT NULL GENERATED ALWAYS AS ((id / 1000000000000)::smallint) STORED,
    attempt smallint NOT NULL DEFAULT '0',
    deferral_count smallint NOT NULL DEFAULT '0',
    occasion text NOT NULL DEFAULT '',
    reason text NOT NULL DEFAULT '',
    lane text NOT NULL DEFAULT '',
    relay text NOT NULL DEFAULT '',
    message_id bytea NOT NULL DEFAULT '',
    last_reply text NOT NULL DEFAULT '',
    paper_ids integer[] NOT NULL DEFAULT '{}',
    digest bytea,
    alert jsonb,
    -- All rows of an edition are in the partition of its month, so that the partition's unique key
    -- (subscriber_id, edition_id) holds for all of them.
    CONSTRAINT fk_deliveries_edition_id_edition_month_editions
        FOREIGN KEY (edition_id, edition_month) REFERENCES editions (id, month) ON DELETE CASCADE,
    CONSTRAINT ck_deliveries_digest_has_edition
        CHECK ((edition_id IS NOT NULL) = (kind = 'digest')),
    CONSTRAINT ck_deliveries_digest_has_month
        CHECK ((edition_id IS NOT NULL) = (id >= 1000000000000))
) PARTITION BY RANGE (id);
CREATE INDEX ix_deliveries_queued ON deliveries (edition_id, due_at, id) WHERE state = 'queued';
CREATE INDEX ix_deliveries_lane ON deliveries (
    lane, (edition_id IS NOT NULL OR send_not_after - created_at > interval '5 days'), created_at, id
) WHERE state = 'queued' AND lane <> '';
CREATE INDEX ix_deliveries_lease_until ON deliveries (lease_until)
    WHERE state IN ('claimed', 'in_flight');
CREATE INDEX ix_deliveries_in_doubt ON deliveries (edition_id, subscriber_id)
    WHERE state = 'in_doubt';
CREATE INDEX ix_deliveries_edition_id_state ON deliveries (edition_id, state);
CREATE INDEX ix_deliveries_sent_at ON deliveries (sent_at) WHERE sent_at IS NOT NULL;
-- Mails whose papers the subscriber's next digest carries over: a few of millions.
CREATE INDEX ix_deliveries_unsent ON deliveries (subscriber_id) WHERE carried_into_id IS NULL
    AND (state IN ('carried', 'failed') OR state = 'skipped' AND reason = 'late');

CREATE TABLE delivery_events (
    id bigserial,
    delivery_id bigint NOT NULL,
    attempt smallint NOT NULL,
    state delivery_state NOT NULL,
    detail text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    phase text NOT NULL DEFAULT '',
    relay text NOT NULL DEFAULT '',
    CONSTRAINT pk_delivery_events PRIMARY KEY (id, delivery_id)
) PARTITION BY RANGE (delivery_id);
CREATE INDEX ix_delivery_events_delivery_id ON delivery_events (delivery_id);
CREATE INDEX ix_delivery_events_created_at ON delivery_events USING brin (created_at);

-- Copies of digests have no time of their own: they are dropped with their month.
CREATE TABLE mail_copies (
    delivery_id bigint CONSTRAINT pk_mail_copies PRIMARY KEY,
    created_at timestamptz,
    content_hash bytea NOT NULL,
    recipe bytea NOT NULL
) PARTITION BY RANGE (delivery_id);

-- Parts that copies of one month share; month 0 has those of mails that belong to no edition.
CREATE TABLE mail_parts (
    month smallint,
    id bigserial,
    key bytea NOT NULL,
    body bytea NOT NULL,
    stored_at timestamptz NOT NULL,
    CONSTRAINT pk_mail_parts PRIMARY KEY (id, month),
    CONSTRAINT uq_mail_parts_month_key UNIQUE (month, key)
) PARTITION BY LIST (month);

-- The partitions of mails that belong to no edition.
CREATE TABLE deliveries_single PARTITION OF deliveries (
    CONSTRAINT ck_deliveries_single_no_edition CHECK (edition_id IS NULL)
) FOR VALUES FROM (MINVALUE) TO (1000000000000);
CREATE UNIQUE INDEX uq_deliveries_kind_subscriber_id_occasion
    ON deliveries_single (kind, subscriber_id, occasion);
CREATE UNIQUE INDEX uq_deliveries_alert_occasion
    ON deliveries_single (occasion) WHERE kind IN ('operator_alert', 'daily_report');
CREATE INDEX ix_deliveries_urgent ON deliveries_single (due_at, id)
    WHERE edition_id IS NULL AND state = 'queued'
        AND send_not_after - created_at <= interval '5 days';
CREATE INDEX ix_deliveries_patient ON deliveries_single (due_at, id)
    WHERE edition_id IS NULL AND state = 'queued'
        AND send_not_after - created_at > interval '5 days';
CREATE INDEX ix_deliveries_created_at ON deliveries_single (created_at);
CREATE INDEX ix_deliveries_subscriber_id ON deliveries_single (subscriber_id);
CREATE TABLE delivery_events_single PARTITION OF delivery_events (
    CONSTRAINT fk_delivery_events_single_delivery_id
        FOREIGN KEY (delivery_id) REFERENCES deliveries_single ON DELETE CASCADE
) FOR VALUES FROM (MINVALUE) TO (1000000000000);
CREATE TABLE mail_copies_single PARTITION OF mail_copies (
    CONSTRAINT ck_mail_copies_single_has_time CHECK (created_at IS NOT NULL),
    CONSTRAINT fk_mail_copies_single_delivery_id
        FOREIGN KEY (delivery_id) REFERENCES deliveries_single ON DELETE CASCADE
) FOR VALUES FROM (MINVALUE) TO (1000000000000);
CREATE TABLE mail_parts_single PARTITION OF mail_parts FOR VALUES IN (0);

-- Make the partitions of a month (YYMM), unless they are there. They are attached, because attaching
-- locks out nobody who reads or writes the other months, and does not wait for a dump.
CREATE FUNCTION make_month(month integer) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    bounds text := format(
        'FOR VALUES FROM (%s) TO (%s)', month * 1000000000000, (month + 1) * 1000000000000
    );
    like_all text := 'INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING CONSTRAINTS INCLUDING STORAGE';
    name text;
BEGIN
    IF to_regclass('deliveries_' || month) IS NOT NULL THEN
        RETURN;
    END IF;
    -- Not an advisory lock: after that, the cache would still say that the table is missing.
    LOCK TABLE deliveries IN SHARE UPDATE EXCLUSIVE MODE;
    IF to_regclass('deliveries_' || month) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE deliveries_%s (LIKE deliveries %s)', month, like_all);
    EXECUTE format(
        'ALTER TABLE deliveries_%1$s ALTER edition_id SET NOT NULL, ADD CONSTRAINT'
        ' uq_deliveries_%1$s_subscriber_id_edition_id UNIQUE (subscriber_id, edition_id)', month
    );
    EXECUTE format('ALTER TABLE deliveries ATTACH PARTITION deliveries_%s %s', month, bounds);
    FOREACH name IN ARRAY ARRAY['delivery_events', 'mail_copies'] LOOP
        EXECUTE format('CREATE TABLE %1$s_%2$s (LIKE %1$s %3$s)', name, month, like_all);
        EXECUTE format(
            'ALTER TABLE %1$s_%2$s ADD CONSTRAINT fk_%1$s_%2$s_delivery_id FOREIGN KEY (delivery_id)'
            ' REFERENCES deliveries_%2$s ON DELETE CASCADE', name, month
        );
        EXECUTE format('ALTER TABLE %1$s ATTACH PARTITION %1$s_%2$s %3$s', name, month, bounds);
    END LOOP;
    EXECUTE format('CREATE TABLE mail_parts_%s (LIKE mail_parts %s)', month, like_all);
    EXECUTE format('ALTER TABLE mail_parts ATTACH PARTITION mail_parts_%1$s FOR VALUES IN (%1$s)', month);
END $$;

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
