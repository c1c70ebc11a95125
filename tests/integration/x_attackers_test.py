# SPDX-License-Identifier: MIT
"""Somebody who is not allowed to tries everything: every operation of docs/openapi.yaml, with every method, on the ids and
names of another tenant, real, unknown and mangled, with keys that belong to somebody else, lack the permission, have ended,
or are none. Nothing succeeds, nothing leaks, every attempt that a tenant can be named for is on the record, and what is
forbidden cannot be told from what is not there. SEKISHO_FULL=1: all of it, at least 10,000 attempts; else a sample."""
import collections
import concurrent.futures
import itertools
import random
import re
import secrets
import statistics
import time
import uuid

import pytest

from lib import contract, site as sites
from lib.wire import Receiver, wait_for

SEED = 20261122
SAMPLE = 800
THREADS = 4
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE")
OPERATIONS = contract.operations()
BY_PATH = collections.defaultdict(dict)
for _op in OPERATIONS:
    BY_PATH[_op.path][_op.method] = _op
# Unknown and forbidden differ in time if the median difference of pairs taken one after the other is over a tenth and
# 0.3 ms, and one kind is the slower one more often than chance makes it (4 standard deviations of a fair coin).
TIMING_SHARE, TIMING_MS, TIMING_SIGMAS = 0.10, 0.30, 4


class Victim:
    """A tenant with two of everything. `word` is in the contents of all of it and in no name that an attacker uses; the ids
    of the second ones are in no request either (the first ones may be on the attacker's own record: it asked for them)."""

    def __init__(self, site, receiver):
        self.word = "canary" + secrets.token_hex(6)
        t = self.tenant = site.tenant(rules=sites.policy("hold", 3600) | {"name": self.word}, sandbox=True, inbound=receiver.address)
        self.role, self.group, self.idempotency = ("v" + secrets.token_hex(4) for _ in range(3))
        made = t.api("POST", "/v1/users", {"login": f"person@{t.domain}", "display_name": self.word, "addresses": [f"person@{t.domain}"]})
        self.user = made["id"]
        self.login = f"person@{t.domain}"
        self.key = t.api("POST", "/v1/keys", {"kind": "api_key", "name": self.word, "login": self.login,
                                              "permissions": ["message.read"]})["id"]
        t.api("PUT", f"/v1/roles/{self.role}", {"description": self.word, "permissions": ["queue.read"]})
        t.api("PUT", f"/v1/groups/{self.group}", {"description": self.word, "members": [self.login], "roles": []})
        hook = {"url": f"https://hook.example/{self.word}", "description": self.word}
        self.webhook = t.api("POST", "/v1/webhooks", hook)["id"]
        self.message = self.held(self.idempotency)
        others = [self.held(secrets.token_hex(4)) for _ in range(2)]
        for other in others:
            t.api("POST", f"/v1/messages/{other}/release", {})
        mails = wait_for("the sink", lambda: (m := t.api("GET", "/v1/sandbox/mails")["mails"])[1:] and m)
        self.mail = mails[0]["id"]
        second = t.api("POST", "/v1/users", {"login": f"second@{t.domain}", "display_name": self.word, "addresses": []})["id"]
        keys = [k["id"] for k in t.api("GET", "/v1/keys")["keys"] if k["id"] != self.key]
        self.hidden = {*others, mails[1]["id"], second, *keys, t.api("POST", "/v1/webhooks", hook)["id"]}
        self.ids = {"messages": self.message, "users": self.user, "keys": self.key, "webhooks": self.webhook, "sandbox": self.mail,
                    "domains": t.domain, "roles": self.role, "groups": self.group, "submissions": self.idempotency,
                    "routes": "outbound", "policy": "1"}

    def held(self, key):
        t = self.tenant
        ident = t.submit(f"{secrets.token_hex(4)}@sink.example", {"Idempotency-Key": key}, subject=self.word, text=self.word)["id"]
        wait_for("the hold", lambda: [m for m in t.messages() if m["id"] == ident and m["recipients"]])
        return ident

    def uuids(self):
        return {v for v in self.ids.values() if re.fullmatch(r"[0-9a-f-]{36}", v)} | {self.tenant.id}

    def state(self):
        """Everything that can be changed, as its administrator sees it."""
        moving = {"position", "delivered", "failed", "last_error", "next_attempt_at", "failing_since", "last_used_at"}

        def still(node):
            if isinstance(node, dict):
                return {k: still(v) for k, v in node.items() if k not in moving}
            return [still(v) for v in node] if isinstance(node, list) else node
        lists = ("users?limit=200", "keys?limit=200", "roles", "groups", "domains", "tenant", "routes/outbound", "routes/inbound",
                 "settings/delivery", "webhooks", "policy", "holds", f"messages/{self.message}", f"users/{self.user}",
                 f"users/{self.user}/permissions")
        return {path: still(self.tenant.api("GET", "/v1/" + path)) for path in lists}


