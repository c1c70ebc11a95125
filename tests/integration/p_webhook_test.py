# SPDX-License-Identifier: MIT
"""Webhooks: signed as the specification says, in the order of the record, once each when the receiver is back, whatever it
did meanwhile. The ladder is compressed by configuration: an hour of absence is seconds here, the steps are the same ones.

Events come from rule sets: each activation is one event that names its version, so order and completeness show."""
import email
import email.policy
import json
import secrets
import signal
import subprocess
import time
import urllib.request
import uuid

import pytest

from lib import site as sites
from lib.hooks import BadSignature, Hook, verify, verify_by_library
from lib.site import ApiError, policy
from lib.wire import Receiver, wait_for

EVENT = "policy.activated"
TIMEOUT = 1.5
LADDER = ",".join(["300ms"] * 4 + ["1s"] * 6 + ["2s"] * 10)  # about 27 s, then an event is put aside
SHORT = {"SEKISHO_NOTIFY_RETRY": "200ms,200ms,300ms"}
NOTIFY = {
    "SEKISHO_NOTIFY_RETRY": LADDER, "SEKISHO_NOTIFY_DISABLE_AFTER": "90s", "SEKISHO_NOTIFY_TIMEOUT": "1500ms",
    "SEKISHO_NOTIFY_CONNECT_TIMEOUT": "1s", "SEKISHO_NOTIFY_LEASE": "9s", "SEKISHO_NOTIFY_IDLE": "2s",
    "SEKISHO_NOTIFY_SENDERS": "8", "SEKISHO_NOTIFY_PER_TENANT": "2",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with sites.start(tmp_path_factory.mktemp("hooks"), env=NOTIFY) as stack:
        yield sites.Site(stack)


@pytest.fixture
def tenant(site):
    return site.tenant()


def settled(tenant):
    """What was activated so far is on the record: a webhook gets what is recorded after it was made."""
    made = getattr(tenant, "activated", 1)
    wait_for("the record", lambda: len(tenant.api(
        "GET", "/v1/audit/entries?limit=1000&action=policy.activated")["entries"]) >= made)


@pytest.fixture
def short_ladder(site):
    """The end of the ladder comes soon; the end of the webhook after 6 s."""
    site.stack.restart("notify", SHORT | {"SEKISHO_NOTIFY_DISABLE_AFTER": "6s"})
    yield
    site.stack.restart("notify", NOTIFY)


class Webhook:
    def __init__(self, tenant, url, types=(EVENT,), **more):
        self.tenant = tenant
        settled(tenant)
        made = tenant.api("POST", "/v1/webhooks", {"url": url, "types": list(types)} | more)
        self.id, self.secret = made["id"], made["secret"]

    @property
    def path(self):
        return f"/v1/webhooks/{self.id}"

    def get(self):
        return self.tenant.api("GET", self.path)

    def put(self, url, enabled=True, types=(EVENT,)):
        return self.tenant.api("PUT", self.path, {"url": url, "enabled": enabled, "types": list(types)})

    def post(self, verb, body=None, **more):
        return self.tenant.api("POST", f"{self.path}/{verb}", body, **more)

    def attempts(self, failed=False):
        out, cursor = [], None
        while True:
            query = "?limit=200" + ("&failed=true" if failed else "") + (f"&cursor={cursor}" if cursor else "")
            page = self.tenant.api("GET", f"{self.path}/attempts{query}")
            out += page["attempts"]
            cursor = page.get("next_cursor")
            if not cursor:
                return out


def activate(tenant, n=1):
    """n events; their versions."""
    out = [tenant.put_policy(policy())["version"] for _ in range(n)]
    tenant.activated = out[-1]
    return out


def versions(calls):
    return [c.payload["data"]["version"] for c in calls]


def distinct(hook, path=None):
    """What a receiver that ignores ids it knows has taken."""
    out = {}
    for c in hook.took(path):
        out.setdefault(c.id, c)
    return list(out.values())


def arrived(hook, want, seconds=40, path=None):
    """All of these versions were taken in their order, and each once if the receiver ignores ids it knows; the calls."""
    wait_for(f"{len(want)} events", lambda: len(distinct(hook, path)) >= len(want), seconds)
    calls = distinct(hook, path)
    assert versions(calls) == want
    return calls


def check(secret, calls):
    for c in calls:
        assert verify(secret, c.headers, c.body) == c.payload
    assert verify_by_library(secret, calls) == ["ok"] * len(calls)


# --- what a receiver gets -------------------------------------------------------------------------------------------
def test_signed_and_in_order(tenant, site):
    keys = site.stack.run / "keys"
    with Hook(tls=(keys / "tls.crt", keys / "tls.key")) as hook:
        w = Webhook(tenant, hook.url())
        want = activate(tenant, 40)
        calls = arrived(hook, want)
        assert calls == hook.took()
        check(w.secret, calls)
        positions = [int(c.headers["sekisho-position"]) for c in calls]
        assert positions == sorted(set(positions))
        for c in calls:
            assert set(c.payload) == {"type", "timestamp", "data"} and c.payload["type"] == EVENT
            assert c.payload["data"]["tenant"] == tenant.id
            assert c.headers["content-type"] == "application/json"
            uuid.UUID(c.id)
        # The verifiers are no rubber stamps.
        c = calls[0]
        other = "whsec_" + "A" * 43 + "="
        for headers, body, secret in ((c.headers, c.body + b" ", w.secret), (c.headers, c.body, other),
                                      (c.headers | {"webhook-id": str(uuid.uuid4())}, c.body, w.secret),
                                      (c.headers | {"webhook-timestamp": str(int(c.headers["webhook-timestamp"]) - 1)}, c.body, w.secret),
                                      (c.headers | {"webhook-timestamp": str(int(time.time()) - 999)}, c.body, w.secret)):
            with pytest.raises(BadSignature):
                verify(secret, headers, body)
        state = w.get()
        assert state["delivered"] == 40 and state["failed"] == 0 and state["failing_since"] is None
        assert state["position"] > positions[-1]
        assert "secret" not in state and w.secret not in json.dumps(tenant.api("GET", "/v1/webhooks"))


def test_only_the_types_asked_for_and_from_now_on(tenant):
    with Hook() as hook, Hook() as all_of_them:
        activate(tenant, 2)
        Webhook(tenant, hook.url(), types=["user.created"])
        Webhook(tenant, all_of_them.url(), types=[])
        login = f"u{secrets.token_hex(4)}@{tenant.domain}"
        activate(tenant)
        tenant.api("POST", "/v1/users", {"login": login, "display_name": "U", "password": secrets.token_hex(12), "addresses": []})
        wait_for("the event", lambda: hook.took())
        wait_for("both events", lambda: len(all_of_them.took()) >= 2)
        assert [c.payload["type"] for c in hook.took()] == ["user.created"]
        types = [c.payload["type"] for c in all_of_them.took()]
        assert types.count(EVENT) == 1 and types.count("user.created") == 1


def test_a_mail_and_its_trace(site, tenant):
    """From SMTP to the webhook: one trace id."""
    with Receiver() as receiver, Hook() as hook:
        tenant.route("outbound", receiver.address)
        w = Webhook(tenant, hook.url(), types=["message.accepted", "recipient.delivered"])
        assert tenant.send(tenant.mail("r@sink.example"), "r@sink.example")[0] == 250
        wait_for("two events", lambda: len(hook.took()) >= 2, 60)
        # Two services: what both did within a second the record may hold either way round; the time tells.
        first, second = sorted(hook.took()[:2], key=lambda c: c.payload["timestamp"])
        check(w.secret, [first, second])
        assert [first.payload["type"], second.payload["type"]] == ["message.accepted", "recipient.delivered"]
        shown = tenant.api("GET", f"/v1/messages/{first.payload['data']['message']}")
        for c in (first, second):
            assert c.headers["traceparent"].split("-")[1] == shown["trace_id"]
        assert first.payload["data"]["message"] == second.payload["data"]["message"]
        assert b"sink.example" not in first.body  # thin: who it went to is asked for, with a permission


def test_events_are_thin(site, tenant):
    """Ids, numbers, states: what people and other servers wrote, and whom it is about by name, stays on the record."""
    words = {w: f"{w}{secrets.token_hex(6)}" for w in ("login", "display", "mailbox", "key", "role", "group", "reason")}
    to, later = f"{words['mailbox']}@sink.example", f"later-{words['mailbox']}@sink.example"

    def verdict(stage, value):
        if stage != "rcpt" or words["mailbox"] not in value:
            return None
        return f"451 4.2.1 <{later}> greylisted" if "later-" in value else f"550 5.1.1 <{to}>: no such user, {value}"

    def found(kind):
        return [c.payload["data"] for c in hook.took() if c.payload["type"] == kind]

    with Receiver(verdict) as receiver, Hook() as hook:
        tenant.route("outbound", receiver.address)
        Webhook(tenant, hook.url(), types=[])
        assert tenant.send(tenant.mail(to), to, later, "good@sink.example")[0] == 250
        person = tenant.api("POST", "/v1/users", {"login": words["login"], "display_name": words["display"], "addresses": []})["id"]
        key = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": words["key"], "permissions": ["message.read"]})["id"]
        new = tenant.api("POST", f"/v1/keys/{key}/rotate", {})["id"]
        tenant.api("PUT", f"/v1/roles/{words['role']}", {"permissions": ["message.read"], "description": words["display"]})
        tenant.api("PUT", f"/v1/users/{person}/access", {"roles": [words["role"]], "exceptions": []})
        tenant.api("PUT", f"/v1/groups/{words['group']}", {"members": [words["login"]], "roles": [words["role"]]})
        tenant.put_policy(policy("hold", 3600))
        assert tenant.send(tenant.mail(to), to)[0] == 250
        held = wait_for("the hold", lambda: tenant.api("GET", "/v1/holds")["messages"])[0]["id"]
        tenant.api("POST", f"/v1/messages/{held}/discard", {"reason": words["reason"]})
        for kind in ("recipient.bounced", "recipient.deferred", "recipient.delivered", "recipient.discarded", "user.created", "key.created",
                     "key.rotated", "role.changed", "user.access_changed", "group.changed"):
            wait_for(kind, lambda: found(kind), 60)
        bounced, deferred, delivered = (found(f"recipient.{state}")[0] for state in ("bounced", "deferred", "delivered"))
        assert bounced.items() >= {"recipient": 0, "code": 550, "status": "5.1.1"}.items()
        assert deferred.items() >= {"recipient": 1, "code": 451, "status": "4.2.1"}.items() and deferred["next"].endswith("Z")
        assert delivered.items() >= {"recipient": 2, "code": 250}.items()
        assert found("user.created")[0] == {"user": person} and found("key.rotated")[0] == {"key": key, "new_key": new}
        assert found("recipient.discarded")[0] == {"message": held, "recipient": 0, "by": "operator"}
        said = [c.body.decode() for c in hook.took()]
        for word in [*words.values(), "sink.example", "no such user", "greylisted"]:
            assert not [body for body in said if word in body], word
        # Who may read the record finds the whole reply there.
        entry = tenant.api("GET", f"/v1/audit/entries?action=recipient.bounced&subject={bounced['message']}")["entries"][0]
        assert f"<{to}>: no such user" in entry["detail"]["reply"] and entry["detail"]["code"] == 550


# --- must show 6: slow, wrong, gone ---------------------------------------------------------------------------------
def test_slow_wrong_gone_and_back(site, tenant):
    """Every event arrives once it is back, in the order of the record, and nothing of another tenant waits for it."""
    other = site.tenant()
    with Hook() as hook, Hook() as elsewhere, Hook() as well:
        w = Webhook(tenant, hook.url())
        Webhook(other, well.url())
        want = activate(tenant, 3)
        arrived(hook, want)
        # slow: over the time limit
        hook.delay = TIMEOUT + 1
        want += activate(tenant, 3)
        wait_for("timeouts", lambda: sum(a["error"].startswith("timeout") for a in w.attempts(failed=True)) >= 2)
        # a status that is not 2xx, and a redirect, which leads elsewhere
        hook.delay, hook.answer = 0, 500
        want += activate(tenant, 3)
        wait_for("statuses", lambda: any(a["status"] == 500 for a in w.attempts(failed=True)))
        hook.answer = (302, {"Location": elsewhere.url()}, b"over there")
        wait_for("redirects", lambda: any(a["status"] == 302 for a in w.attempts(failed=True)))
        hook.answer = None
        wait_for("no answer", lambda: any(a["status"] == 0 and "no whole" in a["error"] for a in w.attempts(failed=True)))
        # gone
        hook.gone()
        want += activate(tenant, 20)
        wait_for("no connection", lambda: w.get()["last_error"] == "no connection")
        state = w.get()
        assert state["failing_since"] and state["next_attempt_at"] and state["enabled"]
        mine = activate(other, 5)
        began = time.monotonic()
        arrived(well, mine, 10)
        assert time.monotonic() - began < 10
        # back
        hook.answer = 200
        hook.open()
        calls = arrived(hook, want)
        check(w.secret, calls)
        assert not elsewhere.calls, "a redirect was followed"
        seen = {}
        for c in hook.calls:  # every attempt of an event carries its id and the same octets
            assert seen.setdefault(c.id, c.body) == c.body
        state = wait_for("well again", lambda: s if (s := w.get())["failing_since"] is None else None)
        assert state["delivered"] == len(want) and state["failed"] == len(w.attempts(failed=True)) > 3
        page = f"http://127.0.0.1:{site.stack.ports['notify-health']}/metrics"
        with urllib.request.urlopen(page, timeout=10) as answer:
            told = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
        for outcome in ("ok", "timeout", "status", "connect", "broken"):
            assert float(told[f'sekisho_notify_attempts_total{{outcome="{outcome}"}}']) > 0, outcome


def test_notify_is_killed(site, tenant):
    """kill -9 in the middle of a stream of events: none is lost, none comes out of order; what comes twice has the id it
    had."""
    with Hook() as hook:
        hook.delay = 0.02
        w = Webhook(tenant, hook.url())
        want = activate(tenant, 60)
        for n in (5, 25, 45):
            wait_for(f"{n} events", lambda: len(hook.took()) >= n)
            site.stack.kill("notify")
            site.stack.wait_ready("notify")
        wait_for("all", lambda: len({c.id for c in hook.took()}) >= len(want), 60)
        calls = hook.took()
        first = {}
        for c in calls:
            assert first.setdefault(c.id, c).body == c.body
        assert versions(first.values()) == want
        assert len(calls) - len(want) <= 3 * 16, "more than a batch per kill came twice"
        check(w.secret, calls)


def test_slow_receivers_do_not_hold_up_others(site):
    """Three tenants whose receivers hang take what they may of the senders; a fourth is served all the same."""
    with Hook() as slow, Hook() as quick:
        slow.delay = TIMEOUT + 1
        busy = [site.tenant() for _ in range(3)]
        for t in busy:
            for n in range(4):
                Webhook(t, slow.url(f"/{t.name}/{n}"))
            activate(t, 2)
        wait_for("all senders they may have", lambda: len(slow.calls) >= 6)
        t = site.tenant()
        Webhook(t, quick.url())
        for _ in range(5):
            want = len(quick.took()) + 1
            activate(t)
            began = time.monotonic()
            wait_for("the event", lambda: len(quick.took()) >= want, 10)
            assert time.monotonic() - began < 5
        slow.delay = 0


# --- the end of the ladder ------------------------------------------------------------------------------------------
def test_given_up_then_replayed(tenant, short_ladder):
    """One event that a receiver cannot take is put aside at the end of the ladder; those behind it arrive, and it can be
    sent again by its id."""
    with Hook() as hook:
        bad = []
        hook.answer = lambda c: 500 if c.payload["data"].get("version") in bad else 200
        w = Webhook(tenant, hook.url(), types=[EVENT, "webhook.gave_up"])
        bad += activate(tenant)
        behind = activate(tenant, 2)
        gave_up = wait_for("given up", lambda: [c for c in hook.took() if c.payload["type"] == "webhook.gave_up"], 60)[0]
        took = [c for c in hook.took() if c.payload["type"] == EVENT]
        assert versions(took) == behind
        failed = w.attempts(failed=True)
        assert {a["event"] for a in failed} == {gave_up.payload["data"]["event"]}
        assert [a["number"] for a in failed] == list(range(4, 0, -1))
        assert gave_up.payload["data"]["attempts"] == len(failed)
        bad.clear()
        assert w.post("replay", {"events": [failed[0]["event"]]})["count"] == 1
        again = wait_for("again", lambda: [c for c in hook.took() if c.id == failed[0]["event"]])
        check(w.secret, again)


def test_gone_for_good(tenant, short_ladder):
    """410 ends it at once; nothing that ever goes well ends it after the time set. Both are events for the others."""
    with Hook() as gone, Hook() as watcher:
        Webhook(tenant, watcher.url(), types=["webhook.disabled"])
        gone.answer = 410
        a = Webhook(tenant, gone.url())
        activate(tenant)
        wait_for("disabled", lambda: not a.get()["enabled"])
        assert "410" in a.get()["disabled_why"] and len(gone.calls) == 1
        gone.answer = 500
        b = Webhook(tenant, gone.url("/b"))
        want = activate(tenant, 2)

        def disabled():
            want.extend(activate(tenant))
            return not b.get()["enabled"]
        wait_for("disabled", disabled, 60)
        assert "nothing arrived since" in b.get()["disabled_why"]
        wait_for("two events", lambda: len(watcher.took()) >= 2)
        assert [c.payload["data"]["webhook"] for c in watcher.took()] == [a.id, b.id]
        # Enabled again it goes on where it stood: the first ones were put aside, nothing after them is missing.
        gone.answer = 200
        want += activate(tenant)
        b.put(gone.url("/b"))
        wait_for("the last one", lambda: gone.took("/b") and versions(gone.took("/b"))[-1] == want[-1])
        got = versions(gone.took("/b"))
        assert got == want[len(want) - len(got):] and len(got) >= 2


# --- people's side --------------------------------------------------------------------------------------------------
def test_rotation_overlaps(tenant):
    with Hook() as hook:
        w = Webhook(tenant, hook.url())
        new = w.post("rotate", {"overlap_seconds": 600})["secret"]
        assert new != w.secret
        calls = arrived(hook, activate(tenant))
        assert len(calls[0].headers["webhook-signature"].split(" ")) == 2
        check(new, calls)
        check(w.secret, calls)
        newest = w.post("rotate", {"overlap_seconds": 0})["secret"]
        activate(tenant)
        last = wait_for("the next", lambda: hook.took()[1:])
        check(newest, last)
        for secret in (w.secret, new):
            with pytest.raises(BadSignature):
                verify(secret, last[0].headers, last[0].body)


def test_replay_of_a_range(tenant):
    with Hook() as hook:
        w = Webhook(tenant, hook.url())
        want = activate(tenant, 8)
        calls = arrived(hook, want)
        at = [int(c.headers["sekisho-position"]) for c in calls]
        assert w.post("replay", {"from": at[2], "until": at[6]})["count"] == 4
        wait_for("again", lambda: len(hook.took()) >= 12)
        again = hook.took()[8:]
        assert [c.id for c in again] == [c.id for c in calls[2:6]] and [c.body for c in again] == [c.body for c in calls[2:6]]
        check(w.secret, again)
        new = activate(tenant)  # and what is new comes as ever
        wait_for("the new one", lambda: versions(hook.took())[12:] == new)
        for body, status in (({"from": at[7] + 1000}, 422), ({"events": [str(uuid.uuid4())]}, 404), ({"events": ["x"]}, 422),
                             ({"from": 0, "until": 10**9}, 422)):
            with pytest.raises(ApiError) as e:
                w.post("replay", body)
            assert e.value.status == status, body


def test_tester(tenant):
    with Hook() as hook:
        w = Webhook(tenant, hook.url(), enabled=False)
        got = w.post("test")
        assert got["ok"] and got["status"] == 200 and got["type"] == "webhook.test"
        assert hook.took()[0].payload["data"] == {"webhook": w.id}
        check(w.secret, hook.took())
        hook.answer = (418, {}, ("短い".encode() + b"\xff" + b"x" * 5000))
        got = w.post("test")
        assert not got["ok"] and got["status"] == 418 and got["error"] == "HTTP 418"
        assert len(got["response"].encode()) <= 3000
        assert [a["id"] for a in w.attempts()][0] == got["id"]
        assert w.get()["delivered"] == 0  # a test is no event


def test_create_once(tenant):
    with Hook() as hook:
        key = {"Idempotency-Key": secrets.token_hex(8)}
        body = {"url": hook.url(), "types": [EVENT]}
        first = tenant.api("POST", "/v1/webhooks", body, headers=key)
        assert tenant.api("POST", "/v1/webhooks", body, headers=key) == first
        assert len(tenant.api("GET", "/v1/webhooks")["webhooks"]) == 1


def test_deleted_in_the_middle(tenant):
    with Hook() as hook:
        hook.delay = 0.05
        w = Webhook(tenant, hook.url())
        activate(tenant, 30)
        wait_for("a few", lambda: len(hook.took()) >= 3)
        tenant.api("DELETE", w.path)
        n = len(hook.calls)
        hook.delay = 0
        with pytest.raises(ApiError) as e:
            w.get()
        assert e.value.status == 404
        other = Webhook(tenant, hook.url("/other"))
        arrived(hook, activate(tenant), path="/other")
        assert len([c for c in hook.calls if c.path == "/hook"]) <= n + 32  # the batch under way, no more
        assert other.id != w.id


@pytest.mark.parametrize("url", [
    "http://10.0.0.1/", "http://8.8.8.8/", "https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://2852039166/",
    "https://[::ffff:10.0.0.1]/", "https://100.100.100.200/", "https://0xa9.0xfe.0xa9.0xfe/", "https://192.168.1.1.:8443/",
    "https://[64:ff9b::a00:1]/", "https://224.0.0.1/", "https://user:pass@hooks.example/", "ftp://hooks.example/",
    "https://hooks.example/#x", "https://hooks.example\\@10.0.0.1/", "https:///hooks.example", "nonsense", ""])
def test_refused_addresses(tenant, url):
    with pytest.raises(ApiError) as e:
        Webhook(tenant, url)
    assert e.value.status == 422, e.value
    assert not tenant.api("GET", "/v1/webhooks")["webhooks"]


def test_a_stop_loses_nothing(site, tenant):
    """SIGTERM: what is under way ends or is given up within seconds, and goes on after the start."""
    with Hook() as hook:
        hook.delay = 0.1
        w = Webhook(tenant, hook.url())
        want = activate(tenant, 30)
        wait_for("a few", lambda: len(hook.took()) >= 3)
        site.stack.kill("notify", signal.SIGTERM)
        site.stack.wait_ready("notify")
        hook.delay = 0
        wait_for("all", lambda: len({c.id for c in hook.took()}) >= len(want), 60)
        ids = [c.id for c in hook.took()]
        assert versions({c.id: c for c in hook.took()}.values()) == want
        assert len(ids) == len(set(ids)), "a clean stop sends nothing twice"
        check(w.secret, hook.took())


# --- the day's head -------------------------------------------------------------------------------------------------
@pytest.fixture
def short_days(site):
    """Days of eight seconds."""
    site.stack.restart("notify", {"SEKISHO_NOTIFY_HEADS": "8s"})
    yield 8
    site.stack.restart("notify", {"SEKISHO_NOTIFY_HEADS": "1d"})


def test_the_head_of_the_day(site, tenant, tmp_path, short_days):
    """Who may read the record gets its head by mail, in the tenant's language, once a day; with it and an export the offline
    verifier finds nothing wrong. Who may not read it gets none."""
    with Receiver() as receiver:
        tenant.route("outbound", receiver.address)
        reader = f"auditor@{tenant.domain}"
        made = tenant.api("POST", "/v1/users", {"login": reader, "display_name": "監査", "password": secrets.token_hex(12),
                                                "addresses": [reader]})
        tenant.api("PUT", "/v1/tenant", {"name": tenant.name, "language": "ja", "head_mail": True})
        tenant.api("PUT", f"/v1/users/{made['id']}/access", {"roles": ["auditor"], "exceptions": []})
        wait_for("three mails", lambda: len(receiver.mails) >= 3, 90)
        mails = [email.message_from_bytes(m.data, policy=email.policy.default) for m in receiver.mails]
        assert {r for m in receiver.mails for r in m.recipients} == {reader}
        assert all("FROM:<>" in m.sender for m in receiver.mails)  # nobody answers it
        # The first comes in the middle of a day, perhaps at its very end; the others as theirs begin.
        assert receiver.mails[2].at - receiver.mails[1].at > short_days / 4
        assert len({m["Subject"] for m in mails}) == len(mails), "a head came twice"
        for mail in mails:
            assert "監査記録のヘッド" in mail["Subject"] and mail["Auto-Submitted"] == "auto-generated"
            text = mail.get_body().get_content()
            assert text.index("監査記録") < text.index("audit record")
            attached = next(iter(mail.iter_attachments()))
            head = tmp_path / attached.get_filename()
            head.write_text(attached.get_content().replace("\r\n", "\n"))
            assert head.read_text().strip() in text.replace("\r\n", "\n")
            verify_export(site, tenant, tmp_path, head)


def verify_export(site, tenant, folder, head):
    request = urllib.request.Request(site.url + "/v1/audit/export", headers={"Authorization": f"Bearer {tenant.key}"})
    with urllib.request.urlopen(request, timeout=30, context=site.tls) as answer:
        (folder / "record.jsonl").write_bytes(answer.read())
    done = subprocess.run([sites.BUILD / "bin/sekisho", "audit", "verify", folder / "record.jsonl", "--head", head],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
