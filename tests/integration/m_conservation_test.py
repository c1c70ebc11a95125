# SPDX-License-Identifier: MIT
"""keeper's count can say no: rows that break law 2, written past the services, are noticed and listed by id, for the
tenant they belong to only; and partitions are made ahead."""
import uuid

import pytest

from lib.wire import Receiver, wait_for


@pytest.fixture(scope="module")
def site(own_site):
    return own_site


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as r:
        yield r


def admin(site, tenant, sql):
    """As the superuser of the cluster, who is not bound by row-level security."""
    return site.stack.psql(sql.replace("$T", f"'{tenant.id}'"))


def delivered(tenant, *recipients):
    """A mail that was delivered to each; its id."""
    code, text = tenant.send(tenant.mail(recipients[0]), *recipients)
    assert code == 250, text
    tenant.settled()
    return tenant.messages()[0]["id"]


def insert_leg(site, tenant, message, number, state="delivered", cause="envelope", address="x@sink.example"):
    admin(site, tenant, "INSERT INTO delivery.leg (tenant, message, number, address, domain, state, cause) VALUES "
                        f"($T, '{message}', {number}, '{address}', 'sink.example', '{state}', '{cause}')")


def test_every_term_of_an_honest_tenant(site, receiver):
    tenant = site.tenant(next_hop=receiver.address)
    assert tenant.conservation()["terms"] | {"accepted": 0} == tenant.conservation()["terms"]
    delivered(tenant, "a@sink.example", "b@sink.example")
    sum_ = tenant.conservation()
    assert sum_["holds"] and not sum_["violations"]
    assert sum_["terms"]["accepted"] == sum_["terms"]["delivered"] == 2


@pytest.mark.parametrize("what, break_it, words", [
    ("a leg of nothing", lambda s, t, m: insert_leg(s, t, uuid_now(s), 0), "nothing was accepted"),
    ("a number too many", lambda s, t, m: insert_leg(s, t, m, 1), "more than were accepted"),
    ("another address", lambda s, t, m: admin(s, t, f"UPDATE delivery.leg SET address = 'z@sink.example' WHERE tenant = $T AND message = '{m}'"),
     "not the address accepted"),
    ("an added one in its place", lambda s, t, m: admin(s, t, f"UPDATE delivery.leg SET cause = 'journal' WHERE tenant = $T AND message = '{m}'"),
     "in the place of an accepted one"),
    ("a leg that nothing takes up", lambda s, t, m: admin(s, t, f"UPDATE delivery.leg SET state = 'queued' WHERE tenant = $T AND message = '{m}'"),
     "due at no time"),
    ("accepted long ago", lambda s, t, m: admin(s, t, f"DELETE FROM delivery.leg WHERE tenant = $T AND message = '{m}'; UPDATE ingest.acceptance "
     f"SET accepted_at = now() - interval '11 minutes' WHERE tenant = $T AND id = '{m}'"), "no leg yet"),
])
def test_a_violation_is_listed(site, receiver, what, break_it, words):
    tenant, neighbour = site.tenant(next_hop=receiver.address), site.tenant(next_hop=receiver.address)
    message = delivered(tenant, "a@sink.example")
    break_it(site, tenant, message)
    sum_ = tenant.conservation()
    assert not sum_["holds"], what
    assert len(sum_["violations"]) == 1 and words in sum_["violations"][0], sum_
    assert neighbour.conservation()["holds"]


def test_a_lost_leg_is_open_not_gone(site, receiver):
    """Deleted behind delivery's back: the recipient is counted as waiting, so it is not lost from sight."""
    tenant = site.tenant(next_hop=receiver.address)
    message = delivered(tenant, "a@sink.example", "b@sink.example")
    admin(site, tenant, f"DELETE FROM delivery.leg WHERE tenant = $T AND message = '{message}' AND number = 1")
    terms = tenant.conservation()["terms"]
    assert (terms["accepted"], terms["delivered"], terms["open"]) == (2, 1, 1)


def test_added_recipients_count_on_both_sides(site, receiver):
    tenant = site.tenant(next_hop=receiver.address)
    message = delivered(tenant, "a@sink.example")
    insert_leg(site, tenant, message, 1, state="held", cause="journal")
    admin(site, tenant, f"INSERT INTO delivery.due (tenant, message, number, kind, due_at) VALUES ($T, '{message}', 1, 'hold', '9999-01-01')")
    sum_ = tenant.conservation()
    assert sum_["holds"]
    assert (sum_["terms"]["accepted"], sum_["terms"]["added"], sum_["terms"]["open"]) == (1, 1, 1)


def test_the_platform_sees_all_tenants_a_tenant_its_own(site, receiver):
    tenant = site.tenant(next_hop=receiver.address)
    everybody = site.api("GET", "/v1/conservation")["tenants"]
    own = tenant.api("GET", "/v1/conservation")["tenants"]
    assert len(own) == 1 and len(everybody) > 1
    assert own[0]["tenant"] == tenant.id and tenant.id in [t["tenant"] for t in everybody]


@pytest.mark.parametrize("state, violated", [
    ("held", True), ("queued", True), ("sending", True), ("deferred", True), ("uncertain", True), ("quarantined", True),
    ("delivered", False), ("bounced", False), ("refused", False), ("discarded", False), ("expired", False)])
def test_what_is_not_final_is_due(site, receiver, one, state, violated):
    tenant, message = one
    admin(site, tenant, f"UPDATE delivery.leg SET state = '{state}' WHERE tenant = $T AND message = '{message}'")
    assert tenant.conservation()["holds"] is not violated


@pytest.fixture(scope="module")
def one(site, receiver):
    """(tenant, id) of one delivered mail."""
    tenant = site.tenant(next_hop=receiver.address)
    return tenant, delivered(tenant, "a@sink.example")


def test_keeper_sees_what_it_counts_and_no_more(site):
    for table in ("ingest.acceptance", "ingest.outbox", "delivery.message", "delivery.leg", "delivery.due", "content.chunk"):
        with pytest.raises(RuntimeError, match="permission denied"):
            site.stack.psql(f"SELECT * FROM {table}", name="keeper")
    for table, columns in (("ingest.acceptance", "mail_from, event, sha256"), ("delivery.leg", "reply, remote, rule, orcpt, decided_by"),
                           ("delivery.due", "lease_owner, due_at")):
        for column in columns.split(", "):
            with pytest.raises(RuntimeError, match="permission denied"):
                site.stack.psql(f"SELECT {column} FROM {table}", name="keeper")


def test_partitions_are_made_again(site):
    """A month that is missing is made by a keeper that starts."""
    parents = {r[0] for r in site.stack.psql("SELECT parent FROM sekisho.partitioned")}
    assert {"ingest.acceptance", "delivery.leg", "content.chunk"} <= parents
    last = site.stack.psql("SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + interval '2 months', '_YYYY_MM')")[0][0]
    count = f"SELECT count(*) FROM pg_class WHERE relname LIKE '%{last}' AND relispartition AND relkind = 'r'"
    before = site.stack.psql(count)
    site.stack.psql(f"DROP TABLE delivery.leg{last}")
    assert site.stack.psql(count) != before
    site.stack.restart("keeper")
    wait_for("the partition", lambda: site.stack.psql(count) == before)


def uuid_now(site):
    """A version 7 id of this moment, so that a partition holds it."""
    floor = site.stack.psql("SELECT sekisho.uuid_floor(now())")[0][0]
    return uuid.UUID(int=uuid.UUID(floor).int | uuid.uuid4().int & 0xFFFFFFFFFFFF)
