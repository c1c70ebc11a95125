# SPDX-License-Identifier: MIT
"""A sandbox tenant's mail ends at the sink, whatever happens, made as for a real server; and mail born inside, which is made
once for a key and never held."""
import concurrent.futures
import email
import email.policy
import secrets
import uuid

import pytest

from lib import dkim_check, site as sites
from lib.caller import Caller, RpcError
from lib.wire import Client, Receiver, wait_for


@pytest.fixture(scope="module")
def receiver():
    """Whoever a sandbox's mail would go to if it left."""
    with Receiver() as r:
        yield r


@pytest.fixture(scope="module")
def sandbox(site, receiver):
    return site.tenant(sandbox=True, next_hop=receiver.address, inbound=receiver.address)


def caught(tenant, recipient):
    return tenant.api("GET", f"/v1/sandbox/mails?recipient={recipient.replace('+', '%2B')}")["mails"]


def content(tenant, mail):
    """The octets, as the API hands them out."""
    request = sites.urllib.request.Request(f"{tenant.site.url}/v1/sandbox/mails/{mail['id']}/content",
                                           headers={"Authorization": f"Bearer {tenant.key}"})
    with sites.urllib.request.urlopen(request, timeout=20, context=tenant.site.tls) as answer:
        return answer.read()


def send(tenant, to, **more):
    data = tenant.mail(to, **more)
    code, text = tenant.send(data, to)
    assert code == 250, text
    return data


def recipient_of(tenant, to):
    found = [r for m in tenant.messages(recipient=to) for r in m["recipients"] if r["address"] == to]
    return found[0] if found else None


def in_state(tenant, to, *states):
    return wait_for(f"{to} in {states}", lambda: (r := recipient_of(tenant, to)) and r["state"] in states and r)


def fresh(local, domain="elsewhere.example"):
    return f"{local}+{secrets.token_hex(4)}@{domain}"


def nothing_left(tenant, receiver):
    """Nothing of the tenant's reached the server that its routes name."""
    return not [m for m in receiver.mails if tenant.domain.encode() in m.data or any(tenant.domain in r for r in m.recipients)]


def test_mail_ends_in_the_sink(sandbox, receiver):
    to = fresh("someone")
    data = send(sandbox, to, subject="sandbox test", body="one\r\n.dot\r\n")
    leg = in_state(sandbox, to, "delivered")
    assert leg["remote"] == "sandbox" and leg["reply"].startswith("250 ")
    mail, = caught(sandbox, to)
    assert mail["recipients"] == [to] and mail["sender"] == sandbox.sender and mail["subject"] == "sandbox test"
    got = content(sandbox, mail)
    assert len(got) == mail["size"] and got.endswith(data) and got.startswith(b"DKIM-Signature:") and b"Received:" in got
    assert dkim_check.dkimpy_verified(got, sandbox.records, sandbox.domain) == (2, 2)
    assert nothing_left(sandbox, receiver)


