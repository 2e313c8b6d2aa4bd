-- Like the database itself.
SELECT format(
    'CREATE DATABASE temporal_stack_rehearsal OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L',
    :'owner', pg_encoding_to_char(encoding), datcollate, datctype
)
FROM pg_database WHERE datname = :'database'
\gexec