class Attempt:
    def __init__(self, actor, method, op, target, body, kind):
        """op: what the path and method are for, None: nothing. kind of its id: real, crossed, unknown, mangled, none (there is no
        place for one) or asked (in the query)."""
        self.actor, self.method, self.op, self.target, self.body, self.kind = actor, method, op, target, body, kind

    def __repr__(self):
        return f"{self.actor}: {self.method} {self.target} ({self.kind})"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Its own: there is a limit of requests for each key, and this is about something else."""
    with sites.start(tmp_path_factory.mktemp("attacked"), env={"SEKISHO_API_BURST": "0", "SEKISHO_API_FAILURE_BURST": "0"}) as stack:
        yield sites.Site(stack)


@pytest.fixture(scope="module")
def victim(site):
    with Receiver() as receiver:
        yield Victim(site, receiver)


@pytest.fixture(scope="module")
def attackers(site, victim):
    """Name -> key. Those of the victim's own tenant first."""
    t = victim.tenant

    def key(name, *permissions, **more):
        return t.api("POST", "/v1/keys", {"kind": "api_key", "name": name + secrets.token_hex(3), "permissions": list(permissions)} | more)
    revoked = key("revoked", "message.read", "user.write", "policy.write")
    t.api("DELETE", f"/v1/keys/{revoked['id']}")
    end = time.time() + 3
    expired = key("expired", "message.read", "user.write", "policy.write",
                  expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end)))
    out = {"no permission": key("weak", "event.read")["secret"], "no permission either": key("weak", "queue.read")["secret"],
           "revoked": revoked["secret"], "expired": expired["secret"], "another tenant": site.tenant().key,
           "platform": site.platform_key, "no key": None, "rubbish": "skapi_" + "A" * 33}
    wait_for("the key to expire", lambda: time.time() > end + 1, 10)
    return out


# --- the attempts -------------------------------------------------------------------------------------------------
def values_of(path, victim):
    """(kind, path parameters) for a path."""
    names = re.findall(r"\{(\w+)\}", path)
    if not names:
        return [("none", {})]
    real = victim.ids[path.split("/")[2]]
    unknown = str(uuid.uuid4()) if real in victim.uuids() else {"1": "77777", "outbound": "inbound"}.get(real, "u" + secrets.token_hex(4))
    mangled = [real.upper(), "%" + real.encode().hex()[:2] + real[1:], real + "%00", real + "/", "%2e%2e%2f" + real, real.replace("-", ""),
               "{" + real + "}", real + ";" + victim.tenant.id, victim.tenant.id, real + "?tenant=" + victim.tenant.id]
    crossed = sorted(victim.uuids() - {real}) if real in victim.uuids() else []  # the id of something else of the victim's
    return [("real", {names[0]: real}), ("unknown", {names[0]: unknown})] + [("mangled", {names[0]: m}) for m in mangled] + [
        ("crossed", {names[0]: c}) for c in crossed]


def query_of(op):
    needed = [(p["name"], p.get("example", contract.sample(p["schema"]))) for p in op.parameters if p["in"] == "query" and p.get("required")]
    return "?" + "&".join(f"{n}={contract.quoted(str(v))}" for n, v in needed) if needed else ""


