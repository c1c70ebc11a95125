-- Who is it, and may they. Three content-free tables say which tenant a login, a domain or a key belongs to: the only
-- globally unique data of the platform, without row-level security. Everything else is the tenant's. The platform's own
-- keys live under the nil tenant.
CREATE SCHEMA auth;
GRANT USAGE ON SCHEMA auth TO sekisho_auth;

CREATE TABLE auth.directory_tenant (
  tenant uuid PRIMARY KEY,
  created_at timestamptz NOT NULL
);
CREATE TABLE auth.directory_login (
  login text PRIMARY KEY,
  tenant uuid NOT NULL,
  account uuid NOT NULL
);
CREATE TABLE auth.directory_domain (     -- proven domains only
  name text PRIMARY KEY,                 -- lower case, A-labels
  tenant uuid NOT NULL
);
CREATE TABLE auth.directory_key (
  lookup text PRIMARY KEY,               -- first 12 of the key's 27 random digits
  tenant uuid NOT NULL
);
GRANT SELECT, INSERT ON auth.directory_tenant, auth.directory_login, auth.directory_domain, auth.directory_key
  TO sekisho_auth;

CREATE TABLE auth.tenant (
  tenant uuid PRIMARY KEY,
  name bytea NOT NULL,
  sandbox boolean NOT NULL,              -- its mail goes to a sink; for ever
  language text NOT NULL DEFAULT 'ja' CHECK (language IN ('ja', 'en')),
  head_mail boolean NOT NULL DEFAULT true,
  version int8 NOT NULL DEFAULT 1,       -- of the settings: name, language, head_mail
  directory_version int8 NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL
);
SELECT sekisho.protect('auth.tenant');
GRANT SELECT, INSERT, UPDATE (name, language, head_mail, version, directory_version) ON auth.tenant TO sekisho_auth;

CREATE TABLE auth.account (
  tenant uuid NOT NULL REFERENCES auth.tenant,
  id uuid NOT NULL,
  login text COLLATE "C" NOT NULL,       -- lists go by it, octet by octet
  display_name bytea NOT NULL,
  version int8 NOT NULL DEFAULT 1,       -- counts changes by administrators
  disabled_at timestamptz,
  failed int4 NOT NULL DEFAULT 0,        -- wrong passwords since the last right one
  locked_until timestamptz,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, id),
  UNIQUE (tenant, login)
);
SELECT sekisho.protect('auth.account');
GRANT SELECT, INSERT, UPDATE (display_name, version, disabled_at, failed, locked_until) ON auth.account TO sekisho_auth;

-- What proves an account: a password (Argon2id string), an application password or an API key (SHA-256). A changed
-- password is a new row, so that a session which used the old one ends at its next MAIL FROM.
CREATE TABLE auth.credential (
  tenant uuid NOT NULL,
  id uuid NOT NULL,
  account uuid,                          -- NULL: the tenant's own key
  kind text NOT NULL CHECK (kind IN ('password', 'app', 'api')),
  name bytea NOT NULL,
  lookup text,                           -- of 'app' and 'api': may be shown
  hash bytea NOT NULL,
  permissions text NOT NULL,             -- separated by spaces; 'api' only
  created_at timestamptz NOT NULL,
  expires_at timestamptz,
  revoked_at timestamptz,
  replaced_by uuid,                      -- the key that took its place; this one ends with the overlap
  PRIMARY KEY (tenant, id),
  FOREIGN KEY (tenant, account) REFERENCES auth.account,
  CHECK (account IS NOT NULL OR kind = 'api')
);
CREATE UNIQUE INDEX credential_password ON auth.credential (tenant, account)
  WHERE kind = 'password' AND revoked_at IS NULL;
CREATE UNIQUE INDEX credential_name ON auth.credential (tenant, COALESCE(account, tenant), name)
  WHERE kind <> 'password' AND name <> '' AND revoked_at IS NULL AND replaced_by IS NULL;
CREATE INDEX credential_hash ON auth.credential (tenant, hash) WHERE kind <> 'password';
SELECT sekisho.protect('auth.credential');
CREATE INDEX credential_account ON auth.credential (tenant, account);
GRANT SELECT, INSERT, UPDATE (revoked_at, expires_at, replaced_by) ON auth.credential TO sekisho_auth;

