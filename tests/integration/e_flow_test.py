# SPDX-License-Identifier: MIT
"""A mail goes in and comes out: every octet as it was, under one new header block, signed so that two independent
verifiers agree; in by submission and by MX."""
import concurrent.futures
import re

import pytest

from lib import corpus, dkim_check
from lib.wire import Client, Receiver

COUNT = 1000
THREADS = 8
HEADER = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*")


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as r:
        yield r


@pytest.fixture(scope="module")
def tenant(site, receiver):
    return site.tenant(next_hop=receiver.address, inbound=receiver.address)


def added_header(got, sent):
    """What stands above the mail that was sent; None if it is not there as it was."""
    if not got.endswith(sent):
        return None
    above = got[:len(got) - len(sent)]
    return above if HEADER.fullmatch(above) else None


def test_one_mail(tenant, receiver):
    data = tenant.mail("one@sink.example", body="one\r\n.leading dot\r\n..\r\n")
    code, text = tenant.send(data, "one@sink.example")
    assert code == 250, text
    got = receiver.wait(1, match=lambda m: "one@sink.example" in m.recipients)[0]
    above = added_header(got.data, data)
    assert above is not None, got.data
    assert b"Received:" in above and above.count(b"DKIM-Signature:") == 2, above
    assert dkim_check.dkimpy_verified(got.data, tenant.records, tenant.domain) == (2, 2)


def test_a_changed_octet_breaks_the_signature(tenant, receiver, tmp_path):
    """The verifiers can say no."""
    got = receiver.wait(1)[0].data
    for bad in (got.replace(b"one\r\n", b"two\r\n"), re.sub(rb"(?m)^Subject: hello", b"Subject: hallo", got)):
        assert bad != got
        assert dkim_check.dkimpy_verified(bad, tenant.records, tenant.domain) == (0, 2)
        assert dkim_check.opendkim_verified(tmp_path, [bad, got], tenant.records) == {1}


def test_incoming_by_mx(site, tenant, receiver):
    """From outside to the tenant's domain; no signature of ours on other people's mail."""
    to = f"anybody@{tenant.domain}"
    data = tenant.mail(to, sender="outside@far.example", body="from outside\r\n")
    with Client(site.mx) as c:
        assert c.say("EHLO far.example")[0] == 250
        assert c.envelope("outside@far.example", to)[0] == 250
        assert c.say("DATA")[0] == 354
        c.send(data + b".\r\n")
        assert c.reply()[0] == 250
    got = receiver.wait(1, match=lambda m: to in m.recipients)[0]
    assert added_header(got.data, data) is not None, got.data
    assert b"DKIM-Signature:" not in got.data


def test_no_open_relay(site):
    with Client(site.mx) as c:
        c.say("EHLO far.example")
        code, text = c.envelope("outside@far.example", "victim@elsewhere.example")
        assert 550 <= code <= 554, (code, text)


def test_only_own_sender(tenant):
    code, text = tenant.send(tenant.mail("x@sink.example"), "x@sink.example", sender="ceo@somebody.example")
    assert code // 100 == 5, (code, text)


def send_part(tenant, entries):
    bad = []
    client = tenant.client()
    for entry in entries:
        code, text = tenant.send(entry.data, *entry.recipients, client=client, options=entry.options)
        if code != 250:
            bad.append(f"{entry.name}: {code} {text}")
            client.close()
            client = tenant.client()
    client.close()
    return bad


@pytest.fixture(scope="module")
def varied(tenant, receiver):
    entries = list(corpus.make(COUNT, tenant.sender, "sink.example"))
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        refused = sum(pool.map(lambda i: send_part(tenant, entries[i::THREADS]), range(THREADS)), [])
    assert not refused, f"{len(refused)} not accepted:\n" + "\n".join(refused[:30])
    wanted = sum(len(e.recipients) for e in entries)
    receiver.wait(1, 180, match=lambda m: True)
    tenant.settled(180)
    got = {}
    for mail in receiver.mails:
        got.setdefault(mail.header("X-Bench-Id"), []).append(mail)
    delivered = sum(len(m.recipients) for e in entries for m in got.get(e.name, ()))
    assert delivered == wanted
    return entries, got


def test_varied_mails_are_untouched(varied):
    entries, got = varied
    bad = [e.name for e in entries for m in got[e.name] if added_header(m.data, e.data) is None]
    assert not bad, f"{len(bad)} changed: {bad[:20]}"


def test_varied_mails_recipients(varied):
    entries, got = varied
    bad = [e.name for e in entries if sorted(r for m in got[e.name] for r in m.recipients) != sorted(e.recipients)]
    assert not bad, bad[:20]


def test_varied_mails_dkimpy(varied, tenant):
    entries, got = varied
    bad = []
    for e in entries:
        for m in got[e.name]:
            if dkim_check.dkimpy_verified(m.data, tenant.records, tenant.domain) != (2, 2):
                bad.append(e.name)
    assert not bad, f"{len(bad)}: {bad[:20]}"


def test_varied_mails_opendkim(varied, tenant, tmp_path):
    entries, got = varied
    # opendkim looks for the sender's domain among all signatures; the one of a list that was there before is not ours to fix
    mails = [(e.name, m.data) for e in entries for m in got[e.name] if "signed_elsewhere" not in e.name]
    good = dkim_check.opendkim_verified(tmp_path, [data for _, data in mails], tenant.records)
    bad = [name for i, (name, _) in enumerate(mails) if i not in good]
    assert not bad, f"{len(bad)} of {len(mails)}: {bad[:20]}"


def test_seven_bit_next_hop(site, tenant):
    """A next hop without 8BITMIME gets a 7-bit variant that is signed as it is sent; the text stays the same."""
    import email
    import email.policy
    with Receiver(extensions=("PIPELINING",)) as old:
        tenant.route("outbound", old.address)
        text = "日本語の本文です。\r\n"
        data = (f"Date: Sun, 22 Nov 2026 12:00:00 +0900\r\nFrom: <{tenant.sender}>\r\nTo: <old@old.example>\r\nSubject: x\r\n"
                f"Message-ID: <seven@{tenant.domain}>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                f"Content-Transfer-Encoding: 8bit\r\n\r\n{text}").encode()
        assert tenant.send(data, "old@old.example", options=" BODY=8BITMIME")[0] == 250
        got = old.wait(1)[0]
        assert got.data.isascii()
        parsed = email.message_from_bytes(got.data, policy=email.policy.SMTP)
        assert parsed.get_content().replace("\r\n", "\n").strip() == text.strip()
        assert dkim_check.dkimpy_verified(got.data, tenant.records, tenant.domain) == (2, 2)


def test_tls_to_next_hop_is_recorded(site, tenant):
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.stack.run / "keys/tls.crt", site.stack.run / "keys/tls.key")
    with Receiver(tls=context) as secure:
        tenant.route("outbound", secure.address)
        assert tenant.send(tenant.mail("tls@sink.example"), "tls@sink.example")[0] == 250
        assert secure.wait(1)[0].tls.startswith("TLSv1.")
        tenant.settled()
        shown = tenant.messages(recipient="tls@sink.example")[0]["recipients"][0]
        assert shown["state"] == "delivered" and shown["tls"].startswith("TLSv1."), shown


def test_conservation(tenant):
    sum_ = tenant.settled()
    terms = sum_["terms"]
    assert terms["accepted"] > COUNT and terms["accepted"] + terms["added"] == sum(
        terms[t] for t in terms if t not in ("accepted", "added"))
