# SPDX-License-Identifier: MIT
"""The record: intents become entries of a Merkle log within seconds; what comes out of it is checked by the offline verifier and,
apart from it, by an implementation of RFC 9162 in lib/rfc9162.py; exports are on the record themselves."""
import base64
import http.server
import json
import re
import subprocess
import threading
import time

import pytest

from lib import rfc9162
from lib import site as sites
from lib.record import NIL, VERIFY, entries, export, last_head, load, metrics, one, raw, recorded, settled, size_of, verify
from lib.wire import wait_for


@pytest.fixture(scope="module")
def own(own_site):
    return own_site


@pytest.fixture(scope="module")
def tenant(own):
    t = own.tenant()
    for n in range(5):
        t.api("POST", "/v1/users", {"login": f"p{n}@{t.domain}", "display_name": "Person", "password": "a long password " + str(n),
                                    "addresses": []})
    settled(own, t)
    return t


# --- what is on the record ---------------------------------------------------------------------------------------
def test_an_effect_is_in_the_tree_within_seconds(own, tenant):
    took = []
    for n in range(5):
        began = time.monotonic()
        made = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": f"k{n}", "permissions": ["message.read"]})
        recorded(tenant, action="key.created", subject=made["id"])
        took.append(time.monotonic() - began)
    print(f"\nfrom effect to tree: {min(took):.2f} to {max(took):.2f} s")
    assert max(took) < 10
    e = recorded(tenant, action="key.created", subject=made["id"])
    assert (e["service"], e["outcome"], e["subject"]) == ("auth", "ok", made["id"])
    assert e["actor"] and e["at"].endswith("Z")


def test_reads_and_denials_are_on_the_record(own, tenant):
    tenant.api("GET", "/v1/users")
    assert recorded(tenant, action="auth.user_list")["outcome"] == "ok"
    with pytest.raises(sites.ApiError) as e:
        own.api("GET", "/v1/users", key=tenant.send_key)
    assert e.value.status == 403
    denied = recorded(tenant, outcome="denied", action="auth.user_list")
    assert denied["actor"]
    entries(tenant, limit=1)
    assert recorded(tenant, action="audit.search")["service"] == "audit"


def test_search_by_every_condition(own, tenant):
    settled(own, tenant)
    all_, cursor = [], ""
    while cursor is not None:
        page = entries(tenant, limit=7, **({"cursor": cursor} if cursor else {}))
        all_ += page["entries"]
        cursor = page["next_cursor"] or None
        assert len(all_) < 10000
    index = [e["index"] for e in all_]
    assert len(set(index)) == len(index) and 0 in index
    assert [e["at"] for e in all_] == sorted((e["at"] for e in all_), reverse=True)
    newest = max(index)
    one = next(e for e in all_ if e["action"] == "user.created")
    for query, want in [
            ({"action": "user.created"}, lambda e: e["action"] == "user.created"),
            ({"action": "user."}, lambda e: e["action"].startswith("user.")),
            ({"actor": one["actor"]}, lambda e: e["actor"] == one["actor"]),
            ({"subject": one["subject"]}, lambda e: e["subject"] == one["subject"]),
            ({"outcome": "denied"}, lambda e: e["outcome"] == "denied"),
            ({"from": one["at"]}, lambda e: e["at"] >= one["at"]),
            ({"until": one["at"]}, lambda e: e["at"] < one["at"]),
            ({"action": "user.created", "actor": one["actor"], "from": one["at"]},
             lambda e: e["action"] == "user.created" and e["actor"] == one["actor"] and e["at"] >= one["at"])]:
        found = [e for e in entries(tenant, limit=1000, **query)["entries"] if e["index"] <= newest]
        assert [e["index"] for e in found] == [e["index"] for e in all_ if want(e)], query


def test_tenants_do_not_meet(own, tenant):
    other = own.tenant()
    settled(own, other)
    mine = {e["id"] for e in entries(tenant, limit=1000)["entries"] if "id" in e}
    theirs = {e["id"] for e in entries(other, limit=1000)["entries"] if "id" in e}
    assert theirs and not mine & theirs
    origin = last_head(other)["checkpoint"].splitlines()[0]
    assert origin.endswith(other.id)


# --- proofs ------------------------------------------------------------------------------------------------------
def unbase(h):
    """A hash as the API writes it."""
    return bytes.fromhex(h) if re.fullmatch("[0-9a-f]{64}", h) else base64.b64decode(h)


