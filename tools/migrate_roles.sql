-- SPDX-License-Identifier: MIT
-- The roles everything else is granted to. sekisho_owner owns every schema and cannot log in; each service logs in as
-- its own role, which owns nothing and cannot bypass row-level security. Run by a superuser, in the database of
-- Sekisho, before tools/migrate.py; harmless to repeat. Passwords or certificates are the operator's business.
DO $$
DECLARE
  r text;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sekisho_owner') THEN
    CREATE ROLE sekisho_owner NOLOGIN;
  END IF;
  FOREACH r IN ARRAY ARRAY['ingest', 'auth', 'policy', 'delivery', 'keeper', 'api', 'audit', 'notify'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'sekisho_' || r) THEN
      EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS NOINHERIT', 'sekisho_' || r);
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), 'sekisho_' || r);
  END LOOP;
  EXECUTE format('ALTER DATABASE %I OWNER TO sekisho_owner', current_database());
  EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
END $$;
REVOKE ALL ON SCHEMA public FROM PUBLIC;
