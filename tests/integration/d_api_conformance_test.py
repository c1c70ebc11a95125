# SPDX-License-Identifier: MIT
"""docs/openapi.yaml against the running service, in both directions. Every operation is asked in every way that the document
names a status for; what comes must be named, fit its schema with no member more, carry its headers and a known code; and every
2xx, 3xx and 4xx that the document names must really have come (what cannot be brought about here is listed with its reason)."""
import collections
import concurrent.futures
import json
import re
import secrets
import uuid

import jsonschema
import pytest

from lib import contract, site as sites
from lib.wire import Receiver, wait_for

OPERATIONS = {op.id: op for op in contract.operations()}
BODY_MAX = 1200000
# Before an operation is known, any request may get these (the document's introduction).
ANYWHERE = {404: {"no_such_path"}, 405: {"method"}, 408: {"header_timeout"}, 414: {"uri_too_long"}, 431: {"header_too_large"},
            501: {"not_implemented"}, 400: {"bad_framing"}, 503: {"overload"}}
NOT_HERE = {("getHealth", 429): "only the gateway limits what needs no key"}
SEEN = collections.Counter()


# --- what an answer must look like -------------------------------------------------------------------------------
def whole(schema, closed=True):
    """The schema with its references in place, and with no member allowed that it does not name."""
    schema = dict(contract.resolved(schema))
    for word in ("properties",):
        if word in schema:
            schema[word] = {n: whole(s) for n, s in schema[word].items()}
    if isinstance(schema.get("items"), dict):
        schema["items"] = whole(schema["items"])
    if isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = whole(schema["additionalProperties"])
    for word in ("allOf", "oneOf", "anyOf"):
        if word in schema:
            schema[word] = [whole(s, closed=False) for s in schema[word]]
    if closed and "allOf" in schema:
        schema["unevaluatedProperties"] = False
    elif closed and "properties" in schema and "additionalProperties" not in schema:
        schema["additionalProperties"] = False
    return schema


FORMATS = jsonschema.FormatChecker()


@FORMATS.checks("uuid")
def is_uuid(value):
    return not isinstance(value, str) or bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value))


@FORMATS.checks("date-time")
def is_time(value):
    return not isinstance(value, str) or bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z", value))


def check(op, answer, ask=("GET",)):
    """Is this answer of this operation as the document says?"""
    where = (op.id, answer.status, ask, answer.body[:600])
    described = {int(code): contract.resolved(r) for code, r in op.op["responses"].items()}
    problem = answer.json() if answer.media == "application/problem+json" else None
    if answer.status not in described:
        assert problem and problem["code"] in ANYWHERE.get(answer.status, ()), where
        return answer
    SEEN[op.id, answer.status] += 1
    response = described[answer.status]
    content = response.get("content", {})
    if answer.media or answer.body:
        assert answer.media in content, where
    else:
        assert not content, where
    for name, header in response.get("headers", {}).items():
        value = answer.headers.get(name.lower())
        if value is None:
            # A resource that was never set has no version.
            assert name in ("ETag", "X-Sekisho-Activated-At", "Location"), (name, where)
        else:
            kind = contract.resolved(header)["schema"]
            jsonschema.validate(int(value) if kind.get("type") == "integer" else value, kind)
    if answer.media in ("application/json", "application/problem+json") and ask[0] != "HEAD":
        jsonschema.Draft202012Validator(whole(content[answer.media]["schema"]), format_checker=FORMATS).validate(answer.json())
    if problem:
        assert problem["status"] == answer.status and problem["type"] == "/problems/" + problem["code"], where
        assert problem["code"] in response["x-codes"], where
        assert problem["request_id"] == answer.headers["x-request-id"] and problem["trace_id"] in answer.headers["traceparent"], where
        for error in problem.get("errors", []):
            assert len({"pointer", "parameter", "header"} & set(error)) == 1, where
    return answer


# --- the field -----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def site(tmp_path_factory):
    env = {"SEKISHO_API_BURST": "1500", "SEKISHO_API_RATE": "1", "SEKISHO_API_BODY_MAX": str(BODY_MAX)}
    with sites.start(tmp_path_factory.mktemp("conformance"), env=env) as stack:
        yield sites.Site(stack)


