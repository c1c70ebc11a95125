-- Messages, legs (one per recipient), what is due when, signing keys, routes. Run by sekisho_owner.
CREATE SCHEMA delivery;
GRANT USAGE ON SCHEMA delivery TO sekisho_delivery, sekisho_keeper;

CREATE TABLE delivery.message (
  tenant uuid NOT NULL,
  id uuid NOT NULL,               -- UUID version 7 of accepted_at
  accepted_at timestamptz NOT NULL,
  direction text NOT NULL CHECK (direction IN ('outgoing', 'incoming', 'system')),
  mail_from bytea NOT NULL,       -- empty: null sender
  size int8 NOT NULL,
  traceparent text NOT NULL,
  eight_bit bool NOT NULL,
  smtputf8 bool NOT NULL,
  account uuid,
  account_name bytea NOT NULL,
  client_ip bytea NOT NULL,
  helo bytea NOT NULL,
  protocol bytea NOT NULL,
  tls bytea NOT NULL,
  envid bytea NOT NULL,
  ret text NOT NULL CHECK (ret IN ('', 'FULL', 'HDRS')),
  verdict bytea NOT NULL,
  host bytea NOT NULL,
  PRIMARY KEY (tenant, id)
) PARTITION BY RANGE (id);
SELECT sekisho.protect('delivery.message');
SELECT sekisho.partition('delivery.message');
GRANT SELECT, INSERT ON delivery.message TO sekisho_delivery;

-- No index but the primary key: with room on the page every change of state is a heap-only update.
CREATE TABLE delivery.leg (
  tenant uuid NOT NULL,
  message uuid NOT NULL,
  number int4 NOT NULL,           -- position in the envelope, from 0; added recipients follow
  address bytea NOT NULL,
  domain bytea NOT NULL,          -- A-label, lower case
  state text NOT NULL CHECK (state IN ('held', 'queued', 'sending', 'deferred', 'uncertain', 'quarantined',
    'delivered', 'bounced', 'refused', 'discarded', 'expired')),
  cause text NOT NULL DEFAULT 'envelope',
  version int8 NOT NULL DEFAULT 1,   -- counts changes; every change compares it
  epoch int8 NOT NULL DEFAULT 0,     -- counts leases
  attempts int4 NOT NULL DEFAULT 0,
  due_at timestamptz,             -- as shown: end of the hold, next attempt
  reply bytea NOT NULL DEFAULT '',
  remote bytea NOT NULL DEFAULT '',
  tls text NOT NULL DEFAULT '',
  rule bytea NOT NULL DEFAULT '',
  notify text NOT NULL DEFAULT '',
  orcpt bytea NOT NULL DEFAULT '',
  decided_by bytea NOT NULL DEFAULT '',
  final_at timestamptz,
  possible_duplicate bool NOT NULL DEFAULT false,
  delay_told bool NOT NULL DEFAULT false,
  sendable_at timestamptz,        -- end of its last hold, from which it expires; NULL: since acceptance
  PRIMARY KEY (tenant, message, number)
) PARTITION BY RANGE (message);
SELECT sekisho.protect('delivery.leg');
SELECT sekisho.partition('delivery.leg', 'fillfactor = 70'); -- room for heap-only updates
GRANT SELECT, INSERT, UPDATE ON delivery.leg TO sekisho_delivery;
GRANT SELECT (tenant, message, number, address, state, cause) ON delivery.leg TO sekisho_keeper; -- what it counts

-- One row per leg that is not final: what is due across tenants, without content and so without row-level security.
-- lease_until is not indexed, so that taking a lease is a heap-only update.
CREATE TABLE delivery.due (
  tenant uuid NOT NULL,
  message uuid NOT NULL,
  number int4 NOT NULL,
  kind text NOT NULL CHECK (kind IN ('hold', 'quarantine', 'send')),
  due_at timestamptz NOT NULL,    -- year 9999: not by itself
  lease_until timestamptz NOT NULL DEFAULT '2000-01-01 00:00:00+00',
  lease_owner uuid,
  PRIMARY KEY (tenant, message, number)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000,
        autovacuum_vacuum_cost_delay = 0);
