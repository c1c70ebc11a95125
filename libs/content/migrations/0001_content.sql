-- Bodies, facts and decision records, sealed in chunks under a key derived from the tenant's data key; the data key
-- is kept wrapped by the key-encryption key, which the database never sees.
CREATE SCHEMA content;
GRANT USAGE ON SCHEMA content TO sekisho_ingest, sekisho_delivery, sekisho_policy, sekisho_auth, sekisho_keeper,
  sekisho_audit, sekisho_notify;

CREATE TABLE content.tenant_key (
  tenant uuid NOT NULL,
  epoch int4 NOT NULL,          -- counts rotations, from 1; chunks name theirs
  wrapped bytea NOT NULL,
  made_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant, epoch)
);
SELECT sekisho.protect('content.tenant_key');
GRANT SELECT, INSERT ON content.tenant_key TO sekisho_ingest, sekisho_delivery, sekisho_policy, sekisho_auth,
  sekisho_audit, sekisho_notify;

CREATE TABLE content.chunk (
  tenant uuid NOT NULL,
  id uuid NOT NULL,             -- of the message: UUID version 7
  kind int2 NOT NULL,           -- enum content_kind
  n int4 NOT NULL,              -- from 0
  last bool NOT NULL,
  epoch int4 NOT NULL,          -- of the tenant key
  sealed bytea NOT NULL,
  PRIMARY KEY (tenant, id, kind, n)
) PARTITION BY RANGE (id);
ALTER TABLE content.chunk ALTER COLUMN sealed SET STORAGE EXTERNAL; -- sealed bytes do not compress
SELECT sekisho.protect('content.chunk');
-- An ordinary mail stays in its row: no second table, no second index.
SELECT sekisho.partition('content.chunk', 'toast_tuple_target = 8160');
GRANT INSERT ON content.chunk TO sekisho_ingest, sekisho_delivery;
GRANT SELECT ON content.chunk TO sekisho_ingest, sekisho_delivery, sekisho_policy;
-- Nothing is deleted one by one but what the sink of a sandbox tenant kept (enum content_kind: CONTENT_SANDBOX).
GRANT DELETE ON content.chunk TO sekisho_delivery;
CREATE POLICY sandbox ON content.chunk AS RESTRICTIVE FOR DELETE USING (kind = 5);
