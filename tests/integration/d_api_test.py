# SPDX-License-Identifier: MIT
"""The API from outside: who may, what is refused and how, submissions, holds. Framing is tried twice: at the gateway, as
the world reaches it, and at the socket behind it, where the guard stands alone."""
import base64
import concurrent.futures
import email
import email.policy
import json
import secrets
import socket
import ssl
import urllib.parse

import pytest

from lib import site as sites
from lib.wire import Receiver, wait_for

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as r:
        yield r


@pytest.fixture(scope="module")
def tenant(site, receiver):
    t = site.tenant(next_hop=receiver.address)
    made = t.api("POST", "/v1/keys", {"kind": "api_key", "name": "mailer", "login": t.user,
                                      "permissions": ["message.send", "message.read"]})
    t.mailer = made["secret"]
    return t


@pytest.fixture(scope="module")
def holding(site, receiver):
    t = site.tenant(rules=sites.policy("hold", 3600), next_hop=receiver.address)
    t.mailer = t.api("POST", "/v1/keys", {"kind": "api_key", "name": "mailer", "login": t.user,
                                          "permissions": ["message.send"]})["secret"]
    return t


def problem(call, *args, **more):
    """(status, problem) of a call that must fail."""
    with pytest.raises(sites.ApiError) as e:
        call(*args, **more)
    body = json.loads(e.value.body)
    assert body["status"] == e.value.status and body["type"] == f"/problems/{body['code']}"
    return e.value.status, body


def submit(tenant, document, **more):
    return tenant.site.api("POST", "/v1/messages", document, key=tenant.mailer, **more)


def document(tenant, to, **more):
    return {"from": tenant.sender, "to": [to], "subject": "hello", "text": "body"} | more


def delivered(receiver, to, seconds=30):
    return receiver.wait(1, match=lambda m: to in m.recipients)[0]


# --- who ---------------------------------------------------------------------------------------------------------
def test_health_needs_no_key(site):
    assert site.api("GET", "/v1/health", key="none") == {"status": "ok"}


