# SPDX-License-Identifier: MIT
"""What the tests of the record share: its metrics, exports and the verifier, waiting until nothing waits, load."""
import pathlib
import subprocess
import urllib.request

from . import site as sites
from .wire import wait_for

VERIFY = sites.BUILD / "bin/sekisho-audit-verify"
NIL = "00000000-0000-0000-0000-000000000000"


def one(site, sql):
    """The one value of a query, as text."""
    return site.stack.psql(sql)[0][0]


def metrics(site):
    """Numbers of audit's metrics, by name and label."""
    url = f"http://127.0.0.1:{site.stack.ports['audit-health']}/metrics"
    with urllib.request.urlopen(url, timeout=10) as answer:
        text = answer.read().decode()
    return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in text.splitlines() if line and line[0] != "#")}


def raw(site, path, key):
    """An answer's octets, however long it takes."""
    request = urllib.request.Request(site.url + path, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=600, context=site.tls) as answer:
        return answer.read()


def verify(*args, stdin=None):
    """(exit code, what it says)"""
    r = subprocess.run([VERIFY, *map(str, args)], input=stdin, capture_output=True, timeout=300)
    return r.returncode, (r.stdout + r.stderr).decode()


def export(site, tenant, path, query=""):
    data = raw(site, f"/v1/audit/export{query}", tenant.key)
    pathlib.Path(path).write_bytes(data)
    return data


def entries(tenant, **query):
    return tenant.api("GET", "/v1/audit/entries?" + "&".join(f"{k}={v}" for k, v in query.items()))


def recorded(tenant, seconds=10, **query):
    """The newest entry that fits, once it is there."""
    return wait_for(f"entry with {query}", lambda: entries(tenant, limit=1, **query)["entries"], seconds)[0]


def last_head(tenant):
    return wait_for("a signed head", lambda: tenant.api("GET", "/v1/audit/heads?limit=1")["heads"], 30)[0]


def size_of(site, tenant):
    return int(one(site, f"SELECT coalesce((SELECT size FROM audit.tree WHERE tenant = '{tenant.id}'), 0)"))


def settled(site, tenant):
    """Size of a log that nothing is waiting for."""
    sources = ("ingest", "auth", "policy", "delivery", "audit")
    waiting = " + ".join(f"(SELECT count(*) FROM {s}.audit_intent i WHERE tenant = '{tenant.id}' AND NOT EXISTS (SELECT FROM "
                         "audit.entry e WHERE e.tenant = i.tenant AND e.intent = i.id))" for s in sources)
    wait_for("all intents appended", lambda: one(site, f"SELECT {waiting}") == "0", 60)
    return size_of(site, tenant)


def load(site, tenant, n, step=20000):
    """n intents of one writer, as a very busy service would leave them."""
    epoch = one(site, "SELECT gen_random_uuid()")
    for first in range(0, n, step):
        last = min(first + step, n)
        site.stack.psql(
            "INSERT INTO delivery.audit_intent (tenant, id, writer, epoch, seq, at, action, outcome, actor, source, subject, number, "
            f"detail) SELECT '{tenant.id}', (substr(f::text, 1, 14) || '7' || substr(md5(f::text || s), 1, 3) || '-8' || "
            f"substr(md5(s || 'x'), 1, 3) || '-' || substr(md5(s || 'y{epoch}'), 1, 12))::uuid, 'sekisho_delivery', '{epoch}', s, now(), "
            "'test.load', CASE WHEN s % 1000 = 7 THEN 'denied' ELSE 'ok' END, convert_to('actor' || s % 500, 'UTF8'), "
            "convert_to('192.0.2.' || s % 250, 'UTF8'), md5((s % 50000)::text)::uuid, s % 3, "
            "convert_to('{\"reply\": \"250 2.0.0 ok\", \"n\": ' || s || '}', 'UTF8') "
            f"FROM generate_series({first + 1}, {last}) AS s, (SELECT sekisho.uuid_floor(now()) AS f) AS x")
