# SPDX-License-Identifier: MIT
"""A database that was restored to an earlier point: audit refuses to append; after the repair every head ever published is
consistent, and what happened since the restore is appended, nothing twice."""
import base64
import os
import shutil
import subprocess
import sys

import pytest

from lib import rfc9162
from lib import site as sites
from lib.record import entries, export, metrics, one, recorded, settled, size_of, verify
from lib.wire import wait_for

sys.path.insert(0, str(sites.ROOT / "deploy/local"))
import services  # noqa: E402


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with sites.start(tmp_path_factory.mktemp("restore"), env={"SEKISHO_AUDIT_HEAD_EVERY": "200ms",
                                                             "SEKISHO_AUDIT_SEGMENT": "64K"}) as stack:
        yield sites.Site(stack)


def work(site, tenant, n):
    """n operations one after the other, each with time for a head of its own."""
    for i in range(n):
        made = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": f"k{os.urandom(4).hex()}", "permissions": ["message.read"]})
        recorded(tenant, action="key.created", subject=made["id"])
    return settled(site, tenant)


def heads(site, tenant):
    """Every head that was published, the oldest first."""
    rows = site.stack.psql(f"SELECT encode(checkpoint, 'hex') FROM audit.head WHERE tenant = '{tenant}' ORDER BY size")
    return [bytes.fromhex(r[0]) for r in rows]


def repair(site):
    stack = site.stack
    env = services.environment("audit", stack.run, stack.ports, stack.conninfo)
    r = subprocess.run([stack.bin / "sekisho-audit", "--repair"], env={"PATH": os.environ["PATH"], **env}, cwd="/",
                       capture_output=True, text=True, timeout=300, **stack.run_as)
    return r.returncode, r.stdout + r.stderr


def test_restored_database(site, tmp_path):
    stack = site.stack
    tenant = site.tenant()
    work(site, tenant, 4)
    # A backup, as a snapshot of the disk would make it.
    stack.halt("postgres")
    subprocess.run(["cp", "-a", stack.run / "pg", tmp_path / "pg"], check=True)
    stack.restart("postgres")
    stack.wait_ready()
    early = size_of(site, tenant)

    work(site, tenant, 6)
    newcomer = site.tenant()  # the backup does not know it, nor its key
    work(site, newcomer, 2)
    wait_for("a head of all there is", lambda: metrics(site)["sekisho_audit_heads_signed_total"] > 5, 30)
    late = settled(site, tenant)
    published, published_new = heads(site, tenant.id), heads(site, newcomer.id)
    newcomer_size = settled(site, newcomer)
    assert len(published) >= 5 and late > early

    # Restored.
    stack.halt("postgres")
    shutil.rmtree(stack.run / "pg")
    subprocess.run(["cp", "-a", tmp_path / "pg", stack.run / "pg"], check=True)
    stack.restart("postgres")
    wait_for("refusal", lambda: metrics(site)["sekisho_audit_refused_logs"] >= 2, 90)
    restored = size_of(site, tenant)
    assert restored < late
    tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": "after the restore", "permissions": ["message.read"]})
    # Also after a new start, and while an intent waits: refused, and nothing appended.
    stack.restart("audit")
    wait_for("refusal again", lambda: metrics(site)["sekisho_audit_refused_logs"] >= 2, 90)
    wait_for("the intent is seen waiting", lambda: metrics(site)["sekisho_audit_oldest_unread_seconds"] >= 2, 60)
    assert size_of(site, tenant) == restored
    log = stack.log("audit").read_text()
    assert "run sekisho-audit --repair" in log

    # While the service runs the journal is its own.
    code, text = repair(site)
    assert code != 0 and "another process" in text, text
    stack.halt("audit")
    code, text = repair(site)
    print("\n" + text)
    assert code == 0, text
    assert size_of(site, tenant) == late
    code, again = repair(site)  # a second time there is nothing to do
    assert code == 0 and f"{late} entries, 0 of them" in again, again
    stack.restart("audit")
    settled(site, tenant)
    recorded(tenant, action="key.created")
    assert size_of(site, tenant) > late
    assert metrics(site)["sekisho_audit_refused_logs"] == 0
    assert metrics(site)["sekisho_audit_gaps_total"] == 0
    assert one(site, "SELECT count(*) FROM (SELECT FROM audit.entry GROUP BY tenant, intent HAVING count(*) > 1) AS twice") == "0"

    # Every head ever published fits, by the verifier and by proofs.
    export(site, tenant, tmp_path / "x")
    arguments = []
    for n, note in enumerate(published):
        (tmp_path / f"head{n}").write_bytes(note)
        arguments += ["--head", tmp_path / f"head{n}"]
    code, text = verify(tmp_path / "x", *arguments)
    assert code == 0 and f"{len(published)} earlier heads fit" in text, text
    key = tenant.api("GET", "/v1/audit/heads?limit=1")["verifier_key"]
    for note in published[-3:]:
        _, first, first_root = rfc9162.checkpoint(note.decode(), key)
        p = tenant.api("GET", f"/v1/audit/proofs/consistency?first={first}")
        _, second, second_root = rfc9162.checkpoint(p["head"]["checkpoint"], key)
        hashes = [bytes.fromhex(h) if len(h) == 64 else base64.b64decode(h) for h in p["hashes"]]
        assert rfc9162.consistency_holds(first, second, hashes, first_root, second_root)
    # Its content too: the wrapped key of a tenant the backup never knew came back from the journal.
    assert size_of(site, newcomer) == newcomer_size
    rows = site.stack.psql(f"SELECT action FROM audit.entry WHERE tenant = '{newcomer.id}' AND action <> ''")
    assert len(rows) == newcomer_size and heads(site, newcomer.id)[:len(published_new)] == published_new
    assert entries(tenant, limit=1000)["entries"]


def test_another_history_is_refused(site, tmp_path):
    """Not a restore but an altered database: as many entries, another root. The repair does not cover that up."""
    stack = site.stack
    tenant = site.tenant()
    work(site, tenant, 2)
    root = one(site, f"SELECT encode(root, 'hex') FROM audit.tree WHERE tenant = '{tenant.id}'")
    before = size_of(site, tenant)
    stack.psql(f"UPDATE audit.tree SET root = sha256('x') WHERE tenant = '{tenant.id}'")
    tenant.api("GET", "/v1/users")
    wait_for("refusal", lambda: metrics(site)["sekisho_audit_refused_logs"] == 1, 90)
    assert size_of(site, tenant) == before
    stack.halt("audit")
    code, text = repair(site)
    assert code == 1 and tenant.id in text and "not those of the journal" in text, text
    stack.psql(f"UPDATE audit.tree SET root = decode('{root}', 'hex') WHERE tenant = '{tenant.id}'")
    stack.restart("audit")
    settled(site, tenant)
    assert metrics(site)["sekisho_audit_refused_logs"] == 0 and size_of(site, tenant) > before
