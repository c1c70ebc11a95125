-- What every schema builds on: the tenant of a transaction, the protection of a table, monthly partitions by
-- UUID version 7, and the table of audit intents. Run by the owner role sekisho_owner.
CREATE SCHEMA sekisho;
GRANT USAGE ON SCHEMA sekisho TO PUBLIC;

-- Row-level security for a table with a column "tenant": FORCEd, so that it binds the owner too. After SET LOCAL the
-- setting reads '' later, not NULL (hence NULLIF).
CREATE FUNCTION sekisho.protect(t regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t);
  EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t);
  EXECUTE format('CREATE POLICY tenant ON %s USING (tenant = NULLIF(current_setting(''sekisho.tenant'', true), '''')::uuid)', t);
END $$;
REVOKE ALL ON FUNCTION sekisho.protect(regclass) FROM PUBLIC;

-- The smallest UUID version 7 of an instant.
CREATE FUNCTION sekisho.uuid_floor(at timestamptz) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000' || '8000' || '000000000000')::uuid
$$;

-- Tables partitioned by month of the id, and their partitions. keeper calls partition_make through the one function
-- below that runs as the owner; it can make partitions of registered tables and nothing else.
CREATE TABLE sekisho.partitioned (
  parent regclass PRIMARY KEY,
  storage text NOT NULL         -- storage parameters of each partition, or empty; a partitioned table has none itself
);

CREATE FUNCTION sekisho.partition_make(month date) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  p regclass;
  storage_ text;
  name text;
  made int := 0;
  from_ timestamptz := date_trunc('month', month)::timestamp AT TIME ZONE 'UTC';
  to_ timestamptz := (date_trunc('month', month) + interval '1 month')::timestamp AT TIME ZONE 'UTC';
BEGIN
  FOR p, storage_ IN SELECT parent, storage FROM sekisho.partitioned LOOP
    SELECT format('%I.%I', n.nspname, c.relname || to_char(from_ AT TIME ZONE 'UTC', '_YYYY_MM')) INTO name
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = p;
    IF to_regclass(name) IS NULL THEN
      EXECUTE format('CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%L) TO (%L) %s', name, p,
                     sekisho.uuid_floor(from_), sekisho.uuid_floor(to_),
                     CASE WHEN storage_ <> '' THEN 'WITH (' || storage_ || ')' ELSE '' END);
      made := made + 1;
    END IF;
  END LOOP;
  RETURN made;
END $$;
REVOKE ALL ON FUNCTION sekisho.partition_make(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sekisho.partition_make(date) TO sekisho_keeper;

-- Register a table (PARTITION BY RANGE on its UUID version 7) and make this month's partition and the next two.
CREATE FUNCTION sekisho.partition(t regclass, storage_ text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO sekisho.partitioned VALUES (t, storage_);
  PERFORM sekisho.partition_make((now() AT TIME ZONE 'UTC')::date);
  PERFORM sekisho.partition_make(((now() AT TIME ZONE 'UTC') + interval '1 month')::date);
  PERFORM sekisho.partition_make(((now() AT TIME ZONE 'UTC') + interval '2 months')::date);
END $$;
REVOKE ALL ON FUNCTION sekisho.partition(regclass, text) FROM PUBLIC;

-- A schema's audit intents: what was done, written in the commit that did it. The service inserts and reads, never
-- changes; the sequence per (writer, epoch) has no gap. audit reads them in the order of xid, up to the oldest
-- transaction that may still commit: so it meets each exactly once (docs/decisions/0060).
CREATE FUNCTION sekisho.make_audit_intent(schema_ text, role_ text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE %I.audit_intent (
    tenant uuid NOT NULL, id uuid NOT NULL, writer text NOT NULL, epoch uuid NOT NULL, seq int8 NOT NULL,
    at timestamptz NOT NULL, action text NOT NULL, outcome text NOT NULL, actor bytea NOT NULL,
    source bytea, subject uuid NOT NULL, number int4 NOT NULL, detail bytea, traceparent text,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (tenant, id)) PARTITION BY RANGE (id)', schema_);
  EXECUTE format('CREATE INDEX ON %I.audit_intent (tenant, subject)', schema_);
  EXECUTE format('CREATE INDEX ON %I.audit_intent (tenant, xid)', schema_);
  PERFORM sekisho.protect(format('%I.audit_intent', schema_)::regclass);
  PERFORM sekisho.partition(format('%I.audit_intent', schema_)::regclass);
  EXECUTE format('GRANT SELECT, INSERT ON %I.audit_intent TO %I', schema_, role_);
  EXECUTE format('GRANT USAGE ON SCHEMA %I TO sekisho_audit', schema_);
  EXECUTE format('GRANT SELECT ON %I.audit_intent TO sekisho_audit', schema_);
END $$;
REVOKE ALL ON FUNCTION sekisho.make_audit_intent(text, text) FROM PUBLIC;

-- A schema's idempotency keys: stored in the commit of the effect, with the answer (sealed). libs/svc/once.h.
CREATE FUNCTION sekisho.make_idempotency(schema_ text, role_ text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('CREATE TABLE %I.idempotency (
    tenant uuid NOT NULL, key bytea NOT NULL, request bytea NOT NULL, reply bytea NOT NULL,
    made_at timestamptz NOT NULL,
    PRIMARY KEY (tenant, key))', schema_);
  EXECUTE format('CREATE INDEX ON %I.idempotency (tenant, made_at)', schema_);
  PERFORM sekisho.protect(format('%I.idempotency', schema_)::regclass);
  EXECUTE format('GRANT SELECT, INSERT, DELETE ON %I.idempotency TO %I', schema_, role_);
END $$;
REVOKE ALL ON FUNCTION sekisho.make_idempotency(text, text) FROM PUBLIC;
