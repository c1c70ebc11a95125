# SPDX-License-Identifier: MIT
"""Nobody may do what the table of subjects does not say, and no database role sees another tenant's rows. What is
allowed is derived here from proto/subjects.tsv anew, not taken from the program that writes the server's configuration."""
import json
import pathlib
import uuid

import psycopg2
import pytest

from lib.nats_raw import Nats, NatsError

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SERVICES = ("ingest", "auth", "policy", "delivery", "keeper", "api", "audit", "notify")
TENANT = str(uuid.uuid4())
# Tables with a tenant column and without row-level security: what is found across tenants, and never any content.
CONTENT_FREE = {"id", "tenant", "consumer", "attempts", "next_at", "message", "number", "kind", "due_at", "lease_until",
                "lease_owner", "epoch", "version", "sandbox",
                "first", "at", "messages"}  # ids of messages that wait for the search index
# The directory is the only globally unique data (it says which tenant a name belongs to).
DIRECTORY_SCHEMA = "auth"


def table():
    rows = []
    for line in (ROOT / "proto/subjects.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            kind, _, subject, owner, peers, stream, *_ = line.split("\t")
            rows.append((kind, subject, owner, tuple(peers.split(",")), stream))
    return rows


def questions():
    """(subject, verb, services that may)"""
    out = []
    for kind, subject, owner, peers, stream in table():
        if kind == "rpc":
            out += [(subject, "publish", peers), (subject, "subscribe", (owner,))]
        elif kind == "evt":
            out += [(f"{subject}.{TENANT}", "publish", (owner,)), (f"{subject}.{TENANT}", "subscribe", ()),
                    (f"{subject}.>", "subscribe", ())]
            for peer in SERVICES:
                mine = (peer,) if peer in peers else ()
                out += [(f"deliver.{peer}.{stream}", "subscribe", mine), (f"deliver.{peer}.{stream}", "publish", ()),
                        (f"$JS.ACK.{stream}.{peer}.1.1.1.1.0", "publish", mine)]
            for verb in ("DELETE", "PURGE", "MSG.DELETE"):
                out.append((f"$JS.API.STREAM.{verb}.{stream}", "publish", ()))
            for verb in ("CREATE", "UPDATE", "INFO"):
                out.append((f"$JS.API.STREAM.{verb}.{stream}", "publish", ("keeper",)))
            out += [(f"$JS.API.CONSUMER.{verb}.{stream}.nobody", "publish", ("keeper",)) for verb in ("INFO", "DELETE")]
            out.append((f"$JS.API.CONSUMER.MSG.NEXT.{stream}.delivery", "publish", ()))
        elif kind == "ack":
            out += [(subject, "publish", peers), (subject, "subscribe", (owner,))]
        elif kind == "sig":
            out += [(subject, "publish", (owner,)), (subject, "subscribe", peers)]
    for service in SERVICES:
        out += [(f"_INBOX_{service}.>", "subscribe", (service,)), (f"_INBOX_{service}.x", "publish", ())]
    for subject in (">", "*", "*.>", "rpc.>", "rpc.v1.*.*", "evt.>", "ack.>", "ack.v1.*", "sig.>", "deliver.>", "_INBOX.>",
                    "$JS.>", "$JS.ACK.>", "$SYS.>", "$SYS.REQ.SERVER.PING"):
        out.append((subject, "subscribe", ()))
    for subject in ("$JS.API.STREAM.CREATE.OTHER", "$JS.API.STREAM.DELETE.OTHER", "$JS.API.ACCOUNT.PURGE.SEKISHO",
                    "$JS.API.SERVER.REMOVE", "$SYS.REQ.SERVER.PING", "rpc.v1.nobody.nothing", "evt.v1.mail.accepted",
                    "ack.v1.delivery", "x"):
        out.append((subject, "publish", ()))
    return out


@pytest.fixture(scope="module")
def bus(bare_stack):
    keys = bare_stack.run / "keys"
    return {s: ((keys / f"{s}.nk").read_text(), (keys / f"{s}.pub").read_text()) for s in SERVICES}, bare_stack.ports["nats"]


@pytest.mark.parametrize("service", SERVICES)
def test_nats_matrix(bus, service):
    keys, port = bus
    wrong = []
    with Nats(port, *keys[service]) as nats:
        for subject, verb, may in questions():
            if verb == "publish":
                refused = nats.publish(subject)
            else:
                sid, refused = nats.subscribe(subject)
                if not refused:
                    nats.unsubscribe(sid)
            if bool(refused) == (service in may):
                wrong.append(f"{service} {verb} {subject}: {'refused' if refused else 'ALLOWED'}")
    assert not wrong, "\n".join(wrong)


def test_every_right_is_in_the_table(bus):
    """What the matrix above asks covers every owner and peer that the table names."""
    asked = {(subject.split("." + TENANT)[0], verb, s) for subject, verb, may in questions() for s in may}
    for kind, subject, owner, peers, _ in table():
        if kind in ("rpc", "ack"):
            assert (subject, "subscribe", owner) in asked and all((subject, "publish", p) in asked for p in peers)


def test_reply_only_to_a_request(bus):
    """A serving service may answer a request once, and only one that it got."""
    keys, port = bus
    with Nats(port, *keys["auth"]) as auth, Nats(port, *keys["ingest"]) as ingest:
        auth.subscribe("rpc.v1.auth.login")
        assert auth.publish("_INBOX_ingest.guess")
        ingest.subscribe("_INBOX_ingest.one")
        assert not ingest.publish("rpc.v1.auth.login", b"q", "_INBOX_ingest.one")
        auth.sync()
        assert [m[3] for m in auth.messages] == [b"q"]
        assert not auth.publish("_INBOX_ingest.one", b"a")
        assert auth.publish("_INBOX_ingest.one", b"again")
        ingest.sync()
        assert [m[3] for m in ingest.messages] == [b"a"]


@pytest.mark.parametrize("options", [{}, {"user": "admin", "pass": "admin"}, {"auth_token": "x"}, {"nkey": "mixed"}])
def test_strangers_stay_outside(bus, options):
    keys, port = bus
    seed = public = None
    if options.pop("nkey", None):
        seed, public = keys["api"][0], keys["keeper"][1]  # another's name, the own key
    with pytest.raises(NatsError):
        Nats(port, seed, public, **options)


def test_nothing_before_connect(bus):
    _, port = bus
    nats = Nats(port, connect=False)
    try:
        nats.publish("rpc.v1.auth.login")
        refused = nats.errors or nats.publish("x")
    except (BrokenPipeError, ConnectionResetError):
        refused = True  # the server hung up before we had said it all
    nats.close()
    assert refused


# --- the database ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def admin(traffic):
    with psycopg2.connect(traffic.stack.conninfo()) as connection:
        connection.autocommit = True
        yield connection
    connection.close()


def rows(connection, sql, *values):
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchall()


def tenant_tables(admin):
    """(schema.table, row security forced)"""
    return rows(admin, """
        SELECT format('%I.%I', n.nspname, c.relname), c.relrowsecurity AND c.relforcerowsecurity
          FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant' AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
         ORDER BY 1""")


def test_tables_are_protected(admin):
    """Every table with a tenant has forced row-level security, or holds nothing but what finds work across tenants."""
    open_tables = [name for name, protected in tenant_tables(admin) if not protected]
    partitions = {name for (name,) in rows(admin, "SELECT inhrelid::regclass::text FROM pg_inherits")}
    bad = []
    for name in open_tables:
        columns = {c for (c,) in rows(admin, "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 "
                                             "AND NOT attisdropped", name)}
        if name in partitions:
            granted = rows(admin, "SELECT 1 FROM information_schema.role_table_grants WHERE format('%%I.%%I', table_schema, table_name) = %s "
                                  "AND grantee LIKE 'sekisho\\_%%' AND grantee <> 'sekisho_owner' AND grantee <> 'sekisho_admin'", name)
            if granted:
                bad.append(f"{name}: a partition that a service may read past its parent's protection")
        elif not name.startswith(DIRECTORY_SCHEMA + ".") and columns - CONTENT_FREE:
            bad.append(f"{name}: no row-level security, columns {sorted(columns - CONTENT_FREE)}")
    assert not bad, "\n".join(bad)


def test_roles_have_no_power(admin):
    for service in SERVICES:
        assert rows(admin, "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication FROM pg_roles "
                           "WHERE rolname = %s", f"sekisho_{service}") == [(False,) * 5]
        assert rows(admin, "SELECT count(*) FROM pg_class WHERE relowner = %s::regrole", f"sekisho_{service}") == [(0,)]
        assert rows(admin, "SELECT count(*) FROM pg_auth_members WHERE member = %s::regrole", f"sekisho_{service}") == [(0,)]


@pytest.mark.parametrize("service", SERVICES)
def test_no_rows_of_others(admin, traffic, service):
    """Every protected table, as each role: without a tenant, with a made-up one, with an empty or broken one: 0 rows; with the
    real one: none of another's. Nor can rows of another tenant be written."""
    protected = [name for name, forced in tenant_tables(admin) if forced]
    filled = {name: rows(admin, f"SELECT count(*) FROM {name}")[0][0] for name in protected}
    assert sum(1 for n in filled.values() if n) >= 4, f"no traffic to look at: {filled}"
    connection = psycopg2.connect(traffic.stack.conninfo(service))
    leaks, looked = [], 0
    for name in protected:
        for tenant in (None, "", str(uuid.uuid4()), traffic.tenant):
            with connection.cursor() as cursor:
                try:
                    if tenant is not None:
                        cursor.execute("SELECT set_config('sekisho.tenant', %s, true)", (tenant,))
                    cursor.execute(f"SELECT count(*) FROM {name} WHERE tenant IS DISTINCT FROM %s::uuid",
                                   (tenant if tenant == traffic.tenant else None,))
                    looked += 1
                    if count := cursor.fetchone()[0]:
                        leaks.append(f"{service} reads {count} rows of {name} as tenant {tenant!r}")
                except psycopg2.errors.InsufficientPrivilege:
                    pass
            connection.rollback()
        for verb in (f"UPDATE {name} SET tenant = tenant", f"DELETE FROM {name}"):
            with connection.cursor() as cursor:
                try:
                    cursor.execute("SELECT set_config('sekisho.tenant', %s, true)", (str(uuid.uuid4()),))
                    cursor.execute(verb)
                    if cursor.rowcount:
                        leaks.append(f"{service}: {verb} touched {cursor.rowcount}")
                except psycopg2.Error:
                    pass
            connection.rollback()
    connection.close()
    assert not leaks, "\n".join(leaks)
    if service in ("ingest", "delivery"):
        assert looked > 0


def test_own_rows_are_seen(traffic):
    """The opposite of the above: with its own tenant set, delivery sees its legs. Otherwise 0 rows would prove nothing."""
    connection = psycopg2.connect(traffic.stack.conninfo("delivery"))
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('sekisho.tenant', %s, true)", (traffic.tenant,))
        cursor.execute("SELECT count(*) FROM delivery.leg")
        assert cursor.fetchone()[0] > 0
    connection.close()


def test_matrix_of_the_generator_is_no_wider():
    """tools/gen_subjects.py gives nobody a wildcard over another's subjects."""
    import subprocess
    matrix = json.loads(subprocess.run(["/usr/bin/python3", str(ROOT / "tools/gen_subjects.py"), "--matrix"], check=True,
                                       capture_output=True, text=True).stdout)
    for service, allow in matrix.items():
        for verb, subjects in allow.items():
            for subject in subjects:
                assert subject not in (">", "*") and not subject.startswith(("*", "$JS.>", "$JS.API.>", "$SYS")), (service, verb)
                if subject.startswith("_INBOX"):
                    assert subject == f"_INBOX_{service}.>", (service, subject)
