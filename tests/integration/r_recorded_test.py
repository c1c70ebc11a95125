# SPDX-License-Identifier: MIT
"""Who asked for what, from where, with what result: on the record before the answer is there, for every operation of the
table of subjects. The services are asked on the bus itself, with tokens as auth signs them: the permission is theirs to
enforce, whatever stands in front."""
import json
import os
import threading
import time
import urllib.request
import uuid

import psycopg2
import pytest

from lib.rpc import TRACE, Bus, Signer, Somebody, rpcs
from lib.site import ApiError

NOBODY = uuid.UUID(int=0)
RPCS = rpcs()
NEEDED = [(subject, owner, p) for subject, owner, permission, _ in RPCS for p in permission.split(",") if p != "*"]
PERMISSIONS = {p for _, _, p in NEEDED}


class Asking:
    def __init__(self, site):
        self.site, self.stack, self.signer, self.bus = site, site.stack, Signer(site.stack), Bus(site.stack)
        self.session = psycopg2.connect(site.stack.conninfo())
        self.session.autocommit = True

    def call(self, subject, who, **more):
        owner = subject.split(".")[2]
        return self.bus.call(subject, self.signer.token(who, owner), **more)

    def entries(self, owner, tenant, action=None):
        """[(action, outcome, actor, source, subject, detail, traceparent)]"""
        with self.session.cursor() as c:
            c.execute(f"SELECT action, outcome, convert_from(actor, 'UTF8'), convert_from(source, 'UTF8'), subject::text, "
                      f"convert_from(detail, 'UTF8'), traceparent FROM {owner}.audit_intent "
                      "WHERE tenant = %s AND (%s::text IS NULL OR action = %s) ORDER BY id", (str(tenant), action, action))
            return c.fetchall()

    def close(self):
        self.bus.close()
        self.session.close()


@pytest.fixture(scope="module")
def asking(site):
    a = Asking(site)
    yield a
    a.close()


def here(asking, owner):
    if owner not in asking.stack.services:
        pytest.skip(f"{owner} is not built")


@pytest.mark.parametrize("subject, owner, permission", NEEDED, ids=[f"{n[0]}-{n[2]}" for n in NEEDED])
def test_without_the_permission(asking, subject, owner, permission):
    """Every other permission is of no help; the denial says who, what, from where, and in which trace."""
    here(asking, owner)
    others = sorted(PERMISSIONS - {permission})
    who = Somebody(*others)
    rc, text, reply = asking.call(subject, who)
    assert (rc, text, reply) == ("denied", f"permission {permission} is missing", b"")
    [(action, outcome, actor, source, about, detail, trace)] = asking.entries(owner, who.tenant)
    assert (action, outcome, actor, source) == (subject.removeprefix("rpc.v1."), "denied", str(who.account), who.source)
    assert about == str(who.tenant) and json.loads(detail)["why"] == text
    assert trace.split("-")[1] == TRACE.split("-")[1] and trace != TRACE


@pytest.mark.parametrize("subject, owner, permission, record", RPCS, ids=[r[0] for r in RPCS])
def test_without_a_valid_token(asking, subject, owner, permission, record):
    here(asking, owner)
    who = Somebody(*PERMISSIONS)
    good = asking.signer.token(who, owner)
    bad = {"none": b"", "not one": b"x" * 200, "cut": good[:-1], "changed": good[:1] + bytes([good[1] ^ 1]) + good[2:],
           "for another": asking.signer.token(who, "nobody"), "over": asking.signer.token(who, owner, lifetime=-1),
           "too long": asking.signer.token(who, owner, lifetime=3600)}
    action = subject.removeprefix("rpc.v1.")
    before = len(asking.entries(owner, NOBODY, action))
    for name, token in bad.items():
        rc, text, reply = asking.bus.call(subject, token)
        assert (rc, text, reply) == ("denied", "no valid actor token", b""), name
    entries = asking.entries(owner, NOBODY, action)
    # One at once, and at most one more if a minute went over just now; they cannot flood the record.
    assert 1 <= len(entries) and len(entries) - before <= 2, entries
    assert entries[-1][1:4] == ("denied", "unknown", "api") and json.loads(entries[-1][5])["count"] >= 1
    assert asking.entries(owner, who.tenant) == []


@pytest.mark.parametrize("subject, owner, permission, record", [r for r in RPCS if r[3] == "read"], ids=[r[0] for r in RPCS if r[3] == "read"])
def test_a_read(asking, subject, owner, permission, record):
    """Whatever came of it, it is on the record when the answer is here."""
    here(asking, owner)
    who = Somebody(*permission.split(","))
    rc, text, _ = asking.call(subject, who)
    [(action, outcome, actor, source, _, detail, _)] = asking.entries(owner, who.tenant)
    assert (action, outcome, actor, source) == (subject.removeprefix("rpc.v1."), rc, str(who.account), who.source), text
    assert rc not in ("denied", "retry", "internal"), text
    assert json.loads(detail)["asked"] == {}


