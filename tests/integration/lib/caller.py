# SPDX-License-Identifier: MIT
"""Calls on the bus as one of the services makes them: the encoding of proto/bus.proto by hand, as much as the tests need.
A message is a list of (number, value): int, bool, str and bytes."""
import secrets
import time
import uuid

from .nats_raw import Nats


class RpcError(Exception):
    def __init__(self, rc, text):
        super().__init__(f"{rc}: {text}")
        self.rc, self.text = rc, text


def varint(n):
    out = bytearray()
    while n > 0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def encode(*fields):
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(int(value))
        else:
            octets = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(octets)) + octets
    return out


def decode(octets):
    """number -> list of values: int, or bytes."""
    def take():
        nonlocal at
        value = shift = 0
        while True:
            octet = octets[at]
            at += 1
            value |= (octet & 0x7f) << shift
            shift += 7
            if octet < 0x80:
                return value
    at, out = 0, {}
    while at < len(octets):
        tag = take()
        value = take()
        if tag & 7 == 2:
            value, at = octets[at:at + value], at + value
        out.setdefault(tag >> 3, []).append(value)
    return out


class Caller:
    """A service's name on the bus of a running stack."""

    def __init__(self, stack, service):
        keys = stack.run / "keys"
        self.nats = Nats(stack.ports["nats"], (keys / f"{service}.nk").read_text(), (keys / f"{service}.pub").read_text())
        self.inbox = f"_INBOX_{service}"

    def call(self, subject, *fields, tenant=None, token=b"", seconds=20):
        trace = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
        one = encode((1, uuid.UUID(tenant).bytes if tenant else b""), (2, int((time.time() + seconds) * 1_000_000)), (3, trace),
                     (4, token), (5, encode(*fields)))
        _, body = self.nats.request(subject, encode((1, one)), self.inbox, seconds)
        answer = decode(decode(body)[1][0])
        if answer.get(1, [b""])[0]:
            raise RpcError(answer[1][0].decode(), answer.get(2, [b""])[0].decode())
        return decode(answer.get(3, [b""])[0])

    def close(self):
        self.nats.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
