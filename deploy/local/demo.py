# SPDX-License-Identifier: MIT
"""The demo of `make run`: a tenant made through the API, mails through the front door, and a table that compares what
should have become of each recipient with what the API and the receiver say."""
import base64
import datetime
import email.message
import email.policy
import email.utils
import io
import json
import os
import secrets
import smtplib
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile

import dkim

DOMAIN, OTHER_DOMAIN = "demo.example", "demo-two.example"
KEYWORD = "極秘-DEMO"
EICAR = base64.b64decode("WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo=")


class ApiError(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class Api:
    def __init__(self, url, ca, key):
        self.url, self.key, self.tls = url, key, ssl.create_default_context(cafile=str(ca))

    def __call__(self, method, path, body=None):
        request = urllib.request.Request(self.url + path, None if body is None else json.dumps(body).encode(), method=method,
                                         headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30, context=self.tls) as answer:
                text = answer.read()
        except urllib.error.HTTPError as e:
            raise ApiError(e.code, f"{method} {path}: {e.read(1000).decode(errors='replace')}") from None
        return json.loads(text) if text else None


def rules(hold_seconds):
    course = {"action": "hold", "seconds": hold_seconds} if hold_seconds else {"action": "pass"}
    return {
        "format": 1, "name": "demo", "default": {"incoming": {"action": "pass"}, "outgoing": course},
        "rules": [
            {"id": "secret", "name": "Secrets stay inside", "priority": 10, "direction": "outgoing",
             "when": {"keyword": {"words": [KEYWORD]}},
             "then": {"action": "refuse", "message": "This mail contains a word that must not leave the company"}},
            {"id": "trusted", "name": "Partners at once", "priority": 20, "direction": "outgoing",
             "when": {"recipient": ["*@partner.example"]}, "then": {"action": "pass"}},
            {"id": "operator", "name": "Somebody decides", "priority": 30, "direction": "outgoing",
             "when": {"recipient": ["*@careful.example"]}, "then": {"action": "hold", "until": "operator"}},
        ],
    }


class Tenant:
    """A tenant of the demo; what the API told once is kept in demo.json, so that a second start finds it again."""

    def __init__(self, platform, url, ca, domain, login, kept):
        if not kept:
            made = platform("POST", "/v1/tenants", {"name": domain.split(".")[0]})
            kept |= {"id": made["id"], "key": made["admin_key"], "domain": domain, "login": login,
                     "password": secrets.token_hex(12), "done": False}
        self.id, self.domain, self.login, self.password = kept["id"], kept["domain"], kept["login"], kept["password"]
        self.api = Api(url, ca, kept["key"])
        self.key = kept["key"]
        if not kept["done"]:
            platform("POST", "/v1/domains", {"name": domain, "class": "internal", "assert_proven": True, "tenant": self.id})
            try:
                self.api("POST", "/v1/users", {"login": login, "display_name": "花子 Demo", "password": self.password,
                                               "addresses": [login]})
            except ApiError as e:
                if e.status != 409:  # made by a start that was interrupted
                    raise
            kept["done"] = True
        self.records = {r["name"].rstrip("."): r["value"] for r in self.api("GET", f"/v1/domains/{domain}/dkim")["records"]}

    def route(self, next_hop):
        self.api("PUT", "/v1/routes/outbound", {"smarthost": next_hop, "tls": "may"})


def dkim_count(tenants, data):
    """(verified, all) signatures of our tenants' domains, by dkimpy with the records that the API says to publish."""
    records = {n: v for t in tenants for n, v in t.records.items()}
    fields = [v for n, v in dkim.DKIM(data).headers if n.lower() == b"dkim-signature"]
    good = 0
    for i in range(len(fields)):
        try:
            good += dkim.DKIM(data).verify(idx=i, dnsfunc=lambda name, timeout=5: (
                records.get(name.decode().rstrip(".") if isinstance(name, bytes) else name.rstrip(".")) or "").encode())
        except dkim.DKIMException:
            pass
    return good, len(fields)


def text_mail(tenant, to, subject, body, charset="utf-8"):
    m = email.message.EmailMessage(policy=email.policy.SMTP)
    m["From"] = email.utils.formataddr(("花子", tenant.login), charset)
    m["To"], m["Subject"] = to, subject
    m["Date"] = email.utils.format_datetime(datetime.datetime.now(datetime.timezone.utc))
    m["Message-ID"] = f"<{secrets.token_hex(10)}@{tenant.domain}>"
    m.set_content(body, charset=charset)
    return m


def japanese_mail(tenant, to, subject, body):
    """ISO-2022-JP in header and body, 7 bit, as Japanese mailers have sent it for decades."""
    word = base64.b64encode(subject.encode("iso-2022-jp")).decode()
    ident = f"<{secrets.token_hex(10)}@{tenant.domain}>"
    head = (f"From: <{tenant.login}>\r\nTo: <{to}>\r\nSubject: =?ISO-2022-JP?B?{word}?=\r\n"
            f"Date: {email.utils.format_datetime(datetime.datetime.now(datetime.timezone.utc))}\r\nMessage-ID: {ident}\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\nContent-Transfer-Encoding: 7bit\r\n\r\n")
    return ident, head.encode() + body.replace("\n", "\r\n").encode("iso-2022-jp")


def zipped(name, content):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(name, content)
    return out.getvalue()


class Case:
    """One mail to one recipient. expected: a state of the recipient, or "550"."""

    def __init__(self, what, tenant, to, expected, mail, act=None, hold=0):
        self.what, self.tenant, self.to, self.expected, self.act = what, tenant, to, expected, act
        self.expected_dkim, self.hold = "-", hold
        if isinstance(mail, tuple):
            self.ident, self.data = mail
        else:
            self.ident, self.data = mail["Message-ID"], mail.as_bytes()
        self.seen, self.dkim, self.trace, self.message = "not sent", "-", "-", None
        self.acted = act is None

    def wrong(self):
        return self.seen != self.expected or self.dkim != self.expected_dkim


def cases(one, two, hold_seconds, with_receiver):
    delivered = "delivered"
    out = [
        Case("text in ISO-2022-JP", one, "taro@partner.example", delivered,
             japanese_mail(one, "taro@partner.example", "お見積りの件", "太郎様\n\nいつもお世話になっております。\n見積書をお送りします。\n")),
        Case(f"held {hold_seconds} s, then the timer" if hold_seconds else "no hold", one, "jiro@customer.example", delivered,
             text_mail(one, "jiro@customer.example", "保留されるメール", f"{hold_seconds}秒のあいだ取り消せます。\n"), hold=hold_seconds),
        Case("held, released by hand", one, "saburo@careful.example", delivered,
             text_mail(one, "saburo@careful.example", "確認待ちのメール", "送信してよいか確認してください。\n"), act="release"),
        Case("held, discarded by hand", one, "shiro@careful.example", "discarded",
             text_mail(one, "shiro@careful.example", "取り消すメール", "これは届きません。\n"), act="discard"),
        Case("refused by keyword", one, "goro@customer.example", "550",
             text_mail(one, "goro@customer.example", "社外秘の資料", f"この資料は{KEYWORD}です。\n")),
    ]
    infected = text_mail(one, "rokuro@partner.example", "EICAR", "See the attachment.\n")
    infected.add_attachment(zipped("eicar.com", EICAR), "application", "zip", filename="資料.zip")
    out.append(Case("EICAR in a zip", one, "rokuro@partner.example", "550", infected))
    if with_receiver:  # with SEKISHO_NEXT_HOP everything goes there, so nothing can be dead
        out.append(Case("receiver is down", two, "shichiro@dead.example", "deferred",
                        text_mail(two, "shichiro@dead.example", "相手が落ちています", "後で再送されます。\n")))
        for case in out:
            case.expected_dkim = "2 of 2" if case.expected == delivered else "-"
    return out


def send(case, host, port, ca):
    """One mail by SMTP submission, as any mail program would."""
    with smtplib.SMTP(host, port, "client.demo.example", timeout=90) as s:
        s.starttls(context=ssl.create_default_context(cafile=str(ca)))
        s.login(case.tenant.login, case.tenant.password)
        for code, text in (s.mail(case.tenant.login), s.rcpt(case.to)):
            if code != 250:
                break
        else:
            code, text = s.data(case.data)
    case.seen = "accepted" if code == 250 else str(code)
    case.reply = text.decode("utf-8", "replace").replace("\n", " ")


def recipient(case):
    """The case's message as the API shows it, by its recipient; the newest that is not older than the case."""
    query = urllib.parse.urlencode({"recipient": case.to, "direction": "outgoing", "limit": 1})
    found = case.tenant.api("GET", f"/v1/messages?{query}")["messages"]
    if found and (case.message is None or found[0]["id"] == case.message):
        return found[0], next(r for r in found[0]["recipients"] if r["address"] == case.to)
    return None, None


def seconds_between(message, leg):
    at = [datetime.datetime.fromisoformat(t.replace("Z", "+00:00")) for t in (message["accepted_at"], leg["final_at"])]
    return (at[1] - at[0]).total_seconds()


def follow(case, before, receiver, tenants):
    """Look at one case; True when nothing more will come."""
    if case.seen == "550" or case.seen == "not sent":
        return True
    message, leg = recipient(case)
    if message is None or message["id"] == before.get(case.to):
        return False
    case.message, case.trace, case.seen = message["id"], message["trace_id"], leg["state"]
    if not case.acted and leg["state"] == "held":
        case.tenant.api("POST", f"/v1/messages/{message['id']}/{case.act}", {"reason": "demo"})
        case.acted = True
        return False
    if case.seen != case.expected:
        return False
    if case.hold and seconds_between(message, leg) < case.hold:
        case.seen = "too early"
        return True
    if case.seen == "delivered" and receiver is not None:
        got = receiver.find(case.ident)
        if not got:
            return False
        case.dkim = "{} of {}".format(*dkim_count(tenants, got[0].data))
    return True


def play(all_cases, tenants, receiver, host, port, ca, seconds, say):
    """Send everything, then watch until each case is as expected or time is over."""
    before = {c.to: (recipient(c)[0] or {}).get("id") for c in all_cases}
    for case in all_cases:
        try:
            send(case, host, port, ca)
        except (OSError, smtplib.SMTPException) as e:
            case.seen, case.reply = "not sent", str(e)
        say(f"  {case.what}: {case.reply}")
    until = time.monotonic() + seconds
    waiting = list(all_cases)
    while waiting and time.monotonic() < until:
        waiting = [c for c in waiting if not follow(c, before, receiver, tenants)]
        time.sleep(0.2)


def table(all_cases, color):
    red, green, off = ("\033[31m", "\033[32m", "\033[0m") if color else ("", "", "")
    lines = [f"  {'recipient':26} {'what':30} {'expected':10} {'seen':12} {'DKIM':8} trace id"]
    for c in all_cases:
        mark = red if c.wrong() else green
        lines.append(f"{mark}{'x' if c.wrong() else ' '} {c.to:26} {c.what:30} {c.expected:10} {c.seen:12} {c.dkim:8} {c.trace}{off}")
    return "\n".join(lines)


def load(path):
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {"one": {}, "two": {}}


def save(path, kept):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as f:
        json.dump(kept, f, indent=1)
