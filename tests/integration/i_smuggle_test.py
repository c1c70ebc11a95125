# SPDX-License-Identifier: MIT
"""SMTP smuggling and STARTTLS injection, in and out: what is sent as one mail never becomes two for anybody, and nothing that
was said in clear counts after the handshake."""
import ssl

import pytest

from lib.wire import Client, Receiver, wait_for

# What some server somewhere takes for the end of a message.
ENDS = {
    "lf.lf": b"\n.\n", "lf.crlf": b"\n.\r\n", "crlf.lf": b"\r\n.\n", "crlf.cr": b"\r\n.\r", "cr.cr": b"\r.\r", "cr.lf": b"\r.\n",
    "lf.cr": b"\n.\r", "cr.crlf": b"\r.\r\n", "crcrlf.crcrlf": b"\r\r\n.\r\r\n", "crlf.crcrlf": b"\r\n.\r\r\n",
    "crcrlf.crlf": b"\r\r\n.\r\n", "lflf.lf": b"\n\n.\n", "lflf.crlf": b"\n\n.\r\n", "crlflf.lf": b"\r\n\n.\n", "lfcr.lfcr": b"\n\r.\n\r",
    "crlf.nul.crlf": b"\r\n.\0\r\n", "crlf.nul": b"\r\n\0.\r\n", "nul.crlf": b"\0\r\n.\n", "crlf.space": b"\r\n. \r\n",
    "crlf.tab": b"\r\n.\t\r\n", "space.crlf": b"\r\n .\r\n", "two.dots": b"\r\n..\r\n", "three.dots": b"\r\n...\r\n", "vt": b"\x0b.\x0b",
    "ff": b"\x0c.\x0c", "nel": b"\xc2\x85.\xc2\x85", "nel8": b"\x85.\x85", "ls": b"\xe2\x80\xa8.\xe2\x80\xa8", "lf.lf.crlf": b"\n.\n.\r\n",
    "crlf.lf.lf": b"\r\n.\n\n", "cr.lf.crlf": b"\r.\n\r\n", "crlf.cr.crlf": b"\r\n.\r\r\n\r\n", "crlf.lfcr": b"\r\n.\n\r",
    "bs": b"\r\n.\x08\r\n", "quoted": b"=0D=0A.=0D=0A", "split": b"\r\n.\x1b\r\n",
}
assert len(ENDS) >= 30
VICTIM = "victim@sink.example"


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as r:
        yield r


@pytest.fixture(scope="module")
def tenant(site, receiver):
    return site.tenant(next_hop=receiver.address, inbound=receiver.address)


def smuggled(tenant, end, second):
    """A body that holds the end and a second mail after it, each line as a lenient server would like it."""
    inner = tenant.mail(VICTIM, subject="smuggled", body=f"{second}\r\n", ident=f"{second}")
    return (b"first part" + end + b"MAIL FROM:<" + tenant.sender.encode() + b">\r\nRCPT TO:<" + VICTIM.encode() + b">\r\nDATA\r\n"
            + inner + b"\r\n")


def outside(talks):
    """What the receiver was sent that a lenient one would read as more than one mail."""
    bad = []
    for talk in talks:
        for who, octets in list(talk):
            if who != "d":
                continue
            inside = octets[:-len(b".\r\n")]
            bare = inside.replace(b"\r\n", b"")
            if b"\r" in bare or b"\n" in bare or b"\0" in inside or inside.startswith(b".\r\n") or b"\r\n.\r\n" in inside:
                bad.append(octets[:300])
    return bad


def deliver(tenant, receiver, chat, ident):
    """Has the conversation, then waits until whatever was accepted has arrived. Number of mails that arrived by it."""
    before = len(receiver.mails)
    chat()
    tenant.settled(60)
    assert all(VICTIM not in m.recipients for m in receiver.mails), f"{ident}: smuggled"
    assert not outside(receiver.conversations), outside(receiver.conversations)[:1]
    return len(receiver.mails) - before


@pytest.mark.parametrize("door", ["submission", "mx"])
@pytest.mark.parametrize("name", ENDS)
def test_end_of_data(site, tenant, receiver, door, name):
    accepted = []
    to = f"one@{'sink.example' if door == 'submission' else tenant.domain}"

    def chat():
        if door == "submission":
            c, sender = tenant.client(), tenant.sender
        else:
            c, sender = Client(site.mx), "outside@far.example"
            c.say("EHLO far.example")
        with c:
            assert c.envelope(sender, to)[0] == 250
            assert c.say("DATA")[0] == 354
            c.send(tenant.mail(to, sender=sender, body="") + smuggled(tenant, ENDS[name], f"{door}-{name}") + b".\r\n")
            got = c.reply()
            if got[0] == 250:
                accepted.append(got)
            # Whatever the server read as commands would be answered before this one.
            c.send(b"NOOP\r\nQUIT\r\n")
            replies = []
            while (got := c.reply())[0]:
                replies.append(got[0])
            assert replies in ([250, 221], []), f"the server took part of the message for commands: {replies}"

    assert deliver(tenant, receiver, chat, name) == len(accepted) <= 1


