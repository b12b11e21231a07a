-- Triggers that log a transaction which changed anything that pages of papers show, for the cache of
-- rendered pages: in `paper_changes`, as paper 0. Most are by statement, so that a batch costs one short row.

CREATE FUNCTION tell_page_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO paper_changes (changed_in, paper_id)
    VALUES (pg_current_xact_id()::text::bigint, 0) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

DO $$
DECLARE
    shown text;
BEGIN
    FOREACH shown IN ARRAY ARRAY[
        'papers', 'paper_versions', 'batches', 'announcements', 'signals', 'votes', 'picks'
    ] LOOP
        EXECUTE format(
            'CREATE TRIGGER tell_page_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %I'
            ' FOR EACH STATEMENT EXECUTE FUNCTION tell_page_change()', shown
        );
    END LOOP;
END $$;

-- Of these two tables pages show one column, and others change with every mail. By row, since editions are
-- opened again and again with no effect.
CREATE TRIGGER tell_page_change AFTER INSERT OR UPDATE OF note OR DELETE ON editions
    FOR EACH ROW EXECUTE FUNCTION tell_page_change();
CREATE TRIGGER tell_page_change AFTER INSERT OR UPDATE OF has_sample_papers ON installations
    FOR EACH ROW EXECUTE FUNCTION tell_page_change();