def test_several_recipients_and_pages(sandbox):
    to = [fresh("many") for _ in range(3)]
    assert sandbox.send(sandbox.mail(to[0]), *to)[0] == 250
    for address in to:
        in_state(sandbox, address, "delivered")
        assert len(caught(sandbox, address)) == 1
    seen, cursor = [], None
    while True:
        page = sandbox.api("GET", "/v1/sandbox/mails?limit=1" + (f"&cursor={cursor}" if cursor else ""))
        seen += [m["id"] for m in page["mails"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    assert len(seen) == len(set(seen)) >= 2 and seen == sorted(seen, reverse=True)


def test_bounce_is_reported_into_the_sink(sandbox, receiver):
    to = fresh("bounce")
    send(sandbox, to)
    assert in_state(sandbox, to, "bounced")["reply"].startswith("550 5.1.1")
    assert not caught(sandbox, to)

    def report():
        return [c for m in caught(sandbox, sandbox.sender) if to.encode() in (c := content(sandbox, m))]
    dsn = email.message_from_bytes(wait_for("the report", report)[0])
    assert dsn.get_content_type() == "multipart/report"
    assert nothing_left(sandbox, receiver)
    original, = sandbox.messages(recipient=to)
    assert original["trace_id"] in [m["trace_id"] for m in sandbox.messages(direction="system")]  # one trace to the end


def test_deferral(sandbox):
    to = fresh("defer")
    send(sandbox, to)
    assert in_state(sandbox, to, "deferred")["reply"].startswith("451 4.2.1")
    assert not caught(sandbox, to)


def test_slow(sandbox):
    to = fresh("slow")
    send(sandbox, to)
    assert in_state(sandbox, to, "sending") and in_state(sandbox, to, "delivered")
    assert len(caught(sandbox, to)) == 1


def test_lost_answer_is_asked_about(sandbox):
    """The tenant's choice: what was sent without an answer waits for somebody, and comes to the sink once."""
    now = sandbox.api("GET", "/v1/settings/delivery")
    assert now["uncertain"] == "retry"
    sandbox.api("PUT", "/v1/settings/delivery", {"uncertain": "ask"})
    to = fresh("lost")
    try:
        send(sandbox, to)
        in_state(sandbox, to, "uncertain")
    finally:
        sandbox.api("PUT", "/v1/settings/delivery", {"uncertain": "retry"})
    ident = sandbox.messages(recipient=to)[0]["id"]
    sandbox.api("POST", f"/v1/messages/{ident}/release", {})
    assert in_state(sandbox, to, "delivered")["possible_duplicate"] is True
    assert len(caught(sandbox, to)) == 1


def test_lost_answer_is_retried(sandbox):
    to = fresh("lost")
    send(sandbox, to)
    assert in_state(sandbox, to, "delivered")["possible_duplicate"] is True
    assert len(caught(sandbox, to)) == 1


def test_incoming_mail_ends_there_too(site, sandbox, receiver):
    to = f"inbox+{secrets.token_hex(4)}@{sandbox.domain}"
    with Client(site.mx) as c:
        c.say("EHLO far.example")
        assert c.envelope("outside@far.example", to)[0] == 250
        assert c.say("DATA")[0] == 354
        c.send(sandbox.mail(to, sender="outside@far.example") + b".\r\n")
        assert c.reply()[0] == 250
    in_state(sandbox, to, "delivered")
    assert len(caught(sandbox, to)) == 1 and nothing_left(sandbox, receiver)


def test_sinks_are_apart(site, sandbox):
    other = site.tenant(sandbox=True)
    to = fresh("apart")
    send(sandbox, to)
    in_state(sandbox, to, "delivered")
    mail, = caught(sandbox, to)
    assert other.api("GET", "/v1/sandbox/mails")["mails"] == []
    for path in (mail["id"], mail["id"] + "/content", str(uuid.uuid4())):
        with pytest.raises(sites.ApiError) as e:
            other.api("GET", f"/v1/sandbox/mails/{path}")
        assert e.value.status == 404


def test_routes_have_versions(sandbox):
    """Of two who saw the same route one is told."""
    now = sandbox.api("GET", "/v1/routes/inbound")
    wish = {"smarthost": now["smarthost"], "tls": "may"}
    set_ = sandbox.api("PUT", "/v1/routes/inbound", wish, headers={"If-Match": f'"{now["version"]}"'})
    assert set_["version"] == now["version"] + 1
    with pytest.raises(sites.ApiError) as e:
        sandbox.api("PUT", "/v1/routes/inbound", wish, headers={"If-Match": f'"{now["version"]}"'})
    assert e.value.status == 412
    assert sandbox.api("GET", "/v1/routes/inbound")["version"] == set_["version"]


# --- notices -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def office(site, receiver):
    """A tenant that is no sandbox and holds all its mail for an hour."""
    return site.tenant(rules=sites.policy("hold", 3600), next_hop=receiver.address)


def notice(site, tenant, key, to, subject="s", text="t\n", cause="audit.head", name="", attachment=b""):
    with Caller(site.stack, "notify") as c:
        got = c.call("rpc.v1.delivery.notice", (1, key), (2, to), (3, subject), (4, text), (5, cause), (6, name), (7, attachment),
                     tenant=tenant.id)
    return str(uuid.UUID(bytes=got[1][0]))


def test_notice(site, office, receiver):
    to, key = fresh("admin", office.domain), secrets.token_hex(8)
    subject, text, file = "監査記録の署名 " * 8 + "end", "本日の署名です。\n.\nabc\n", "検証\n".encode()
    ident = notice(site, office, key, to, subject, text, name="記録 1.txt", attachment=file)
    mail = receiver.wait(1, match=lambda m: to in m.recipients)[0]
    assert mail.sender.startswith("FROM:<>") or "<>" in mail.sender
    assert max(mail.data) < 0x80 and mail.header("Auto-Submitted") == "auto-generated"
    got = email.message_from_bytes(mail.data, policy=email.policy.default)
    assert got["Subject"] == subject and got["To"] == to and got["From"].addresses[0].addr_spec == f"no-reply@{office.domain}"
    assert got.get_body(("plain",)).get_content().replace("\r\n", "\n") == text
    part, = got.iter_attachments()
    assert part.get_filename() == "記録 1.txt" and part.get_content().replace("\r\n", "\n") == file.decode()
    assert dkim_check.dkimpy_verified(mail.data, office.records, office.domain) == (2, 2)
    shown = office.api("GET", f"/v1/messages/{ident}")
    assert shown["direction"] == "system" and shown["decision"]["class"] == "system" and shown["subject"] == subject
    assert [r["cause"] for r in shown["recipients"]] == ["audit.head"]
    assert "notice.made" in [t["action"] for t in shown["timeline"]]
    assert office.settled()["terms"]["added"] >= 1


def test_notice_once_per_key(site, office, receiver):
    to, key = fresh("once", office.domain), secrets.token_hex(8)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: notice(site, office, key, to), range(16)))
    assert len(made) == 1
    other = notice(site, office, key + "x", to)
    assert other not in made
    wait_for("both", lambda: len(office.messages(recipient=to)) == 2)
    office.settled()
    assert len(receiver.wait(2, match=lambda m: to in m.recipients)) == 2


