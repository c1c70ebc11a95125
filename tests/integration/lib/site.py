# SPDX-License-Identifier: MIT
"""A running Sekisho as its customers see it: the API, SMTP addresses, tenants that are ready to send."""
import json
import os
import pathlib
import secrets
import sys
import urllib.error
import urllib.request
import ssl

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "deploy/local"))
import stack as local_stack  # noqa: E402

from .wire import submission, wait_for  # noqa: E402

BUILD = pathlib.Path(os.environ.get("SEKISHO_BUILD", ROOT / "build")).absolute()
FULL = os.environ.get("SEKISHO_FULL") == "1"


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


def policy(action="pass", seconds=0, incoming="pass", rules=()):
    outgoing = {"action": action} | ({"seconds": seconds} if action == "hold" else {})
    return {"format": 1, "name": "test", "default": {"incoming": {"action": incoming}, "outgoing": outgoing},
            "rules": list(rules)}


class Site:
    def __init__(self, stack):
        self.stack = stack
        ports = stack.ports
        self.mx = f"127.0.0.1:{ports['mx']}"
        self.submission = f"127.0.0.1:{ports['submission']}"
        self.submissions = f"127.0.0.1:{ports['submissions']}"
        self.url = f"https://localhost:{ports['https']}"
        self.tls = ssl.create_default_context(cafile=str(stack.ca))

    @property
    def platform_key(self):
        return (self.stack.run / "keys" / "platform.key").read_text().strip()

    def api(self, method, path, body=None, key=None, timeout=20, headers=None):
        """The parsed answer; ApiError for anything but 2xx."""
        head = {"Authorization": f"Bearer {key or self.platform_key}", "Content-Type": "application/json", **(headers or {})}
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, head, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout, context=self.tls) as answer:
                text = answer.read()
        except urllib.error.HTTPError as e:
            raise ApiError(e.code, e.read(2000).decode(errors="replace")) from None
        return json.loads(text) if text else None

    def tenant(self, name=None, rules=None, next_hop=None, inbound=None, sandbox=False):
        return Tenant(self, name or f"t{secrets.token_hex(4)}", rules or policy(), next_hop, inbound, sandbox)


class Tenant:
    """A tenant with a proven domain, one person, signing keys, a rule set and routes."""

    def __init__(self, site, name, rules, next_hop, inbound, sandbox=False):
        self.site, self.name, self.domain = site, name, f"{name}.example"
        made = site.api("POST", "/v1/tenants", {"name": name} | ({"sandbox": True} if sandbox else {}))
        self.id, self.key = made["id"], made["admin_key"]
        site.api("POST", "/v1/domains", {"name": self.domain, "class": "internal", "assert_proven": True, "tenant": self.id})
        self.records = {r["name"]: r["value"] for r in self.api("GET", f"/v1/domains/{self.domain}/dkim")["records"]}
        self.sender, self.user, self.password = f"sender@{self.domain}", f"sender@{self.domain}", secrets.token_hex(12)
        self.api("POST", "/v1/users", {"login": self.user, "display_name": "Sender", "password": self.password,
                                       "addresses": [self.sender]})
        # Machines log in by application password: a person's costs Argon2id at each login.
        made = self.api("POST", "/v1/keys", {"kind": "app_password", "name": "load", "login": self.user, "permissions": []})
        self.app_user, self.app_password = made["login"], made["secret"]
        self.send_key = self.api("POST", "/v1/keys", {"kind": "api_key", "name": "send", "login": self.user,
                                                      "permissions": ["message.send"]})["secret"]
        self.put_policy(rules)
        if next_hop:
            self.route("outbound", next_hop)
        if inbound:
            self.route("inbound", inbound)

    def api(self, method, path, body=None, **more):
        return self.site.api(method, path, body, key=self.key, **more)

    def submit(self, to, headers=None, **fields):
        """Through the API, as JSON."""
        body = {"from": self.sender, "to": [to], "subject": "submitted", "text": "submitted\n"} | fields
        return self.site.api("POST", "/v1/messages", body, key=self.send_key, timeout=75, headers=headers)

    def put_policy(self, rules):
        return self.api("PUT", "/v1/policy", rules)

    def route(self, direction, smarthost, tls="may"):
        return self.api("PUT", f"/v1/routes/{direction}", {"smarthost": smarthost, "tls": tls})

    def client(self):
        return submission(self.site.submission, self.app_user, self.app_password)

    def mail(self, to, subject="hello", body="body\r\n", sender=None, ident=None):
        ident = ident or secrets.token_hex(8)
        return (f"Date: Sun, 22 Nov 2026 12:00:00 +0900\r\nFrom: <{sender or self.sender}>\r\nTo: <{to}>\r\nSubject: {subject}\r\n"
                f"Message-ID: <{ident}@{self.domain}>\r\nX-Bench-Id: {ident}\r\n\r\n{body}").encode()

    def send(self, data, *recipients, sender=None, client=None, options=""):
        """(code, text) of the last reply."""
        own = client is None
        client = client or self.client()
        try:
            got = client.envelope(self.sender if sender is None else sender, *recipients, options=options)
            if got[0] // 100 != 2:
                return got
            got = client.say("DATA")
            if got[0] != 354:
                return got
            client.send(stuffed(data) + b".\r\n")
            return client.reply()
        finally:
            if own:
                client.close()

    def conservation(self, timeout=20):
        return self.api("GET", "/v1/conservation", timeout=timeout)["tenants"][0]

    def settled(self, seconds=60):
        """The sum, when no recipient is open any more."""
        def closed():
            sum_ = self.conservation()
            assert sum_["holds"], sum_
            return sum_ if sum_["terms"]["open"] == 0 else None
        return wait_for("all recipients final", closed, seconds)

    def messages(self, **query):
        """All of them, newest first."""
        out, cursor = [], None
        while True:
            q = dict(query, limit=200, **({"cursor": cursor} if cursor else {}))
            page = self.api("GET", "/v1/messages?" + "&".join(f"{k}={urllib.request.quote(str(v))}" for k, v in q.items()))
            out += page["messages"]
            cursor = page.get("next_cursor")
            if not cursor:
                return out


def stuffed(data):
    """Dot-stuffed, ending in CRLF."""
    out = data.replace(b"\r\n.", b"\r\n..")
    if out.startswith(b"."):
        out = b"." + out
    return out if out.endswith(b"\r\n") or not out else out + b"\r\n"


def start(folder, env=None, only=None):
    """A stack of its own in a fresh folder."""
    return local_stack.Stack(folder, BUILD, env=env, only=only)
