#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads through the gateway at a fixed rate: how long they take, from the moment each was due (so that a stall counts for all
that had to wait). Everything runs on this machine: gateway, api, auth, delivery, audit intents, PostgreSQL, and the load.

    SEKISHO_BUILD=build bench/api_read.py [--rate 500] [--seconds 20]
"""
import argparse
import collections
import http.client
import pathlib
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/integration"))
from lib import site as sites  # noqa: E402
from lib.wire import wait_for  # noqa: E402

CLIENTS = 24


class Client(threading.Thread):
    """One kept connection; its share of the requests, each at its time."""

    def __init__(self, site, number, paths, key, start, due):
        super().__init__()
        self.site, self.number, self.paths, self.start_at, self.due = site, number, paths, start, due
        self.head = {"Authorization": f"Bearer {key}"}
        self.took, self.statuses = collections.defaultdict(list), collections.Counter()

    def run(self):
        connection = http.client.HTTPSConnection("localhost", self.site.stack.ports["https"], context=self.site.tls, timeout=30)
        connection.connect()
        for n, offset in enumerate(self.due):
            when = self.start_at + offset
            time.sleep(max(0, when - time.monotonic()))
            name, path = self.paths[(n + self.number) % len(self.paths)]
            connection.request("GET", path, headers=self.head)
            answer = connection.getresponse()
            answer.read()
            self.statuses[answer.status] += 1
            self.took[name].append(time.monotonic() - when)


def share(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] * 1000


def measure(site, rate, seconds):
    tenant = site.tenant(rules=sites.policy("hold", 3600))
    for n in range(20):
        tenant.submit(f"r{n}@sink.example")
    wait_for("the messages", lambda: len(tenant.api("GET", "/v1/holds")["messages"]) == 20)
    message = tenant.messages()[0]["id"]
    paths = [("one message", f"/v1/messages/{message}"), ("list of 20", "/v1/messages?limit=20"), ("me", "/v1/me"), ("policy", "/v1/policy")]
    start = time.monotonic() + 1
    clients = [Client(site, i, paths, tenant.key, start, [k / rate for k in range(i, int(rate * seconds), CLIENTS)]) for i in range(CLIENTS)]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    spent = time.monotonic() - start
    statuses = sum((c.statuses for c in clients), collections.Counter())
    total = sum(statuses.values())
    print(f"{total} reads in {spent:.1f} s ({total / spent:.0f}/s, wanted {rate}/s), statuses {dict(statuses)}")
    every = []
    for name, _ in paths:
        took = [t for c in clients for t in c.took[name]]
        every += took
        print(f"  {name:12}  p50 {share(took, .5):6.1f} ms  p95 {share(took, .95):6.1f} ms  p99 {share(took, .99):6.1f} ms  max {max(took) * 1000:6.1f} ms")
    print(f"  {'all':12}  p50 {share(every, .5):6.1f} ms  p95 {share(every, .95):6.1f} ms  p99 {share(every, .99):6.1f} ms  max {max(every) * 1000:6.1f} ms")
    return set(statuses) == {200}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=20)
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sekisho-api-read") as folder, sites.start(pathlib.Path(folder)) as stack:
        sys.exit(0 if measure(sites.Site(stack), wish.rate, wish.seconds) else 1)


if __name__ == "__main__":
    main()