@pytest.mark.parametrize("key", ["", "x", "skapi_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "a" * 5000, "a b", "\xe9"])
def test_wrong_key(site, key):
    status, body = problem(site.api, "GET", "/v1/messages", key=key or " ")
    assert (status, body["code"]) in [(401, "unauthorized"), (431, "header_too_large")]


def test_missing_permission(tenant):
    status, body = problem(tenant.site.api, "GET", "/v1/queue", key=tenant.mailer)
    assert (status, body["code"]) == (403, "forbidden")


def test_another_tenants_message_is_not_there(site, tenant, holding):
    ident = submit(holding, document(holding, "other@sink.example"))["id"]
    wait_for("the message", lambda: holding.api("GET", "/v1/holds")["messages"])
    assert problem(tenant.api, "GET", f"/v1/messages/{ident}")[0] == 404
    for verb in ("release", "discard"):
        assert problem(tenant.api, "POST", f"/v1/messages/{ident}/{verb}")[0] == 404


def test_revoked_key_ends(tenant):
    made = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": secrets.token_hex(4), "permissions": ["message.read"]})
    assert "messages" in tenant.site.api("GET", "/v1/messages", key=made["secret"])
    tenant.api("DELETE", f"/v1/keys/{made['id']}")
    assert problem(tenant.site.api, "GET", "/v1/messages", key=made["secret"])[0] == 401


@pytest.mark.parametrize("when", ["2027-02-30T00:00:00Z", "2027-01-31", "2027-1-31T00:00:00Z", "2027-01-31T00:00:00+09:00", " 2027-01-31T00:00:00Z", "x"])
def test_odd_expiry(tenant, when):
    found = problem(tenant.api, "POST", "/v1/keys", {"kind": "api_key", "name": "odd", "login": tenant.user,
                                                     "permissions": ["message.read"], "expires_at": when})[1]
    assert found["errors"][0]["pointer"] == "/expires_at"


def test_expiry(tenant):
    wish = {"kind": "api_key", "permissions": ["message.read"]}
    good = tenant.api("POST", "/v1/keys", wish | {"name": secrets.token_hex(4), "expires_at": "2999-01-31T00:00:00Z"})
    assert "messages" in tenant.site.api("GET", "/v1/messages", key=good["secret"])


# --- what is no request ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method,path,body,head,status,code", [
    ("GET", "/v1/nothing", None, {}, 404, "no_such_path"),
    ("GET", "/v1/messages/", None, {}, 404, "no_such_path"),
    ("PATCH", "/v1/policy", b"{}", {}, 405, "method"),
    ("DELETE", "/v1/messages", None, {}, 405, "method"),
    ("GET", "/v1/messages?color=red", None, {}, 422, "unknown_parameter"),
    ("GET", "/v1/messages?limit=0", None, {}, 422, "invalid_parameter"),
    ("GET", "/v1/messages?limit=9999", None, {}, 422, "invalid_parameter"),
    ("GET", "/v1/messages?sender=%zz", None, {}, 400, "bad_encoding"),
    ("GET", "/v1/messages?sender=%00", None, {}, 400, "bad_encoding"),
    ("GET", "/v1/messages?sender=%ff", None, {}, 400, "bad_encoding"),
    ("GET", "/v1/messages?cursor=rubbish", None, {}, 422, "invalid"),
    ("GET", "/v1/messages?state=happy", None, {}, 422, "invalid_parameter"),
    ("GET", "/v1/messages/not-an-id", None, {}, 404, "not_found"),
    ("GET", "/v1/policy/99999", None, {}, 404, "not_found"),
    ("GET", "/v1/routes/sideways", None, {}, 404, "not_found"),
    ("GET", "/v1/health", b"{}", {}, 400, "unexpected_body"),
    ("POST", "/v1/users", b"", {}, 400, "empty_body"),
    ("POST", "/v1/users", b"{", {}, 400, "not_json"),
    ("POST", "/v1/users", b'{"login":"a","login":"b"}', {}, 422, "invalid_field"),
    ("POST", "/v1/users", b'"a"', {}, 422, "invalid_field"),
    ("POST", "/v1/users", b'{"login":"a"}\0', {}, 400, "not_json"),
    ("GET", "/v1/messages?limit=1&limit=2", None, {}, 422, "repeated_parameter"),
    ("GET", "/v1/messages", None, {"Accept": "image/png"}, 406, "not_acceptable"),
    ("FIND", "/v1/messages", None, {}, 501, "not_implemented"),
    ("OPTIONS", "/v1/messages", None, {}, 405, "method"),
    ("PUT", "/v1/roles/x", b'{"permissions":[]}', {"If-Match": '"9"'}, 412, "precondition"),
    ("PUT", "/v1/roles/x", b'{"permissions":[]}', {"If-None-Match": '"9"'}, 400, "bad_if_none_match"),
    ("PUT", "/v1/tenant", b'{"name":"x","language":"ja","head_mail":false}', {"If-Match": '"999"'}, 412, "precondition"),
    ("PUT", "/v1/tenant", b'{"name":"x","language":"ja","head_mail":false}', {"If-Match": 'W/"1"'}, 412, "precondition"),
    ("POST", "/v1/users", b'{"login":"a"}', {"Idempotency-Key": "a b"}, 422, "invalid_idempotency_key"),
    ("POST", "/v1/users", b'{"login":"\xff"}', {}, 400, "not_json"),
    ("POST", "/v1/users", b"[" * 100000, {}, 400, "not_json"),
    ("POST", "/v1/users", b"{}", {"Content-Type": "text/plain"}, 415, "media_type"),
    ("POST", "/v1/users", b"{}", {"Content-Type": "message/rfc822"}, 415, "media_type"),
    ("POST", "/v1/users", b"{}", {}, 422, "invalid_field"),
    ("POST", "/v1/users", b'{"login":"a","admin":true}', {}, 422, "invalid_field"),
    ("POST", "/v1/users", b'{"login":"' + b"a" * 2000000 + b'"}', {}, 413, "too_large"),
    ("PUT", "/v1/policy", b"{}", {"If-Match": "seven"}, 400, "bad_if_match"),
    ("PUT", "/v1/policy", b'{"format":1,"name":"x","rules":[{}]}', {}, 422, "policy_invalid"),
])
def test_refusals(tenant, method, path, body, head, status, code):
    got, found = problem(tenant.api, method, path, body, headers=head)
    assert (got, found["code"]) == (status, code), found


