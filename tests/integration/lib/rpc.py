# SPDX-License-Identifier: MIT
"""Calls on the bus as `api` makes them, without api: actor tokens signed with the stack's own key (libs/crypt/actor.c), the
envelope of proto/bus.proto by hand."""
import pathlib
import struct
import time
import uuid

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from .nats_raw import Nats

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
PREFACE = b"sekisho actor token 2\n"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def rpcs():
    """[(subject, owner, permission, record)] of every rpc that needs a token. permission: with a comma if it needs two."""
    out = []
    for line in (ROOT / "proto/subjects.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            kind, _, subject, owner, _, _, _, permission, record, _ = line.split("\t")
            if kind == "rpc" and permission != "-":
                out.append((subject, owner, permission, record))
    return out


class Somebody:
    """An account of a tenant, both new unless given."""

    def __init__(self, *permissions, tenant=None, source="192.0.2.55"):
        self.tenant, self.account = tenant or uuid.uuid4(), uuid.uuid4()
        self.permissions, self.source = permissions, source


class Signer:
    def __init__(self, stack):
        self.key = load_pem_private_key((stack.run / "keys/actor.pem").read_bytes(), None)

    def token(self, who, audience, lifetime=30):
        def text(s):
            return struct.pack(">H", len(s.encode())) + s.encode()
        expires = int((time.time() + lifetime) * 1e6)
        body = (b"\2" + who.tenant.bytes + who.account.bytes + struct.pack(">qq", expires, 0) + text("somebody") + text(who.source) +
                text(audience) + text("request-1") + bytes([len(who.permissions)]) + b"".join(map(text, who.permissions)))
        return body + self.key.sign(PREFACE + body)


def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes([*out, n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data if data else b""


def fields(data):
    """{number: octets} of a message that has only strings, bytes and messages."""
    out, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            octet = data[at]
            at += 1
            value |= (octet & 0x7f) << shift
            shift += 7
            if octet < 0x80:
                return value

    while at < len(data):
        tag = number()
        assert tag & 7 == 2, data
        size = number()
        out[tag >> 3] = data[at:at + size]
        at += size
    return out


class Bus:
    """The bus as the service of that name."""

    def __init__(self, stack, service="api"):
        keys = stack.run / "keys"
        self.inbox = f"_INBOX_{service}"
        self.nats = Nats(stack.ports["nats"], (keys / f"{service}.nk").read_text(), (keys / f"{service}.pub").read_text())

    def call(self, subject, token=b"", payload=b"", key="", seconds=10):
        """(rc, text, reply)"""
        call = (varint(2 << 3) + varint(int((time.time() + seconds) * 1e6)) + field(3, TRACE.encode()) + field(4, token) +
                field(5, payload) + field(6, key.encode()))
        head, body = self.nats.request(subject, field(1, call), inbox=self.inbox, timeout=seconds + 5)
        if b" 503" in head:
            return "retry", "nobody serves it", b""
        answer = fields(fields(body)[1]) if fields(body) else {}
        return answer.get(1, b"ok").decode(), answer.get(2, b"").decode(), answer.get(3, b"")

    def close(self):
        self.nats.close()
