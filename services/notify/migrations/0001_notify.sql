-- SPDX-License-Identifier: MIT
-- Webhooks, what is due, the log of attempts, what is to be sent again, heads that were mailed. Run by sekisho_owner.
CREATE SCHEMA notify;
GRANT USAGE ON SCHEMA notify TO sekisho_notify;

-- A webhook stands at a position of the tenant's log; nothing is queued for it.
CREATE TABLE notify.webhook (
  tenant uuid NOT NULL,
  id uuid NOT NULL,               -- UUID version 7 of made_at
  url bytea NOT NULL CHECK (octet_length(url) <= 2048),
  description bytea NOT NULL,
  types text[] NOT NULL,          -- empty: all events
  enabled bool NOT NULL,
  disabled_why text NOT NULL DEFAULT '',
  made_at timestamptz NOT NULL,
  version int8 NOT NULL DEFAULT 1,  -- counts what people changed, and a disabling by the service
  sealed bytea NOT NULL,          -- the secret, sealed under the tenant's key
  old_sealed bytea,               -- the one before it, which signs too ...
  old_until timestamptz,          -- ... until then
  position int8 NOT NULL,         -- next event to be sent
  attempts int4 NOT NULL DEFAULT 0, -- failed ones of that event
  failing_since timestamptz,      -- NULL: the last attempt went well
  last_error text NOT NULL DEFAULT '',
  delivered int8 NOT NULL DEFAULT 0,
  failed int8 NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, id)
) WITH (fillfactor = 70);
SELECT sekisho.protect('notify.webhook');
GRANT SELECT, INSERT, UPDATE, DELETE ON notify.webhook TO sekisho_notify;

-- When which webhook is looked at next, and who is at it: across tenants, so without content and without row-level
-- security. kind: off (disabled), idle (nothing more is known of), ready, retry (waits on the ladder). epoch counts
-- leases; version counts hints, so that one that comes while somebody is at it is not lost. number: how long the last
-- attempt took, ms. next_at: when the event it fails to send happened.
CREATE TABLE notify.due (
  tenant uuid NOT NULL,
  id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('off', 'idle', 'ready', 'retry')),
  due_at timestamptz NOT NULL,
  lease_until timestamptz NOT NULL DEFAULT '2000-01-01 00:00:00+00',
  lease_owner uuid,
  epoch int8 NOT NULL DEFAULT 0,
  version int8 NOT NULL DEFAULT 0,
  number int4 NOT NULL DEFAULT 0,
  next_at timestamptz,
  PRIMARY KEY (tenant, id)
) WITH (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
CREATE INDEX due_when ON notify.due (due_at);
GRANT SELECT, INSERT, UPDATE, DELETE ON notify.due TO sekisho_notify;

-- Kept for so many days and so many per webhook (SEKISHO_NOTIFY_KEEP, _KEEP_ATTEMPTS).
CREATE TABLE notify.attempt (
  tenant uuid NOT NULL,
  webhook uuid NOT NULL,
  id uuid NOT NULL,               -- UUID version 7 of at
  event uuid NOT NULL,            -- webhook-id
  type text NOT NULL,
  position int8 NOT NULL,
  at timestamptz NOT NULL,
  number int4 NOT NULL,           -- of this event, from 1
  status int4 NOT NULL,           -- HTTP; 0: no answer
  error text NOT NULL,
  duration_ms int4 NOT NULL,
  response bytea NOT NULL CHECK (octet_length(response) <= 1000),
  ok bool NOT NULL,
  PRIMARY KEY (tenant, webhook, id)
);
CREATE INDEX attempt_event ON notify.attempt (tenant, webhook, event);
CREATE INDEX attempt_failed ON notify.attempt (tenant, webhook, id) WHERE NOT ok;
SELECT sekisho.protect('notify.attempt');
GRANT SELECT, INSERT, DELETE ON notify.attempt TO sekisho_notify;

-- Ranges of positions to be sent again, beside the way of the webhook itself and each with a ladder of its own.
CREATE TABLE notify.replay (
  tenant uuid NOT NULL,
  webhook uuid NOT NULL,
  id uuid NOT NULL,
  next int8 NOT NULL,
  until int8 NOT NULL,            -- exclusive
  attempts int4 NOT NULL DEFAULT 0, -- failed ones of the event at next
  due_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, webhook, id)
);
SELECT sekisho.protect('notify.replay');
GRANT SELECT, INSERT, UPDATE, DELETE ON notify.replay TO sekisho_notify;

-- The last head that was mailed to a tenant's administrators.
CREATE TABLE notify.head_mail (
  tenant uuid PRIMARY KEY,
  period int8 NOT NULL,           -- number of the day since 1970 (of SEKISHO_NOTIFY_HEADS)
  size int8 NOT NULL,
  mailed_at timestamptz NOT NULL
);
SELECT sekisho.protect('notify.head_mail');
GRANT SELECT, INSERT, UPDATE ON notify.head_mail TO sekisho_notify;

SELECT sekisho.make_audit_intent('notify', 'sekisho_notify');
SELECT sekisho.make_idempotency('notify', 'sekisho_notify');
