-- Triggers that log inserts, changes and deletions of papers, for the caches of papers in memory. They
-- are statement-level triggers, so that storing a batch costs one more INSERT. Only columns that
-- previews and searches read, and vectors (similarity.sql), count as a change; a new trend does not.

CREATE FUNCTION tell_paper_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO paper_changes (changed_in, paper_id)
        SELECT pg_current_xact_id()::text::bigint, id FROM now_there ON CONFLICT DO NOTHING;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO paper_changes (changed_in, paper_id)
        SELECT pg_current_xact_id()::text::bigint, id FROM were_there ON CONFLICT DO NOTHING;
    ELSE
        INSERT INTO paper_changes (changed_in, paper_id)
        SELECT pg_current_xact_id()::text::bigint, id
        FROM (
            SELECT id, key, title, abstract, author_keys, categories, primary_category, sources,
                first_announced_on, announced_as, replaced_on FROM now_there
            EXCEPT
            SELECT id, key, title, abstract, author_keys, categories, primary_category, sources,
                first_announced_on, announced_as, replaced_on FROM were_there
        ) AS differ
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell_new_papers AFTER INSERT ON papers
    REFERENCING NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION tell_paper_changes();
CREATE TRIGGER tell_changed_papers AFTER UPDATE ON papers
    REFERENCING OLD TABLE AS were_there NEW TABLE AS now_there
    FOR EACH STATEMENT EXECUTE FUNCTION tell_paper_changes();
CREATE TRIGGER tell_gone_papers AFTER DELETE ON papers
    REFERENCING OLD TABLE AS were_there
    FOR EACH STATEMENT EXECUTE FUNCTION tell_paper_changes();
