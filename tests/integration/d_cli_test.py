# SPDX-License-Identifier: MIT
"""The command line from outside: exit codes, settings, tables, and that no stranger's octet steers the terminal."""
import contextlib
import http.server
import json
import os
import secrets
import socket
import ssl
import subprocess
import threading

import pytest

from lib import site as sites
from lib.wire import Receiver, wait_for

SEKISHO = sites.BUILD / "bin/sekisho"


class Shell:
    def __init__(self, site, folder, key):
        self.folder = folder
        self.env_file = folder / f"{secrets.token_hex(4)}.env"
        self.env_file.write_text(f"# settings\nSEKISHO_URL={site.url}\nexport SEKISHO_CA='{site.stack.ca}'\nSEKISHO_API_KEY=\"{key}\"\n")

    def __call__(self, *args, code=0, stdin=None):
        done = subprocess.run([SEKISHO, "--env", self.env_file, *args], cwd=self.folder, env={"PATH": os.environ["PATH"]},
                              input=stdin, capture_output=True, timeout=60)
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        return (done.stdout if code == 0 else done.stdout + done.stderr).decode()


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as r:
        yield r


@pytest.fixture(scope="module")
def tenant(site, receiver):
    return site.tenant(rules=sites.policy("hold", 3600), next_hop=receiver.address)


@pytest.fixture(scope="module")
def admin(site, tenant, tmp_path_factory):
    return Shell(site, tmp_path_factory.mktemp("cli"), tenant.key)


@pytest.fixture(scope="module")
def person(site, tenant, admin):
    made = json.loads(admin("key", "create", "cli", "--login", tenant.user, "--permission", "message.send", "--json"))
    return Shell(site, admin.folder, made["secret"])


def test_health_and_help(admin):
    assert admin("health") == "ok\n"
    assert "message trace ID" in admin("help")
    assert "--attach FILE" in admin("help", "send") and "--attach FILE" in admin("send", "--help")


def test_exit_codes(site, admin, tmp_path):
    assert "no such command" in admin("nonsense", code=2)
    assert "usage: sekisho message show ID" in admin("message", "show", code=2)
    assert "cannot read" in admin("policy", "check", "/nonexistent", code=2)
    assert "not_found" in admin("message", "show", "00000000-0000-7000-8000-000000000000", code=1)
    bare = {"PATH": os.environ["PATH"]}

    def code(**env):
        return subprocess.run([SEKISHO, "health"], cwd=tmp_path, env=bare | env, capture_output=True, timeout=60).returncode
    assert code() == 2
    assert code(SEKISHO_URL="https://127.0.0.1:1") == 3
    assert code(SEKISHO_URL=site.url) == 3, "a certificate that nobody vouches for"
    assert code(SEKISHO_URL=site.url, SEKISHO_CA=str(site.stack.ca)) == 0


