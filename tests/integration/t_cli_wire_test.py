# SPDX-License-Identifier: MIT
"""The command line against servers that misbehave, and as a receiver of webhooks. No site runs for these."""
import base64
import contextlib
import hashlib
import hmac
import http.client
import http.server
import json
import os
import queue
import secrets
import socket
import ssl
import subprocess
import threading
import time

import pytest

from lib import site as sites

SEKISHO = sites.BUILD / "bin/sekisho"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """(certificate, key) of localhost, which vouches for itself."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem",
                    "-out", folder / "cert.pem"], check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@contextlib.contextmanager
def serving(certificate, *answers):
    """(URL, requests): each GET gets the next answer, (status, headers, pieces); a piece None cuts the connection."""
    left, seen = list(answers), []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            seen.append((self.path, dict(self.headers)))
            status, headers, pieces = left.pop(0) if left else (503, {}, [b"{}"])
            self.send_response(status)
            for k, v in headers.items():
                self.send_header(k, v)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.close_connection = True
            for piece in pieces:
                if piece is None:
                    self.wfile.flush()
                    self.connection.shutdown(socket.SHUT_RDWR)
                    return
                with contextlib.suppress(OSError):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            with contextlib.suppress(OSError):
                self.wfile.write(b"0\r\n\r\n")

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"https://localhost:{server.server_address[1]}", seen
        server.shutdown()
        thread.join()


def sekisho(url, certificate, *args, cwd=None, text=True):
    return subprocess.run([SEKISHO, *args], capture_output=True, text=text, timeout=60, cwd=cwd, env={
        "PATH": os.environ["PATH"], "SEKISHO_URL": url, "SEKISHO_CA": str(certificate[0]), "SEKISHO_API_KEY": "k"})


def event(position, **more):
    data = {"id": "x", "type": "message.accepted", "timestamp": "2026-11-22T03:04:05Z", "position": position, "subject": f"s{position}",
            "recipient": None, "trace_id": "0", "data": {}} | more
    return f"id: {position}\nevent: message.accepted\ndata: {json.dumps(data)}\n\n".encode()


SSE = {"Content-Type": "text/event-stream"}


def test_events_resume_behind_the_last_one(certificate):
    first = event(1) + event(2)
    answers = [(200, SSE, [b"retry: 100\n\n: hello\n\n", first[:30], first[30:], b"id: 3\ndata: {\"cut", None]),
               (503, {"Retry-After": "1"}, [b"{}"]), (200, SSE, []), (200, SSE, [event(3), event(4), event(5)])]
    with serving(certificate, *answers) as (url, seen):
        run = sekisho(url, certificate, "events", "--after", "0", "--count", "4", "--type", "a.b", "--type", "c.d", "--json")
    assert run.returncode == 0, run.stderr
    assert [json.loads(line)["position"] for line in run.stdout.splitlines()] == [1, 2, 3, 4]
    assert [h.get("Last-Event-ID") for _, h in seen] == ["0", "2", "2", "2"]
    assert {p for p, _ in seen} == {"/v1/events?types=a.b%2Cc.d"}


def test_events_for_people_do_not_steer_the_terminal(certificate):
    with serving(certificate, (200, SSE, [event(1, type="\x1b[2J", data={"x": "\u202e\n"}), b"data: no json \x1b\n\n", event(2)])) as (url, _):
        run = sekisho(url, certificate, "events", "--count", "2")
    assert run.returncode == 0
    assert run.stdout.splitlines()[0].startswith("2026-11-22 03:04:05  1  \ufffd[2J  s1")
    assert not [c for c in run.stdout + run.stderr if c != "\n" and (ord(c) < 32 or c in "\u202e\x7f")]
    assert "no JSON" in run.stderr


def test_events_end_when_they_are_refused(certificate):
    problem = json.dumps({"code": "forbidden", "detail": "no event.read"}).encode()
    with serving(certificate, (403, {"Content-Type": "application/problem+json"}, [problem])) as (url, seen):
        run = sekisho(url, certificate, "events")
    assert run.returncode == 1 and "no event.read (forbidden, HTTP 403)" in run.stderr and len(seen) == 1
    assert sekisho("https://127.0.0.1:1", certificate, "events").returncode == 3


def test_a_stream_without_end_of_line(certificate):
    with serving(certificate, (200, SSE, [b"data: " + b"x" * 65536] + [b"x" * 65536] * 20)) as (url, _):
        run = sekisho(url, certificate, "events")
    assert run.returncode == 1 and "cannot be read" in run.stderr


HOSTILE = [b"", b"{", b"null", b"[]", b"[1,[2]]", b"\"x\"", b"{\"users\":5}", b"{\"users\":[1,null,{\"id\":{},\"roles\":{},\"login\":[]}]}",
           b"\xff\xfe", b"{\"users\":[{\"roles\":[1,\"\\u001b[2J\",null]}],\"next_cursor\":7}", b"[" * 100000,
           json.dumps({"users": [{"id": "\x1b]0;x\x07", "login": "a" * 100000}], "next_cursor": "\x9b31m"}).encode()]


@pytest.mark.parametrize("status", [200, 404, 302])
@pytest.mark.parametrize("body", HOSTILE, ids=lambda b: repr(b[:30]))
def test_hostile_answers(certificate, status, body):
    commands = [("user", "list"), ("user", "show", "somebody"), ("whoami", "--json"), ("conservation",), ("message", "trace", "x"),
                ("webhook", "update", "x", "--disable"), ("audit", "prove", "0"), ("audit", "heads", "--checkpoint")]
    for args in commands if status == 200 else commands[:1]:
        answer = (status, {"Content-Type": "application/json", "Location": "https://localhost:1/"}, [body] if body else [])
        with serving(certificate, *[answer] * 3) as (url, _):
            run = sekisho(url, certificate, *args, text=False)
        assert run.returncode in ((0, 1) if status == 200 else (1,)), (args, run)
        text = (run.stdout + run.stderr).decode()
        assert not [c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)], (args, text)


def test_user_lookup_ends_though_the_cursor_repeats(certificate):
    page = json.dumps({"users": [{"login": "other"}], "next_cursor": "same"}).encode()
    with serving(certificate, *[(200, {}, [page])] * 50) as (url, seen):
        run = sekisho(url, certificate, "user", "show", "somebody")
    assert run.returncode == 1 and "no person with the login somebody" in run.stderr and len(seen) == 2


def test_an_export_that_was_cut_off_is_no_export(certificate, tmp_path):
    with serving(certificate, (200, {}, [b"line 1\n", b"line 2\n", None])) as (url, _):
        run = sekisho(url, certificate, "audit", "export", "--output", "record.jsonl", cwd=tmp_path)
    assert run.returncode == 3 and "record.jsonl.part" in run.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["record.jsonl.part"]
    with serving(certificate, (200, {}, [b"line 1\n", b"line 2\n"])) as (url, _):
        assert sekisho(url, certificate, "audit", "export", "--output", "record.jsonl", cwd=tmp_path).returncode == 0
    assert (tmp_path / "record.jsonl").read_bytes() == b"line 1\nline 2\n"
    with serving(certificate, (403, {}, [b"{}"])) as (url, _):
        assert sekisho(url, certificate, "audit", "export", "--output", "x", cwd=tmp_path).returncode == 1
    assert not (tmp_path / "x").exists() and not (tmp_path / "x.part").exists()


def test_a_lost_post_says_how_to_repeat_it(certificate):
    with serving(certificate, (200, {}, [None])) as (url, seen):
        run = sekisho(url, certificate, "webhook", "rotate", "x")
    key = seen[0][1]["Idempotency-Key"]
    assert run.returncode == 3 and f"--idempotency-key {key}" in run.stderr and len(key) == 32
    with serving(certificate, (200, {}, [b"{}"])) as (url, seen):
        assert sekisho(url, certificate, "webhook", "rotate", "x", "--idempotency-key", "mine").returncode == 0
    assert seen[0][1]["Idempotency-Key"] == "mine"


@pytest.mark.parametrize("args", [
    ("message", "list", "--nonsense"), ("message", "show", "\udcff"), ("key", "rotate", "x", "--overlap", "-1"),
    ("key", "rotate", "x", "--overlap", "99999999999999999999"), ("webhook", "replay", "x"), ("webhook", "replay", "x", "--until", "3"),
    ("webhook", "update", "x"), ("webhook", "update", "x", "--enable", "--disable"), ("user", "access", "x"), ("user", "update", "x"),
    ("user", "password", "x"), ("user", "password", "x", "--password-file", "/nonexistent"), ("audit", "prove"),
    ("audit", "prove", "1", "--first", "2"), ("audit", "heads", "--checkpoint", "--verifier-key"), ("tenant", "update"),
    ("tenant", "update", "--head-mail", "perhaps"), ("settings", "set"), ("events", "--count", "x"), ("message", "search"),
    ("completion", "tcsh"), ("role", "put", "x", "--if-version", "seven"), ("sandbox", "content", "x", "--output", "/nonexistent/x"),
    ("health", "--idempotency-key", "a\nb"), ("man", "nonsense"), ("webhook", "listen"),
    ("webhook", "listen", "--secret-file", "/dev/null"), ("webhook", "listen", "--port", "65536"), ("hold", "release", "x", "one"),
])
def test_a_wrong_command_line_sends_nothing(certificate, args):
    with serving(certificate) as (url, seen):
        run = sekisho(url, certificate, *args)
    if args == ("health", "--idempotency-key", "a\nb"):  # GET carries none
        assert run.returncode == 1
        return
    assert run.returncode == 2 and run.stderr.startswith("sekisho: ") and run.stderr.count("\n") == 1 and not seen, run


# --- webhook listen ----------------------------------------------------------------------------------------------------
SECRET = secrets.token_bytes(32)


class Listening:
    def __init__(self, folder, *args):
        (folder / "secret.txt").write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n")
        self.process = subprocess.Popen([SEKISHO, "webhook", "listen", "--secret-file", "secret.txt", *args], cwd=folder, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={"PATH": os.environ["PATH"]})
        line = self.process.stderr.readline()
        assert "listening on" in line, line
        self.port = int(line.rsplit(":", 1)[1].rstrip("/\n"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
        self.out, self.err = self.process.communicate(timeout=30)


def signed(body, ident="msg_1", at=None, secret=SECRET):
    at = str(int(time.time() if at is None else at))
    value = base64.b64encode(hmac.new(secret, f"{ident}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    return {"webhook-id": ident, "webhook-timestamp": at, "webhook-signature": f"v1,{value}", "Content-Type": "application/json"}


def post(port, body, headers, method="POST", context=None):
    connection = (http.client.HTTPSConnection("127.0.0.1", port, timeout=30, context=context) if context
                  else http.client.HTTPConnection("127.0.0.1", port, timeout=30))
    connection.request(method, "/hook", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


BODY = json.dumps({"type": "recipient.delivered", "timestamp": "2026-11-22T03:04:05Z", "data": {"件名": "\x1b[2J"}}).encode()


def test_listen_takes_only_what_is_genuine(tmp_path):
    with Listening(tmp_path, "--count", "2", "--json") as l:
        assert post(l.port, BODY, signed(BODY, secret=b"x" * 32)) == 401
        assert post(l.port, BODY + b" ", signed(BODY)) == 401
        assert post(l.port, BODY, signed(BODY, at=time.time() - 400)) == 401
        assert post(l.port, BODY, {}) == 401
        assert post(l.port, None, {}, method="GET") == 405
        assert post(l.port, b"x" * (1024 * 1024 + 1), signed(b"x")) == 413
        assert post(l.port, BODY, signed(BODY, "a")) == 204
        assert post(l.port, b"\xff no json", signed(b"\xff no json", "b")) == 204
        assert l.process.wait(timeout=30) == 0
    lines = [json.loads(line) for line in l.out.splitlines()]
    assert [(x["id"], x["status"]) for x in lines] == [("a", 204), ("b", 204)]
    assert lines[0]["body"] == json.loads(BODY) and lines[1]["body"] is None
    assert l.err.count("not genuine") == 4


def test_listen_is_not_confused_by_framing(tmp_path):
    with Listening(tmp_path) as l:
        good = "".join(f"{k}: {v}\r\n" for k, v in signed(BODY).items())
        n = len(BODY)
        probes = [f"POST / HTTP/1.1\r\nHost: x\r\n{good}Content-Length: {n}\r\nTransfer-Encoding: chunked\r\n\r\n{n:x}\r\n",
                  f"POST / HTTP/1.1\r\nHost: x\r\n{good}Content-Length: {n}\r\nContent-Length: {n}\r\n\r\n",
                  f"POST / HTTP/1.1\r\nHost: x\r\n{good}webhook-id: other\r\nContent-Length: {n}\r\n\r\n"]
        for probe in probes:
            with socket.create_connection(("127.0.0.1", l.port), 30) as s:
                s.sendall(probe.encode() + BODY + b"\r\n0\r\n\r\n")
                assert s.recv(64).startswith(b"HTTP/1.1 400"), probe
        for garbage in (b"\0" * 100, b"GET\r\n\r\n", secrets.token_bytes(2000), b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 5000 + b"\r\n"):
            with socket.create_connection(("127.0.0.1", l.port), 30) as s, contextlib.suppress(OSError):
                s.sendall(garbage)
        assert post(l.port, BODY, signed(BODY)) == 204, "it still serves"
    assert l.out.count("\n") == 1 and "recipient.delivered" in l.out and "\x1b" not in l.out


def test_listen_forwards(tmp_path):
    got = queue.Queue()

    class App(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.put((dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(418)
            self.end_headers()

        def log_message(self, *_):
            pass
    with http.server.HTTPServer(("127.0.0.1", 0), App) as app:
        threading.Thread(target=app.serve_forever, daemon=True).start()
        with Listening(tmp_path, "--forward", f"http://127.0.0.1:{app.server_address[1]}/in") as l:
            headers = signed(BODY)
            assert post(l.port, BODY, headers) == 418
            assert post(l.port, BODY, signed(b"other")) == 401
        app.shutdown()
    seen, body = got.get(timeout=30)
    assert body == BODY and {k: seen[k] for k in headers} == headers and got.empty()
    with Listening(tmp_path, "--forward", "http://127.0.0.1:1/") as l:
        assert post(l.port, BODY, signed(BODY)) == 502


def test_listen_speaks_https(tmp_path, certificate):
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with Listening(tmp_path, "--certificate", str(certificate[0]), "--certificate-key", str(certificate[1])) as l:
        assert post(l.port, BODY, signed(BODY), context=context) == 204
