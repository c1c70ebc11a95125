# SPDX-License-Identifier: MIT
"""Roles, groups, exceptions, and what a key may at this moment: from outside, through the API. What the built-in roles hold is
read here from proto/permissions.tsv anew. Attempts from other tenants over every operation: x_attackers_test.py."""
import concurrent.futures
import datetime
import json
import secrets
import time
import urllib.parse
import uuid

import psycopg2
import pytest

from lib import contract, site as sites

ROLES = ("administrator", "operator", "auditor", "developer", "member")


def table():
    """{permission: roles}; the platform's: None"""
    out = {}
    for line in (sites.ROOT / "proto/permissions.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            name, roles, *_ = line.split("\t")
            out[name] = None if roles == "platform" else {"administrator"} | (set() if roles == "-" else set(roles.split(",")))
    return out


TABLE = table()
ALL = [p for p, roles in TABLE.items() if roles is not None]


class Person:
    def __init__(self, tenant, roles=(), exceptions=(), scopes=None, addresses=()):
        self.tenant, self.login = tenant, f"p{secrets.token_hex(5)}"
        self.id = tenant.api("POST", "/v1/users", {"login": self.login, "display_name": "", "addresses": list(addresses)})["id"]
        made = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": "key", "login": self.login, "permissions": scopes or ALL})
        self.key, self.key_id = made["secret"], made["id"]
        if roles or exceptions:
            self.access(roles, exceptions)

    def access(self, roles=(), exceptions=(), key=None):
        """exceptions: "+permission" or "-permission"."""
        return self.tenant.site.api("PUT", f"/v1/users/{self.id}/access", {
            "roles": list(roles), "exceptions": [{"permission": x[1:], "deny": x[0] == "-"} for x in exceptions]}, key=key or self.tenant.key)

    def api(self, method, path, body=None, **more):
        return self.tenant.site.api(method, path, body, key=self.key, **more)

    def may(self):
        return set(self.api("GET", "/v1/me")["permissions"])

    def update(self, **change):
        now = self.tenant.api("GET", f"/v1/users/{self.id}")
        return self.tenant.api("PUT", f"/v1/users/{self.id}", {k: now[k] for k in ("display_name", "addresses")} | {"disabled": False} | change)


def status(call, *args, **more):
    try:
        call(*args, **more)
    except sites.ApiError as e:
        return e.status
    except ValueError:
        pass  # an export is JSON lines, or CSV
    return 200


@pytest.fixture(scope="module")
def tenant(site):
    return site.tenant()


@pytest.fixture(scope="module")
def staff(tenant):
    """Somebody with each built-in role; the member was given none."""
    return {role: Person(tenant, () if role == "member" else (role,)) for role in ROLES}


def entries(site, tenant, action):
    """What stands on the record of auth: [(outcome, actor, source, subject)]"""
    with psycopg2.connect(site.stack.conninfo()) as c, c.cursor() as cursor:
        cursor.execute("SELECT outcome, convert_from(actor, 'UTF8'), convert_from(source, 'UTF8'), subject::text FROM auth.audit_intent "
                       "WHERE tenant = %s AND action = %s ORDER BY id", (tenant.id, action))
        return cursor.fetchall()


# --- roles --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("role", ROLES)
def test_role_holds_what_the_table_says(staff, role):
    assert staff[role].may() == {p for p in ALL if role in TABLE[p]}


@pytest.mark.parametrize("role", ROLES)
def test_every_read_asks_for_its_permission(staff, role):
    """Enforced by the services: each GET of the API is 403 exactly where the role lacks the permission."""
    wrong, asked = [], 0
    for op in contract.operations():
        if op.method != "GET" or not op.needs_key or op.permission in (None, "*") or op.streams:
            continue
        path = op.target({n: urllib.parse.quote(str(uuid.uuid4()) if n == "id" else {"direction": "outbound", "version": "1"}.get(n, "none.example"))
                          for n in op.names("path")})
        query = {p["name"]: contract.sample(p["schema"]) for p in op.parameters if p["in"] == "query" and p.get("required")}
        got = status(staff[role].api, "GET", path + ("?" + urllib.parse.urlencode(query) if query else ""))
        asked += 1
        holds = op.permission in TABLE and TABLE[op.permission] is not None and role in TABLE[op.permission]
        if (got == 403) == holds:
            wrong.append(f"{op.id} ({op.permission}) as {role}: {got}")
    assert asked > 25 and not wrong, "\n".join(wrong)


def test_own_role(tenant):
    name = "経理" + secrets.token_hex(3)
    path = "/v1/roles/" + urllib.parse.quote(name)
    made = tenant.api("PUT", path, {"description": "a test's", "permissions": ["queue.read"]})
    assert made["version"] == 1 and not made["built_in"]
    person = Person(tenant, [name])
    assert person.may() == {"queue.read"}
    assert status(tenant.api, "DELETE", path) == 409
    tenant.api("PUT", path, {"permissions": ["queue.read", "policy.read"]})
    assert person.may() == {"queue.read", "policy.read"}
    person.access()
    tenant.api("DELETE", path)
    assert status(tenant.api, "DELETE", path) == 404
    assert status(tenant.api, "PUT", "/v1/roles/operator", {"permissions": []}) == 409
    listed = {r["name"]: r for r in tenant.api("GET", "/v1/roles")["roles"]}
    assert set(ROLES) <= set(listed) and name not in listed


def test_group_gives_roles(tenant):
    person, name = Person(tenant), "営業部" + secrets.token_hex(3)
    path = "/v1/groups/" + urllib.parse.quote(name)
    tenant.api("PUT", path, {"members": [person.login], "roles": ["auditor"]})
    assert "audit.read" in person.may() and "message.send" not in person.may()
    why = {p["permission"]: p for p in tenant.api("GET", f"/v1/users/{person.id}/permissions")["permissions"]}
    assert why["audit.read"] == {"permission": "audit.read", "allowed": True, "why": [f"role auditor by group {name}"]}
    assert not why["policy.write"]["allowed"]
    tenant.api("DELETE", path)
    assert person.may() == {"message.send"}


# --- at the next request ------------------------------------------------------------------------------------------
def test_a_denial_bites_at_the_next_request(tenant):
    person = Person(tenant, ["operator"])
    for _ in range(5):
        assert status(person.api, "GET", "/v1/queue") == 200
        person.access(["operator"], ["-queue.read"])
        assert status(person.api, "GET", "/v1/queue") == 403
        person.access(["operator"])
    why = {p["permission"]: p for p in tenant.api("GET", f"/v1/users/{person.id}/permissions")["permissions"]}
    assert why["queue.read"]["why"] == ["role operator"]
    person.access(["operator", "auditor"], ["-queue.read", "+policy.write"])
    why = {p["permission"]: p for p in tenant.api("GET", f"/v1/users/{person.id}/permissions")["permissions"]}
    assert sorted(why["queue.read"]["why"]) == ["exception: denied", "role auditor", "role operator"] and not why["queue.read"]["allowed"]
    assert why["policy.write"] == {"permission": "policy.write", "allowed": True, "why": ["exception: allowed"]}


def test_a_denial_bites_at_the_next_mail(site, tenant):
    """In an SMTP session that is open already, and by the API."""
    address = f"p{secrets.token_hex(4)}@{tenant.domain}"
    person = Person(tenant, addresses=[address])
    made = tenant.api("POST", "/v1/keys", {"kind": "app_password", "name": "phone", "login": person.login})
    mail = {"from": address, "to": ["x@sink.example"], "subject": "s", "text": "t"}
    client = sites.submission(site.submission, made["login"], made["secret"])
    try:
        assert client.say(f"MAIL FROM:<{address}>")[0] == 250 and client.say("RSET")[0] == 250
        person.access([], ["-message.send"])
        refused = client.say(f"MAIL FROM:<{address}>")
        assert refused[0] // 100 == 5, refused
        assert status(person.api, "POST", "/v1/messages", mail) == 403
        person.access()
        assert client.say(f"MAIL FROM:<{address}>")[0] == 250
    finally:
        client.close()


def test_a_key_permits_no_more_than_its_scopes(tenant):
    person = Person(tenant, ["administrator"], scopes=["queue.read"])
    assert person.may() == {"queue.read"} and status(person.api, "GET", "/v1/users") == 403


def test_a_webhook_gives_nobody_what_he_may_not_read(tenant):
    """Where events go is decided by who may read them: with webhook.write alone, or with event.read denied, nobody makes, turns
    or replays a webhook; he may end it."""
    wish = {"url": "https://hooks.example.com/x", "enabled": False}
    scoped = Person(tenant, ["developer"], scopes=["webhook.read", "webhook.write"])
    denied = Person(tenant, ["developer"], ["-event.read"])
    well = Person(tenant, ["developer"])
    for p in (scoped, denied):
        path = "/v1/webhooks/" + well.api("POST", "/v1/webhooks", wish)["id"]
        assert [status(p.api, *a) for a in (
            ("POST", "/v1/webhooks", wish), ("PUT", path, wish | {"url": "https://hooks.example.com/y"}), ("PUT", path, wish | {"enabled": True}),
            ("PUT", path, wish | {"types": ["user.created"]}), ("POST", f"{path}/replay", {"from": 0}))] == [403] * 5
        assert not well.api("GET", path)["enabled"] and well.api("GET", path)["url"] == wish["url"]
        assert status(well.api, "PUT", path, wish | {"types": ["user.created"]}) == 200
        assert status(well.api, "POST", f"{path}/replay", {"from": 0}) == 200
        assert status(p.api, "GET", path) == 200 and status(p.api, "DELETE", path) == 200
    assert len(tenant.api("GET", "/v1/webhooks")["webhooks"]) == 0


def test_disabled_ends_everything_at_once(tenant):
    person = Person(tenant, ["operator"])
    assert status(person.api, "GET", "/v1/me") == 200
    person.update(disabled=True)
    assert status(person.api, "GET", "/v1/me") == 401
    person.update()
    assert status(person.api, "GET", "/v1/me") == 401  # what ended does not come back


# --- nobody gives what he does not have ----------------------------------------------------------------------------
def test_no_way_up(tenant, staff):
    """Somebody who manages people, with every way to become more than that."""
    tenant.api("PUT", "/v1/roles/people", {"permissions": ["role.read", "role.write", "user.read", "user.write", "key.read", "key.write", "message.send"]})
    hr, friend, boss = Person(tenant, ["people"]), Person(tenant), staff["administrator"]
    before, name = hr.may(), secrets.token_hex(4)
    tenant.api("PUT", f"/v1/groups/bosses{name}", {"members": [], "roles": ["administrator"]})
    attempts = [
        ("PUT", f"/v1/users/{hr.id}/access", {"roles": ["administrator"], "exceptions": []}),
        ("PUT", f"/v1/users/{hr.id}/access", {"roles": ["people"], "exceptions": [{"permission": "policy.write", "deny": False}]}),
        ("PUT", f"/v1/users/{friend.id}/access", {"roles": ["operator"], "exceptions": []}),
        ("PUT", f"/v1/users/{boss.id}/access", {"roles": [], "exceptions": []}),
        ("PUT", "/v1/roles/people", {"permissions": [*before, "policy.write"]}),
        ("PUT", f"/v1/roles/r{name}", {"permissions": ["policy.write"]}),
        ("PUT", f"/v1/groups/g{name}", {"members": [hr.login], "roles": ["administrator"]}),
        ("PUT", f"/v1/groups/bosses{name}", {"members": [hr.login], "roles": ["administrator"]}),
        ("DELETE", f"/v1/groups/bosses{name}", None),
        ("POST", "/v1/keys", {"kind": "api_key", "name": name, "permissions": ["policy.write"]}),
        ("POST", "/v1/keys", {"kind": "api_key", "name": name, "login": boss.login, "permissions": ["message.send"]}),
        ("POST", "/v1/keys", {"kind": "app_password", "name": name, "login": boss.login}),
        ("POST", f"/v1/keys/{boss.key_id}/rotate", {"overlap_seconds": 60}),
        ("DELETE", f"/v1/keys/{boss.key_id}", None),
        ("PUT", f"/v1/users/{boss.id}", {"display_name": "", "addresses": [], "disabled": True}),
        ("PUT", f"/v1/users/{boss.id}", {"display_name": "", "addresses": [], "disabled": False, "password": "a good password"}),
    ]
    got = [(status(hr.api, method, path, body), method, path) for method, path, body in attempts]
    assert [g for g in got if g[0] != 403] == []
    assert hr.may() == before and boss.may() == set(ALL)
    # And what is his to give works.
    assert status(hr.api, "PUT", f"/v1/users/{friend.id}/access", {"roles": ["people"], "exceptions": []}) == 200


def test_two_who_disable_each_other(site):
    """The only two administrators, at the same moment: one way in stays."""
    t = site.tenant()
    for _ in range(4):
        two = [Person(t, ["administrator"]) for _ in range(2)]
        own = [k["id"] for k in t.api("GET", "/v1/keys")["keys"] if k["login"] == "" and set(k["permissions"]) == set(ALL)]
        others = [p for p in t.api("GET", "/v1/users?limit=200")["users"] if "administrator" in p["roles"] and p["id"] not in (two[0].id, two[1].id)]
        for p in others:
            t.api("PUT", f"/v1/users/{p['id']}/access", {"roles": [], "exceptions": []})
        for key in own:
            assert status(two[0].api, "DELETE", f"/v1/keys/{key}") == 200
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            got = list(pool.map(lambda n: status(two[n].api, "PUT", f"/v1/users/{two[1 - n].id}",
                                                 {"display_name": "", "addresses": [], "disabled": True}), range(2)))
        # The second met a conflict, or its own end.
        assert sorted(got)[0] == 200 and sorted(got)[1] in (401, 403, 409), got
        alive = [p for p in two if status(p.api, "GET", "/v1/me") == 200]
        assert len(alive) == 1
        # The last one cannot end himself; the platform's key makes a tenant another way in.
        assert status(alive[0].api, "DELETE", f"/v1/keys/{alive[0].key_id}") == 409
        assert status(alive[0].api, "PUT", f"/v1/users/{alive[0].id}/access", {"roles": ["operator"], "exceptions": []}) == 409
        wish = {"kind": "api_key", "name": secrets.token_hex(4), "permissions": ALL, "tenant": t.id}
        assert status(alive[0].api, "POST", "/v1/keys", wish | {"tenant": str(uuid.uuid4())}) == 403
        t.key = site.api("POST", "/v1/keys", wish)["secret"]
        assert set(t.api("GET", "/v1/me")["permissions"]) == set(ALL)


# --- keys ----------------------------------------------------------------------------------------------------------
def test_rotation_overlaps(tenant):
    old = tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": secrets.token_hex(4), "permissions": ["queue.read"]})
    use = lambda key: status(tenant.site.api, "GET", "/v1/queue", key=key)  # noqa: E731
    new = tenant.api("POST", f"/v1/keys/{old['id']}/rotate", {"overlap_seconds": 3})
    ends = datetime.datetime.fromisoformat(new["old_expires_at"].replace("Z", "+00:00"))
    assert use(old["secret"]) == use(new["secret"]) == 200
    listed = {k["id"]: k for k in tenant.api("GET", "/v1/keys?limit=200")["keys"]}
    assert listed[old["id"]]["replaced_by"] == new["id"] and listed[new["id"]]["permissions"] == ["queue.read"]
    assert old["secret"].startswith(listed[old["id"]]["prefix"]) and old["secret"] not in str(listed)
    assert status(tenant.api, "POST", f"/v1/keys/{old['id']}/rotate", {"overlap_seconds": 3}) == 409
    while datetime.datetime.now(datetime.timezone.utc) < ends + datetime.timedelta(milliseconds=200):
        time.sleep(0.1)  # what is tried here is a time
    assert use(old["secret"]) == 401 and use(new["secret"]) == 200
    again = tenant.api("POST", f"/v1/keys/{new['id']}/rotate", {})
    assert use(new["secret"]) == 401 and use(again["secret"]) == 200
    assert status(tenant.api, "POST", f"/v1/keys/{again['id']}/rotate", {"overlap_seconds": 2592001}) == 422


def test_an_unknown_permission_says_where(tenant):
    person = Person(tenant)
    for method, path, body, where in (
            ("POST", "/v1/keys", {"kind": "api_key", "name": "x", "permissions": ["queue.read", "no.such"]}, "/permissions/1"),
            ("PUT", f"/v1/roles/r{secrets.token_hex(4)}", {"permissions": ["no.such"]}, "/permissions/0"),
            ("PUT", f"/v1/users/{person.id}/access", {"roles": [], "exceptions": [{"permission": "no.such", "deny": True}]}, "/exceptions/0")):
        with pytest.raises(sites.ApiError) as e:
            tenant.api(method, path, body)
        problem = json.loads(e.value.body)
        assert (e.value.status, problem["code"]) == (422, "invalid_field"), problem
        assert where in json.dumps(problem["errors"]), problem


def test_made_once_with_an_idempotency_key(tenant):
    head = {"Idempotency-Key": secrets.token_hex(8)}
    wish = {"kind": "api_key", "name": secrets.token_hex(4), "permissions": ["queue.read"]}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: tenant.api("POST", "/v1/keys", wish, headers=head), range(4)))
    assert len({m["secret"] for m in made}) == 1
    assert sum(k["name"] == wish["name"] for k in tenant.api("GET", "/v1/keys?limit=200")["keys"]) == 1


