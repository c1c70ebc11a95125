# SPDX-License-Identifier: MIT
"""A NATS client of a hundred lines: raw protocol, nkey signature, what the server says about permissions. Every question
ends with PING/PONG, so that an answer is complete when the call returns; nothing sleeps."""
import base64
import json
import socket

import nacl.signing


def seed_bytes(text):
    """The 32 octets of an nkey seed ("SU...")."""
    text = text.strip()
    return base64.b32decode(text + "=" * (-len(text) % 8))[2:34]


class NatsError(Exception):
    pass


class Nats:
    def __init__(self, port, seed=None, public=None, connect=True, timeout=10, **options):
        """seed and public: nkey texts; None: no credentials. options go into CONNECT."""
        self.sock = socket.create_connection(("127.0.0.1", port), timeout)
        self.file = self.sock.makefile("rb")
        self.sids, self.messages, self.errors = 0, [], []
        line = self.file.readline()
        if not line.startswith(b"INFO "):
            raise NatsError(line.decode())
        self.info = json.loads(line[5:])
        if connect:
            hello = {"verbose": False, "pedantic": True, "lang": "raw", "version": "1", "protocol": 1, "headers": True,
                     "no_responders": True, **options}
            if seed:
                signed = nacl.signing.SigningKey(seed_bytes(seed)).sign(self.info["nonce"].encode()).signature
                hello |= {"nkey": public.strip(), "sig": base64.urlsafe_b64encode(signed).decode().rstrip("=")}
            self.send(f"CONNECT {json.dumps(hello)}\r\n")
            self.sync()
            if self.errors:
                raise NatsError("; ".join(self.errors))

    def send(self, text):
        self.sock.sendall(text.encode() if isinstance(text, str) else text)

    def _take(self):
        """One line from the server, PONG or not; False at the end of the connection."""
        line = self.file.readline()
        if not line:
            return None
        word, _, rest = line.rstrip(b"\r\n").partition(b" ")
        if word in (b"MSG", b"HMSG"):
            parts = rest.split()
            body = self.file.read(int(parts[-1]) + 2)[:-2]
            if word == b"HMSG":
                head = int(parts[-2])
                self.messages.append((parts[0].decode(), int(parts[1]), body[:head], body[head:]))
            else:
                self.messages.append((parts[0].decode(), int(parts[1]), b"", body))
        elif word == b"-ERR":
            self.errors.append(rest.decode().strip("'"))
        elif word == b"PING":
            self.send("PONG\r\n")
        return word

    def sync(self):
        """Everything sent so far has been dealt with by the server, or the connection is gone."""
        try:
            self.send("PING\r\n")
            while (word := self._take()) not in (b"PONG", None):
                pass
        except (BrokenPipeError, ConnectionResetError):
            word = None
        if word is None and not self.errors:
            self.errors.append("connection closed")

    def _refused(self):
        self.sync()
        errors, self.errors = self.errors, []
        return errors

    def publish(self, subject, payload=b"", reply=""):
        """What the server objects to; [] if nothing."""
        self.send(f"PUB {subject} {reply + ' ' if reply else ''}{len(payload)}\r\n".encode() + payload + b"\r\n")
        return self._refused()

    def subscribe(self, subject, queue=""):
        """(sid, objections)"""
        self.sids += 1
        self.send(f"SUB {subject} {queue + ' ' if queue else ''}{self.sids}\r\n")
        return self.sids, self._refused()

    def unsubscribe(self, sid):
        self.send(f"UNSUB {sid}\r\n")
        self.sync()

    def request(self, subject, payload=b"", inbox="_INBOX_raw", timeout=10):
        """The first message that comes back: (headers, body)."""
        reply = f"{inbox}.{self.sids + 1}"
        sid, refused = self.subscribe(reply)
        refused += self.publish(subject, payload, reply)
        if refused:
            raise NatsError("; ".join(refused))
        self.sock.settimeout(timeout)
        while not self.messages:
            if self._take() is None:
                raise NatsError("connection closed")
        self.unsubscribe(sid)
        _, _, head, body = self.messages.pop(0)
        return head, body

    def close(self):
        self.file.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
