# SPDX-License-Identifier: MIT
"""What the documents show works: every example of every manual page, and every curl sample of docs/samples.md, run as they
stand against a real site through the gateway.

A placeholder such as $MESSAGE stands for an id that the reader has; here it is made for each example that names it. The
tenant is shop.example with Hanako in it. A curl sample says what comes of it: behind each curl a line `# 202`."""
import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import secrets
import socket
import subprocess
import time

import pytest

from lib import site as sites
from lib.hooks import Hook
from lib.wire import Receiver, wait_for

SEKISHO = sites.BUILD / "bin/sekisho"
TABLE = json.loads(subprocess.run([SEKISHO, "help", "--json"], capture_output=True, check=True).stdout)
EXAMPLES = [(c["command"], line) for c in TABLE["commands"] for line in c["examples"]]
SAMPLES = re.findall(r"^```sh\n(.*?)^```", (sites.ROOT / "docs/samples.md").read_text(), re.M | re.S)
HANAKO = "hanako@shop.example"
SECRET = secrets.token_bytes(32)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Shop:
    """The reader's tenant, and whatever a placeholder stands for."""

    def __init__(self, site, folder, receiver, hook):
        self.site, self.folder, self.hook = site, folder, hook
        self.tenant = t = site.tenant("shop", rules=sites.policy("hold", 3600), next_hop=receiver.address)
        self.user = t.api("POST", "/v1/users", {"login": HANAKO, "display_name": "Hanako", "addresses": [HANAKO]})["id"]
        self.send_key = t.api("POST", "/v1/keys", {"kind": "api_key", "name": "send", "login": HANAKO,
                                                   "permissions": ["message.send"]})["secret"]
        self.sandbox_key = None
        files = {"estimate.pdf": b"%PDF-1.4 estimate", "password.txt": b"a long enough password 42\n",
                 "message.eml": f"From: <{HANAKO}>\nTo: <taro@example.org>\nSubject: raw\n\nHello\n".encode(),
                 "rules.json": json.dumps(sites.policy("hold", 3600)).encode(),
                 "secret.txt": b"whsec_" + base64.b64encode(SECRET)}
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / "man1").mkdir()

    def mail(self, subject="見積 estimate", headers=None):
        """A held message of Hanako's."""
        body = {"from": HANAKO, "to": ["taro@example.org"], "subject": subject, "text": "山田様\n"}
        ident = self.site.api("POST", "/v1/messages", body, key=self.send_key, timeout=75, headers=headers)["id"]
        wait_for("the hold", lambda: ident in [m["id"] for m in self.tenant.api("GET", "/v1/holds?limit=200")["messages"]])
        return ident

    def submission(self):
        key = secrets.token_hex(8)
        self.mail(headers={"Idempotency-Key": key})
        return key

    def person(self):
        """Somebody who is not Hanako, so that what happens to them disturbs nobody."""
        return self.tenant.api("POST", "/v1/users", {"login": f"p{secrets.token_hex(4)}@shop.example", "display_name": "P"})["id"]

    def named(self, kind, body):
        name = f"n{secrets.token_hex(4)}"
        self.tenant.api("PUT", f"/v1/{kind}/{name}", body)
        return name

    def key(self):
        return self.tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": f"x{secrets.token_hex(4)}", "permissions": ["message.read"]})["id"]

    def webhook(self):
        return self.tenant.api("POST", "/v1/webhooks", {"url": self.hook.url(), "types": ["policy.activated"]})["id"]

    def sandbox(self):
        """The id of a mail at the sink of a sandbox tenant; its key is used from now on."""
        made = self.site.api("POST", "/v1/tenants", {"name": f"box{secrets.token_hex(4)}", "sandbox": True})
        self.sandbox_key = made["admin_key"]
        domain = f"box{secrets.token_hex(4)}.example"
        self.site.api("POST", "/v1/domains", {"name": domain, "class": "internal", "assert_proven": True, "tenant": made["id"]})

        def api(method, path, body=None, **more):
            return self.site.api(method, path, body, key=more.pop("key", made["admin_key"]), **more)
        api("POST", "/v1/users", {"login": f"a@{domain}", "addresses": [f"a@{domain}"]})
        key = api("POST", "/v1/keys", {"kind": "api_key", "name": "s", "login": f"a@{domain}", "permissions": ["message.send"]})["secret"]
        api("PUT", "/v1/policy", sites.policy())
        api("POST", "/v1/messages", {"from": f"a@{domain}", "to": ["taro@example.org"], "text": "x"}, key=key, timeout=75)
        return wait_for("the sink", lambda: api("GET", "/v1/sandbox/mails")["mails"])[0]["id"]

    def placeholder(self, name):
        makers = {"MESSAGE": self.mail, "SUBMISSION": self.submission, "PERSON": self.person, "KEY": self.key, "KEY_ID": self.key,
                  "ROLE": lambda: self.named("roles", {"permissions": ["message.read"]}),
                  "GROUP": lambda: self.named("groups", {"members": [], "roles": []}), "WEBHOOK": self.webhook,
                  "MAIL": self.sandbox, "PORT": lambda: str(free_port())}
        assert name in makers, f"nobody knows what ${name} stands for"
        return str(makers[name]())

    def environment(self, text, key):
        known = {"SEKISHO_URL": self.site.url, "SEKISHO_CA": str(self.site.stack.ca), "SEKISHO_API_KEY": key, "HOME": str(self.folder)}
        names = set(re.findall(r"\$\{?([A-Z][A-Z_]*)", text)) - set(known)
        made = {name: self.placeholder(name) for name in sorted(names)}
        if "MAIL" in made:
            known["SEKISHO_API_KEY"] = self.sandbox_key
        return known | made