@contextlib.contextmanager
def answering(stack, body):
    """(port, requests) of a server that says this to everybody, with the instance's certificate."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            seen.append(self.path)
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(202)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(stack.run / "keys/tls.crt", stack.run / "keys/tls.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1], seen
        server.shutdown()
        thread.join()


def test_a_server_does_not_steer_the_terminal(site, tmp_path):
    with answering(site.stack, json.dumps({"id": "\x1b[2Jowned"}).encode()) as (port, seen):
        run = subprocess.run([SEKISHO, "send", "--from", "a@a.example", "--to", "b@b.example", "--text", "x"], cwd=tmp_path,
                             env={"PATH": os.environ["PATH"], "SEKISHO_URL": f"https://localhost:{port}",
                                  "SEKISHO_CA": str(site.stack.ca)}, capture_output=True, timeout=60)
    assert run.returncode == 0 and seen, run.stderr
    assert run.stdout.decode() == "\ufffd[2Jowned\n"


@pytest.mark.parametrize("scheme", ["http", "HTTP", "ftp"])
def test_the_key_never_travels_in_clear(tmp_path, scheme):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        run = subprocess.run([SEKISHO, "queue"], cwd=tmp_path, capture_output=True, timeout=60, env={
            "PATH": os.environ["PATH"], "SEKISHO_URL": f"{scheme}://127.0.0.1:{listener.getsockname()[1]}", "SEKISHO_API_KEY": "k"})
        assert run.returncode == 2 and b"https://" in run.stderr
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_default_file_and_environment(site, tmp_path, tenant):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/sekisho.env").write_text(f"SEKISHO_URL={site.url}\nSEKISHO_CA={site.stack.ca}\nSEKISHO_API_KEY={tenant.key}\n")
    run = subprocess.run([SEKISHO, "queue"], cwd=tmp_path, env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=60)
    assert run.returncode == 0, run.stderr

    def queue(**env):
        run = subprocess.run([SEKISHO, "queue"], cwd=tmp_path, env={"PATH": os.environ["PATH"]} | env, capture_output=True, timeout=60)
        return run.returncode, run.stderr
    # The folder may be a stranger's: its URL gets no key of the environment, its CA vouches for no URL of it.
    code, words = queue(SEKISHO_API_KEY=tenant.key)
    assert code == 2 and b"sekisho.env is not read" in words, words
    assert queue(SEKISHO_API_KEY=tenant.key, SEKISHO_URL=site.url)[0] == 3, "a certificate that nobody vouches for"
    code, words = queue(SEKISHO_URL=site.url, SEKISHO_CA=str(site.stack.ca))
    assert code == 1 and b"unauthorized" in words, words
    assert queue(SEKISHO_CA=str(tmp_path / "none"))[0] != 0
    code, words = queue(SEKISHO_API_KEY="wrong", SEKISHO_URL=site.url, SEKISHO_CA=str(site.stack.ca))
    assert code == 1 and b"unauthorized" in words, words


def held(admin, ident):
    wait_for("the hold", lambda: ident in admin("hold", "list"))


def test_send_hold_release_trace(admin, person, tenant, receiver):
    to = f"cli-{secrets.token_hex(4)}@sink.example"
    (admin.folder / "見積.txt").write_text("みつもり")
    ident = person("send", "--from", f"花子 <{tenant.sender}>", "--to", to, "--bcc", f"b-{to}", "--subject", "日本語の件名",
                   "--text", "-", "--attach", "見積.txt", stdin="本文\n".encode()).strip()
    held(admin, ident)
    listed = [line for line in admin("message", "list", "--state", "held").splitlines() if line.startswith(ident)]
    assert listed and "2 held" in listed[0]
    assert "queued" in admin("hold", "release", ident, "0", "--reason", "急ぎ")
    assert "discarded" in admin("hold", "discard", ident, "1")
    assert f"decided by" in admin("hold", "release", ident, "1", code=1)
    receiver.wait(1, match=lambda m: to in m.recipients)
    shown = wait_for("delivered", lambda: (t := admin("message", "trace", ident)) and "recipient.delivered" in t and t)
    assert "日本語の件名" in shown and "+0.000 s" in shown and "急ぎ" in shown
    assert "why: rule set \"test\"" in shown and "next: hold, then send unless discarded" in shown
    assert json.loads(admin("message", "show", ident, "--json"))["id"] == ident


def test_raw_with_unix_line_ends(admin, person, tenant):
    text = f"From: <{tenant.sender}>\nTo: <x@sink.example>\nSubject: raw\n\nline\n".encode()
    args = ("send", "--from", tenant.sender, "--to", "x@sink.example", "--raw", "-")
    first = person(*args, "--idempotency-key", "raw-1", stdin=text)
    assert person(*args, "--idempotency-key", "raw-1", stdin=text) == first
    held(admin, first.strip())
    assert "refused" in person(*args, "--idempotency-key", "raw-1", stdin=text + b"other\n", code=1)


def test_refusal_in_words(person):
    assert "somebody" not in person("send", "--from", "ceo@somebody.example", "--to", "x@sink.example", "--text", "x", code=1)
    assert "forbidden" in person("queue", code=1)


def test_strangers_do_not_steer_the_terminal(admin, tenant):
    evil = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.exe"
    encoded = "=?UTF-8?B?" + __import__("base64").b64encode(evil.encode()).decode() + "?="
    to = f"evil-{secrets.token_hex(4)}@sink.example"
    code, text = tenant.send(tenant.mail(to, subject=encoded), to)
    assert code == 250, text
    wait_for("the message", lambda: to in admin("hold", "list"))
    ident = next(line for line in admin("hold", "list").splitlines() if to in line).split()[0]
    for args in (("message", "show", ident), ("message", "trace", ident), ("message", "show", ident, "--json")):
        out = admin(*args)
        assert not [c for c in out if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202e\u200b")], out
        assert "gpj.exe" in out
    subject = json.loads(admin("message", "show", ident, "--json"))["subject"]
    assert "gpj.exe" in subject


def test_policy(admin, tmp_path):
    before = admin("policy", "get")
    file = tmp_path / "rules.json"
    file.write_text(before)
    assert admin("policy", "check", str(file)).endswith("valid\n")
    assert "is in force" in admin("policy", "put", str(file))
    file.write_text('{"format":1,"name":"x","rules":[{}]}')
    assert "not valid" in admin("policy", "check", str(file), code=1)
    assert "policy_invalid" in admin("policy", "put", str(file), code=1)
    file.write_text("{")
    assert "not_json" in admin("policy", "put", str(file), code=1)


def test_operators_view(admin):
    assert "MAIL" in admin("bus", "status")
    assert ": holds" in admin("conservation") and "accepted" in admin("conservation")
    assert "DESTINATION" in admin("queue")
    assert "outbound: 127.0.0.1:" in admin("route", "get", "outbound")
