-- `needs` is what the old server has answered, `owner` the role that owns the database.
SELECT format('CREATE ROLE %I NOLOGIN', role)
FROM jsonb_array_elements_text(:'needs'::jsonb -> 'roles') role
WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = role)
\gexec
SELECT DISTINCT format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', x.schema, :'owner')
FROM jsonb_to_recordset(:'needs'::jsonb -> 'extensions') x (schema text)
WHERE NOT EXISTS (SELECT FROM pg_namespace n WHERE n.nspname = x.schema)
\gexec
-- In the order in which they were made, so that each finds those that it needs.
SELECT format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I', x.value ->> 'name', x.value ->> 'schema')
FROM jsonb_array_elements(:'needs'::jsonb -> 'extensions') WITH ORDINALITY x (value, number)
ORDER BY x.number
\gexec