def test_problem_points(tenant):
    found = problem(submit, tenant, document(tenant, "x@y.example") | {"to": ["ok@y.example", "no address"]})[1]
    assert found["errors"][0]["pointer"] == "/to/1"


# --- framing -----------------------------------------------------------------------------------------------------
HOST = b"Host: localhost\r\n"
ODD = {
    "length and encoding": b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length twice": b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
    "two lengths": b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
    "length list": b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\nx",
    "odd encoding": b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "space before colon": b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Content-Length : 1\r\n\r\nx",
    "host twice": b"GET /v1/health HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
    "no host": b"GET /v1/health HTTP/1.1\r\n\r\n",
    "nul": b"GET /v1/health HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "no version": b"GET /v1/health\r\n\r\n",
    "control in target": b"GET /v1/he\x01alth HTTP/1.1\r\n" + HOST + b"\r\n",
}
ONLY_INSIDE = {
    "bare lf": b"GET /v1/health HTTP/1.1\n" + HOST + b"\r\n",
    "bare lf in a value": b"GET /v1/health HTTP/1.1\r\n" + HOST + b"X: a\nY: b\r\n\r\n",
    "bare cr": b"GET /v1/health HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "folded": b"GET /v1/health HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "absolute target": b"GET http://localhost/v1/health HTTP/1.1\r\n" + HOST + b"\r\n",
    "upgrade": b"GET /v1/health HTTP/1.1\r\n" + HOST + b"Upgrade: h2c\r\n\r\n",
}


def conversation(s, octets):
    """Everything that comes back until the other side closes; the test fails if it does not."""
    s.settimeout(20)
    s.sendall(octets)
    got = b""
    try:
        while piece := s.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


@pytest.mark.parametrize("name", [*ODD, *ONLY_INSIDE])
def test_framing_at_the_socket(site, name):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(site.stack.run / "api/api.sock"))
        got = conversation(s, (ODD | ONLY_INSIDE)[name])
    assert got.startswith(b"HTTP/1.1 400 ") and b'"code":"bad_framing"' in got, got
    assert got.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("name", ODD)
def test_framing_at_the_gateway(site, name):
    context = ssl.create_default_context(cafile=str(site.stack.ca))
    with socket.create_connection(("127.0.0.1", site.stack.ports["https"])) as raw, \
            context.wrap_socket(raw, server_hostname="localhost") as s:
        got = conversation(s, ODD[name])
    assert b" 200 " not in got.split(b"\r\n")[0], got
    assert not got or got.startswith((b"HTTP/1.1 4", b"HTTP/1.1 501", b"<html>")), got


# What nginx itself has to say.
OF_THE_GATEWAY = {
    "no such page": (b"GET /nothing HTTP/1.1\r\n" + HOST, 404, "no_such_path"),
    "long line": (b"GET /v1/" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST, 414, "uri_too_long"),
    "long field": (b"GET /v1/health HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 17000 + b"\r\n", 431, "header_too_large"),
    "many fields": (b"GET /v1/health HTTP/1.1\r\n" + HOST + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 400) for n in range(100)), 431, "header_too_large"),
    "unknown encoding": (b"POST /v1/users HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n", 501, "not_implemented"),
    "host twice": (b"GET /v1/health HTTP/1.1\r\n" + HOST + HOST, 400, "bad_framing"),
    "too much": (b"POST /v1/messages HTTP/1.1\r\n" + HOST + b"Content-Length: 99999999999\r\n", 413, "too_large"),
}