class Field:
    """Tenants with something of everything, and what it takes to ask each operation well."""

    def __init__(self, site, receiver):
        self.site, self.inside = site, contract.Inside(site, seconds=90)
        self.t = self.tenant = site.tenant(rules=sites.policy("hold", 3600), next_hop=receiver.address)
        self.sandbox = site.tenant(sandbox=True)
        self.message = self.held()
        self.submission = "conformance-" + secrets.token_hex(4)
        self.t.submit("x@sink.example", {"Idempotency-Key": self.submission})
        self.user = self.ok("createUser", body={"login": f"u{secrets.token_hex(4)}@{self.t.domain}", "password": "correct horse battery"})["id"]
        self.webhook = self.ok("createWebhook", body={"url": "https://hooks.example.com/x", "enabled": False})["id"]
        self.poor = {p: self.t.api("POST", "/v1/keys", {"kind": "api_key", "name": p, "permissions": [p]})["secret"]
                     for p in ("queue.read", "keeper.read")}
        self.sandbox.submit("y@sink.example")
        self.mail = wait_for("the sink", lambda: self.sandbox.api("GET", "/v1/sandbox/mails")["mails"])[0]["id"]
        wait_for("a signed head", lambda: self.t.api("GET", "/v1/audit/heads")["heads"])

    def held(self):
        ident = self.t.submit("x@sink.example")["id"]
        wait_for("the hold", lambda: [m for m in self.t.api("GET", "/v1/holds")["messages"] if m["id"] == ident])
        return ident

    def key(self, op):
        if op.permission == "platform.admin":
            return self.site.platform_key
        if op.permission == "message.send":
            return self.t.send_key
        return self.sandbox.key if "/sandbox/" in op.path else self.t.key

    def ask(self, ident, path=None, query="", body=None, key=..., headers=None, method=None):
        op = OPERATIONS[ident]
        values = {n: contract.quoted(str(v)) for n, v in (path or self.path(op)).items()}
        target = op.target(values) + ("?" + query if query else "")
        answer = self.inside.request(method or op.method, target, self.key(op) if key is ... else key, body, headers,
                                     head_only=op.streams)
        if op.streams and answer.status == 200:
            answer.body = b""
        return check(op, answer, (method, target, body))

    def ok(self, ident, **more):
        answer = self.ask(ident, **more)
        assert 200 <= answer.status < 300, (ident, answer.status, answer.body[:400])
        return answer.json() if answer.media == "application/json" else None

    def path(self, op):
        """Path parameters of what is there."""
        there = {"messages": self.message if hasattr(self, "message") else "", "users": getattr(self, "user", ""),
                 "webhooks": getattr(self, "webhook", ""), "submissions": getattr(self, "submission", ""), "domains": self.t.domain,
                 "policy": "1", "routes": "outbound", "sandbox": getattr(self, "mail", ""), "keys": str(uuid.uuid4()),
                 "roles": "r" + secrets.token_hex(3), "groups": "g" + secrets.token_hex(3)}
        return {n: there[op.path.split("/")[2]] for n in op.names("path")}

    def body(self, op):
        """A body that the operation takes from this caller; None: it takes none."""
        if op.id == "submitMessage":
            return {"from": self.t.sender, "to": ["z@sink.example"], "subject": "x", "text": "x"}
        if op.id == "addDomain":
            return {"name": f"d{secrets.token_hex(4)}.example"}
        if op.id == "createUser":
            return {"login": f"u{secrets.token_hex(4)}@{self.t.domain}"}
        if op.id == "createKey":
            return {"kind": "api_key", "name": secrets.token_hex(4), "permissions": ["message.read"]}
        if op.id == "updateUser":
            return {"display_name": "x", "addresses": [], "disabled": False}
        if op.id == "putUserAccess":
            return {"roles": ["operator"], "exceptions": [{"permission": "hold.discard", "deny": True}]}
        if op.id == "putGroup":
            return {"members": [], "roles": []}
        if op.id == "replayWebhook":
            return {"from": 0, "until": 1}
        return contract.sample(op.body) if op.body else None

    def query(self, op):
        return "&".join(f"{p['name']}={contract.quoted(str(p.get('example', contract.sample(p['schema']))))}"
                        for p in op.parameters if p["in"] == "query" and p.get("required"))

    def well(self, ident, **more):
        """The operation as it is meant."""
        op = OPERATIONS[ident]
        return self.ask(ident, **({"query": self.query(op), "body": self.body(op)} | more))


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as r:
        yield r


