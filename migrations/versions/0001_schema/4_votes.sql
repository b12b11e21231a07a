-- Votes of subscribers for papers: tables of the room of papers, after the subscribers whom they name.

-- One vote a paper and mailbox. A withdrawn vote stays, so that giving it again is no new vote.
CREATE TABLE votes (
    id bigserial CONSTRAINT pk_votes PRIMARY KEY,
    paper_id bigint NOT NULL
        CONSTRAINT fk_votes_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    subscriber_id bigint NOT NULL
        CONSTRAINT fk_votes_subscriber_id_subscribers REFERENCES subscribers ON DELETE CASCADE,
    -- SHA-256 of the installation's name and the mailbox, as it was when the vote was given.
    mailbox bytea NOT NULL,
    domain text NOT NULL,
    confirmed_at timestamptz,
    weight double precision NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    withdrawn_at timestamptz,
    CONSTRAINT uq_votes_paper_id_subscriber_id UNIQUE (paper_id, subscriber_id),
    CONSTRAINT uq_votes_paper_id_mailbox UNIQUE (paper_id, mailbox)
);
CREATE INDEX ix_votes_subscriber_id ON votes (subscriber_id);
CREATE INDEX ix_votes_changed_at ON votes (changed_at);
