-- What the administrator of the new server makes, as one line: the answer is a value there, never a statement.
SET search_path = pg_catalog;
SELECT jsonb_build_object(
    'extensions', (
        SELECT coalesce(jsonb_agg(jsonb_build_object('name', x.extname, 'schema', n.nspname) ORDER BY x.oid), '[]')
        FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
        WHERE x.extname <> 'plpgsql'
    ),
    -- Policies name roles, which cannot log in afterwards.
    'roles', (
        SELECT coalesce(jsonb_agg(DISTINCT r.rolname), '[]')
        FROM pg_shdepend d JOIN pg_database b ON b.oid = d.dbid JOIN pg_roles r ON r.oid = d.refobjid
        WHERE b.datname = current_database() AND d.classid = 'pg_policy'::regclass AND d.refclassid = 'pg_authid'::regclass
            AND r.rolname !~ '^pg_'
    )
);