CREATE INDEX due_when ON delivery.due (tenant, due_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.due TO sekisho_delivery;
GRANT SELECT (tenant, message, number) ON delivery.due TO sekisho_keeper;

-- Who is alive: the leases of an instance that stopped saying so end early.
CREATE TABLE delivery.instance (
  id uuid PRIMARY KEY,
  alive_until timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON delivery.instance TO sekisho_delivery;

CREATE TABLE delivery.dkim_key (
  tenant uuid NOT NULL,
  domain bytea NOT NULL,
  selector text NOT NULL,
  algorithm text NOT NULL CHECK (algorithm IN ('rsa-sha256', 'ed25519-sha256')),
  sealed bytea NOT NULL,          -- PKCS #8, sealed under the tenant's key
  public bytea NOT NULL,          -- the p= value
  made_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, domain, algorithm)
);
SELECT sekisho.protect('delivery.dkim_key');
GRANT SELECT, INSERT ON delivery.dkim_key TO sekisho_delivery;

CREATE TABLE delivery.route (
  tenant uuid NOT NULL,
  direction text NOT NULL CHECK (direction IN ('outbound', 'inbound')),
  smarthost bytea NOT NULL,       -- host:port; empty: MX, or none
  username bytea NOT NULL,
  sealed_password bytea,
  tls text NOT NULL CHECK (tls IN ('may', 'encrypt', 'verify')),
  changed_at timestamptz NOT NULL,
  version int8 NOT NULL DEFAULT 1,   -- counts changes
  PRIMARY KEY (tenant, direction)
);
SELECT sekisho.protect('delivery.route');
GRANT SELECT, INSERT, UPDATE ON delivery.route TO sekisho_delivery;

-- What follows when the answer to the final dot is unknown; no row: retry.
CREATE TABLE delivery.setting (
  tenant uuid PRIMARY KEY,
  uncertain text NOT NULL CHECK (uncertain IN ('retry', 'ask')),
  version int8 NOT NULL DEFAULT 1    -- counts changes
);
SELECT sekisho.protect('delivery.setting');
GRANT SELECT, INSERT, UPDATE ON delivery.setting TO sekisho_delivery;

-- Whether a tenant is a sandbox, as auth said it; cannot change, so it is asked once. Content-free: the sink is emptied
-- across tenants.
CREATE TABLE delivery.tenant_kind (
  tenant uuid PRIMARY KEY,
  sandbox bool NOT NULL
);
GRANT SELECT, INSERT ON delivery.tenant_kind TO sekisho_delivery;

-- What the sink of a sandbox tenant took instead of a server: one row per transaction; the octets are in
-- content.chunk under the same id.
CREATE TABLE delivery.sandbox_mail (
  tenant uuid NOT NULL,
  id uuid NOT NULL,               -- UUID version 7 of at
  message uuid NOT NULL,
  number int4 NOT NULL,           -- the first recipient of the transaction
  numbers int4[] NOT NULL,        -- all of them
  at timestamptz NOT NULL,
  mail_from bytea NOT NULL,
  recipients bytea NOT NULL,      -- addresses, joined by line feeds
  size int8 NOT NULL,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, message, number) -- a recipient gets it once, also when the transaction comes again after a crash
);
SELECT sekisho.protect('delivery.sandbox_mail');
GRANT SELECT, INSERT, DELETE ON delivery.sandbox_mail TO sekisho_delivery;

-- Mail born inside: once per key.
CREATE TABLE delivery.notice (
  tenant uuid NOT NULL,
  key text NOT NULL,
  message uuid NOT NULL,
  PRIMARY KEY (tenant, key)
);
SELECT sekisho.protect('delivery.notice');
GRANT SELECT, INSERT ON delivery.notice TO sekisho_delivery;

CREATE TABLE delivery.poison (
  tenant uuid NOT NULL,
  id uuid NOT NULL,               -- of the event
  payload bytea NOT NULL,
  why text NOT NULL,
  seen_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, id)
);
SELECT sekisho.protect('delivery.poison');
GRANT SELECT, INSERT ON delivery.poison TO sekisho_delivery;

SELECT sekisho.make_audit_intent('delivery', 'sekisho_delivery');
SELECT sekisho.make_idempotency('delivery', 'sekisho_delivery');