@pytest.mark.parametrize("name", OF_THE_GATEWAY)
def test_the_gateway_speaks_as_the_service_does(site, name):
    octets, status, code = OF_THE_GATEWAY[name]
    context = ssl.create_default_context(cafile=str(site.stack.ca))
    with socket.create_connection(("127.0.0.1", site.stack.ports["https"])) as raw, \
            context.wrap_socket(raw, server_hostname="localhost") as s:
        got = conversation(s, octets + b"Connection: close\r\n\r\n")
    head, _, body = got.partition(b"\r\n\r\n")
    found = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % status) and b"Content-Type: application/problem+json" in head, got
    assert (found["status"], found["code"], found["type"]) == (status, code, f"/problems/{code}")
    fields = {n.lower(): v for n, _, v in (line.partition(": ") for line in head.decode().split("\r\n"))}
    assert fields["x-request-id"] == found["request_id"] and found["trace_id"] in fields["traceparent"] and found["title"]
    assert fields["cache-control"] == "no-store" and len(found["trace_id"]) == 32


def test_nothing_hides_behind_the_first_request(site):
    one = b"GET /v1/health HTTP/1.1\r\n" + HOST + b"\r\n"
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(site.stack.run / "api/api.sock"))
        got = conversation(s, one + one)
    assert got.count(b"HTTP/1.1 ") == 1 and got.startswith(b"HTTP/1.1 200 "), got


def test_header_in_pieces(site):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(site.stack.run / "api/api.sock"))
        for octet in b"GET /v1/health HTTP/1.1\r\n" + HOST + b"\r":
            s.send(bytes([octet]))
        assert conversation(s, b"\n").startswith(b"HTTP/1.1 200 ")


def test_the_client_cannot_choose_its_address(holding):
    ident = held(holding, f"addr-{secrets.token_hex(4)}@sink.example")
    holding.api("POST", f"/v1/messages/{ident}/release", {}, headers={"X-Sekisho-Client": "192.0.2.99"})
    entries = wait_for("the entry", lambda: holding.api("GET", f"/v1/audit/entries?action=recipient.released&subject={ident}")["entries"])
    assert {e["source"] for e in entries} == {"127.0.0.1"}


def listed(tenant, ident):
    return next((m for m in tenant.api("GET", "/v1/messages?limit=200")["messages"] if m["id"] == ident), None)


# --- submission --------------------------------------------------------------------------------------------------
def test_json_becomes_the_same_mail(tenant, receiver):
    to = f"json-{secrets.token_hex(4)}@sink.example"
    attachment = secrets.token_bytes(3000)
    ident = submit(tenant, {
        "from": {"name": "山田 \"太郎\"", "address": tenant.sender}, "to": [{"name": "鈴木, 様", "address": to}],
        "cc": [f"cc-{to}"], "bcc": [f"bcc-{to}"], "subject": "お見積の件 " * 20,
        "text": "本文\nfrom here\n.\n..\n" + "x" * 3000, "html": "<p>本文</p>",
        "attachments": [{"name": "とても長い名前の見積書（改訂版）.pdf", "content_type": "application/pdf",
                         "content_base64": base64.b64encode(attachment).decode()}]})["id"]
    got = delivered(receiver, to)
    mail = email.message_from_bytes(got.data, policy=email.policy.default)
    assert mail["Subject"] == ("お見積の件 " * 20).strip() or mail["Subject"].strip() == ("お見積の件 " * 20).strip()
    assert mail["From"].addresses[0].display_name == "山田 \"太郎\""
    assert mail["To"].addresses[0].display_name == "鈴木, 様"
    assert [a.addr_spec for a in mail["Cc"].addresses] == [f"cc-{to}"]
    assert mail["Bcc"] is None and b"bcc-" not in got.data
    assert mail.get_body(("plain",)).get_content().replace("\r\n", "\n") == "本文\nfrom here\n.\n..\n" + "x" * 3000 + "\n"
    assert mail.get_body(("html",)).get_content().strip() == "<p>本文</p>"
    part = next(mail.iter_attachments())
    assert part.get_filename() == "とても長い名前の見積書（改訂版）.pdf" and part.get_content() == attachment
    for other in (f"cc-{to}", f"bcc-{to}"):
        delivered(receiver, other)
    shown = tenant.api("GET", f"/v1/messages/{ident}")
    assert shown["decision"]["verdict"] == "pass" and shown["timeline"][0]["action"] == "mail.accepted"