@pytest.fixture(scope="module")
def field(site, receiver):
    return Field(site, receiver)


# --- what succeeds -------------------------------------------------------------------------------------------------
READS = sorted(i for i, op in OPERATIONS.items() if op.method == "GET")


@pytest.mark.parametrize("ident", READS)
def test_reads(field, ident):
    answer = field.well(ident)
    assert answer.status == 200, (answer.status, answer.body[:400])
    assert answer.headers["cache-control"] == "no-store"
    op = OPERATIONS[ident]
    if 304 in op.statuses:
        same = field.well(ident, headers={"If-None-Match": answer.headers.get("etag", '"x"') + ', "*"'} if ident in ("getMe", "getTenant")
                          else {"If-None-Match": "*"})
        if "etag" in answer.headers:
            assert (same.status, same.body) == (304, b"") and same.headers["etag"]
    if not op.streams:
        head = field.well(ident, method="HEAD") if op.needs_key else field.ask(ident, method="HEAD")
        assert head.status == 200 and not head.body


def test_changes(field):
    """Every operation that changes something, once as it is meant; what it made goes with it."""
    t = field.t
    for ident in ("createTenant", "addDomain", "createUser", "createKey", "checkPolicy", "putPolicy", "updateTenant", "putRoute",
                  "putDeliverySettings", "submitMessage", "putUserAccess", "updateUser", "replayWebhook"):
        assert 200 <= field.well(ident).status < 300, (ident, field.well(ident).body)
    settings = field.well("getDeliverySettings")
    assert field.well("getDeliverySettings", headers={"If-None-Match": settings.headers["etag"]}).status == 304
    message = field.held()
    assert field.ask("releaseRecipients", path={"id": message}, body={"recipients": [0]}).status == 200
    message = field.held()
    assert field.ask("discardRecipients", path={"id": message}).status == 200
    key = t.api("POST", "/v1/keys", {"kind": "api_key", "name": "old", "permissions": ["message.read"]})["id"]
    rotated = field.ask("rotateKey", path={"id": key}, body={"overlap_seconds": 60})
    assert rotated.status == 201
    assert field.ask("rotateKey", path={"id": key}, body={"overlap_seconds": 60}).status == 409
    assert field.ask("revokeKey", path={"id": rotated.json()["id"]}).status == 204
    hook = field.well("createWebhook").json()
    path = {"id": hook["id"]}
    got = field.ask("getWebhook", path=path)
    assert field.well("updateWebhook", path=path, headers={"If-Match": got.headers["etag"]}).status == 200
    assert field.ask("rotateWebhookSecret", path=path).status == 201
    assert field.ask("testWebhook", path=path).json()["ok"] is False  # nothing listens at that name
    assert field.ask("listWebhookAttempts", path=path).json()["attempts"]
    assert field.ask("deleteWebhook", path=path).status == 204
    for kind in ("Role", "Group"):
        name = {"name": "経理/" + secrets.token_hex(3)}
        made = field.well("put" + kind, path=name, headers={"If-None-Match": "*"})
        assert made.status == 201 and made.json()["name"] == name["name"] and made.headers["location"]
        again = field.well("put" + kind, path=name, headers={"If-None-Match": "*"})
        assert again.status == 412
        changed = field.ask("put" + kind, path=name, body=field.body(OPERATIONS["put" + kind]) | {"description": "neu"},
                            headers={"If-Match": made.headers["etag"]})
        assert changed.status == 200 and changed.headers["etag"] != made.headers["etag"]
        assert field.ask("delete" + kind, path=name, headers={"If-Match": made.headers["etag"]}).status == 412
        assert field.ask("delete" + kind, path=name).status == 204


# --- what is refused, in every way the document names ---------------------------------------------------------------
def without(op):
    """A path that names nothing."""
    odd = {"version": "99999", "direction": "sideways", "name": "nothing-" + secrets.token_hex(3), "key": "none",
           "id": str(uuid.uuid4())}
    return {n: odd[n] for n in op.names("path")}


