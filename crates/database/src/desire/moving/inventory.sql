SET search_path = pg_catalog;
SET row_security = off;
SET statement_timeout = 0;
-- A table that has become a view meanwhile is not evaluated.
SELECT set_config(name, 'view, foreign-table', false) IS NULL FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind' \g /dev/null
-- Relations of users: those of extensions are made by the extensions, and an index that is not valid is no index.
\set users 'n.nspname NOT IN (''pg_catalog'', ''information_schema'') AND n.nspname !~ ''^pg_(toast|temp)'' AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = ''pg_class''::regclass AND e.objid = c.oid AND e.deptype = ''e'') AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = c.oid AND NOT i.indisvalid)'

-- Rows. A partitioned table has none of its own, and a materialized view is computed again.
SELECT format('SELECT %L, count(*) FROM ONLY %I.%I', 'rows of ' || n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND :users
\gexec
SELECT format('SELECT %L, last_value, is_called FROM %I.%I', 'sequence ' || n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND :users
\gexec
SELECT 'relations of kind ' || c.relkind::text, count(*)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE :users GROUP BY c.relkind;
SELECT 'constraints of kind ' || k.contype::text, count(*)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND :users GROUP BY k.contype;
SELECT 'triggers', count(*)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND :users;
-- Those that belong to a type of ranges come with it, in a number that depends on the version.
SELECT 'functions', count(*)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype IN ('e', 'i'));
SELECT 'extension ' || x.extname, n.nspname FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace;
SELECT 'large objects', count(*) FROM pg_largeobject_metadata;
