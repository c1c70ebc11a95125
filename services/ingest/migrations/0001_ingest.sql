-- SPDX-License-Identifier: MIT
-- What was accepted, and its way to delivery: acceptances with their events, the outbox, idempotency keys, messages
-- that crashed the scanner.
CREATE SCHEMA ingest;
GRANT USAGE ON SCHEMA ingest TO sekisho_ingest, sekisho_keeper;

-- One row per 250. recipients is what conservation counts from; event is the encoded sekisho.ingest.Accepted.
CREATE TABLE ingest.acceptance (
  tenant uuid NOT NULL,
  id uuid NOT NULL,               -- of the message: UUID version 7
  accepted_at timestamptz NOT NULL,
  direction text NOT NULL CHECK (direction IN ('outgoing', 'incoming')),
  mail_from bytea NOT NULL,
  recipients bytea[] NOT NULL CHECK (cardinality(recipients) > 0),
  size int8 NOT NULL,
  sha256 bytea NOT NULL,
  event bytea NOT NULL,
  PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
SELECT sekisho.protect('ingest.acceptance');
SELECT sekisho.partition('ingest.acceptance');
GRANT SELECT, INSERT ON ingest.acceptance TO sekisho_ingest;
GRANT SELECT (tenant, id, accepted_at, recipients) ON ingest.acceptance TO sekisho_keeper; -- what it counts

-- What delivery has not confirmed yet. Content-free, found across tenants, so without row-level security.
CREATE TABLE ingest.outbox (
  id uuid NOT NULL,
  tenant uuid NOT NULL,
  consumer text NOT NULL,
  attempts int4 NOT NULL,
  next_at timestamptz NOT NULL,
  PRIMARY KEY (id, consumer)
);
CREATE INDEX outbox_due ON ingest.outbox (next_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON ingest.outbox TO sekisho_ingest;

-- A submission's key, in the commit of its effect; each account has its own. digest covers envelope and message: the
-- same key with another message is an error of the caller.
CREATE TABLE ingest.idempotency (
  tenant uuid NOT NULL,
  account uuid NOT NULL,
  key bytea NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 200),
  message uuid NOT NULL,
  accepted_at timestamptz NOT NULL,
  digest bytea NOT NULL,
  PRIMARY KEY (tenant, account, key)
);
SELECT sekisho.protect('ingest.idempotency');
GRANT SELECT, INSERT ON ingest.idempotency TO sekisho_ingest;

-- Messages (by SHA-256) during which a scan worker died or did not answer in time.
CREATE TABLE ingest.poison (
  tenant uuid NOT NULL,
  sha256 bytea NOT NULL,
  failures int4 NOT NULL,
  last_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, sha256)
);
SELECT sekisho.protect('ingest.poison');
GRANT SELECT, INSERT, UPDATE ON ingest.poison TO sekisho_ingest;

SELECT sekisho.make_audit_intent('ingest', 'sekisho_ingest');