def body_of(op, victim):
    """Valid, and about the victim where it can be."""
    if op is None or op.body is None:
        return None
    t = victim.tenant
    own = {"createKey": {"kind": "api_key", "name": "mine", "login": victim.login, "permissions": ["message.read"]},
           "addDomain": {"name": t.domain, "class": "internal"},
           "createUser": {"login": victim.login, "display_name": "x", "addresses": []},
           "updateUser": {"display_name": "x", "addresses": [], "disabled": True},
           "putUserAccess": {"roles": ["administrator"], "exceptions": []},
           "putGroup": {"members": [victim.login], "roles": ["administrator"]},
           "putPolicy": sites.policy(), "checkPolicy": sites.policy(),
           "createWebhook": {"url": "https://hook.example/x"},
           "submitMessage": {"from": t.sender, "to": ["x@sink.example"], "subject": "s", "text": "t"}}
    return own.get(op.id, contract.sample(op.body))


def all_attempts(victim, attackers):
    for path, ops in BY_PATH.items():
        for (kind, values), method, actor in itertools.product(values_of(path, victim), METHODS, attackers):
            op = ops.get("GET" if method == "HEAD" else method)
            any_op = op or next(iter(ops.values()))
            target = any_op.target(values)
            target += query_of(op) if op and "?" not in target else ""
            yield Attempt(actor, method, op, target, body_of(op, victim), kind)
    asked = {"login": victim.login, "subject": victim.message, "recipient": victim.login, "sender": victim.tenant.sender, "search": victim.word,
             "q": victim.word, "actor": victim.login}
    for op, actor in itertools.product(OPERATIONS, attackers):
        for name in set(op.names("query")) & set(asked):
            more = [f"{n}=x" for n in ("q",) if n in op.names("query") and n != name]
            yield Attempt(actor, op.method, op, op.target(values_of(op.path, victim)[0][1]) + "?" + "&".join(
                [f"{name}={contract.quoted(asked[name])}", *more]), body_of(op, victim), "asked")


def allowed(attempt):
    """What this attacker may do, so that it is no attack."""
    op, actor = attempt.op, attempt.actor
    if op is None:
        return False
    if not op.needs_key:
        return True
    if actor == "no permission":
        return op.permission in ("event.read", "*")
    if actor == "no permission either":
        return op.permission in ("queue.read", "*")
    if actor == "platform":  # what it is there for; proving a domain is
        return op.permission in ("platform.admin", "*") or op.id == "addDomain"
    return actor == "another tenant" and op.permission == "*"