def test_notice_is_never_reported(site, office, receiver):
    """Its failure makes no mail: nothing goes round."""
    before = len(office.messages(direction="system"))
    with Receiver(verdict=lambda stage, value: "550 5.1.1 nobody" if stage == "rcpt" else None) as refusing:
        office.route("outbound", refusing.address)
        to = fresh("gone", office.domain)
        notice(site, office, secrets.token_hex(8), to)
        in_state(office, to, "bounced")
        office.route("outbound", receiver.address)
    office.settled()
    assert len(office.messages(direction="system")) == before + 1


@pytest.mark.parametrize("wrong", [{"to": "nobody"}, {"to": "a@b\r\nBcc: c@d.example"}, {"to": "x@[192.0.2.1]"}, {"subject": "two\nlines"},
                                   {"cause": "envelope"}, {"cause": "A B"}, {"key": ""}, {"key": "a b"}, {"attachment": b"x"}])
def test_notice_refused(site, office, wrong):
    call = {"key": secrets.token_hex(8), "to": fresh("x", office.domain)} | wrong
    with pytest.raises(RpcError) as e:
        notice(site, office, **call)
    assert e.value.rc == "invalid"


# --- what fails, fails closed ------------------------------------------------------------------------------------
def test_unknown_kind_is_not_sent(own_site):
    """Nobody can say what kind of tenant it is: its mail waits. When auth is back, each goes where it belongs."""
    own_site.stack.restart("delivery", {"SEKISHO_DELIVERY_RETRY": "1s"})
    with Receiver() as outside:
        tenants = [own_site.tenant(rules=sites.policy("hold", 2), next_hop=outside.address, sandbox=s) for s in (True, False)]
        sent = [(t, fresh("late")) for t in tenants]
        for t, to in sent:
            send(t, to)
        own_site.stack.halt("auth")
        for t, to in sent:
            wait_for("an attempt", lambda to=to: own_site.stack.psql(
                f"SELECT 1 FROM delivery.leg WHERE address = '{to}' AND state = 'deferred' AND reply LIKE '4.3.0 what kind%'"), 60)
        assert not outside.mails
        own_site.stack.restart("auth")
        outside.wait(1, match=lambda m: sent[1][1] in m.recipients)
        in_state(sent[0][0], sent[0][1], "delivered")
        assert len(caught(*sent[0])) == 1 and len(outside.mails) == 1
