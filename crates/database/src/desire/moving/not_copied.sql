-- Tables of extensions with rows of users, as patterns: the login may not write to them, and their rows may be instructions to a superuser.
SET search_path = pg_catalog;
SELECT format('"%s"."%s"', replace(n.nspname, '"', '""'), replace(c.relname, '"', '""'))
FROM pg_extension x CROSS JOIN unnest(x.extconfig) t (id)
    JOIN pg_class c ON c.oid = t.id JOIN pg_namespace n ON n.oid = c.relnamespace;