@pytest.fixture(scope="module")
def attempts(victim, attackers):
    everything = [a for a in all_attempts(victim, attackers) if not allowed(a)]
    if sites.FULL:
        return everything
    rng = random.Random(SEED)
    sharp = [a for a in everything if a.op is not None and a.kind in ("real", "none") and a.method == a.op.method]
    blunt = [a for a in everything if a.op is None or a.kind not in ("real", "none") or a.method != a.op.method]
    return rng.sample(sharp, min(len(sharp), SAMPLE // 2)) + rng.sample(blunt, SAMPLE // 2)


def objection(attempt, answer, victim):
    """Why this must not be; None if all is well."""
    if victim.word.encode() in answer.body and victim.word not in attempt.target:
        return "LEAK of contents"
    leaked = [u for u in victim.hidden if u.encode() in answer.body]
    if leaked:
        return f"LEAK of ids {leaked}"
    good = 200 <= answer.status < 400
    if attempt.op is None:
        return "a method that is not there was taken" if good else None
    if attempt.actor in ("revoked", "expired", "no key", "rubbish"):
        return f"{answer.status} without a key in force" if good else None
    if attempt.actor.startswith("no permission"):
        return f"{answer.status} without the permission" if good else None
    # Another tenant's administrator, and the platform, which has a record and keys of its own: names are theirs, ids are
    # the victim's.
    about_the_victim = "{id}" in attempt.op.path or attempt.op.id in ("createKey", "createUser", "addDomain", "putGroup", "submitMessage")
    if good and about_the_victim and attempt.op.id == "addDomain":
        return None if not answer.json().get("proven") else "a domain of another was proven"
    return f"{answer.status} on what is another tenant's" if good and about_the_victim else None


def record_counts(site, tenant_id):
    """How many entries that are not "ok" the services' own tables hold for a tenant."""
    schemas = [r[0] for r in site.stack.psql("SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                                             "WHERE c.relname = 'audit_intent' AND c.relkind = 'p' ORDER BY 1")]
    sql = " UNION ALL ".join(f"SELECT count(*) FROM {s}.audit_intent WHERE tenant = '{tenant_id}' AND outcome <> 'ok'" for s in schemas)
    return sum(int(r[0]) for r in site.stack.psql(sql))


@pytest.fixture(scope="module")
def attacked(site, victim, attackers, attempts):
    """(attempt, answer) of all, the victim's state before and after, and how much was recorded."""
    outsider = site.api("GET", "/v1/me", key=attackers["another tenant"])["tenant"]
    tenants = {"another tenant": outsider, "own": victim.tenant.id}
    before, counted = victim.state(), {k: record_counts(site, v) for k, v in tenants.items()}

    def one(job):
        n, a = job
        inside = contract.Inside(site, client=f"198.51.{n // 250 % 250}.{n % 250 + 1}")
        stream = a.op is not None and a.op.streams
        try:
            return a, inside.request(a.method, a.target, attackers[a.actor], a.body, head_only=stream)
        except contract.Hang as e:
            return a, contract.Answer(0, {}, str(e).encode())
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        done = list(pool.map(one, enumerate(attempts)))
    seconds = time.monotonic() - began
    recorded = {k: record_counts(site, v) - counted[k] for k, v in tenants.items()}
    return done, before, victim.state(), recorded, seconds


def test_enough(attempts):
    by_op = {a.op.id for a in attempts if a.op}
    print(f"{len(attempts)} attempts over {len(by_op)} operations, {len({a.actor for a in attempts})} attackers")
    assert len(attempts) >= (10_000 if sites.FULL else SAMPLE - 10)
    assert len(by_op) >= (len(OPERATIONS) - 1 if sites.FULL else len(OPERATIONS) // 2)


def test_none_succeeds(attacked, victim):
    done, _, _, _, seconds = attacked
    bad = [f"{a!r}: {why}: {x.status} {x.body[:160]!r}" for a, x in done if (why := objection(a, x, victim))]
    print(f"{len(done)} attempts in {seconds:.0f} s, {len(bad)} succeeded; answers "
          f"{dict(sorted(collections.Counter(x.status for _, x in done).items()))}")
    assert not bad, f"{len(bad)} of {len(done)}:\n" + "\n".join(bad[:40])


def test_every_one_is_answered(attacked):
    """With a refusal that says so, never with an error of ours, never not at all."""
    done = attacked[0]
    bad = [f"{a!r}: {x.status} {x.body[:160]!r}" for a, x in done if x.status == 0 or x.status >= 500 and x.status != 501]
    assert not bad, f"{len(bad)} of {len(done)}:\n" + "\n".join(bad[:40])
    plain = [f"{a!r}: {x.status} {x.media}" for a, x in done if x.status >= 400 and a.method != "HEAD" and x.media != "application/problem+json"]
    assert not plain, f"{len(plain)}:\n" + "\n".join(plain[:20])


def test_the_right_words(attacked):
    """No key: 401. No permission: 403. Another's id: 404, as if it were not there."""
    wanted = {"revoked": 401, "expired": 401, "no key": 401, "rubbish": 401, "no permission": 403, "no permission either": 403}
    bad = []
    for a, x in attacked[0]:
        if a.op is None or a.kind not in ("real", "none") or a.method != a.op.method:
            continue
        status = wanted.get(a.actor)
        if a.actor == "another tenant" and a.kind == "real" and re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", a.target):
            status = 403 if a.op.permission == "platform.admin" else 404
        if status and x.status != status:
            bad.append(f"{a!r}: {x.status} instead of {status}: {x.body[:160]!r}")
    assert not bad, f"{len(bad)}:\n" + "\n".join(bad[:40])


def test_the_victim_is_as_before(attacked):
    _, before, after, _, _ = attacked
    assert set(before) == set(after)
    changed = [path for path in before if before[path] != after[path]]
    assert not changed, {p: (before[p], after[p]) for p in changed}


def test_all_are_recorded(attacked):
    """Whoever has, or had, a key is on the record of the key's tenant for each attempt that was refused by the service that
    would have done it, or by the one that knows keys. Without a key there is no tenant to record it for."""
    done, _, _, recorded, _ = attacked
    expected = collections.Counter()
    for a, x in done:
        if a.op is None or a.kind == "mangled":
            continue  # refused by the form of it, before anybody was asked
        if a.actor == "another tenant" and x.status in (403, 404) and re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", a.target):
            expected["another tenant"] += 1
        if a.actor in ("revoked", "expired") and x.status == 401 or a.actor.startswith("no permission") and x.status == 403:
            expected["own"] += 1
    print(f"refused {dict(expected)}, entries {recorded}")
    assert all(expected.values())
    assert all(recorded[k] >= expected[k] for k in expected), (expected, recorded)


# --- unknown and forbidden ------------------------------------------------------------------------------------------
def without_what_varies(answer, ident):
    """The answer without what is different each time, and without what the caller said."""
    body = answer.body.replace(ident.encode(), b"ID")
    body = re.sub(rb'"(request_id|trace_id|instance)":"[^"]*"', rb'"\1":""', body)
    varying = ("date", "x-request-id", "traceparent", "ratelimit", "ratelimit-remaining", "ratelimit-reset")
    return answer.status, {k: v for k, v in answer.headers.items() if k not in varying}, body


def cases(victim):
    return [op for op in OPERATIONS if op.method in ("GET", "DELETE") and not op.streams and re.search(r"\{\w+\}", op.path)
            and victim.ids[op.path.split("/")[2]] in victim.uuids()]


def test_same_words(site, victim, attackers):
    inside = contract.Inside(site)
    differ = []
    for op in [o for o in OPERATIONS if re.search(r"\{id\}", o.path)]:
        real, unknown = victim.ids[op.path.split("/")[2]], str(uuid.uuid4())
        got = [without_what_varies(inside.request(op.method, op.target({"id": i}), attackers["another tenant"], body_of(op, victim)), i)
               for i in (real, unknown)]
        if got[0] != got[1] or got[0][0] != 404:
            differ.append((op.id, got))
    assert not differ, differ


def test_same_time(site, victim, attackers):
    """Samples of both kinds in turn; the bound is stated above. For each operation that reads or deletes by id."""
    rounds = 400 if sites.FULL else 80
    inside, key = contract.Inside(site), attackers["another tenant"]
    lines, bad = [], []
    for op in cases(victim):
        real = victim.ids[op.path.split("/")[2]]
        pairs = []
        for n in range(rounds):
            took = {}
            pair = [("forbidden", real), ("unknown", str(uuid.uuid4()))]
            for kind, ident in pair if n % 2 else reversed(pair):
                began = time.perf_counter()
                assert inside.request(op.method, op.target({"id": ident}), key).status == 404
                took[kind] = (time.perf_counter() - began) * 1000
            pairs.append((took["forbidden"], took["unknown"]))
        forbidden, unknown = (statistics.median(column) for column in zip(*pairs))
        apart = statistics.median(f - u for f, u in pairs)
        sigmas = abs(sum(f > u for f, u in pairs) - rounds / 2) / (rounds ** 0.5 / 2)
        lines.append(f"{op.id} {forbidden:.2f}/{unknown:.2f} ({apart:+.2f}, {sigmas:.1f} s.d.)")
        if abs(apart) > TIMING_SHARE * max(forbidden, unknown) + TIMING_MS and sigmas > TIMING_SIGMAS:
            bad.append(lines[-1])
    print(f"median ms forbidden/unknown (median difference) over {rounds} pairs: " + ", ".join(lines))
    assert not bad, bad
