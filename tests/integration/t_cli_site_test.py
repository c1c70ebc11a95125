# SPDX-License-Identifier: MIT
"""The command line against a real site, where more than one part must fit: webhooks from the checkpoint to the local
receiver, events over a restart of the API, the record out and verified, changes that overtake each other."""
import json
import os
import secrets
import socket
import subprocess
import threading

import pytest

from lib import site as sites
from lib.wire import Receiver, wait_for

SEKISHO = sites.BUILD / "bin/sekisho"


@pytest.fixture(scope="module")
def site(own_site):
    return own_site


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as r:
        yield r


@pytest.fixture(scope="module")
def tenant(site, receiver):
    return site.tenant(next_hop=receiver.address)


@pytest.fixture
def admin(site, tenant, tmp_path):
    def call(*args, code=0, key=tenant.key):
        run = subprocess.run([SEKISHO, *args], cwd=tmp_path, capture_output=True, text=True, timeout=90, env=environment(site, key))
        assert run.returncode == code, (args, run.returncode, run.stdout, run.stderr)
        return run.stdout if code == 0 else run.stdout + run.stderr
    call.folder = tmp_path
    return call


def environment(site, key):
    return {"PATH": os.environ["PATH"], "SEKISHO_URL": site.url, "SEKISHO_CA": str(site.stack.ca), "SEKISHO_API_KEY": key}


class Running:
    """A command that goes on; lines of its standard output as they come."""

    def __init__(self, args, env, cwd):
        self.process = subprocess.Popen([SEKISHO, *args], env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []
        self.reader = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stdout.readline, "")), daemon=True)
        self.reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.reader.join(timeout=30)
        self.process.stderr.close()


def test_webhooks_reach_the_local_receiver(site, admin):
    """Made with the port known, listened to with its secret, tested, fed by what happens, replayed."""
    with Running(("webhook", "listen", "--secret-file", "secret.txt"), environment(site, "-"), admin.folder) as nobody:
        assert nobody.process.wait(timeout=30) == 2, "there is no secret yet"
    with socket.create_server(("127.0.0.1", 0)) as s:
        port = s.getsockname()[1]
    made = json.loads(admin("webhook", "create", f"http://127.0.0.1:{port}/", "--type", "user.created", "--json"))
    (admin.folder / "secret.txt").write_text(made["secret"])
    args = ("webhook", "listen", "--port", str(port), "--secret-file", "secret.txt", "--json")
    with Running(args, environment(site, "-"), admin.folder) as listening:
        assert f":{port}" in listening.process.stderr.readline()
        assert "taken   " in admin("webhook", "test", made["id"])
        login = f"w{secrets.token_hex(4)}@hooks.example"
        person = json.loads(admin("user", "create", login, "--json"))["id"]

        def about():
            """What was heard of this person; the tenant's making may still be on its way."""
            return [e for e in map(json.loads, listening.lines) if e["body"]["data"].get("user") == person]
        ident = wait_for("the event", about, 60)[0]["id"]
        wait_for("its attempt", lambda: ident in admin("webhook", "attempts", made["id"]))
        admin("webhook", "replay", made["id"], "--event", ident)
        wait_for("it again", lambda: len(about()) == 2, 60)
        first, again = about()
        test = json.loads(listening.lines[0])
    assert first["body"]["type"] == "user.created" and first == again and test["id"] != first["id"]
    shown = admin("webhook", "show", made["id"])
    assert "whsec_" not in shown and "delivered" in shown
    assert admin("webhook", "delete", made["id"]) == "deleted\n"


def test_events_go_on_over_a_restart_of_the_api(site, tenant, admin):
    def made():
        ident = json.loads(admin("user", "create", f"e{secrets.token_hex(4)}@events.example", "--json"))["id"]
        return ident

    def seen():
        return [json.loads(line)["subject"] for line in events.lines]
    args = ("events", "--after", "-1", "--type", "user.created", "--json")
    with Running(args, environment(site, tenant.key), admin.folder) as events:
        first = made()
        wait_for("the first event", lambda: first in seen(), 60)
        site.stack.restart("api")
        wait_for("the api", lambda: subprocess.run([SEKISHO, "health"], env=environment(site, ""), cwd=admin.folder,
                                                   capture_output=True).returncode == 0, 60)
        second = made()
        wait_for("the second event", lambda: second in seen(), 60)
    positions = [json.loads(line)["position"] for line in events.lines]
    assert positions == sorted(set(positions)), "none twice, in order"


def test_the_record_out_and_verified(tenant, admin):
    wait_for("a signed head", lambda: "signed yet" not in admin("audit", "heads") and tenant.api("GET", "/v1/audit/heads")["heads"], 60)
    (admin.folder / "head.txt").write_text(admin("audit", "heads", "--checkpoint"))
    (admin.folder / "key.txt").write_text(admin("audit", "heads", "--verifier-key"))
    size = json.loads(admin("audit", "search", "--limit", "1", "--json"))["size"]
    wait_for("a later head", lambda: tenant.api("GET", "/v1/audit/heads")["heads"][0]["size"] > size, 60)
    admin("audit", "export", "--output", "record.jsonl")
    assert "good" in admin("audit", "verify", "record.jsonl", "--head", "head.txt", "--key", "key.txt")
    lines = (admin.folder / "record.jsonl").read_bytes().splitlines(keepends=True)
    (admin.folder / "short.jsonl").write_bytes(b"".join(lines[:2] + lines[3:]))
    assert "manipulated" in admin("audit", "verify", "short.jsonl", "--head", "head.txt", code=1)
    assert json.loads(admin("audit", "verify", "record.jsonl", "--json"))["result"] == "good"
    assert "EXPORT" in admin("audit", "verify", "--help")


def test_who_comes_second_is_refused(tenant, admin):
    login = f"v{secrets.token_hex(4)}@versions.example"
    admin("user", "create", login, "--name", "First")
    version = json.loads(admin("user", "show", login, "--json"))["version"]
    admin("user", "update", login, "--name", "Second")
    assert "precondition" in admin("user", "update", login, "--name", "Third", "--if-version", str(version), code=1)
    assert "Second" in admin("user", "show", login)
    role = f"r{secrets.token_hex(4)}"
    admin("role", "put", role, "--permission", "message.read", "--new")
    assert "precondition" in admin("role", "put", role, "--permission", "message.read", "--new", code=1)


def test_people_by_login(tenant, admin):
    login = f"p{secrets.token_hex(4)}@{tenant.domain}"
    admin("user", "create", login, "--address", f"a-{login}")
    admin("user", "access", login, "--role", "auditor", "--deny", "audit.export")
    allowed = {line.split()[0]: line.split()[1] for line in admin("user", "permissions", login).splitlines()[1:]}
    assert allowed["audit.read"] == "yes" and allowed["audit.export"] == "no"
    assert admin("user", "disable", login) == "disabled\n" and "disabled " in admin("user", "show", login)
    assert admin("user", "enable", login) == "enabled\n"
    assert "no person with the login" in admin("user", "show", login[1:], code=1)


def test_the_same_key_makes_one_person(admin):
    login = f"i{secrets.token_hex(4)}@once.example"
    first = admin("user", "create", login, "--idempotency-key", f"k-{login}")
    assert admin("user", "create", login, "--idempotency-key", f"k-{login}") == first
    assert "conflict" in admin("user", "create", login, code=1)
