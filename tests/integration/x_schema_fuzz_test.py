# SPDX-License-Identifier: MIT
"""Every operation of docs/openapi.yaml with values that nearly fit, and with ones that do not at all: no answer is an error
of ours, none is missing, every refusal is a problem document, and no status comes that the document does not name. Seeded;
SEKISHO_FULL=1 takes longer. A failure prints the request it needs, made as small as it gets."""
import collections
import json
import secrets
import string

import jsonschema
import pytest
from hypothesis import HealthCheck, Phase, control, given, seed, settings
from hypothesis import strategies as st

from lib import contract, site as sites
from lib.wire import Receiver, wait_for

SEED = 20261122
EXAMPLES = 400 if sites.FULL else 20
OPERATIONS = contract.operations()
# Before an operation is known, any request may get these (the document's introduction).
ANYWHERE = {400, 404, 405, 408, 413, 414, 429, 431, 501, 503}
PROBLEM = contract.DOCUMENT["components"]["schemas"]["Problem"]
SEEN = collections.Counter()

ODD_TEXT = ["", " ", "\0", "a\0b", "\r\nX: y", "\u202e", "\ufeff", "\ud800", "\U0001f5ff" * 50, "é" * 300, "全" * 5000, "'\"; DROP TABLE", "%00%0a",
            "../../..", "${x}", "{{x}}", "<script>", "null", "1e999", "a@b@c", "@", "\x7f", "ﾊﾝｶｸ", "A" * 70000, "2026-13-45T99:99:99Z",
            "019aa5a2-9d0e-7c7a-8f6e-3a1f5ec2b9aa", "019AA5A2-9D0E-7C7A-8F6E-3A1F5EC2B9AA", "-1", "*", "[::1]:25", "http://169.254.169.254/"]
ODD_NUMBERS = [0, -1, 1, 2**31 - 1, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, -2**63 - 1, 10**400, 0.5, -0.0, 1e308]
ODD_JSON = [b"", b"{", b"[", b"nul", b"{}{}", b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"{\"a\":1,\"a\":2}", b"[" * 5000, b"{\"a\":" * 2000, b"01", b"+1", b"1.",
            b"NaN", b"Infinity", b"'a'", b"{a:1}", b"{\"a\":1,}", b"\"\\ud800\"", b"\"\\x\"", b"\"\t\"", b"{\"a\":\"\0\"}", b"1" * 5000, b"-",
            b"/**/{}", b"\"" + b"\xc0\x80" + b"\"", b"\"\xed\xa0\x80\"", b"true", b"null", b"\"x\"", b"[]", b"{}", b" " * 100000 + b"{}", b"\0{}"]
