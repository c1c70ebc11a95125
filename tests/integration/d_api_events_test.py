# SPDX-License-Identifier: MIT
"""Server-sent events from outside: every event once and in order, also over a broken connection and a restart; who may not, or
may no longer, hears nothing; a reader that stands still is cut; exports of any length in bounded memory."""
import concurrent.futures
import contextlib
import json
import secrets
import socket
import ssl
import time
import urllib.parse

import pytest

from lib import site as sites
from lib.wire import wait_for


class Stream:
    """One GET /v1/events through the gateway, read octet for octet."""

    def __init__(self, site, key, query="", headers=None, timeout=30):
        context = ssl.create_default_context(cafile=str(site.stack.ca))
        raw = socket.create_connection(("127.0.0.1", site.stack.ports["https"]), timeout=timeout)
        self.socket = context.wrap_socket(raw, server_hostname="localhost")
        head = {"Host": "localhost", "Authorization": f"Bearer {key}", "Accept": "text/event-stream"} | (headers or {})
        lines = [f"GET /v1/events{'?' + query if query else ''} HTTP/1.1"] + [f"{n}: {v}" for n, v in head.items()]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers = {}
        while (line := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            self.headers[name.lower()] = value.strip()
        self.last, self.ended, self.kept = None, False, b""

    def close(self):
        # A file made of the socket keeps it open.
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def chunk(self):
        size = int(self.file.readline() or b"0", 16)
        octets = self.file.read(size)
        self.file.readline()
        return octets

    def lines(self):
        while True:
            while b"\n" not in self.kept:
                piece = self.chunk()
                if not piece:
                    self.ended = True
                    return
                self.kept += piece
            line, _, self.kept = self.kept.partition(b"\n")
            yield line.decode()

    def blocks(self):
        """(type, data) as a browser would dispatch them; self.last is the Last-Event-ID. (None, None): only the id moved on."""
        kind, data = None, None
        for line in self.lines():
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if line == "":
                yield kind, json.loads(data) if data is not None else None
                kind, data = None, None
            elif name == "id":
                self.last = int(value)
            elif name == "event":
                kind = value
            elif name == "data":
                assert data is None, "an event has one line of data"
                data = value

    def events(self, n, about=None):
        """The next n; about: of this subject only (what was done just before may still come)."""
        out = []
        for kind, data in self.blocks():
            if data is not None:
                assert data["position"] == self.last and data["type"] == kind
                if about in (None, data["subject"]):
                    out.append(data)
                if len(out) == n:
                    break
        return out


def make_keys(tenant, n):
    """n events of type key.created."""
    return [tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": secrets.token_hex(6), "permissions": ["message.read"]})["id"]
            for _ in range(n)]


@pytest.fixture(scope="module")
def tenant(site):
    return site.tenant()


def newest(tenant):
    """Position of the last event so far."""
    with Stream(tenant.site, tenant.key) as s:
        next(s.blocks())
        return s.last


def test_events_come_as_they_happen(site, tenant):
    with Stream(site, tenant.key, "types=key.created,key.revoked") as s:
        assert s.status == 200 and s.headers["content-type"] == "text/event-stream" and s.headers["cache-control"] == "no-store"
        began = time.monotonic()
        ident = make_keys(tenant, 1)[0]
        tenant.api("DELETE", f"/v1/keys/{ident}")
        one, two = s.events(2, about=ident)
        took = time.monotonic() - began
        assert [one["type"], two["type"]] == ["key.created", "key.revoked"] and one["position"] < two["position"]
        assert one["subject"] == two["subject"] == ident and len(one["trace_id"]) == 32
        print(f"two changes and their events: {took:.2f} s")
        assert took < 20


def test_resumes_exactly(site, tenant):
    """Connections that break after every third event: all of them, once, in order."""
    after = newest(tenant)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        made = pool.submit(make_keys, tenant, 20)
        seen = []
        while len(seen) < 20:
            headers = {"Last-Event-ID": str(after)} if len(seen) % 2 else {}
            with Stream(site, tenant.key, "types=key.created" + ("" if headers else f"&after={after}"), headers) as s:
                got = s.events(min(3, 20 - len(seen)))
                seen, after = seen + got, s.last
    assert {e["subject"] for e in seen} == set(made.result())
    positions = [e["position"] for e in seen]
    assert positions == sorted(set(positions)) and len({e["id"] for e in seen}) == 20


def test_the_position_moves_on_without_events(site, tenant):
    """What was filtered out is not looked at again after a break."""
    with Stream(site, tenant.key, "types=message.refused") as s:
        next(s.blocks())
        first = s.last
        make_keys(tenant, 2)
        blocks = s.blocks()
        wait_for("the position", lambda: next(blocks) and s.last > first, 40)


def test_from_the_beginning(site, tenant):
    with Stream(site, tenant.key, "after=-1") as s:
        first = s.events(3)
    with Stream(site, tenant.key, "after=-1") as s:
        assert s.events(3) == first


@pytest.mark.parametrize("query,headers,status,code", [
    ("after=x", {}, 422, "invalid_parameter"), ("after=-2", {}, 422, "invalid_parameter"), ("after=99999999", {}, 422, "invalid_parameter"),
    ("after=1&after=2", {}, 422, "repeated_parameter"), ("types=", {}, 422, "invalid_parameter"), ("types=a,,b", {}, 422, "invalid_parameter"),
    ("", {"Last-Event-ID": "one"}, 422, "invalid_parameter"), ("", {"Accept": "application/json"}, 406, "not_acceptable"),
    ("", {"Authorization": "Bearer skapi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, 401, "unauthorized")])
def test_refused(site, tenant, query, headers, status, code):
    with Stream(site, tenant.key, query, headers) as s:
        problem = json.loads(s.file.read(int(s.headers["content-length"])))
        assert (s.status, problem["code"]) == (status, code), problem


def test_another_tenants_events_do_not_come(site, tenant):
    other = site.tenant()
    with Stream(site, other.key) as s:
        others = make_keys(tenant, 3)
        mine = make_keys(other, 1)[0]
        heard = []
        while mine not in heard:
            heard.append(s.events(1)[0]["subject"])
    assert not set(heard) & set(others), heard


def test_a_key_without_the_permission(site, tenant):
    key = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": secrets.token_hex(4), "permissions": ["audit.read"]})["secret"]
    with Stream(site, key) as s:
        assert s.status == 403


def test_a_revoked_key_ends_the_stream(site, tenant):
    made = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": secrets.token_hex(4), "permissions": ["event.read"]})
    with Stream(site, made["secret"], timeout=75) as s:
        next(s.blocks())
        tenant.api("DELETE", f"/v1/keys/{made['id']}")
        began = time.monotonic()
        for _ in s.blocks():
            assert time.monotonic() - began < 61
        assert s.ended and time.monotonic() - began < 61


def test_many_streams_and_reads_beside_them(site, tenant):
    """As many as a tenant may have open: reads go on, the next one is refused, all hear the same."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(Stream(site, tenant.key, "types=key.created", timeout=60)) for _ in range(32)]
        for s in opened:
            assert s.status == 200
            next(s.blocks())
        with Stream(site, tenant.key) as s:
            assert s.status == 429 and int(s.headers["retry-after"]) > 0
        assert site.api("GET", "/v1/health") == {"status": "ok"}
        ident = make_keys(tenant, 1)[0]
        assert {s.events(1, about=ident)[0]["subject"] for s in opened} == {ident}
    wait_for("the places", lambda: Stream(site, tenant.key).status == 200, 40)


def test_head_begins_no_stream(site, tenant):
    assert site.api("HEAD", "/v1/events", key=tenant.key) is None


def test_the_end_of_an_instance(own_site):
    """SIGTERM ends every stream properly and at once; what happened meanwhile comes from the next one."""
    tenant = own_site.tenant()
    with Stream(own_site, tenant.key, "after=-1&types=key.created") as s:
        s.events(1)
        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            halted = pool.submit(own_site.stack.halt, "api")
            for _ in s.blocks():
                pass
            halted.result()
        assert s.ended and time.monotonic() - began < 20
        last = s.last
    own_site.stack.restart("api")
    made = make_keys(tenant, 3)
    heard = []
    with Stream(own_site, tenant.key, "types=key.created", {"Last-Event-ID": str(last)}) as s:
        while not set(made) <= set(heard):
            event = s.events(1)[0]
            assert event["position"] > last
            last = event["position"]
            heard.append(event["subject"])
    assert len(heard) == len(set(heard))


# --- exports -------------------------------------------------------------------------------------------------------
def export(site, key, query=""):
    import urllib.request
    request = urllib.request.Request(f"{site.url}/v1/audit/export{'?' + query if query else ''}", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=60, context=site.tls) as answer:
        return answer.headers["Content-Type"], answer.read()


def test_export(site, tenant):
    made = make_keys(tenant, 5)
    wait_for("the entries", lambda: tenant.api("GET", f"/v1/audit/entries?subject={made[-1]}")["entries"])
    kind, octets = export(site, tenant.key)
    lines = [json.loads(line) for line in octets.splitlines()]
    assert kind == "application/jsonl" and octets.endswith(b"\n")
    indexes = [line["index"] for line in lines if "index" in line]
    assert indexes == list(range(len(indexes))) and lines[0]["size"] == len(indexes)
    kind, octets = export(site, tenant.key, "action=key.created&format=csv")
    assert kind.startswith("text/csv") and octets.count(b"key.created") >= 5
    since = urllib.parse.quote("2999-01-01T00:00:00Z")
    assert len(export(site, tenant.key, f"from={since}")[1].splitlines()) <= 2
    # The download is itself on the record, with its result and where it came from.
    wait_for("its entry", lambda: [e for e in tenant.api("GET", "/v1/audit/entries?action=audit.export")["entries"]
                                   if e["outcome"] == "ok" and e["source"] == "127.0.0.1"])


def test_export_needs_its_permission(site, tenant):
    key = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": secrets.token_hex(4), "permissions": ["audit.read"]})["secret"]
    with pytest.raises(sites.ApiError) as e:
        site.api("GET", "/v1/audit/export", key=key)
    assert e.value.status == 403
    wait_for("the denial", lambda: [x for x in tenant.api("GET", "/v1/audit/entries?action=audit.export&outcome=denied")["entries"]])
