# SPDX-License-Identifier: MIT
"""Everything is held, the sender's address is dead, every DSN is asked for: it ends, with few messages."""
import pytest

from lib.site import policy
from lib.wire import Client, Receiver, wait_for

MAILS = 8


def dead(stage, value):
    """A world in which nobody exists."""
    return "550 5.1.1 no such user" if stage == "rcpt" else None


@pytest.fixture
def nowhere():
    with Receiver(verdict=dead) as r:
        yield r


def ended(site, tenant):
    """Every recipient final, nothing on its way: the messages there are."""
    def quiet():
        sum_ = tenant.conservation()
        assert sum_["holds"], sum_
        if sum_["terms"]["open"]:
            return None
        rows = site.stack.psql(f"""SELECT (SELECT count(*) FROM ingest.outbox WHERE tenant = '{tenant.id}'),
                                          (SELECT count(*) FROM delivery.due WHERE tenant = '{tenant.id}')""")
        return tenant.messages() if rows == [["0", "0"]] else None
    return wait_for("an end", quiet, 120)


def test_hold_all_dead_sender(site, nowhere):
    tenant = site.tenant(next_hop=nowhere.address, inbound=nowhere.address, rules=policy("hold", 1, incoming="pass"))
    for n in range(MAILS):
        to = f"r{n}@elsewhere.example"
        client = tenant.client()
        assert client.say(f"MAIL FROM:<{tenant.sender}> RET=FULL ENVID=e{n}")[0] == 250
        assert client.say(f"RCPT TO:<{to}> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;{to}")[0] == 250
        assert client.say("DATA")[0] == 354
        client.send(tenant.mail(to) + b".\r\n")
        assert client.reply()[0] == 250
        client.close()
    messages = ended(site, tenant)
    own = [m for m in messages if m["direction"] == "outgoing"]
    system = [m for m in messages if m["direction"] == "system"]
    assert len(own) == MAILS and all(r["state"] == "bounced" for m in own for r in m["recipients"])
    assert 1 <= len(system) <= MAILS, f"{len(system)} notices about {MAILS} mails"
    assert len(messages) == len(own) + len(system) <= 2 * MAILS
    for m in system:
        assert m["sender"] == "" and len(m["recipients"]) == 1
        assert m["recipients"][0]["state"] in ("bounced", "refused", "expired"), m
        assert not m["recipients"][0]["rule"] or m["recipients"][0]["state"] != "held"
    nulls = [line for talk in nowhere.conversations for who, line in list(talk) if who == "c" and line.upper().startswith(b"MAIL FROM:<>")]
    assert len(nulls) >= 1


def test_dead_sender_outside(site, nowhere):
    """Incoming mail that the tenant's server refuses: one notice to the sender, who is dead too."""
    tenant = site.tenant(next_hop=nowhere.address, inbound=nowhere.address, rules=policy("hold", 1, incoming="pass"))
    for n in range(MAILS):
        to = f"gone{n}@{tenant.domain}"
        with Client(site.mx) as c:
            c.say("EHLO far.example")
            assert c.envelope("dead@far.example", to)[0] == 250
            c.say("DATA")
            c.send(tenant.mail(to, sender="dead@far.example") + b".\r\n")
            assert c.reply()[0] == 250
    messages = ended(site, tenant)
    assert len([m for m in messages if m["direction"] == "incoming"]) == MAILS
    assert MAILS < len(messages) <= 2 * MAILS


def test_null_sender_makes_no_notice(site, nowhere):
    """A bounce that bounces ends there."""
    tenant = site.tenant(next_hop=nowhere.address, inbound=nowhere.address)
    to = f"gone@{tenant.domain}"
    with Client(site.mx) as c:
        c.say("EHLO far.example")
        assert c.envelope("", to)[0] == 250
        c.say("DATA")
        c.send(tenant.mail(to, sender="mailer-daemon@far.example") + b".\r\n")
        assert c.reply()[0] == 250
    assert len(ended(site, tenant)) == 1


def test_mail_in_a_circle_ends(site, receiver_loop):
    """The next hop gives every mail back to our own MX: the hop count ends it."""
    tenant, loop = receiver_loop
    to = f"circle@{tenant.domain}"
    with Client(site.mx) as c:
        c.say("EHLO far.example")
        assert c.envelope("outside@far.example", to)[0] == 250
        c.say("DATA")
        c.send(tenant.mail(to, sender="outside@far.example") + b".\r\n")
        assert c.reply()[0] == 250
    messages = ended(site, tenant)
    assert len(messages) <= 120, f"{len(messages)} messages from one"
    assert len([m for m in messages if m["direction"] == "incoming"]) >= 2, "it never went round"


@pytest.fixture
def receiver_loop(site):
    """A tenant whose inbound route is Sekisho's own MX."""
    tenant = site.tenant()
    tenant.route("inbound", site.mx)
    tenant.route("outbound", site.mx)
    return tenant, site.mx
