#!/bin/bash
# SPDX-License-Identifier: MIT
# Run a command with a scratch PostgreSQL beside it: with-postgres.sh COMMAND...
# The server runs as an unprivileged user, listens on a Unix socket only and is gone afterwards. The command finds the
# superuser's connection string in SEKISHO_TEST_DB; the roles of all services exist, without passwords.
set -euo pipefail
roles=$(realpath "$(dirname "$0")/migrate_roles.sql")
bin=$(echo /usr/lib/postgresql/*/bin | tr ' ' '\n' | sort -V | tail -1)
dir=$(mktemp -d /tmp/sekisho-pg.XXXXXX)
as=()
if [ "$(id -u)" = 0 ]; then
	chown postgres "$dir"
	as=(runuser -u postgres --)
fi
cd /
"${as[@]}" "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C >/dev/null
"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -w -l "$dir/log" -o "-c listen_addresses= -k $dir -c fsync=off" start >/dev/null
trap '"${as[@]}" "$bin/pg_ctl" -D "$dir/data" -m immediate stop >/dev/null; rm -rf "$dir"' EXIT
chmod 755 "$dir"
export SEKISHO_TEST_DB="host=$dir user=postgres dbname=postgres"
psql -qX "$SEKISHO_TEST_DB" -v ON_ERROR_STOP=1 -f "$roles"
cd "$OLDPWD"
"$@"
