# SPDX-License-Identifier: MIT
"""Requests with two readings. Each probe hides a second request, or says its length in a way that two servers may
understand differently; through the gateway (TLS) and at the socket behind it none is taken, and what is hidden is never
answered. Where a server may read leniently (RFC 9112), the gateway may, but then there is one reading only."""
import secrets
import socket
import ssl

import pytest

from lib import contract
from lib.wire import wait_for

CRLF = b"\r\n"
CHECK = b"/v1/policy/check"
BODY = b'{"format":1}'


def hidden(mark):
    return b"GET /v1/smuggled-" + mark + b" HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Probe:
    """head: lines of the header behind the first; tail: what follows the empty line. lenient: names of the doors that may
    take it. endless: it is not complete, so there need not be an answer."""

    def __init__(self, *head, tail=b"", first=None, host=True, raw=None, lenient=(), endless=False):
        self.head, self.tail, self.first, self.host, self.raw = head, tail, first, host, raw
        self.lenient, self.endless = lenient, endless

    def octets(self, key, mark):
        """SMUGGLED stands for the hidden request, its length in hex for LENGTH."""
        smuggled = hidden(mark)
        if self.raw is not None:
            out = self.raw
        else:
            lines = [self.first or b"POST " + CHECK + b" HTTP/1.1"]
            lines += [b"Host: localhost"] if self.host else []
            lines += [b"Authorization: Bearer KEY", b"Content-Type: application/json", *self.head]
            out = CRLF.join(lines) + CRLF + CRLF + self.tail
        for word, value in ((b"KEY", key), (b"SMUGGLED", smuggled), (b"HEXLENGTH", b"%x" % len(smuggled)), (b"LENGTH", b"%d" % len(smuggled))):
            out = out.replace(word, value)
        return out