CREATE TABLE auth.domain (
  tenant uuid NOT NULL REFERENCES auth.tenant,
  name text NOT NULL,                    -- lower case, A-labels
  class int2 NOT NULL CHECK (class BETWEEN 0 AND 2),
  challenge text,                        -- the TXT record that proves the claim
  proven_at timestamptz,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, name),
  CHECK (proven_at IS NULL OR class = 1)
);
SELECT sekisho.protect('auth.domain');
GRANT SELECT, INSERT, UPDATE (class, challenge, proven_at) ON auth.domain TO sekisho_auth;

CREATE TABLE auth.address (              -- an account sends from these only
  tenant uuid NOT NULL,
  account uuid NOT NULL,
  address bytea NOT NULL,                -- local part as registered, domain as in auth.domain
  domain text NOT NULL,
  folded bytea NOT NULL,                 -- ASCII in lower case: to search by
  position int4 NOT NULL,                -- the first is where notices go
  PRIMARY KEY (tenant, account, address),
  FOREIGN KEY (tenant, account) REFERENCES auth.account,
  FOREIGN KEY (tenant, domain) REFERENCES auth.domain
);
CREATE INDEX address_folded ON auth.address (tenant, folded);
SELECT sekisho.protect('auth.address');
GRANT SELECT, INSERT, DELETE ON auth.address TO sekisho_auth;

-- What people may. The built-in roles stand in no table: they come with the program (proto/permissions.tsv), and a
-- role's name here may be theirs. Whoever changes one of the tables below holds the tenant's row in auth.tenant, so
-- that two changes that are harmless alone do not end the last administrator's access together (decision 0065).
CREATE TABLE auth.role (                 -- of the tenant's own making
  tenant uuid NOT NULL REFERENCES auth.tenant,
  name bytea NOT NULL,
  description bytea NOT NULL,
  permissions text NOT NULL,             -- separated by spaces
  version int8 NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, name)
);
SELECT sekisho.protect('auth.role');
GRANT SELECT, INSERT, DELETE, UPDATE (description, permissions, version) ON auth.role TO sekisho_auth;

CREATE TABLE auth.people_group (         -- a department, a team
  tenant uuid NOT NULL REFERENCES auth.tenant,
  name bytea NOT NULL,
  description bytea NOT NULL,
  version int8 NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (tenant, name)
);
SELECT sekisho.protect('auth.people_group');
GRANT SELECT, INSERT, DELETE, UPDATE (description, version) ON auth.people_group TO sekisho_auth;

CREATE TABLE auth.group_member (
  tenant uuid NOT NULL,
  people_group bytea NOT NULL,
  account uuid NOT NULL,
  PRIMARY KEY (tenant, people_group, account),
  FOREIGN KEY (tenant, people_group) REFERENCES auth.people_group ON DELETE CASCADE,
  FOREIGN KEY (tenant, account) REFERENCES auth.account
);
CREATE INDEX group_member_account ON auth.group_member (tenant, account);
SELECT sekisho.protect('auth.group_member');
GRANT SELECT, INSERT, DELETE ON auth.group_member TO sekisho_auth;

CREATE TABLE auth.group_role (
  tenant uuid NOT NULL,
  people_group bytea NOT NULL,
  role bytea NOT NULL,
  PRIMARY KEY (tenant, people_group, role),
  FOREIGN KEY (tenant, people_group) REFERENCES auth.people_group ON DELETE CASCADE
);
SELECT sekisho.protect('auth.group_role');
GRANT SELECT, INSERT, DELETE ON auth.group_role TO sekisho_auth;

CREATE TABLE auth.person_role (
  tenant uuid NOT NULL,
  account uuid NOT NULL,
  role bytea NOT NULL,
  PRIMARY KEY (tenant, account, role),
  FOREIGN KEY (tenant, account) REFERENCES auth.account
);
SELECT sekisho.protect('auth.person_role');
GRANT SELECT, INSERT, DELETE ON auth.person_role TO sekisho_auth;

CREATE TABLE auth.person_exception (     -- allowed beside all roles, or denied against them
  tenant uuid NOT NULL,
  account uuid NOT NULL,
  permission text NOT NULL,
  deny boolean NOT NULL,
  PRIMARY KEY (tenant, account, permission),
  FOREIGN KEY (tenant, account) REFERENCES auth.account
);
SELECT sekisho.protect('auth.person_exception');
GRANT SELECT, INSERT, DELETE ON auth.person_exception TO sekisho_auth;

SELECT sekisho.make_audit_intent('auth', 'sekisho_auth');
SELECT sekisho.make_idempotency('auth', 'sekisho_auth');
