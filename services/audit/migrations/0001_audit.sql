-- SPDX-License-Identifier: MIT
-- The record nobody can alter unseen: a log per tenant, its Merkle tree in tiles, signed heads, and how far the intents of
-- every schema were read. Entries, tiles and heads are only ever added; the growing tile of a level is replaced.
CREATE SCHEMA audit;
GRANT USAGE ON SCHEMA audit TO sekisho_audit;

-- Plain columns are for searching; the record itself, with its salt, is sealed. NULL: erased, the leaf stands.
CREATE TABLE audit.entry (
  tenant uuid NOT NULL,
  index int8 NOT NULL CHECK (index >= 0),
  intent uuid NOT NULL,                  -- id of the audit_intent it was made of
  at timestamptz NOT NULL,
  action text COLLATE "C" NOT NULL,
  outcome text COLLATE "C" NOT NULL,
  actor bytea NOT NULL,
  source bytea NOT NULL,
  subject uuid NOT NULL,
  leaf bytea NOT NULL CHECK (octet_length(leaf) = 32),
  sealed bytea,
  PRIMARY KEY (tenant, index),
  UNIQUE (tenant, intent)                -- no intent is appended twice, whatever was restored
);
ALTER TABLE audit.entry ALTER COLUMN sealed SET STORAGE EXTERNAL;
CREATE INDEX entry_at ON audit.entry (tenant, at, index);
CREATE INDEX entry_actor ON audit.entry (tenant, actor, at, index);
CREATE INDEX entry_action ON audit.entry (tenant, action, at, index);
CREATE INDEX entry_subject ON audit.entry (tenant, subject, at, index);
CREATE INDEX entry_source ON audit.entry (tenant, source, at, index) WHERE source <> '';
CREATE INDEX entry_outcome ON audit.entry (tenant, outcome, at, index) WHERE outcome <> 'ok';
SELECT sekisho.protect('audit.entry');
GRANT SELECT, INSERT ON audit.entry TO sekisho_audit;

-- Size and root of each log. An append is a compare-and-set on size.
CREATE TABLE audit.tree (
  tenant uuid PRIMARY KEY,
  size int8 NOT NULL CHECK (size >= 0),
  root bytea NOT NULL CHECK (octet_length(root) = 32)
);
SELECT sekisho.protect('audit.tree');
GRANT SELECT, INSERT, UPDATE (size, root) ON audit.tree TO sekisho_audit;

-- Up to 256 hashes: roots of the perfect subtrees of height 8 * level, from 256 * n on (libs/record/tiles.h).
CREATE TABLE audit.tile (
  tenant uuid NOT NULL,
  level int2 NOT NULL,
  n int8 NOT NULL,
  hashes bytea NOT NULL CHECK (octet_length(hashes) % 32 = 0 AND octet_length(hashes) <= 8192),
  PRIMARY KEY (tenant, level, n)
) WITH (toast_tuple_target = 8160);
ALTER TABLE audit.tile ALTER COLUMN hashes SET STORAGE EXTERNAL;
SELECT sekisho.protect('audit.tile');
GRANT SELECT, INSERT, UPDATE (hashes) ON audit.tile TO sekisho_audit;

CREATE TABLE audit.head (
  tenant uuid NOT NULL,
  size int8 NOT NULL,
  root bytea NOT NULL CHECK (octet_length(root) = 32),
  checkpoint bytea NOT NULL,
  at timestamptz NOT NULL,
  PRIMARY KEY (tenant, size)
);
SELECT sekisho.protect('audit.head');
GRANT SELECT, INSERT ON audit.head TO sekisho_audit;

-- Up to where a schema's intents were read: all with a smaller (xid, id). cluster: whose transaction ids these are.
CREATE TABLE audit.mark (
  tenant uuid NOT NULL,
  source text COLLATE "C" NOT NULL,      -- schema
  xid xid8 NOT NULL,
  id uuid NOT NULL,
  cluster int8 NOT NULL,
  PRIMARY KEY (tenant, source)
);
SELECT sekisho.protect('audit.mark');
GRANT SELECT, INSERT, UPDATE (xid, id, cluster) ON audit.mark TO sekisho_audit;

-- Which numbers of each writer's epoch were met. Across tenants and without content: no row-level security.
CREATE TABLE audit.writer (
  writer text NOT NULL,
  epoch uuid NOT NULL,
  seen int8multirange NOT NULL,
  PRIMARY KEY (writer, epoch)
);
GRANT SELECT, INSERT, UPDATE (seen), DELETE ON audit.writer TO sekisho_audit;

SELECT sekisho.make_audit_intent('audit', 'sekisho_audit');

-- Which of these tenants have intents that were not read yet, in one schema: one function per schema, so that its plans are
-- kept. It looks at one tenant after the other as that tenant, and leaves none set. oldest: of the intents found waiting.
-- PL/pgSQL looks for the table when it runs, so the schema may come later.
DO $make$
DECLARE
  source text;
BEGIN
  FOREACH source IN ARRAY ARRAY['ingest', 'auth', 'policy', 'delivery', 'audit', 'notify', 'api', 'keeper'] LOOP
    EXECUTE format($f$
      CREATE FUNCTION audit.waiting_%1$s(tenants uuid[], horizon xid8, cluster_ int8)
      RETURNS TABLE (tenant uuid, oldest timestamptz) LANGUAGE plpgsql AS $body$
      DECLARE
        t uuid;
        m audit.mark;
        found_ timestamptz;
      BEGIN
        FOREACH t IN ARRAY tenants LOOP
          PERFORM set_config('sekisho.tenant', t::text, true);
          SELECT * INTO m FROM audit.mark k WHERE k.tenant = t AND k.source = %1$L;
          IF FOUND AND m.cluster = cluster_ THEN
            SELECT i.at INTO found_ FROM %1$I.audit_intent i
              WHERE i.tenant = t AND i.xid >= m.xid AND i.xid < horizon AND (i.xid, i.id) > (m.xid, m.id)
              ORDER BY i.xid LIMIT 1;
          ELSE
            SELECT i.at INTO found_ FROM %1$I.audit_intent i WHERE i.tenant = t ORDER BY i.xid LIMIT 1;
          END IF;
          IF FOUND THEN
            tenant := t;
            oldest := found_;
            RETURN NEXT;
          END IF;
        END LOOP;
        PERFORM set_config('sekisho.tenant', '', true);
      END $body$;
      REVOKE ALL ON FUNCTION audit.waiting_%1$s(uuid[], xid8, int8) FROM PUBLIC;
      GRANT EXECUTE ON FUNCTION audit.waiting_%1$s(uuid[], xid8, int8) TO sekisho_audit;
    $f$, source);
  END LOOP;
END $make$;