@pytest.mark.parametrize("name", ENDS)
def test_chunking(tenant, receiver, name):
    """BDAT counts octets: inside a chunk even CRLF.CRLF is text, and leaves us dot-stuffed."""
    accepted = []
    end = b"\r\n.\r\n" if name == "split" else ENDS[name]

    def chat():
        with tenant.client() as c:
            data = tenant.mail("one@sink.example", body="") + smuggled(tenant, end, f"bdat-{name}")
            assert c.envelope(tenant.sender, "one@sink.example")[0] == 250
            half = data.index(end) + 1  # cut inside the sequence
            c.send(b"BDAT %d\r\n" % half + data[:half])
            got = c.reply()
            if got[0] == 250:
                c.send(b"BDAT %d LAST\r\n" % (len(data) - half) + data[half:])
                got = c.reply()
            if got[0] == 250:
                accepted.append(got)
            elif got[0]:
                assert got[0] // 100 in (4, 5)

    assert deliver(tenant, receiver, chat, name) == len(accepted)
    if end == b"\r\n.\r\n":
        assert len(accepted) == 1 and b"\r\n.\r\nMAIL FROM" in receiver.mails[-1].data


def test_api_cannot_smuggle(site, tenant, receiver):
    """The other door in: raw MIME over HTTP with every sequence in it."""
    from lib.site import ApiError
    for name, end in ENDS.items():
        def chat(end=end, name=name):
            data = tenant.mail("one@sink.example", body="") + smuggled(tenant, end, f"api-{name}")
            try:
                site.api("POST", f"/v1/messages?sender={tenant.sender}&recipient=one@sink.example", data, key=tenant.send_key,
                         headers={"Content-Type": "message/rfc822"})
            except ApiError as e:
                assert 400 <= e.status < 500, e
        assert deliver(tenant, receiver, chat, f"api {name}") <= 1


def test_the_harmless_ones_got_through(receiver):
    """Otherwise all of the above would pass with every mail refused."""
    assert len(receiver.mails) >= 20


# --- STARTTLS, our server ------------------------------------------------------------------------------------
@pytest.mark.parametrize("extra", [b"NOOP\r\n", b"EHLO injected.example\r\n", b"RSET\r\nNOOP\r\n", b"MAIL FROM:<x@injected.example>\r\n",
                                   b"AUTH PLAIN AHgAeA==\r\n", b"NO", b"QUIT\r\n"])
@pytest.mark.parametrize("door", ["submission", "mx"])
def test_starttls_injection_into_us(site, door, extra):
    """What came in clear after STARTTLS is never answered inside TLS."""
    with Client(getattr(site, door)) as c:
        assert c.say("EHLO a.example")[0] == 250
        try:
            code, _ = c.starttls(extra)
        except (ssl.SSLError, ConnectionError, OSError):
            return  # refused to go on: safe
        if code != 220:
            return
        c.send(b"HELP\r\n")  # 214: no other command is answered so
        code, text = c.reply()
        assert code in (214, 0), f"an injected command was answered: {code} {text}"
        if code == 214:
            code, text = c.say("MAIL FROM:<y@y.example>")
            assert code in (503, 530), f"the session did not begin anew: {code} {text}"


def test_nothing_but_starttls_in_clear(site):
    """No AUTH and no mail on submission before TLS."""
    with Client(site.submission) as c:
        text = c.say("EHLO a.example")[1]
        assert "STARTTLS" in text and "AUTH" not in text
        assert c.say("AUTH PLAIN AHgAeA==")[0] in (503, 530, 538)
        assert c.say("MAIL FROM:<a@a.example>")[0] == 530


# --- STARTTLS, our client ------------------------------------------------------------------------------------
REPLIES = b"250-injected.example\r\n250-PIPELINING\r\n250 SMTPUTF8\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"


@pytest.mark.parametrize("extra", [REPLIES, b"250 ok\r\n" * 8, b"220 hello again\r\n", b"554 go away\r\n", b"2"])
def test_starttls_injection_by_the_next_hop(site, tenant, extra):
    """A next hop (or who sits before it) sends replies in clear right after its 220: none of them counts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(site.stack.run / "keys/tls.crt", site.stack.run / "keys/tls.key")
    with Receiver(tls=context, after_starttls=extra) as evil, Receiver(tls=context) as honest:
        tenant.route("outbound", evil.address, tls="encrypt")
        ident = f"inject{len(extra)}"
        to = f"{ident}@sink.example"
        assert tenant.send(tenant.mail(to, ident=ident), to)[0] == 250

        def tried():
            got = tenant.messages(recipient=to)
            r = got[0]["recipients"][0] if got else {"attempts": 0}
            return r if r["attempts"] >= 1 and r["state"] != "sending" else None

        r = wait_for("an attempt", tried)
        taken = [m for m in evil.mails if m.header("X-Bench-Id") == ident]
        assert all(m.tls for m in taken), "sent in clear"
        assert r["state"] == ("delivered" if taken else "deferred"), r
        for talk in evil.conversations:
            said = [line for who, line in list(talk) if who == "c"]
            tls = [i for i, line in enumerate(said) if line.upper().startswith(b"STARTTLS")]
            if tls and len(said) > tls[0] + 1:
                assert said[tls[0] + 1][:4].upper() == b"EHLO", "the session did not begin anew inside TLS"
        if not taken:  # it arrives as soon as the next hop behaves
            tenant.route("outbound", honest.address, tls="encrypt")
            assert tenant.api("POST", f"/v1/messages/{tenant.messages(recipient=to)[0]['id']}/release") is not None
            honest.wait(1)