def test_everything_fits_an_independent_implementation(own, tenant, tmp_path):
    settled(own, tenant)
    lines = export(own, tenant, tmp_path / "x").splitlines()
    header = json.loads(lines[0])
    origin, size, root = rfc9162.checkpoint(header["checkpoint"], header["key"])
    assert origin == f"mx.sekisho.test/audit/{tenant.id}" and size == header["size"]
    leaves = [rfc9162.leaf_of_line(line) for line in lines[1:] if line.startswith(b'{"index"')]
    assert len(leaves) == size and rfc9162.root_of(leaves) == root
    for line in lines[1:]:
        if line.startswith(b'{"head"'):
            _, n, r = rfc9162.checkpoint(json.loads(line)["head"], header["key"])
            assert rfc9162.root_of(leaves[:n]) == r
    for index in {0, 1, size // 2, size - 1}:
        p = tenant.api("GET", f"/v1/audit/proofs/inclusion?index={index}&size={size}")
        proof = [unbase(h) for h in p["hashes"]]
        assert rfc9162.inclusion_holds(leaves[index], index, size, proof, root)
        assert not rfc9162.inclusion_holds(leaves[index], (index + 1) % size, size, proof, root)
    for first in {1, 2, size // 3, size // 2 + 1, size - 1, size}:
        p = tenant.api("GET", f"/v1/audit/proofs/consistency?first={first}&size={size}")
        proof = [unbase(h) for h in p["hashes"]]
        assert rfc9162.consistency_holds(first, size, proof, rfc9162.root_of(leaves[:first]), root)
        assert not rfc9162.consistency_holds(first, size, proof, rfc9162.root_of(leaves[:first - 1] + [leaves[0][::-1]]), root)
    with pytest.raises(sites.ApiError) as e:
        tenant.api("GET", f"/v1/audit/proofs/inclusion?index={size + 100000}")
    assert e.value.status == 404


def test_verifier_with_and_without_an_earlier_head(own, tenant, tmp_path):
    head = tmp_path / "head"
    head.write_text(last_head(tenant)["checkpoint"])
    settled(own, tenant)
    export(own, tenant, tmp_path / "x")
    code, text = verify(tmp_path / "x")
    assert code == 0 and "not excluded" in text, text
    code, text = verify(tmp_path / "x", "--head", head)
    assert code == 0 and "earlier heads fit" in text, text
    key = tenant.api("GET", "/v1/audit/heads?limit=1")["verifier_key"]
    code, text = verify(tmp_path / "x", "--key", key, "--head", head, "--quiet")
    assert code == 0 and text.count("\n") == 1, text
    assert verify("-", stdin=(tmp_path / "x").read_bytes())[0] == 0
    assert verify(tmp_path / "absent")[0] == 2 and verify()[0] == 2
    r = subprocess.run(["ldd", VERIFY], capture_output=True, text=True)
    assert "statically linked" in r.stdout or "not a dynamic executable" in r.stderr


def test_a_part_from_a_later_entry(own, tenant, tmp_path):
    size = settled(own, tenant)
    export(own, tenant, tmp_path / "x", f"?first={size // 2}")
    code, text = verify(tmp_path / "x")
    assert code == 0, text


def test_filtered_export_proves_each_line(own, tenant, tmp_path):
    settled(own, tenant)
    data = export(own, tenant, tmp_path / "x", "?action=user.created")
    lines = data.splitlines()
    header = json.loads(lines[0])
    assert header["filter"] == {"action": "user.created"} and len(lines) > 5
    _, size, root = rfc9162.checkpoint(header["checkpoint"], header["key"])
    for line in lines[1:]:
        e = json.loads(line)
        assert e["record"]["action"] == "user.created"
        assert rfc9162.inclusion_holds(rfc9162.leaf_of_line(line), e["index"], size, [base64.b64decode(h) for h in e["proof"]], root)
    code, text = verify(tmp_path / "x")
    assert code == 0 and "filtered" in text, text
    (tmp_path / "y").write_bytes(data.replace(b'"outcome":"ok"', b'"outcome":"no"', 1))
    assert verify(tmp_path / "y")[0] == 1
    (tmp_path / "z").write_bytes(b"\n".join([lines[0], lines[2], lines[1]]) + b"\n")
    code, text = verify(tmp_path / "z")
    assert code == 1 and "reordering" in text, text


def test_csv_is_for_people(own, tenant):
    import csv
    import io
    rows = list(csv.reader(io.StringIO(raw(own, "/v1/audit/export?format=csv&action=user.created", tenant.key).decode("utf-8-sig"))))
    assert rows[0][:4] == ["index", "time", "service", "action"] and len(rows) > 5
    assert {r[3] for r in rows[1:]} == {"user.created"}


def test_an_export_is_on_the_record(own, tenant, tmp_path):
    import hashlib
    settled(own, tenant)
    data = export(own, tenant, tmp_path / "x", "?action=key.created")
    digest = hashlib.sha256(data).hexdigest()

    def found():
        return [e for e in entries(tenant, action="audit.export", limit=20)["entries"]
                if e["detail"]["asked"]["sha256"] == digest]
    e = wait_for("the export's own entry", found, 10)[0]
    asked = e["detail"]["asked"]
    assert asked["filter"] == {"action": "key.created"} and asked["count"] == data.count(b'"index"')


# --- events ------------------------------------------------------------------------------------------------------
def test_the_feed_is_documented():
    """docs/EVENTS.md is what the table makes."""
    tools = sites.ROOT / "tools/gen_actions.py"
    table = [line.split("\t") for line in (sites.ROOT / "proto/actions.tsv").read_text().splitlines() if line and line[0] != "#"]
    made = subprocess.run(["/usr/bin/python3", tools, "--doc", "/dev/stdout"], capture_output=True, text=True, check=True).stdout
    assert made == (sites.ROOT / "docs/EVENTS.md").read_text()
    assert all(f"`{row[2]}`" in made for row in table if row[2] != "-")


# --- what must alarm ---------------------------------------------------------------------------------------------
def test_a_lost_intent_is_a_gap(own, tenant):
    psql = own.stack.psql
    settled(own, tenant)
    before = metrics(own)["sekisho_audit_gaps_total"]
    own.stack.halt("audit")
    for n in range(3):
        tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": f"gap{n}", "permissions": ["message.read"]})
    # One that is not the last of its writer's numbers: what nobody wrote after cannot be missed.
    victim = one(own, f"SELECT i.id FROM auth.audit_intent i WHERE i.tenant = '{tenant.id}' AND EXISTS (SELECT FROM auth.audit_intent j "
                  "WHERE j.epoch = i.epoch AND j.seq = i.seq + 1) AND NOT EXISTS (SELECT FROM audit.entry e WHERE e.intent = i.id) "
                  "LIMIT 1")
    assert victim
    psql(f"DELETE FROM auth.audit_intent WHERE id = '{victim}'")
    own.stack.restart("audit")
    wait_for("the gap", lambda: metrics(own)["sekisho_audit_gaps_total"] > 0, 20)
    wait_for("its entry in the platform's log",
             lambda: one(own, f"SELECT count(*) FROM audit.entry WHERE tenant = '{NIL}' AND action = 'audit.gap'") == "1", 10)
    time_of = metrics(own)["sekisho_audit_gaps_total"]
    settled(own, tenant)
    assert metrics(own)["sekisho_audit_gaps_total"] == time_of == 1 and before == 0  # once, and never without cause


def test_content_that_was_altered_is_not_shown(own, tenant, tmp_path):
    size = settled(own, tenant)
    psql = own.stack.psql
    index, other = size - 2, size - 3
    psql("CREATE TABLE kept AS SELECT tenant, index, sealed FROM audit.entry")
    psql(f"UPDATE audit.entry SET sealed = (SELECT sealed FROM kept k WHERE k.tenant = '{tenant.id}' AND k.index = {other}) "
         f"WHERE tenant = '{tenant.id}' AND index = {index}")
    listed = {x["index"]: x for x in entries(tenant, limit=1000)["entries"]}
    assert len(listed) > 3 and listed[index]["action"] == "" and listed[other]["action"]  # the others are not lost with it
    export(own, tenant, tmp_path / "x")
    code, text = verify(tmp_path / "x")
    assert code == 0 and "the content of 1 entries is not in the export" in text, text
    assert metrics(own)['sekisho_audit_failures_total{what="entry"}'] >= 1
    # Erased: the place stays proven.
    psql(f"UPDATE audit.entry SET sealed = NULL WHERE tenant = '{tenant.id}' AND index = {index}")
    assert entries(tenant, limit=1000)["entries"]
    export(own, tenant, tmp_path / "x")
    assert verify(tmp_path / "x")[0] == 0
    # The leaf itself: the root does not fit any more.
    psql(f"UPDATE audit.entry SET leaf = sha256('other') WHERE tenant = '{tenant.id}' AND index = {index}")
    export(own, tenant, tmp_path / "x")
    code, text = verify(tmp_path / "x")
    assert code == 1 and "edit" in text, text
    psql(f"UPDATE audit.entry e SET sealed = k.sealed FROM kept k WHERE k.tenant = e.tenant AND k.index = e.index")
    psql("DROP TABLE kept")
    # The right leaf is in the tiles.
    psql(f"UPDATE audit.entry e SET leaf = substring(t.hashes FROM ({index} % 256) * 32 + 1 FOR 32) FROM audit.tile t WHERE "
         f"t.tenant = e.tenant AND t.level = 0 AND t.n = {index} / 256 AND e.tenant = '{tenant.id}' AND e.index = {index}")
    export(own, tenant, tmp_path / "x")
    assert verify(tmp_path / "x")[0] == 0


def test_another_cluster_reads_everything_again_and_nothing_twice(own, tenant):
    """As after a dump is restored: the marks are another cluster's, and a row's transaction id lies in the future."""
    psql = own.stack.psql
    before = settled(own, tenant)
    own.stack.halt("audit")
    psql("UPDATE audit.mark SET cluster = 1, xid = '9000000000'")
    psql("INSERT INTO auth.audit_intent (tenant, id, writer, epoch, seq, at, action, outcome, actor, subject, number, xid) SELECT "
         f"'{tenant.id}', sekisho.uuid_floor(now()), 'sekisho_auth', gen_random_uuid(), 1, now(), 'test.future', 'ok', '', "
         f"'{NIL}', -1, '8000000000'")
    own.stack.restart("audit")
    recorded(tenant, action="test.future")
    made = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": "later", "permissions": ["message.read"]})
    recorded(tenant, action="key.created", subject=made["id"])
    settled(own, tenant)
    assert one(own, "SELECT count(*) FROM (SELECT FROM audit.entry GROUP BY tenant, intent HAVING count(*) > 1) AS twice") == "0"
    again = one(own, f"SELECT count(*) FROM audit.entry WHERE tenant = '{tenant.id}' AND action = 'test.future'")
    assert again == "1" and size_of(own, tenant) > before
    assert metrics(own)["sekisho_audit_gaps_total"] == 0


# --- the witness -------------------------------------------------------------------------------------------------
class Witness(http.server.BaseHTTPRequestHandler):
    refuse, taken = True, []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(503 if Witness.refuse else 204)
        self.end_headers()
        if not Witness.refuse:
            Witness.taken.append(body)

    def log_message(self, *args):
        pass


def test_heads_go_to_witness_and_folder(own, tenant):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Witness)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    own.stack.restart("audit", env={"SEKISHO_AUDIT_WITNESS": f"http://127.0.0.1:{server.server_port}/heads",
                                    "SEKISHO_AUDIT_HEAD_EVERY": "100ms"})
    tenant.api("GET", "/v1/users")
    failed = 'sekisho_audit_failures_total{what="witness"}'
    wait_for("a refused head", lambda: metrics(own)[failed] > 0, 20)
    Witness.refuse = False
    key = tenant.api("GET", "/v1/audit/heads?limit=1")["verifier_key"]
    mine = lambda: [n for n in Witness.taken if n.startswith(f"mx.sekisho.test/audit/{tenant.id}\n")]  # noqa: E731
    note = wait_for("a head at the witness", mine, 60)[-1]
    _, size, root = rfc9162.checkpoint(note, key)
    path = own.stack.run / f"audit-heads/{tenant.id}.checkpoint"
    origin, in_file, _ = rfc9162.checkpoint(path.read_text(), key)
    assert in_file >= size and origin.endswith(tenant.id)
    server.shutdown()


# --- dying -------------------------------------------------------------------------------------------------------
def test_killed_at_any_time(own, tenant, tmp_path):
    """kill -9 while it appends: nothing is missing, nothing is there twice, journal and database agree."""
    kills, last = 0, size_of(own, tenant) + 20000
    load(own, tenant, 20000)
    while size_of(own, tenant) < last:
        size = size_of(own, tenant)
        wait_for("progress", lambda: size_of(own, tenant) > size or size_of(own, tenant) >= last, 60)
        own.stack.kill("audit")
        own.stack.wait_ready("audit")
        kills += 1
    settled(own, tenant)
    print(f"\nkilled {kills} times")
    assert kills >= 2
    assert one(own, f"SELECT count(*) FROM audit.entry WHERE tenant = '{tenant.id}' AND action = 'test.load'") == "20000"
    assert one(own, "SELECT count(*) FROM (SELECT FROM audit.entry GROUP BY tenant, intent HAVING count(*) > 1) AS twice") == "0"
    export(own, tenant, tmp_path / "x")
    code, text = verify(tmp_path / "x")
    assert code == 0, text
    m = metrics(own)
    assert m["sekisho_audit_refused_logs"] == 0 and m["sekisho_audit_gaps_total"] == 0