def test_raw_mail_is_not_touched(tenant, receiver):
    to = f"raw-{secrets.token_hex(4)}@sink.example"
    data = tenant.mail(to, body="raw\r\n.dot\r\n")
    query = urllib.parse.urlencode({"sender": tenant.sender, "recipient": to})
    submit_raw = {"Content-Type": "message/rfc822"}
    tenant.site.api("POST", f"/v1/messages?{query}", data, key=tenant.mailer, headers=submit_raw)
    assert delivered(receiver, to).data.endswith(data)
    again = f"raw-{secrets.token_hex(4)}@sink.example"
    tenant.site.api("POST", "/v1/messages", data, key=tenant.mailer,
                    headers=submit_raw | {"X-Sekisho-Sender": tenant.sender, "X-Sekisho-Recipients": again})
    assert delivered(receiver, again).data.endswith(data)


@pytest.mark.parametrize("data", [b"Subject: x\n\nbare lf\n", b"Subject: x\r\n\r\na\rb\r\n", b"Subject: x\r\n\r\nno end"])
def test_raw_line_ends(tenant, data):
    query = urllib.parse.urlencode({"sender": tenant.sender, "recipient": "x@sink.example"})
    status, body = problem(tenant.site.api, "POST", f"/v1/messages?{query}", data, key=tenant.mailer,
                           headers={"Content-Type": "message/rfc822"})
    assert (status, body["code"]) == (422, "line_ends")


def test_somebody_elses_address(tenant):
    for name in ("from", "envelope"):
        forged = {"from": "ceo@somebody.example"} if name == "from" else {"envelope": {"sender": "ceo@somebody.example"}}
        status, body = problem(submit, tenant, document(tenant, "x@sink.example") | forged)
        assert status == 422 and body["code"] == "refused" and body["smtp"]["code"] // 100 == 5, body


def test_rules_words_reach_the_caller(site):
    words = "機密と書かれたメールは送れません"
    rule = {"id": "secret", "name": "secret", "priority": 1, "direction": "outgoing",
            "when": {"keyword": {"words": ["機密"]}}, "then": {"action": "refuse", "message": words}}
    t = site.tenant(rules=sites.policy(rules=[rule]))
    t.mailer = t.api("POST", "/v1/keys", {"kind": "api_key", "name": "m", "login": t.user,
                                          "permissions": ["message.send"]})["secret"]
    status, body = problem(submit, t, document(t, "x@sink.example", text="これは機密です"))
    assert (status, body["code"], body["smtp"]["code"]) == (422, "refused", 550) and words in body["detail"], body


def test_idempotency_key(tenant, receiver):
    to, key = f"idem-{secrets.token_hex(4)}@sink.example", secrets.token_hex(8)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: submit_until_taken(tenant, to, key), range(4)))
    assert len({a["id"] for a in answers}) == 1, answers
    assert sorted(a["replayed"] for a in answers)[0] is False
    tenant.settled()
    assert len([m for m in tenant.api("GET", f"/v1/messages?recipient={to}")["messages"]]) == 1


