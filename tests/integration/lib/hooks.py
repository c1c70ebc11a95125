# SPDX-License-Identifier: MIT
"""A receiver of webhooks that can be slow, wrong or gone, and two verifiers of its signatures: one written here from the
Standard Webhooks specification, and the library of that name from npm."""
import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import pathlib
import socket
import ssl
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
LIBRARY = ROOT / "tests/integration/standardwebhooks"


class BadSignature(Exception):
    pass


def verify(secret, headers, body, now=None, tolerance=300):
    """From the text of the specification: what is signed is id.timestamp.payload; any of the signatures may fit; a
    timestamp too far away is refused. Returns the payload."""
    ident, at, values = (headers.get(f"webhook-{n}", "") for n in ("id", "timestamp", "signature"))
    if not ident or not at.isdigit():
        raise BadSignature("no id or timestamp")
    if abs((now if now is not None else time.time()) - int(at)) > tolerance:
        raise BadSignature("too old or too new")
    if not secret.startswith("whsec_"):
        raise BadSignature("not a secret")
    key = base64.b64decode(secret[len("whsec_"):], validate=True)
    if not 24 <= len(key) <= 64:
        raise BadSignature("a secret of the wrong size")
    want = hmac.new(key, f"{ident}.{at}.".encode() + body, hashlib.sha256).digest()
    for value in values.split(" "):
        version, _, text = value.partition(",")
        if version == "v1" and hmac.compare_digest(base64.b64decode(text, validate=True), want):
            return json.loads(body)
    raise BadSignature("no signature fits")


def verify_by_library(secret, calls):
    """What npm's standardwebhooks says to each call: "ok", or why not."""
    subprocess.run([ROOT / "tools/node.sh", "install", LIBRARY], check=True, capture_output=True)
    lines = "".join(json.dumps({"secret": secret, "headers": c.headers, "body": c.body.decode()}) + "\n" for c in calls)
    done = subprocess.run(["node", LIBRARY / "verify.mjs"], input=lines, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


class Call:
    """One request as it came. status: what was answered; None: nothing."""

    def __init__(self, path, headers, body):
        self.path, self.headers, self.body, self.at, self.status = path, headers, body, time.monotonic(), None
        self.source = None

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def payload(self):
        return json.loads(self.body)


class Hook:
    """A receiver on loopback. answer: status, or a function of the Call that gives status, or (status, headers, body), or
    None (hangs up). delay: seconds before the answer."""

    def __init__(self, tls=None, port=0):
        self.calls, self.lock = [], threading.Lock()
        self.answer, self.delay = 200, 0
        self.tls, self.port, self.server = tls, port, None
        self.open()

    def open(self):
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                call = Call(self.path, {k.lower(): v for k, v in self.headers.items()}, body)
                call.source = self.client_address
                with hook.lock:
                    hook.calls.append(call)
                delay = hook.delay(call) if callable(hook.delay) else hook.delay
                if delay:
                    time.sleep(delay)
                answer = hook.answer(call) if callable(hook.answer) else hook.answer
                if answer is None:
                    self.close_connection = True
                    return
                status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, b"")
                call.status = status
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    for k, v in headers.items():
                        self.send_header(k, v)
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)

            do_GET = do_POST  # a redirect that was followed would show

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads, allow_reuse_address, request_queue_size = True, True, 64

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        if self.tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def gone(self):
        """Nobody listens any more; open() comes back on the same port."""
        self.server.shutdown()
        self.server.server_close()
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            raise AssertionError("still there")

    def url(self, path="/hook"):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}{path}"

    def took(self, path=None):
        """What was answered 2xx, in the order it came."""
        with self.lock:
            return [c for c in self.calls if c.status is not None and 200 <= c.status < 300 and path in (None, c.path)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
