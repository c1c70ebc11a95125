# SPDX-License-Identifier: MIT
"""A PostgreSQL 15 of our own: a cluster under run/, a Unix socket and no TCP, passwords for everybody, and durable
commits (law 1): synchronous_commit and fsync stay on, in tests too."""
import pathlib
import subprocess
import time

import folders
import keys

BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0777   # every connection needs a password
max_connections = 200
shared_buffers = 256MB
wal_compression = lz4
max_wal_size = 2GB
checkpoint_timeout = 15min
synchronous_commit = on
fsync = on
full_page_writes = on
max_locks_per_transaction = 256  # a statement may touch all partitions of several tables
autovacuum_naptime = 10s         # outboxes and timers are small tables with much traffic
password_encryption = scram-sha-256
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %u '
log_checkpoints = off
jit = off
"""


class Postgres:
    def __init__(self, data, config, socket, keys_dir, run_as):
        """data: the server's own folder; config: a file that is ours. run_as: arguments of subprocess that change the user."""
        self.data, self.config, self.socket = pathlib.Path(data), pathlib.Path(config), socket
        self.keys, self.run_as = pathlib.Path(keys_dir), run_as

    def conninfo(self, name, dbname="sekisho"):
        """For libpq: a service by its name, or "admin"."""
        return f"host={self.socket} dbname={dbname} user=sekisho_{name} passfile={self.keys / (name + '.pgpass')}"

    def init(self):
        """Make the cluster unless it is there; write its settings in any case."""
        if not (self.data / "PG_VERSION").exists():
            r = subprocess.run([BIN / "initdb", "-D", self.data, "-U", "sekisho_admin",
                                f"--pwfile={self.keys / 'admin.password'}", "-A", "scram-sha-256", "-E", "UTF8",
                                "--locale=C.UTF-8", "--data-checksums"],
                               capture_output=True, text=True, cwd="/", **self.run_as)
            if r.returncode != 0:
                raise RuntimeError(f"initdb: {r.stderr.strip()}")
        # Beside the cluster, not in it: what is in there is the server's to write.
        folders.publish(self.config, f"include '{self.data}/postgresql.conf'\n" + SETTINGS.format(socket=self.socket))

    def argv(self):
        return [BIN / "postgres", "-D", self.data, "-c", f"config_file={self.config}"]

    def psql(self, sql, dbname="sekisho", name="admin"):
        """Rows as lists of strings."""
        r = subprocess.run(["psql", "-XqAt", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", self.conninfo(name, dbname)],
                           input=sql, text=True, capture_output=True)
        if r.returncode != 0:
            raise RuntimeError(f"psql: {r.stderr.strip()}")
        return [line.split("\t") for line in r.stdout.splitlines()]

    def wait(self, timeout):
        until = time.monotonic() + timeout
        while True:
            r = subprocess.run([BIN / "pg_isready", "-q", "-h", self.socket, "-d", "postgres"], capture_output=True)
            if r.returncode == 0:
                return
            if time.monotonic() > until:
                raise RuntimeError("PostgreSQL does not come up")
            time.sleep(0.05)

    def prepare(self, services):
        """Database, roles and their passwords; repeats harmlessly."""
        if not self.psql("SELECT 1 FROM pg_database WHERE datname = 'sekisho'", "postgres"):
            self.psql("CREATE DATABASE sekisho", "postgres")
        self.psql((ROOT / "tools/migrate_roles.sql").read_text())
        for s in services:
            # Hex digits only, see keys.py.
            self.psql(f"ALTER ROLE sekisho_{s} PASSWORD '{keys.password(self.keys, s)}'")
