# SPDX-License-Identifier: MIT
"""SMTP to the octet: a client that sends exactly what it is told, and a receiver that keeps exactly what it got."""
import base64
import contextlib
import re
import socket
import ssl
import threading
import time


def wait_for(what, ready, seconds=30):
    """Polls until ready() gives something true and returns it."""
    end = time.monotonic() + seconds
    while True:
        value = ready()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def insecure_tls():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class Client:
    """A raw SMTP client. reply() gives (code, text of all lines), (0, '') when the server closed."""

    def __init__(self, address, tls=False, timeout=60, source=None):
        """source: the address it comes from."""
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), timeout, (source, 0) if source else None)
        if tls:
            self.sock = insecure_tls().wrap_socket(self.sock)
        self.file = self.sock.makefile("rb")
        self.banner = self.reply()

    def send(self, octets):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(octets if isinstance(octets, bytes) else octets.encode())

    def reply(self):
        lines = []
        while True:
            try:
                line = self.file.readline()
            except (ConnectionResetError, ssl.SSLError):
                line = b""
            if not line:
                return 0, ""
            lines.append(line[4:].decode("utf-8", "replace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def say(self, line):
        self.send((line if isinstance(line, bytes) else line.encode()) + b"\r\n")
        return self.reply()

    def starttls(self, extra=b""):
        """extra: octets sent in clear in the same packet, after STARTTLS."""
        self.send(b"STARTTLS\r\n" + extra)
        got = self.reply()
        if got[0] == 220:
            self.file.close()
            self.sock = insecure_tls().wrap_socket(self.sock)
            self.file = self.sock.makefile("rb")
        return got

    def login(self, user, password):
        return self.say("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode())

    def envelope(self, sender, *recipients, options=""):
        got = self.say(f"MAIL FROM:<{sender}>{options}")
        for r in recipients:
            if got[0] // 100 == 2:
                got = self.say(f"RCPT TO:<{r}>")
        return got

    def rest(self, seconds=2):
        """All replies until nothing comes for a while: only for tests that count replies they do not expect."""
        self.sock.settimeout(seconds)
        out = []
        with contextlib.suppress(TimeoutError, socket.timeout):
            while (got := self.reply())[0]:
                out.append(got)
        return out

    def close(self):
        with contextlib.suppress(OSError):
            self.file.close()
            self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def submission(address, user, password):
    """A client logged in on the submission port."""
    c = Client(address)
    c.say("EHLO client.example")
    c.starttls()
    c.say("EHLO client.example")
    code, text = c.login(user, password)
    assert code == 235, (code, text)
    return c


class Mail:
    def __init__(self, sender, recipients, data, tls):
        self.sender, self.recipients, self.data, self.tls = sender, recipients, data, tls
        self.at = time.monotonic()

    @property
    def body(self):
        return self.data.partition(b"\r\n\r\n")[2]

    def header(self, name):
        found = re.search(rb"^" + re.escape(name.encode()) + rb":[ \t]*(.*(?:\r\n[ \t].*)*)", self.data, re.I | re.M)
        return found and found[1].decode("utf-8", "replace").strip()


class Receiver:
    """An SMTP server that keeps each mail as it came (dot-unstuffed, otherwise untouched) and the whole conversation.
    verdict(stage, value) may return a reply line ("550 5.1.1 no") for stage "mail", "rcpt" or "dot", or None."""

    EXTENSIONS = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 67108864", "ENHANCEDSTATUSCODES")

    def __init__(self, verdict=lambda stage, value: None, extensions=EXTENSIONS, tls=None, after_starttls=b"", port=0):
        """tls: an ssl context to offer STARTTLS. after_starttls: octets in clear right after the 220 to it."""
        self.verdict, self.extensions, self.tls, self.after_starttls = verdict, extensions, tls, after_starttls
        self.mails, self.conversations, self.lock = [], [], threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self.port = self.listener.getsockname()[1]
        self.open = True
        threading.Thread(target=self._accept, daemon=True).start()

    address = property(lambda self: f"127.0.0.1:{self.port}")

    def _accept(self):
        while self.open:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        talk = []
        with self.lock:
            self.conversations.append(talk)
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            self._converse(sock, talk)
        with contextlib.suppress(OSError):
            sock.close()

    def _converse(self, sock, talk):
        def say(line):
            talk.append(("s", line.encode()))
            sock.sendall(line.encode() + b"\r\n")

        file, tls, sender, recipients = sock.makefile("rb"), "", None, []
        say("220 receiver.example ESMTP")
        while line := file.readline():
            talk.append(("c", line))
            word, argument = line[:4].upper(), line.decode("utf-8", "replace").strip()
            if word == b"EHLO":
                offers = list(self.extensions) + (["STARTTLS"] if self.tls and not tls else [])
                for offer in ["receiver.example", *offers][:-1]:
                    say(f"250-{offer}")
                say(f"250 {(['receiver.example'] + offers)[-1]}")
            elif word == b"HELO":
                say("250 receiver.example")
            elif word == b"STAR" and self.tls and not tls:
                talk.append(("s", b"220 go"))
                sock.sendall(b"220 2.0.0 go\r\n" + self.after_starttls)
                file.close()
                sock = self.tls.wrap_socket(sock, server_side=True)
                file, tls = sock.makefile("rb"), sock.version()
                sender, recipients = None, []
            elif word == b"MAIL":
                sender, recipients = argument, []
                say(self.verdict("mail", argument) or "250 2.1.0 ok")
            elif word == b"RCPT":
                reply = self.verdict("rcpt", argument) or "250 2.1.5 ok"
                if reply.startswith("2"):
                    recipients.append(argument[argument.find("<") + 1:argument.rfind(">")])
                say(reply)
            elif word == b"DATA" and sender is not None and recipients:
                say("354 go on")
                data = self._data(file, talk)
                reply = self.verdict("dot", data) or "250 2.0.0 taken"
                if reply.startswith("2"):
                    with self.lock:
                        self.mails.append(Mail(sender, recipients, data, tls))
                if reply == "2drop":
                    return
                say(reply)
                sender, recipients = None, []
            elif word == b"RSET":
                sender, recipients = None, []
                say("250 2.0.0 ok")
            elif word == b"QUIT":
                say("221 2.0.0 bye")
                return
            elif word == b"NOOP":
                say("250 2.0.0 ok")
            else:
                say("503 5.5.1 what?")

    @staticmethod
    def _data(file, talk):
        """Lines end where CRLF stands, nowhere else: a bare LF stays inside its line."""
        data, line, raw = bytearray(), bytearray(), bytearray()
        while True:
            part = file.readline()
            if not part:
                raise OSError("closed inside DATA")
            line += part
            raw += part
            if not line.endswith(b"\r\n"):
                continue
            if line == b".\r\n":
                talk.append(("d", bytes(raw)))
                return bytes(data)
            data += line[1:] if line.startswith(b".") else line
            line.clear()

    def wait(self, n, seconds=60, match=lambda mail: True):
        """The mails that match, when there are at least n."""
        def enough():
            with self.lock:
                found = [m for m in self.mails if match(m)]
            return found if len(found) >= n else None
        return wait_for(f"{n} mails at the receiver", enough, seconds)

    def close(self):
        self.open = False
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
