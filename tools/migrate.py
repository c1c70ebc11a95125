#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Run the migrations that have not run yet: plain SQL files, each in one transaction, as the role sekisho_owner.

  migrate.py CONNINFO           apply what is pending
  migrate.py --status CONNINFO  list every file with its state; exit 1 if something is pending

The login of CONNINFO must be a member of sekisho_owner, and the roles of tools/migrate_roles.sql must be there. What
ran is recorded in sekisho_meta.migration with its SHA-256: a file that changed after it ran is refused, and so is one
that ran and is gone. Two runs at once: one of them fails without effect. Uses psql only.
"""
import hashlib
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Libraries first; then services in the order of their grants on each other's tables; any other by name.
ORDER = ("libs/db", "libs/content", "services/auth", "services/policy", "services/ingest", "services/delivery",
         "services/audit", "services/notify")
META = """
SET ROLE sekisho_owner;
CREATE SCHEMA IF NOT EXISTS sekisho_meta;
CREATE TABLE IF NOT EXISTS sekisho_meta.migration (
  name text PRIMARY KEY,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
"""


class Refused(Exception):
    """Says why nothing was done, for people."""


def files():
    """[(name, path)] in the order in which they run."""
    found = {str(p.relative_to(ROOT)): p for p in ROOT.glob("*/*/migrations/*.sql")}

    def place(name):
        folder = name.split("/migrations/")[0]
        return (ORDER.index(folder) if folder in ORDER else len(ORDER), name)

    return [(name, found[name]) for name in sorted(found, key=place)]


def psql(conninfo, script):
    r = subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", conninfo], input=script, text=True,
                       capture_output=True)
    if r.returncode != 0:
        raise Refused(r.stderr.strip() or f"psql ended with {r.returncode}")
    return r.stdout


def state(conninfo):
    """[(name, text, sha256, applied)], after checking that nothing that ran has changed."""
    ran = dict(line.split("|") for line in
               psql(conninfo, "SET client_min_messages = warning;" + META +
                    "SELECT name, sha256 FROM sekisho_meta.migration;").splitlines())
    out = []
    for name, path in files():
        text = path.read_text()
        digest = hashlib.sha256(text.encode()).hexdigest()
        before = ran.pop(name, None)
        if before not in (None, digest):
            raise Refused(f"{name} changed after it was applied; write a new migration instead")
        out.append((name, text, digest, before is not None))
    if ran:
        raise Refused(f"applied, but no longer there: {', '.join(sorted(ran))}")
    return out


def migrate(conninfo, say=print):
    """Returns how many were applied."""
    count = 0
    for name, text, digest, applied in state(conninfo):
        if applied:
            continue
        quoted = name.replace("'", "''")
        # The record comes first: a second run at the same time waits here, then fails on the primary key.
        script = (f"BEGIN;\nSET LOCAL client_min_messages = warning;\nSET ROLE sekisho_owner;\n"
                  f"INSERT INTO sekisho_meta.migration (name, sha256) VALUES ('{quoted}', '{digest}');\n"
                  f"{text}\n;COMMIT;\n")
        try:
            psql(conninfo, script)
        except Refused as e:
            raise Refused(f"{name}: {e}") from None
        say(f"migrated {name}")
        count += 1
    return count


def main():
    match sys.argv[1:]:
        case ["--status", conninfo]:
            rows = state(conninfo)
            for name, _, _, applied in rows:
                print("applied" if applied else "pending", name)
            return 0 if all(r[3] for r in rows) else 1
        case [conninfo] if not conninfo.startswith("-"):
            migrate(conninfo)
            return 0
    print(__doc__, file=sys.stderr)
    return 64


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Refused as refused:
        sys.exit(f"migrate: {refused}")