def test_an_idempotency_key_is_its_accounts(tenant):
    """Another member's key of the same name neither refuses this one's mail nor tells of the other's."""
    login, key = f"second@{tenant.domain}", secrets.token_hex(8)
    person = tenant.api("POST", "/v1/users", {"login": login, "display_name": "", "addresses": [login]})["id"]
    tenant.api("PUT", f"/v1/users/{person}/access", {"roles": ["member"], "exceptions": []})
    second = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": "second", "login": login,
                                             "permissions": ["message.send"]})["secret"]
    mine = submit(tenant, document(tenant, "x@sink.example"), headers={"Idempotency-Key": key})
    path = f"/v1/submissions/{key}"
    assert problem(tenant.site.api, "GET", path, key=second)[0] == 404
    assert problem(tenant.api, "GET", path)[0] in (403, 404)  # a key without a person submits nothing
    theirs = tenant.site.api("POST", "/v1/messages", {"from": login, "to": ["y@sink.example"], "text": "z"}, key=second,
                             headers={"Idempotency-Key": key})
    assert theirs["id"] != mine["id"] and not theirs["replayed"]
    assert [tenant.site.api("GET", path, key=k)["id"] for k in (tenant.mailer, second)] == [mine["id"], theirs["id"]]


def submit_until_taken(tenant, to, key):
    """503 says: repeat with the same key."""
    def once():
        try:
            return submit(tenant, document(tenant, to), headers={"Idempotency-Key": key})
        except sites.ApiError as e:
            assert e.status == 503, e
            return None
    return wait_for("an answer", once)


# --- holds -------------------------------------------------------------------------------------------------------
def held(tenant, *recipients):
    ident = submit(tenant, {"from": tenant.sender, "to": list(recipients), "text": "x"})["id"]
    wait_for("the hold", lambda: (listed(tenant, ident) or {"recipients": []})["recipients"])
    return ident


def act(tenant, ident, verb, **body):
    return tenant.api("POST", f"/v1/messages/{ident}/{verb}", body)["results"]


def test_release_and_discard(holding, receiver):
    tag = secrets.token_hex(4)
    ident = held(holding, f"go-{tag}@sink.example", f"stop-{tag}@sink.example")
    assert [(r["recipient"], r["status"]) for r in act(holding, ident, "release", recipients=[0], reason="急ぎ")] == [(0, "ok")]
    assert [(r["recipient"], r["state"]) for r in act(holding, ident, "discard", recipients=[1])] == [(1, "discarded")]
    delivered(receiver, f"go-{tag}@sink.example")
    status, body = problem(act, holding, ident, "release", recipients=[1])
    assert (status, body["code"]) == (409, "already_decided")
    assert body["results"][0]["decided_by"] and body["results"][0]["decided_by"] in body["detail"]
    assert problem(act, holding, ident, "release", recipients=[7])[0] == 404
    assert problem(act, holding, ident, "release", recipients=[])[0] == 422
    assert problem(act, holding, ident, "release", recipients=["0"])[0] == 422
    actions = [t["action"] for t in holding.api("GET", f"/v1/messages/{ident}")["timeline"]]
    assert "recipient.released" in actions and "recipient.discarded" in actions
    assert not any(f"stop-{tag}@sink.example" in m.recipients for m in receiver.mails)


def test_the_record_says_the_account_and_the_name(holding):
    """As everywhere on the record: the actor is the account's id; the name stands beside it, and is what users are told."""
    login = f"operator@{holding.domain}"
    person = holding.api("POST", "/v1/users", {"login": login, "display_name": "", "addresses": []})["id"]
    holding.api("PUT", f"/v1/users/{person}/access", {"roles": ["administrator"], "exceptions": []})
    key = holding.api("POST", "/v1/keys", {"kind": "api_key", "name": "operator", "login": login,
                                           "permissions": ["hold.release", "hold.discard", "route.write"]})["secret"]
    ident = held(holding, f"who-{secrets.token_hex(4)}@sink.example")
    holding.site.api("POST", f"/v1/messages/{ident}/discard", {"reason": "x"}, key=key)
    body = problem(holding.site.api, "POST", f"/v1/messages/{ident}/release", {"recipients": [0]}, key=key)[1]
    assert body["results"][0]["decided_by"] == login
    holding.site.api("PUT", "/v1/routes/inbound", {"smarthost": "", "tls": "may"}, key=key)
    one, = (t for t in holding.api("GET", f"/v1/messages/{ident}")["timeline"] if t["action"] == "recipient.discarded")
    assert (one["actor"], one["detail"]) == (person, {"by": "operator", "name": login, "reason": "x"})
    for action in ("recipient.discarded", "delivery.release", "route.set"):
        entries = wait_for("the entry", lambda: holding.api("GET", f"/v1/audit/entries?action={action}&actor={person}")["entries"])
        assert entries[0]["detail"]["name"] == login