@pytest.mark.parametrize("subject, owner, permission, record", [r for r in RPCS if r[3] == "change"], ids=[r[0] for r in RPCS if r[3] == "change"])
def test_a_change_that_fails(asking, subject, owner, permission, record):
    here(asking, owner)
    who = Somebody(*permission.split(","), "message.send")
    rc, text, reply = asking.call(subject, who, payload=b"\xff\xff\xff")  # no message of protobuf
    assert rc not in ("ok", "retry", "internal") and reply == b"", (rc, text)
    [(action, outcome, actor, source, _, detail, _)] = asking.entries(owner, who.tenant)
    assert (action, outcome, actor, source) == (subject.removeprefix("rpc.v1."), rc, str(who.account), who.source)
    assert json.loads(detail) == {"asked": {"octets": 3}, "why": text}


def test_what_was_asked(asking):
    """Ids, numbers and addresses are shown; words of a search are not, and say only how long they were."""
    message = uuid.uuid4()
    who = Somebody("message.read")
    assert asking.call("rpc.v1.delivery.show", who, payload=b"\x0a\x10" + message.bytes)[0] == "not_found"
    [(_, outcome, _, _, about, detail, _)] = asking.entries("delivery", who.tenant)
    assert (outcome, about) == ("not_found", str(message)) and json.loads(detail)["asked"] == {"id": str(message)}
    who = Somebody("message.read")
    words = "人事異動".encode()
    asking.call("rpc.v1.delivery.search", who, payload=b"\x0a" + bytes([len(words)]) + words)
    [(_, _, _, _, _, detail, _)] = asking.entries("delivery", who.tenant)
    assert json.loads(detail)["asked"]["query"] == {"octets": len(words)} and "人事" not in detail


def test_through_the_gateway(asking):
    """The client's address is the gateway's word, and the entry has the trace the client gave."""
    tenant = asking.site.tenant()
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    tenant.api("GET", "/v1/policy", headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    found = [e for e in asking.entries("policy", tenant.id, "policy.get") if e[6].split("-")[1] == trace]
    assert len(found) == 1 and found[0][1] == "ok" and found[0][3] == "127.0.0.1"
    with pytest.raises(ApiError) as e:
        asking.site.api("GET", "/v1/policy", key=tenant.send_key)
    assert e.value.status == 403
    denied = asking.entries("policy", tenant.id, "policy.get")[-1]
    assert denied[1] == "denied" and denied[3] == "127.0.0.1"
    activated = asking.entries("policy", tenant.id, "policy.activated")
    assert activated and all(x[3] == "127.0.0.1" for x in activated)
    # A submission that may not be: api's key without message.send, recorded by ingest.
    with pytest.raises(ApiError) as e:
        asking.site.api("POST", "/v1/messages", {"from": tenant.sender, "to": ["a@sink.example"], "subject": "s", "text": "t"},
                        key=asking.site.api("POST", "/v1/keys", {"kind": "api_key", "name": "r", "login": tenant.user,
                                                                 "permissions": ["policy.read"]}, key=tenant.key)["secret"])
    assert e.value.status == 403
    assert [x[1:2] + x[3:4] for x in asking.entries("ingest", tenant.id, "ingest.submit")] == [("denied", "127.0.0.1")]
    # And a mail that was accepted says where it came from.
    tenant.send(tenant.mail("a@sink.example"), "a@sink.example")
    assert asking.entries("ingest", tenant.id, "mail.accepted")[-1][3] == "127.0.0.1"


def test_not_recorded_is_not_answered(asking):
    """The record cannot be written: the read gets no answer but "try again"."""
    who = Somebody("policy.read")
    with psycopg2.connect(asking.stack.conninfo()) as lock:
        lock.cursor().execute("LOCK TABLE policy.audit_intent IN EXCLUSIVE MODE")
        rc, text, reply = asking.call("rpc.v1.policy.get", who)
        lock.rollback()
    assert (rc, reply) == ("retry", b"") and text.startswith("cannot be recorded now"), (rc, text)
    assert asking.call("rpc.v1.policy.get", who)[0] == "ok"


def commits(asking):
    port = asking.stack.ports["policy-health"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as r:
        for line in r.read().decode().splitlines():
            if line.startswith("sekisho_record_duration_seconds_count"):
                return float(line.split()[-1])
    raise AssertionError("no metric")


def test_many_at_once(asking):
    """Eight callers of two tenants at the same time: each read has its own entry."""
    each = int(os.environ.get("SEKISHO_READS", "100"))
    people = [Somebody("policy.read"), Somebody("policy.read")]
    took, failed, before = [], [], commits(asking)

    def ask(who):
        bus = Bus(asking.stack)
        for _ in range(each):
            began = time.monotonic()
            rc, text, _ = bus.call("rpc.v1.policy.get", asking.signer.token(who, "policy"))
            took.append(time.monotonic() - began)
            if rc != "ok":
                failed.append(text)
        bus.close()

    threads = [threading.Thread(target=ask, args=(people[i % 2],)) for i in range(8)]
    began = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
    seconds = time.monotonic() - began
    assert not failed, failed[:3]
    assert [len(asking.entries("policy", p.tenant)) for p in people] == [4 * each, 4 * each]
    assert commits(asking) - before == 8 * each
    took.sort()
    print(f"{8 * each} recorded reads by 8 callers: {len(took) / seconds:.0f}/s, p50 {took[len(took) // 2] * 1e3:.1f} ms, "
          f"p99 {took[len(took) * 99 // 100] * 1e3:.1f} ms")
