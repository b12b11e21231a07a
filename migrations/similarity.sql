-- Vectors of papers, like queries, frequencies of lexemes: what `like:` and similar papers need beside
-- the schema. Made by every `paperboy migrate` that finds pgvector 0.7 or newer, for `halfvec` and
-- `sparsevec`, and these tables missing. A migration that changes them must work without them, too.

CREATE TABLE paper_meanings (
    paper_id bigint CONSTRAINT pk_paper_meanings PRIMARY KEY
        CONSTRAINT fk_paper_meanings_paper_id_papers REFERENCES papers ON DELETE CASCADE,
    model text NOT NULL,
    dense halfvec,
    sparse sparsevec NOT NULL,
    paper_updated_at timestamptz NOT NULL
);

CREATE TABLE probes (
    id bigserial CONSTRAINT pk_probes PRIMARY KEY,
    text text NOT NULL,
    model text NOT NULL,
    generation bigint NOT NULL,
    dense halfvec,
    sparse sparsevec NOT NULL,
    dense_factor bigint NOT NULL,
    sparse_factor bigint NOT NULL,
    threshold bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT uq_probes_text_model_generation UNIQUE (text, model, generation)
);

CREATE TABLE lexeme_counts (
    lexeme text CONSTRAINT pk_lexeme_counts PRIMARY KEY,
    paper_count bigint NOT NULL
);

CREATE TABLE meaning_generations (
    generation bigint CONSTRAINT pk_meaning_generations PRIMARY KEY,
    model text NOT NULL,
    paper_count bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE FUNCTION tell_meaning_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO paper_changes (changed_in, paper_id)
    SELECT pg_current_xact_id()::text::bigint, paper_id FROM touched ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_new_meanings AFTER INSERT ON paper_meanings
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION tell_meaning_changes();
CREATE TRIGGER tell_changed_meanings AFTER UPDATE ON paper_meanings
    REFERENCING NEW TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION tell_meaning_changes();
CREATE TRIGGER tell_gone_meanings AFTER DELETE ON paper_meanings
    REFERENCING OLD TABLE AS touched
    FOR EACH STATEMENT EXECUTE FUNCTION tell_meaning_changes();

-- The rarity of words, by which the pages of papers find similar ones, is that of the newest generation.
CREATE TRIGGER tell_page_change AFTER INSERT ON meaning_generations
    FOR EACH STATEMENT EXECUTE FUNCTION tell_page_change();