def test_exactly_one_operator_wins(holding):
    ident = held(holding, f"race-{secrets.token_hex(4)}@sink.example")

    def one(n):
        try:
            return act(holding, ident, ("release", "discard")[n % 2])[0]["status"]
        except sites.ApiError as e:
            return json.loads(e.body)["code"]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        got = list(pool.map(one, range(6)))
    # A release may be followed by a discard while the mail is still queued: never two of the same.
    assert 1 <= got.count("ok") <= 2 and set(got) <= {"ok", "already_decided", "nothing_to_do"}, got


def test_pages(holding):
    for n in range(3):
        held(holding, f"page{n}-{secrets.token_hex(4)}@sink.example")
    seen, cursor = [], None
    while True:
        page = holding.api("GET", "/v1/messages?limit=2" + (f"&cursor={urllib.parse.quote(cursor)}" if cursor else ""))
        seen += [m["id"] for m in page["messages"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        assert len(page["messages"]) == 2
    assert len(seen) == len(set(seen)) >= 3 and seen == sorted(seen, reverse=True)


# --- keys --------------------------------------------------------------------------------------------------------
def test_no_key_makes_more_than_it_may(site, tenant):
    keys = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": f"keys {secrets.token_hex(4)}", "permissions": ["key.write"],
                                           "expires_at": "2037-01-01T00:00:00Z"})
    for path, body in (("/v1/keys", {"kind": "app_password", "name": "x", "login": tenant.user}),
                       ("/v1/keys", {"kind": "api_key", "name": "x", "permissions": ["message.send"]}),
                       ("/v1/keys", {"kind": "api_key", "name": "x", "permissions": ["key.write"], "expires_at": "2037-01-01T00:00:01Z"})):
        assert problem(site.api, "POST", path, body, key=keys["secret"])[0] == 403, body
    mine = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": f"send {secrets.token_hex(4)}", "login": tenant.user,
                                           "permissions": ["message.send"]})
    assert problem(site.api, "DELETE", f"/v1/keys/{mine['id']}", key=keys["secret"])[0] == 403
    tenant.api("DELETE", f"/v1/keys/{mine['id']}")


# --- policy ------------------------------------------------------------------------------------------------------
def test_of_two_first_rule_sets_one_wins(site):
    """Both saw the built-in course, "0"; whoever comes second is told, also when they come at once."""
    key = site.api("POST", "/v1/tenants", {"name": f"first {secrets.token_hex(4)}"})["admin_key"]

    def put(seconds):
        try:
            return site.api("PUT", "/v1/policy", sites.policy("hold", seconds), key=key, headers={"If-Match": '"0"'})["version"]
        except sites.ApiError as e:
            return e.status
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(put, range(60, 64))) == [1, 412, 412, 412]
    assert put(70) == 412


def test_policy_versions(site):
    t = site.tenant()
    one = t.api("PUT", "/v1/policy", sites.policy("hold", 60))["version"]
    two = t.api("PUT", "/v1/policy", sites.policy("hold", 70), headers={"If-Match": f'"{one}"'})["version"]
    assert two > one and t.api("GET", "/v1/policy")["default"]["outgoing"]["seconds"] == 70
    assert t.api("GET", f"/v1/policy/{one}")["default"]["outgoing"]["seconds"] == 60
    status, body = problem(t.api, "PUT", "/v1/policy", sites.policy(), headers={"If-Match": f'"{one}"'})
    assert (status, body["code"]) == (412, "precondition")
    checked = t.api("POST", "/v1/policy/check", {"format": 1, "name": "x", "rules": [{}]})
    assert checked["valid"] is False and checked["findings"][0]["pointer"].startswith("/")