@pytest.fixture(scope="module")
def shop(site, tmp_path_factory):
    with Receiver() as receiver, Hook() as hook:
        yield Shop(site, tmp_path_factory.mktemp("shop"), receiver, hook)


def head_is_signed(shop):
    wait_for("a signed head", lambda: shop.tenant.api("GET", "/v1/audit/heads")["heads"], 60)


def run(shop, line, env, **more):
    return subprocess.run(["bash", "-c", line], cwd=shop.folder, capture_output=True, text=True, timeout=90,
                          env=env | {"PATH": f"{shop.folder}/bin:{SEKISHO.parent}:{os.environ['PATH']}"}, **more)


def webhook_listen(shop, line, env):
    process = subprocess.Popen(["bash", "-c", line], cwd=shop.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=env | {"PATH": f"{SEKISHO.parent}:{os.environ['PATH']}"})
    assert f"127.0.0.1:{env['PORT']}" in process.stderr.readline()
    at, body = str(int(time.time())), b'{"type":"x","timestamp":"2026-11-22T00:00:00Z","data":{}}'
    value = base64.b64encode(hmac.new(SECRET, f"m.{at}.".encode() + body, hashlib.sha256).digest()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", int(env["PORT"]), timeout=30)
    connection.request("POST", "/", body, {"webhook-id": "m", "webhook-timestamp": at, "webhook-signature": f"v1,{value}"})
    assert connection.getresponse().status == 204
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0 and "  x  " in out, out + err


def prepare(shop, command, line):
    """The key that the example needs; what must have happened before it."""
    if command.startswith("audit"):
        head_is_signed(shop)
    if command == "audit verify":
        for before in ("audit heads --checkpoint > head.txt", "audit heads --verifier-key > key.txt", "audit export --output record.jsonl"):
            done = run(shop, f"sekisho {before}", shop.environment("", shop.tenant.key))
            assert done.returncode == 0, done.stderr
    if command in ("send", "message lookup"):
        return shop.send_key
    if command in ("tenant create", "tenant list"):
        return shop.site.platform_key
    if command in ("message search", "events"):
        shop.mail()
    if command == "sandbox list":
        shop.sandbox()
        return shop.sandbox_key
    return shop.tenant.key


@pytest.mark.parametrize("command,line", EXAMPLES, ids=[line for _, line in EXAMPLES])
def test_manual_page_example(shop, command, line):
    key = prepare(shop, command, line)
    env = shop.environment(line, key)
    if command == "webhook listen":
        webhook_listen(shop, line, env)
        return
    done = run(shop, line, env)
    assert done.returncode == 0, (line, done.stdout, done.stderr)
    assert done.stdout or re.search(r"--output|> ", line) or command == "complete", "an example shows something"


@pytest.mark.parametrize("sample", SAMPLES)
def test_curl_sample(shop, sample):
    """The statuses of its curls, in order, are what the sample says."""
    wanted = [int(n) for n in re.findall(r"^# (\d{3})\b", sample, re.M)]
    assert wanted, "a sample says what comes of it"
    wrapper = shop.folder / "bin/curl"
    wrapper.parent.mkdir(exist_ok=True)
    wrapper.write_text('#!/bin/bash\nexec /usr/bin/curl --cacert "$SEKISHO_CA" --max-time 60 "$@" -w "%{stderr}status=%{http_code}\\n"\n')
    wrapper.chmod(0o755)
    if "audit" in sample:
        head_is_signed(shop)
    sends = re.search(r"/v1/messages(\?sender[^\"]*)?\" \\\n", sample)
    done = run(shop, sample, shop.environment(sample, shop.send_key if sends else shop.tenant.key))
    assert [int(n) for n in re.findall(r"status=(\d{3})", done.stderr)] == wanted, (sample, done.stdout, done.stderr)
    if "--max-time" not in sample:  # that one ends by being cut off
        assert done.returncode == 0, (sample, done.stdout, done.stderr)