def provoke(field, op, status, flooded):
    well = {"query": field.query(op), "body": field.body(op)}
    if status == 400:
        return field.ask(op.id, **well | {"body": b"{" if op.body else b"{}"})
    if status == 401:
        return field.ask(op.id, **well, key=None)
    if status == 403:
        return field.ask(op.id, **well, key=field.poor["keeper.read" if op.permission == "queue.read" else "queue.read"])
    if status == 404 and op.id == "getTenant":
        return field.ask(op.id, **well, key=field.site.platform_key)
    if status == 404 and op.id == "proveInclusion":
        return field.ask(op.id, query="index=999999999")
    if status == 404 and op.id == "proveConsistency":
        return field.ask(op.id, query="first=1&size=999999999")
    if status == 404:
        return field.ask(op.id, **well, path=without(op))
    if status == 406:
        return field.ask(op.id, **well, headers={"Accept": "image/png"})
    if status == 412 and op.id in ("putRole", "putGroup", "deleteRole", "deleteGroup"):
        return None  # test_changes: there must be one
    if status == 412:
        return field.ask(op.id, **well, headers={"If-Match": '"999999"'})
    if status == 413:
        return field.ask(op.id, **well | {"body": b'"' + b"x" * (BODY_MAX + 100000) + b'"'})
    if status == 415:
        return field.ask(op.id, **well | {"body": b"x"}, headers={"Content-Type": "text/plain"})
    if status == 422:
        return field.ask(op.id, **well | {"query": "nonsense=1"})
    if status == 429:  # a token comes every second
        return next(a for a in (field.ask(op.id, **well, key=flooded) for _ in range(10)) if a.status == 429)
    return None


@pytest.fixture(scope="module")
def flooded(field):
    """A key that has used its quota."""
    key = field.t.api("POST", "/v1/keys", {"kind": "api_key", "name": "flood", "permissions": ["keeper.read"]})["secret"]

    def ask(_):
        return field.ask("getMe", key=key).status
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        got = collections.Counter(pool.map(ask, range(1600)))
    assert got[429] >= 10 and got[200] >= 1500 and not set(got) - {200, 429}, got
    return key


@pytest.mark.parametrize("ident", sorted(OPERATIONS))
def test_everything_is_refused(field, flooded, ident):
    op = OPERATIONS[ident]
    for status in sorted(op.statuses):
        if 400 <= status < 500 and status != 409 and (ident, status) not in NOT_HERE:
            answer = provoke(field, op, status, flooded)
            assert answer is None or answer.status == status, (status, answer.status, answer.body[:400])
    # 429 says when it is worth while again.
    if op.needs_key:
        answer = provoke(field, op, 429, flooded)
        assert int(answer.headers["retry-after"]) >= 1 and 'r=0' in answer.headers["ratelimit"]


def test_conflicts(field, site):
    t = field.t
    message = field.held()
    field.t.api("POST", f"/v1/messages/{message}/discard")
    for verb in ("release", "discard"):
        assert field.ask(verb + "Recipients", path={"id": message}).status == 409
    taken = field.t.user
    assert field.ask("createUser", body={"login": taken}).json()["code"] == "conflict"
    assert field.ask("createKey", body={"kind": "api_key", "name": "queue.read", "permissions": ["message.read"]}).status == 409
    assert field.ask("addDomain", body={"name": t.domain, "class": "affiliate"}).status == 409
    for kind in ("putRole", "deleteRole"):
        assert field.ask(kind, path={"name": "operator"}, body=field.body(OPERATIONS[kind])).status == 409
    # Nobody may take the last administrator's access away, by none of five ways.
    last = site.api("POST", "/v1/tenants", {"name": "last"})["admin_key"]
    boss = site.api("POST", "/v1/users", {"login": f"boss{secrets.token_hex(3)}", "display_name": "boss"}, key=last)
    site.api("PUT", "/v1/groups/bosses", {"members": [boss["login"]], "roles": ["administrator"]}, key=last)
    mine = site.api("GET", "/v1/me", key=last)
    key = site.api("POST", "/v1/keys", {"kind": "api_key", "name": "boss", "login": boss["login"], "permissions": mine["permissions"]},
                   key=last)["secret"]
    assert field.ask("revokeKey", path={"id": mine["account"]}, key=key).status == 204
    path = {"id": boss["id"]}
    refused = [
        field.ask("updateUser", path=path, body={"display_name": "x", "addresses": [], "disabled": True}, key=key),
        field.ask("putUserAccess", path=path, body={"roles": [], "exceptions": [{"permission": "role.write", "deny": True}]}, key=key),
        field.ask("putGroup", path={"name": "bosses"}, body={"members": [], "roles": ["administrator"]}, key=key),
        field.ask("deleteGroup", path={"name": "bosses"}, key=key),
    ]
    assert [r.status for r in refused] == [409] * 4, [r.body for r in refused]
    lone = site.api("POST", "/v1/tenants", {"name": "lone"})["admin_key"]
    only = site.api("GET", "/v1/me", key=lone)["account"]
    assert field.ask("revokeKey", path={"id": only}, key=lone).status == 409


