SET search_path = pg_catalog;
SET ROLE NONE;