CHUNKED = b"Transfer-Encoding: chunked"
END = b"0\r\n\r\n"
REFUSED = {
    # two lengths
    "length, then chunked": Probe(b"Content-Length: 5", CHUNKED, tail=END + b"SMUGGLED"),
    "chunked, then length": Probe(CHUNKED, b"Content-Length: LENGTH", tail=END + b"SMUGGLED"),
    "length 0 and chunked": Probe(b"Content-Length: 0", CHUNKED, tail=b"HEXLENGTH\r\nSMUGGLED\r\n" + END),
    "two lengths": Probe(b"Content-Length: 0", b"Content-Length: LENGTH", tail=b"SMUGGLED"),
    "two lengths, long first": Probe(b"Content-Length: LENGTH", b"Content-Length: 0", tail=b"SMUGGLED"),
    "the same length twice": Probe(b"Content-Length: 12", b"Content-Length: 12", tail=BODY + b"SMUGGLED"),
    "list of lengths": Probe(b"Content-Length: 12, 12", tail=BODY + b"SMUGGLED"),
    "list of other lengths": Probe(b"Content-Length: 0, LENGTH", tail=b"SMUGGLED"),
    # lengths that are none
    "negative length": Probe(b"Content-Length: -1", tail=b"SMUGGLED"),
    "length with a plus": Probe(b"Content-Length: +12", tail=BODY + b"SMUGGLED"),
    "length in hex": Probe(b"Content-Length: 0xc", tail=BODY + b"SMUGGLED"),
    "length with a space inside": Probe(b"Content-Length: 1 2", tail=BODY + b"SMUGGLED"),
    "length with a fraction": Probe(b"Content-Length: 12.0", tail=BODY + b"SMUGGLED"),
    "length with an exponent": Probe(b"Content-Length: 1e1", tail=BODY + b"SMUGGLED"),
    "length with letters behind": Probe(b"Content-Length: 12abc", tail=BODY + b"SMUGGLED"),
    "empty length": Probe(b"Content-Length:", tail=b"SMUGGLED"),
    "quoted length": Probe(b'Content-Length: "12"', tail=BODY + b"SMUGGLED"),
    "length past 64 bits": Probe(b"Content-Length: 18446744073709551628", tail=BODY + b"SMUGGLED"),
    "length past 63 bits": Probe(b"Content-Length: 9223372036854775820", tail=BODY + b"SMUGGLED"),
    "digits of another script": Probe("Content-Length: １２".encode(), tail=BODY + b"SMUGGLED"),
    # encodings
    "unknown encoding": Probe(b"Transfer-Encoding: xchunked", tail=END + b"SMUGGLED"),
    "identity": Probe(b"Transfer-Encoding: identity", b"Content-Length: LENGTH", tail=b"SMUGGLED"),
    "chunked, identity": Probe(b"Transfer-Encoding: chunked, identity", tail=END + b"SMUGGLED"),
    "gzip, chunked": Probe(b"Transfer-Encoding: gzip, chunked", tail=END + b"SMUGGLED"),
    "chunked twice": Probe(CHUNKED, CHUNKED, tail=END + b"SMUGGLED"),
    "chunked, then another": Probe(CHUNKED, b"Transfer-Encoding: x", tail=END + b"SMUGGLED"),
    "encoding with a tab in front": Probe(b"Transfer-Encoding:\tx chunked", b"Content-Length: 5", tail=END + b"SMUGGLED"),
    "encoding with a vertical tab": Probe(b"Transfer-Encoding: \x0bchunked", b"Content-Length: 5", tail=END + b"SMUGGLED"),
    "quoted encoding": Probe(b'Transfer-Encoding: "chunked"', b"Content-Length: 5", tail=END + b"SMUGGLED"),
    "encoding with a comma": Probe(b"Transfer-Encoding: ,chunked", b"Content-Length: 5", tail=END + b"SMUGGLED"),
    "encoding in HTTP/1.0": Probe(CHUNKED, b"Content-Length: 5", first=b"POST " + CHECK + b" HTTP/1.0", tail=END + b"SMUGGLED"),
    # names of fields
    "space before the colon": Probe(b"Content-Length : LENGTH", tail=b"SMUGGLED"),
    "tab before the colon": Probe(b"Content-Length\t: LENGTH", tail=b"SMUGGLED"),
    "encoding, space before the colon": Probe(b"Transfer-Encoding : chunked", b"Content-Length: 5", tail=END + b"SMUGGLED"),
    "nul in a name": Probe(b"Content-Le\0ngth: LENGTH", tail=b"SMUGGLED"),
    "nul in a value": Probe(b"X: a\0b", b"Content-Length: 12", tail=BODY),
    "nul in the length": Probe(b"Content-Length: 12\0", tail=BODY + b"SMUGGLED"),
    # chunks
    "chunk size with a sign": Probe(CHUNKED, tail=b"+c\r\n" + BODY + b"\r\n" + END + b"SMUGGLED"),
    "negative chunk size": Probe(CHUNKED, tail=b"-1\r\n" + BODY + b"\r\n" + END + b"SMUGGLED"),
    "chunk size with 0x": Probe(CHUNKED, tail=b"0xc\r\n" + BODY + b"\r\n" + END + b"SMUGGLED"),
    "chunk size past 64 bits": Probe(CHUNKED, tail=b"1000000000000000c\r\n" + BODY + b"\r\n" + END + b"SMUGGLED"),
    "chunk size of a terabyte": Probe(CHUNKED, tail=b"ffffffffff\r\n" + BODY + b"\r\n" + END + b"SMUGGLED", endless=True),
    "chunk size that is none": Probe(CHUNKED, tail=b"zz\r\n" + BODY + b"\r\n" + END + b"SMUGGLED"),
    "empty chunk size": Probe(CHUNKED, tail=b"\r\n" + BODY + b"\r\n" + END + b"SMUGGLED"),
    "chunk longer than it says": Probe(CHUNKED, tail=b"2\r\n" + BODY + b"\r\n" + END + b"SMUGGLED"),
    # hosts and targets
    "two hosts": Probe(b"Host: elsewhere.example", b"Content-Length: 12", tail=BODY),
    "no host": Probe(b"Content-Length: 12", tail=BODY, host=False),
    "empty line in the target": Probe(first=b"GET /v1/health\r HTTP/1.1"),
    "space in the target": Probe(first=b"GET /v1/health x HTTP/1.1"),
    "no version": Probe(raw=b"GET /v1/health\r\n\r\nSMUGGLED"),
    "version 1.9": Probe(first=b"GET /v1/health HTTP/1.9"),
    "version 2 in words": Probe(first=b"GET /v1/health HTTP/2.0"),
    "version with more digits": Probe(first=b"GET /v1/health HTTP/1.10"),
    "preface of HTTP/2": Probe(raw=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nSMUGGLED"),
    "method with a colon": Probe(first=b"GET: /v1/health HTTP/1.1"),
    "connect": Probe(raw=b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost\r\n\r\nSMUGGLED"),
    "trace": Probe(raw=b"TRACE /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    # floods
    "header of 1 MiB": Probe(b"X: " + b"a" * 1048576),
    "10,000 fields": Probe(*[b"X-%d: a" % i for i in range(10000)]),
    "target of 64 KiB": Probe(first=b"GET /v1/health?" + b"a" * 65536 + b" HTTP/1.1"),
}
# One reading: the gateway may take it or put it right. What is legal, or about the body only, the socket behind takes
# too: it answers one request on a connection, so nothing can hide behind a body.
GATEWAY, BOTH = ("gateway",), ("gateway", "socket")
LENIENT = {
    "bare lf": Probe(raw=b"GET /v1/health HTTP/1.1\nHost: localhost\n\n", lenient=GATEWAY),
    "bare lf behind the length": Probe(b"Content-Length: 12\nX: y", tail=BODY, lenient=GATEWAY),
    "bare cr in a value": Probe(b"X: a\rContent-Length: LENGTH", b"Content-Length: 12", tail=BODY, lenient=GATEWAY),
    "folded value": Probe(b"X: a\r\n b", b"Content-Length: 12", tail=BODY, lenient=GATEWAY),
    "folded length": Probe(b"Content-Length:\r\n 12", tail=BODY, lenient=GATEWAY),
    "folded encoding": Probe(b"Transfer-Encoding:\r\n chunked", b"Content-Length: 12", tail=BODY, lenient=GATEWAY),
    "field without a name": Probe(b": a", b"Content-Length: 12", tail=BODY, lenient=GATEWAY),
    "field without a colon": Probe(b"Content-Length", b"Content-Length: 12", tail=BODY, lenient=GATEWAY),
    "odd name": Probe(b"X(y): a", b"Content-Length: 12", tail=BODY, lenient=GATEWAY),
    "underscored length": Probe(b"Content_Length: LENGTH", b"Content-Length: 12", tail=BODY, lenient=BOTH),
    "upgrade to h2c": Probe(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__",
                            b"Content-Length: 12", tail=BODY, lenient=GATEWAY),
    "absolute target of another host": Probe(first=b"GET http://elsewhere.example/v1/health HTTP/1.1", lenient=GATEWAY),
    "chunk extension": Probe(CHUNKED, tail=b"c;a=" + b"b" * 200 + b"\r\n" + BODY + b"\r\n" + END, lenient=BOTH),
    "chunks ended by lf": Probe(CHUNKED, tail=b"c\n" + BODY + b"\n0\n\n", lenient=BOTH),
    "trailer with a length": Probe(CHUNKED, tail=b"c\r\n" + BODY + b"\r\n0\r\nContent-Length: LENGTH\r\n\r\n", lenient=BOTH),
    "method in small letters": Probe(first=b"get /v1/health HTTP/1.1", lenient=GATEWAY),
    "empty lines before the request": Probe(raw=b"\r\n\r\nGET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n", lenient=GATEWAY),
}
PROBES = REFUSED | LENIENT


@pytest.fixture(scope="module")
def tenant(site):
    return site.tenant()


class Gateway:
    name = "gateway"

    def __init__(self, site):
        self.site = site
        self.context = ssl.create_default_context(cafile=str(site.stack.ca))
        self.context.set_alpn_protocols(["http/1.1"])

    def connect(self):
        raw = socket.create_connection(("127.0.0.1", self.site.stack.ports["https"]), 30)
        return self.context.wrap_socket(raw, server_hostname="localhost")


class Socket:
    name = "socket"

    def __init__(self, site):
        self.path = str(site.stack.run / "api/api.sock")

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(30)
        s.connect(self.path)
        return s


@pytest.fixture(scope="module", params=[Gateway, Socket], ids=lambda p: p.name)
def door(request, site):
    return request.param(site)


def exchange(door, octets):
    """(everything that came back, whether the other side ended it). What is incomplete is ended by us."""
    got = b""
    with door.connect() as s:
        try:
            s.sendall(octets)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            pass
        s.settimeout(3)
        try:
            while piece := s.recv(262144):
                got += piece
        except (ConnectionResetError, ssl.SSLEOFError):
            pass
        except (TimeoutError, socket.timeout):
            return got, False
        except ssl.SSLError:
            pass
    return got, True


def statuses(got):
    """Of every answer in the octets; an answer without status line (HTTP/0.9) is none."""
    return [int(part[2:5]) for part in got.split(b"HTTP/1.")[1:] if part[1:2] == b" " and part[2:5].isdigit()]


def ask(door, probe, tenant):
    mark = secrets.token_hex(8).encode()
    got, ended = exchange(door, probe.octets(tenant.key.encode(), mark))
    return mark, got, ended, statuses(got)


def smuggled(got):
    """An answer to the hidden request: nothing else here asks for a path that is not there."""
    return b"no_such_path" in got or b" 404 " in got


@pytest.mark.parametrize("name", PROBES)
def test_probe(site, tenant, door, name):
    probe = PROBES[name]
    mark, got, ended, codes = ask(door, probe, tenant)
    assert not smuggled(got) and len(codes) <= 1, (name, codes, got[:600])
    if door.name in probe.lenient:
        assert all(c < 500 or c == 501 for c in codes), (name, codes, got[:600])
        return
    assert all(400 <= c < 500 or c in (501, 505) for c in codes) and 401 not in codes, (name, codes, got[:600])
    assert codes or ended or probe.endless, (name, "neither answered nor ended", got[:200])
    answer = contract.parsed(got)
    if answer.media == "application/problem+json":
        assert answer.json()["status"] == codes[0], answer.body


def test_the_detector_sees(tenant, site):
    """Two good requests on one connection of the gateway are answered twice: what is hidden would be seen."""
    mark = secrets.token_hex(8).encode()
    good = b"GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n" + hidden(mark).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    got, _ = exchange(Gateway(site), good)
    assert statuses(got) == [200, 404] and smuggled(got), got


def test_all_probes(site, tenant):
    """The figure: how many were taken."""
    taken = {}
    for door in (Gateway(site), Socket(site)):
        bad = []
        for name, probe in PROBES.items():
            _, got, _, codes = ask(door, probe, tenant)
            hit = smuggled(got) or len(codes) > 1
            if hit or (any(c < 400 for c in codes) and door.name not in probe.lenient):
                bad.append(name)
        taken[door.name] = bad
    print(f"{len(PROBES)} framing probes; taken through the gateway {len(taken['gateway'])}, at the socket {len(taken['socket'])}")
    assert not any(taken.values()), taken


def test_still_alive(site, tenant):
    wait_for("the api", lambda: site.api("GET", "/v1/health", key="none") == {"status": "ok"})
