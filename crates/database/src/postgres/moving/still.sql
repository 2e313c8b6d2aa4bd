SELECT CASE
    WHEN ({closed}) IS NOT TRUE THEN 'it is open'
    WHEN ({prepared}) > 0 THEN 'it has prepared transactions'
    ELSE coalesce((
        SELECT 'it has sessions of ' || string_agg(DISTINCT coalesce(a.usename::text, a.backend_type, 'others'), ', ')
        FROM pg_stat_activity a WHERE {sessions}
    ), 'still')
END
FROM pg_database d WHERE d.datname = current_database();