def test_one_key_does_one_thing(field):
    """The same key and body: the same answer. Another body: refused. Another tenant's key: another thing."""
    head = {"Idempotency-Key": secrets.token_hex(8)}
    body = field.body(OPERATIONS["createUser"])
    first = field.ask("createUser", body=body, headers=head)
    second = field.ask("createUser", body=body, headers=head)
    assert first.status == second.status == 201 and first.json() == second.json()
    other = field.ask("createUser", body=field.body(OPERATIONS["createUser"]), headers=head)
    assert (other.status, other.json()["code"]) == (422, "idempotency_mismatch")
    assert other.json()["errors"][0]["header"] == "Idempotency-Key"
    assert field.ask("createUser", body=field.body(OPERATIONS["createUser"]), headers=head, key=field.sandbox.key).status == 201


def test_changes_do_not_overwrite(field):
    """If-Match: of two who saw the same, one wins."""
    seen = field.well("getTenant")
    body = {"name": "first", "language": "en", "head_mail": False}

    def put(name):
        return field.ask("updateTenant", body=body | {"name": name}, headers={"If-Match": seen.headers["etag"]}).status
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(put, ["a", "b", "c", "d"])) == [200, 412, 412, 412]
    now = field.well("getTenant")
    assert now.headers["etag"] != seen.headers["etag"]
    assert field.ask("getTenant", headers={"If-None-Match": seen.headers["etag"]}).status == 200
    assert field.ask("getTenant", headers={"If-None-Match": f'"x", W/{now.headers["etag"]}'}).status == 304


def test_pages_do_not_mix(field):
    """A cursor is opaque and belongs to its operation."""
    for _ in range(3):
        field.well("createUser")
    first = field.ask("listUsers", query="limit=2").json()
    rest, cursor = [u["id"] for u in first["users"]], first["next_cursor"]
    while cursor:
        page = field.ask("listUsers", query=f"limit=2&cursor={contract.quoted(cursor)}").json()
        rest += [u["id"] for u in page["users"]]
        cursor = page["next_cursor"]
    assert len(rest) == len(set(rest)) >= 5
    for ident, op in sorted(OPERATIONS.items()):
        if "cursor" in op.names("query"):
            needed = field.query(op)
            got = field.ask(ident, query=(needed + "&" if needed else "") + "cursor=rubbish")
            assert (got.status, got.json()["code"]) == (422, "invalid"), (ident, got.body)


def test_examples_fit():
    """Every example in the document is what it is an example of."""
    def walk(node):
        if isinstance(node, dict):
            if "properties" in node or "enum" in node:
                for example in node.get("examples", []):
                    jsonschema.Draft202012Validator(whole(node), format_checker=FORMATS).validate(example)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
    walk(contract.DOCUMENT)


def test_everything_documented_was_seen(field):
    """Last in this file."""
    promised = {(i, s) for i, op in OPERATIONS.items() for s in op.statuses if s < 500}
    missing = promised - set(SEEN) - set(NOT_HERE)
    print(f"{len(OPERATIONS)} operations, {len(promised)} documented statuses below 500: {len(promised) - len(missing) - len(NOT_HERE)} "
          f"seen in {sum(SEEN.values())} answers, {len(NOT_HERE)} left out, missing {sorted(missing)}")
    assert not missing
