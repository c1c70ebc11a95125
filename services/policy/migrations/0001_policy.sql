-- SPDX-License-Identifier: MIT
-- Rule sets by version, and the copies of the directory that decisions were made with. Both only grow: a decision
-- record names a version and a hash, and must stay derivable.
CREATE SCHEMA policy;
GRANT USAGE ON SCHEMA policy TO sekisho_policy;

-- The highest version is the one in force; none: the standard course. Going back is a new version with old content.
CREATE TABLE policy.rule_set (
  tenant uuid NOT NULL,
  version int8 NOT NULL CHECK (version > 0),
  document bytea NOT NULL CHECK (octet_length(document) <= 262144),
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  activated_at timestamptz NOT NULL,
  activated_by bytea NOT NULL,  -- name of the person or key
  rules int4 NOT NULL,          -- how many are enabled
  PRIMARY KEY (tenant, version)
);
SELECT sekisho.protect('policy.rule_set');
GRANT SELECT, INSERT ON policy.rule_set TO sekisho_policy;

-- Canonical documents. The hash is part of the key: the same version with other content (auth restored from a backup)
-- is another copy, and both stay.
CREATE TABLE policy.directory (
  tenant uuid NOT NULL,
  version int8 NOT NULL,
  sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
  document bytea NOT NULL,
  fetched_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, version, sha256)
);
SELECT sekisho.protect('policy.directory');
GRANT SELECT, INSERT ON policy.directory TO sekisho_policy;

SELECT sekisho.make_audit_intent('policy', 'sekisho_policy');
