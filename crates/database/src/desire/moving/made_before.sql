-- The schemas of extensions, as the list of a dump has them: the administrator makes them with the extensions.
SET search_path = pg_catalog;
SELECT DISTINCT format('; %s %s SCHEMA ', 'pg_namespace'::regclass::oid, x.extnamespace)
FROM pg_extension x;
