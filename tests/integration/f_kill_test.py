# SPDX-License-Identifier: MIT
"""kill -9 of each service in turn, and of nats-server, in the middle of a load: nothing that got a 250 is lost, what comes
twice was in flight at a kill, and every recipient is accounted for in every snapshot."""
import threading
import time
import urllib.error

import pytest

from lib.fixtures import Load, account
from lib.site import FULL, ApiError

MAILS = 20_000 if FULL else 2_000
VICTIMS = ("ingest", "scan", "policy", "auth", "delivery", "keeper", "api", "nats", "delivery", "ingest")


class Watch(threading.Thread):
    """Asks for the conservation sum again and again; a service that is away may not answer, but no answer may be wrong."""

    def __init__(self, tenant):
        super().__init__(daemon=True)
        self.tenant, self.sums, self.wrong, self.silent, self.ending = tenant, [], [], 0, threading.Event()

    def run(self):
        while not self.ending.wait(0.1):
            try:
                sum_ = self.tenant.conservation(timeout=5)
            except (ApiError, urllib.error.URLError, OSError):
                self.silent += 1
                continue
            terms = sum_["terms"]
            self.sums.append(terms)
            parts = sum(v for k, v in terms.items() if k not in ("accepted", "added"))
            if not sum_["holds"] or terms["accepted"] + terms["added"] != parts or sum_["violations"]:
                self.wrong.append(sum_)

    def stop(self):
        self.ending.set()
        self.join(30)


@pytest.fixture(scope="module")
def site(own_site):
    return own_site


def in_flight(site):
    """Recipients that were being sent: read right after a kill, before anybody can take them up again."""
    return int(site.stack.psql("SELECT count(*) FROM delivery.leg WHERE state = 'sending'")[0][0])


def came_twice(sink):
    return {ident for ident, at in sink.arrivals().items() if len(at) > 1}


def marked(tenant):
    """Ids (bench/load.c numbers them from 0, their subjects from 1) of mails with a recipient marked as possible duplicate."""
    ids = [m["id"] for m in tenant.messages() if any(r["possible_duplicate"] for r in m["recipients"])]
    return {int(tenant.api("GET", f"/v1/messages/{ident}")["subject"].split()[2]) - 1 for ident in ids}


def assert_told(tenant, twice):
    """Whatever came more than once is marked."""
    untold = {int(ident.rpartition("-")[2]) for ident in twice} - marked(tenant)
    assert not untold, sorted(untold)[:10]


def test_kill_each(site, tools, sink, tmp_path):
    tenant = site.tenant(next_hop=f"127.0.0.1:{sink.port}")
    watch = Watch(tenant)
    watch.start()
    load = Load(tools, tenant, MAILS, tmp_path / "load.log")
    flying, killed = 0, []
    try:
        for victim in VICTIMS:
            load.wait_accepted(len(load.accepted()) + MAILS // (len(VICTIMS) + 2))
            before = site.stack.starts(victim)
            site.stack.kill(victim)
            if victim == "delivery":
                flying += in_flight(site)
            site.stack.wait_ready(victim, timeout=60)
            assert site.stack.starts(victim) > before
            killed.append((victim, len(load.accepted())))
        load.wait_accepted(killed[-1][1] + 50)  # it goes on after the last kill too
        load.finish()
        ended = time.monotonic()
        lost, duplicates, phantoms = account(load, sink, 120)
        drained = time.monotonic() - ended
        sum_ = tenant.settled(120)
    finally:
        watch.stop()
        load.stop()
    print(f"accepted {len(load.accepted())}, unknown {len(load.unknown())}, duplicates {duplicates}, in flight at kills of delivery "
          f"{flying}, drained {drained:.1f} s after the load, snapshots {len(watch.sums)} (silent {watch.silent}), kills {killed}")
    assert not lost, f"{len(lost)} lost: {lost[:10]}"
    assert not phantoms, phantoms[:10]
    assert duplicates <= flying
    assert_told(tenant, came_twice(sink))
    assert killed[-1][1] < len(load.accepted()), "the load ended before the last kill"
    assert not watch.wrong, watch.wrong[:3]
    assert len(watch.sums) >= 10
    assert any(terms["open"] > 0 for terms in watch.sums), "no snapshot saw mail under way"
    assert sum_["terms"]["delivered"] == sum_["terms"]["accepted"] >= MAILS


def test_kill_postgres(site, tools, sink, tmp_path):
    """The record itself dies: what it committed is there again, the rest was never accepted."""
    tenant = site.tenant(next_hop=f"127.0.0.1:{sink.port}")
    mails = MAILS // 4
    load = Load(tools, tenant, mails, tmp_path / "load.log", prefix="pg")
    try:
        load.wait_accepted(mails // 2)
        pid = site.stack.pid("postgres")
        site.stack.kill("postgres")
        site.stack.wait_ready(timeout=90)
        assert site.stack.pid("postgres") != pid
        load.finish()
        lost, _, phantoms = account(load, sink, 120)
        tenant.settled(120)
    finally:
        load.stop()
    assert not lost and not phantoms, (lost[:10], phantoms[:10])
    assert_told(tenant, came_twice(sink))


def test_sink_that_drops_after_the_dot(site, tools, tmp_path):
    """The receiver takes a mail and hangs up without a reply: sent again, marked as possible duplicate, counted once."""
    import measure
    unreliable = measure.Sink(tools / "bench-sink", tmp_path / "sink.log", "--drop", "10", "--temp", "7")
    site.stack.restart("delivery", {"SEKISHO_DELIVERY_RETRY": "1s"})
    tenant = site.tenant(next_hop=f"127.0.0.1:{unreliable.port}")
    load = Load(tools, tenant, 100, tmp_path / "load.log", conns=5, prefix="drop", endless=False)
    try:
        load.finish()
        lost, duplicates, phantoms = account(load, unreliable, 120)
        sum_ = tenant.settled(180)
        twice = came_twice(unreliable)
    finally:
        load.stop()
        summary = unreliable.stop()
    assert not lost and not phantoms
    assert summary["dropped"] >= 10 and duplicates <= summary["dropped"]
    assert sum_["terms"]["delivered"] == 100 == sum_["terms"]["accepted"]
    assert twice, "nothing was sent again"
    assert_told(tenant, twice)
    assert len(marked(tenant)) <= summary["dropped"]  # a mail that is dropped twice is marked once