# --- the record -----------------------------------------------------------------------------------------------------
def test_changes_are_on_the_record(site, tenant):
    person = Person(tenant, ["operator"])
    mine = [e for e in entries(site, tenant, "user.access_changed") if e[3] == person.id]
    me = tenant.api("GET", "/v1/me")["account"]
    assert mine == [("ok", me, "127.0.0.1", person.id)]
    person.access(["operator"])  # nothing changes: recorded as what was asked for
    person.update()
    assert len([e for e in entries(site, tenant, "user.access_changed") if e[3] == person.id]) == 1
    for action in ("auth.user_access", "auth.user_update"):
        assert [e for e in entries(site, tenant, action) if e[3] == person.id] == [("ok", me, "127.0.0.1", person.id)], action
    assert status(person.api, "POST", "/v1/users", {"login": "x", "display_name": "", "addresses": []}) == 403
    assert ("denied", person.id, "127.0.0.1") in {e[:3] for e in entries(site, tenant, "auth.user_create")}


def test_logins_are_on_the_record(site, tenant):
    person = Person(tenant, addresses=[f"x{secrets.token_hex(4)}@{tenant.domain}"])
    made = tenant.api("POST", "/v1/keys", {"kind": "app_password", "name": "phone", "login": person.login})
    for _ in range(3):
        sites.submission(site.submission, made["login"], made["secret"]).close()
    good = [e for e in entries(site, tenant, "auth.login") if e[3] == person.id]
    assert [e[0] for e in good] == ["ok"]  # of one place and minute: one entry


def test_unknown_and_forbidden_look_alike(site, tenant):
    other = site.tenant()
    theirs = Person(other)
    for path in ("/v1/users/{}", "/v1/users/{}/permissions"):
        answers = []
        for ident in (theirs.id, str(uuid.uuid4())):
            with pytest.raises(sites.ApiError) as e:
                tenant.api("GET", path.format(ident))
            answers.append((e.value.status, e.value.body.split('"request_id"')[0].replace(ident, "")))
        assert answers[0] == answers[1] and answers[0][0] == 404
