# SPDX-License-Identifier: MIT
"""No 250 before the WAL flush that covers its commit; and one bad mail does not spoil its neighbours' commit."""
import concurrent.futures
import statistics
import threading
import time

import pytest

import postgres
from lib import wal
from lib.site import FULL
from lib.wire import Receiver, wait_for

import measure

MAILS = 10_000 if FULL else 300
CLIENTS = 10
DELAY_US = 10_000


@pytest.fixture(scope="module")
def site(own_site):
    return own_site


@pytest.fixture(scope="module")
def tenant(site):
    with Receiver() as receiver:
        t = site.tenant(next_hop=receiver.address)
        t.receiver = receiver
        yield t


def send_many(tenant, numbers, replies):
    """Notes for each number what was answered and when the reply was here."""
    client = tenant.client()
    for n in numbers:
        to = f"h{n}@sink.example"
        code, text = tenant.send(tenant.mail(to, body=f"{n}\r\n"), to, client=client)
        replies[n] = (code, text, time.time())
        if code // 100 != 2:
            client.close()
            client = tenant.client()
    client.close()


def early(replies, records, disk):
    """Numbers whose 250 was here before their commit was on disk (or whose commit was never flushed)."""
    out = []
    for n, (_, _, at) in replies.items():
        since = disk.since(*records[n])
        if since is None or at < since:
            out.append((n, since and at - since))
    return out


def test_no_250_before_the_flush(site, tenant, tmp_path):
    stack = site.stack
    start = stack.psql("SELECT pg_current_wal_flush_lsn()")[0][0]
    postmaster = stack.pid("postgres")
    trace = wal.Trace(postmaster, [p for p in measure.tree(postmaster) if p != postmaster], tmp_path / "trace", DELAY_US)
    replies = {}
    try:
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(lambda i: send_many(tenant, range(i, MAILS, CLIENTS), replies), range(CLIENTS)))
    finally:
        disk = wal.Disk(trace.stop())
    assert {code for code, _, _ in replies.values()} == {250}, {r[:2] for r in replies.values() if r[0] != 250}
    assert len(replies) == MAILS
    xids = {row[0]: int(row[1]) for row in stack.psql(
        f"SELECT convert_from(recipients[1], 'UTF8'), xmin::text FROM ingest.acceptance WHERE tenant = '{tenant.id}'")}
    commits = wal.commits(postgres.BIN, stack.run / "pg", start, stack.run_as)
    records = {n: commits[xids[f"h{n}@sink.example"]] for n in replies}
    # strace notes some beginnings late, so that single flushes look shorter than their delay
    assert statistics.median(ended - began for began, ended in disk.syncs) >= DELAY_US / 1e6, "the delay was not there"
    bad = early(replies, records, disk)
    margins = sorted(at - disk.since(*records[n]) for n, (_, _, at) in replies.items() if disk.since(*records[n]))
    print(f"{MAILS} mails, {len(disk.syncs)} flushes delayed by {DELAY_US // 1000} ms, 250 at least {margins[0] * 1000:.2f} ms after its flush")
    assert not bad, f"{len(bad)} of {MAILS} came early: {bad[:10]}"
    # the ruler is sharp: a reply sent when its flush began would have been noticed
    sooner = {n: (code, text, records[n][0]) for n, (code, text, _) in replies.items()}
    assert len(early(sooner, records, disk)) == MAILS
    tenant.settled(120)


def test_one_commit_holds_everything(site, tenant):
    """Body, acceptance and audit intent of a message came in one transaction."""
    odd = site.stack.psql(f"""
        SELECT a.id FROM ingest.acceptance a
         WHERE a.tenant = '{tenant.id}' AND (
           NOT EXISTS (SELECT FROM content.chunk c WHERE c.tenant = a.tenant AND c.id = a.id AND c.xmin = a.xmin)
           OR NOT EXISTS (SELECT FROM ingest.audit_intent i WHERE i.tenant = a.tenant AND i.subject = a.id AND i.xmin = a.xmin))""")
    assert not odd, odd[:5]


POISON = (
    b"Subject: \xff\xfe\x00\r\n\r\nNUL and broken octets in the header\r\n",
    b"Subject: \xed\xa0\x80 surrogate\r\nContent-Type: text/plain; name=\"\xff\xff\"; charset=\xff\r\n\r\n\xff\xff\xff\r\n",
    b"Subject: =?utf-8?B?/////w==?=\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/\xff\r\n"
    b"Content-Disposition: attachment; filename=\"\xff\xfe.\x01\"\r\n\r\nx\r\n--b--\r\n",
    b"Subject: " + b"\xc3\x28" * 400 + b"\r\n\r\nnot UTF-8\r\n",
)


def test_poison_among_good(site, tenant):
    """Twenty good mails at the same time as broken ones: 20 x 250, every time; the broken get an answer of some kind."""
    start = threading.Barrier(20 + len(POISON))

    def good(n):
        client = tenant.client()
        start.wait(30)
        to = f"good{n}@sink.example"
        return tenant.send(tenant.mail(to), to, client=client)

    def bad(head):
        client = tenant.client()
        start.wait(30)
        data = f"From: <{tenant.sender}>\r\nTo: <bad@sink.example>\r\nX-Bench-Id: bad\r\n".encode() + head
        return tenant.send(data, "bad@sink.example", client=client)

    with concurrent.futures.ThreadPoolExecutor(20 + len(POISON)) as pool:
        fine = [pool.submit(good, n) for n in range(20)]
        broken = [pool.submit(bad, p) for p in POISON]
        answers = [f.result(90) for f in fine]
        others = [f.result(90) for f in broken]
    print("broken mails:", others)
    assert [code for code, _ in answers] == [250] * 20, answers
    assert all(code in (250, 451) or code // 100 == 5 for code, _ in others), others
    tenant.receiver.wait(20, match=lambda m: m.recipients[0].startswith("good"))
    wait_for("an empty outbox", lambda: site.stack.psql("SELECT count(*) FROM ingest.outbox") == [["0"]], 60)
