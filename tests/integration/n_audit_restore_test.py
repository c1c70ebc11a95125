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


def adopting(site, on):
    """From the next start on."""
    process = site.stack._process("audit")
    process.argv = process.argv[:1] + (["--adopt"] if on else [])


def published(site, tenant):
    """Size of the head in the folder of heads."""
    file = site.stack.run / f"audit-heads/{tenant.id}.checkpoint"
    return int(file.read_text().splitlines()[1]) if file.exists() else 0


def newest(site, tenant):
    return int(one(site, f"SELECT COALESCE(max(size), 0) FROM audit.head WHERE tenant = '{tenant.id}'"))


def swap_without_audit(site, copy):
    """Another database; audit is halted."""
    site.stack.halt("postgres")
    shutil.rmtree(site.stack.run / "pg")
    subprocess.run(["cp", "-a", copy, site.stack.run / "pg"], check=True)
    site.stack.restart("postgres")
    site.stack.wait_ready("api")


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
    wait_for("it is told that no gap is looked for", lambda: metrics(site)["sekisho_audit_gaps_unwatched_seconds"] >= 1, 30)
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
    wait_for("gaps are looked for again", lambda: metrics(site)["sekisho_audit_gaps_unwatched_seconds"] == 0, 30)
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


def test_a_head_that_did_not_get_everywhere_is_tried_again(site):
    """Signed, then the folder of heads was away: it gets there without the log growing."""
    tenant = site.tenant()
    work(site, tenant, 1)
    folder = site.stack.run / "audit-heads"
    wait_for("a published head", lambda: published(site, tenant) > 0, 30)
    folder.rename(folder.with_name("away"))
    before = newest(site, tenant)
    work(site, tenant, 1)
    wait_for("a head signed meanwhile", lambda: newest(site, tenant) > before, 30)
    size = settled(site, tenant)
    folder.with_name("away").rename(folder)
    wait_for("the head in its folder", lambda: published(site, tenant) == size == newest(site, tenant), 30)
    assert size_of(site, tenant) == size


def test_lost_journal(site, tmp_path):
    """An empty folder where the journal should be: nothing is appended or signed. --adopt takes what fits all published heads, and
    only that."""
    stack = site.stack
    tenant = site.tenant()
    work(site, tenant, 2)
    stack.halt("postgres")
    subprocess.run(["cp", "-a", stack.run / "pg", tmp_path / "early"], check=True)
    stack.restart("postgres")
    stack.wait_ready()
    work(site, tenant, 3)
    size = settled(site, tenant)
    wait_for("the last head", lambda: published(site, tenant) == size_of(site, tenant) == newest(site, tenant), 30)
    stack.halt("audit")
    size, notes = size_of(site, tenant), heads(site, tenant.id)

    journal = stack.run / "audit-journal"
    kept = journal.stat()
    journal.rename(tmp_path / "journal")
    journal.mkdir(mode=0o700)
    os.chown(journal, kept.st_uid, kept.st_gid)
    stack.restart("audit")
    tenant.api("GET", "/v1/users")
    wait_for("refusal", lambda: metrics(site)["sekisho_audit_refused_logs"] >= 1, 90)
    wait_for("the intent waits", lambda: metrics(site)["sekisho_audit_oldest_unread_seconds"] >= 2, 60)
    assert size_of(site, tenant) == size and newest(site, tenant) == size and "--adopt" in stack.log("audit").read_text()
    stack.halt("audit")
    code, text = repair(site)
    assert code == 1 and tenant.id in text and "--adopt" in text, text

    # A restored database beside it: also with --adopt no fork of what was published.
    stack.halt("postgres")
    subprocess.run(["cp", "-a", stack.run / "pg", tmp_path / "late"], check=True)
    swap_without_audit(site, tmp_path / "early")
    restored = size_of(site, tenant)
    assert restored < size
    tenant.api("GET", "/v1/users")
    adopting(site, True)
    stack.restart("audit")
    wait_for("refusal", lambda: metrics(site)["sekisho_audit_refused_logs"] >= 1, 90)
    wait_for("the intent waits", lambda: metrics(site)["sekisho_audit_oldest_unread_seconds"] >= 2, 60)
    assert size_of(site, tenant) == restored and published(site, tenant) == size and newest(site, tenant) < size
    stack.halt("audit")

    # The right database: adopted, and from then on as always.
    swap_without_audit(site, tmp_path / "late")
    shutil.rmtree(journal)
    journal.mkdir(mode=0o700)
    os.chown(journal, kept.st_uid, kept.st_gid)
    stack.restart("audit")
    grown = work(site, tenant, 1)
    assert grown > size and metrics(site)["sekisho_audit_refused_logs"] == 0
    adopting(site, False)
    stack.restart("audit")
    work(site, tenant, 1)
    export(site, tenant, tmp_path / "x")
    (tmp_path / "head").write_bytes(notes[-1])
    code, text = verify(tmp_path / "x", "--head", tmp_path / "head")
    assert code == 0, text