HEADERS = {"If-Match": ['"1"', "1", "*", 'W/"1"', '"1", "2"', '""', '"' + "9" * 40 + '"', "\x01", '"-1"', "é"],
           "If-None-Match": ["*", '"0"', "x", '"' + "a" * 5000 + '"'],
           "Idempotency-Key": ["", "a", "a b", "é", "x" * 200, "x" * 201, "\x7f", "k" * 8000],
           "Accept": ["*/*", "application/json", "text/html", "application/problem+json", ";;;", "application/*;q=0", "a" * 5000],
           "Accept-Encoding": ["gzip", "br;q=x"], "Content-Type": ["application/json", "application/json; charset=utf-8", "application/json;charset=shift_jis",
           "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "message/rfc822", "", "application/json/json", "JSON"],
           "X-Request-Id": ["a", "a b", "é", "x" * 65, "../.."], "traceparent": ["00-x", "00-" + "0" * 32 + "-" + "0" * 16 + "-00", "ff-" + "a" * 100],
           "Range": ["bytes=0-0"], "Expect": ["100-continue", "x"], "X-HTTP-Method-Override": ["DELETE"], "Last-Event-ID": ["x", "-1", "9" * 40],
           "Content-Encoding": ["gzip", "identity"], "Cookie": ["a=b"], "X-Sekisho-Tenant": ["x"]}

# For its reports Hypothesis would describe, at each value that is mapped, the whole strategy behind it: most of the time of a
# run. What a failure prints is the request itself.
control.BuildContext.record_call = lambda *_: None


def packed(value):
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def escaped(value):
    return json.dumps(value).encode()


def torn(parts):
    octets, n = parts
    return octets[:n % (len(octets) + 1)]


def quoted_octets(value):
    return contract.quoted(value.encode("utf-8", "surrogatepass"))


def some_headers(chosen):
    return {n: HEADERS[n][i % len(HEADERS[n])] for n, i in chosen.items()}


def lists_and_members(inner):
    return st.one_of(st.lists(inner, max_size=4), st.dictionaries(text, inner, max_size=4))


text = st.one_of(st.sampled_from(ODD_TEXT), st.text(max_size=40), st.text(alphabet=string.ascii_letters + string.digits, max_size=12))
number = st.one_of(st.sampled_from(ODD_NUMBERS), st.integers())
anything = st.recursive(st.one_of(st.none(), st.booleans(), number, text), lists_and_members, max_leaves=8)


def fitting(schema, depth=0):
    """Values that mostly fit; everywhere now and then one that does not."""
    schema = contract.resolved(schema)
    if depth > 6:
        return st.none()
    strange = anything if depth > 1 else st.nothing()
    choices = []
    if schema.get("examples"):
        choices.append(st.sampled_from(schema["examples"]))
    if "const" in schema:
        choices.append(st.just(schema["const"]))
    if "enum" in schema:
        choices.append(st.sampled_from(schema["enum"]))
    for part in schema.get("oneOf", []) + schema.get("anyOf", []):
        choices.append(fitting(part, depth + 1))
    kinds = schema.get("type", [] if choices else "object")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind == "object":
            choices.append(objects(schema, depth))
        elif kind == "array":
            choices.append(st.lists(fitting(schema.get("items", {}), depth + 1), max_size=3))
        elif kind == "integer":
            low, high = schema.get("minimum", -5), schema.get("maximum", 10**6)
            choices += [st.integers(low, high), st.sampled_from([low, low - 1, high, high + 1]), number]
        elif kind == "boolean":
            choices.append(st.booleans())
        elif kind == "null":
            choices.append(st.none())
        elif kind == "string" and "enum" not in schema and "const" not in schema:
            choices += [st.just(contract.sample(schema)), text, long_text(schema)]
    return st.one_of(*choices, strange) if choices else anything


def long_text(schema):
    """At the bound and one over it."""
    most = schema.get("maxLength", 300)
    return st.sampled_from(["a" * most, "a" * (most + 1), "全" * (most // 3), "é" * (most + 1)])


@st.composite
def an_object(draw, known, needed):
    """Mostly with what it needs; one in ten lacks something, one has a member too many."""
    mode, out = draw(st.integers(0, 9)), {}
    for name, value in known.items():
        if name in needed and mode != 0 or draw(st.booleans()):
            out[name] = draw(value)
    if mode == 1:
        out[draw(text)] = draw(anything)
    return out


def objects(schema, depth):
    known = {n: fitting(s, depth + 1) for n, s in schema.get("properties", {}).items()}
    return an_object(known, set(schema.get("required", []))) if known else st.dictionaries(text, anything, max_size=5)


def body(op):
    if op.body is None:
        return st.one_of(st.none(), st.none(), st.just(b"{}"), st.just(b"x"))
    value = fitting(op.body)
    whole = value.map(packed)
    pieces = st.tuples(whole, st.integers(0, 10**6)).map(torn)
    return st.one_of(whole, whole, whole, value.map(escaped), pieces, st.sampled_from(ODD_JSON), anything.map(escaped))


def target(op, known):
    """Path and query. known: path parameters of things that are there."""
    def path_value(name):
        there = [known[op.id][name]] if name in known.get(op.id, {}) else []
        odd = text.map(quoted_octets)
        raw = st.sampled_from(["%", "%zz", "%ff", "%00", "..", "%2e%2e", "a;b", "{id}", "~", "a" * 3000, "%c0%80"])
        return st.one_of(*([st.just(v) for v in there] * 3), odd, raw)

    @st.composite
    def whole(draw):
        path = {n: draw(path_value(n)) for n in op.names("path")}
        pairs = draw(query)
        return op.target(path) + ("?" + "&".join(f"{n}={v}" for n, v in pairs) if pairs else "")
    declared = [(p["name"], p["schema"]) for p in op.parameters if p["in"] == "query"]
    pairs = [st.tuples(st.just(n), fitting(s, 2).map(flat)) for n, s in declared]
    pairs.append(st.tuples(text.map(flat), text.map(flat)))
    needed = [st.tuples(st.just(p["name"]), st.just(flat(contract.sample(p["schema"]))))
              for p in op.parameters if p["in"] == "query" and p.get("required")]
    query = st.one_of(st.tuples(*needed), st.lists(st.one_of(*pairs), max_size=4))
    return whole()


def flat(value):
    shown = value if isinstance(value, str) else json.dumps(value)
    return contract.quoted(shown.encode("utf-8", "surrogatepass"))


headers = st.dictionaries(st.sampled_from(sorted(HEADERS)), st.integers(0, 20), max_size=2).map(some_headers)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Its own: there is a limit of requests for each key, and this is about something else."""
    with sites.start(tmp_path_factory.mktemp("fuzzed"), env={"SEKISHO_API_BURST": "0", "SEKISHO_API_FAILURE_BURST": "0"}) as stack:
        yield sites.Site(stack)


class Field:
    """A tenant with things to ask for, and the keys to ask with."""

    def __init__(self, site):
        self.site, self.inside = site, contract.Inside(site, seconds=90)
        t = self.tenant = site.tenant(rules=sites.policy("hold", 3600), sandbox=True)
        self.admin = t.key
        message = t.submit("x@sink.example", {"Idempotency-Key": "fuzz"})["id"]
        wait_for("the hold", lambda: [m for m in t.messages() if m["recipients"]])
        user = t.api("GET", "/v1/users")["users"][0]["id"]
        webhook = t.api("POST", "/v1/webhooks", {"url": "https://hook.example/x", "enabled": False})["id"]
        by_path = {"messages": message, "users": user, "webhooks": webhook, "keys": t.api("GET", "/v1/keys")["keys"][0]["id"],
                   "roles": "operator", "groups": "nobody", "domains": t.domain, "routes": "inbound", "policy": "1", "submissions": "fuzz",
                   "sandbox": message}
        # What must stay there is not named to those who would end it.
        spared = {"revokeKey", "rotateKey", "updateUser", "putUserAccess", "deleteWebhook"}
        self.known = {op.id: dict.fromkeys(op.names("path"), by_path[op.path.split("/")[2]])
                      for op in OPERATIONS if op.names("path") and op.id not in spared}

    def key(self, op):
        if op.id == "submitMessage":
            return self.tenant.send_key
        return self.site.platform_key if op.permission == "platform.admin" else self.admin


@pytest.fixture(scope="module")
def field(site):
    return Field(site)


def judge(op, method, answer):
    """Raises if it is not an answer that may be."""
    SEEN[answer.status] += 1
    assert answer.status != 0, ("no answer", answer.body[:200])
    if answer.status == 503:
        assert answer.code in ("try_later", "overload") and "retry-after" in answer.headers, answer.body
        SEEN["unavailable"] += 1
    else:
        assert answer.status < 500 or answer.status == 501, (answer.status, answer.body[:400])
    if method == op.method:
        assert answer.status in op.statuses | ANYWHERE, (answer.status, answer.body[:400])
    if answer.status < 400:
        return
    assert answer.media == "application/problem+json", (answer.status, answer.headers, answer.body[:200])
    problem = answer.json()
    jsonschema.validate(problem, schema_with_components(PROBLEM))
    assert problem["status"] == answer.status
    for error in problem.get("errors", []):
        assert len({"pointer", "parameter", "header"} & set(error)) <= 1, problem
        assert error.get("pointer", "/").startswith("/") or error["pointer"] == "", problem


def schema_with_components(schema):
    return schema | {"components": contract.DOCUMENT["components"]}


def run(op, field, examples):
    strategy = st.tuples(target(op, field.known), body(op), headers)
    key = field.key(op)

    @seed(SEED)
    @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate, Phase.shrink],
              suppress_health_check=list(HealthCheck), print_blob=False)
    @given(strategy)
    def attack(request):
        where, octets, more = request
        method = op.method
        if octets is None and method in ("POST", "PUT"):
            more = {k: v for k, v in more.items() if k != "Content-Encoding"}
        got = field.inside.request(method, where, key, octets, more, head_only=op.streams)
        judge(op, method, got)
    attack()


@pytest.mark.parametrize("op", OPERATIONS, ids=repr)
def test_operation(field, op):
    run(op, field, EXAMPLES)


def test_valid_requests_pass(field):
    """The fuzzer starts from something that works: the example of every operation that only looks is taken."""
    refused = {}
    for op in OPERATIONS:
        if op.method != "GET" or op.streams or op.id in ("getSandboxMail", "getSandboxMailContent", "proveInclusion", "proveConsistency"):
            continue
        needed = "&".join(f"{p['name']}={flat(p.get('example', contract.sample(p['schema'])))}"
                          for p in op.parameters if p["in"] == "query" and p.get("required"))
        where = op.target(field.known.get(op.id, {})) + ("?" + needed if needed else "")
        key = field.tenant.send_key if op.permission == "message.send" else field.key(op)
        got = field.inside.request("GET", where, key)
        if got.status != 200:
            refused[op.id] = (got.status, got.body[:200])
    assert not refused, refused


@pytest.mark.parametrize("octets", ODD_JSON, ids=range(len(ODD_JSON)))
def test_odd_json(field, octets):
    op = next(o for o in OPERATIONS if o.id == "checkPolicy")
    judge(op, "POST", field.inside.request("POST", op.path, field.admin, octets))


def test_odd_keys(field):
    for key in ("", " ", "a" * 10000, "\x01", "é", "skapi_", "skapi_" + "A" * 33, "Basic x", secrets.token_hex(400)):
        for scheme in ("Bearer ", "bearer ", "", "Basic "):
            got = field.inside.request("GET", "/v1/messages", headers={"Authorization": scheme + key})
            assert 400 <= got.status < 500 and got.media == "application/problem+json", (scheme, key[:20], got.status, got.body[:200])


def test_figures(field):
    """All statuses that were met; hardly ever was a part busy."""
    total = sum(n for status, n in SEEN.items() if isinstance(status, int))
    print(f"{total} requests over {len(OPERATIONS)} operations: {dict(sorted((k, v) for k, v in SEEN.items() if isinstance(k, int)))}")
    assert SEEN["unavailable"] <= total // 100
    assert field.inside.request("GET", "/v1/health").status == 200
