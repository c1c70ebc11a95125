# SPDX-License-Identifier: MIT
"""The SMTP door from outside: what breaks the rules is refused and nothing else; limits; PROXY; who may send as whom; what is
on the record; a client that leaves; a message on which the scanner dies."""
import contextlib
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import urllib.request

import pytest

from lib.site import policy, stuffed
from lib.wire import Client, wait_for

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*" + b"\r\n"


@pytest.fixture(scope="module")
def tenant(site):
    return site.tenant(rules=policy(action="hold", seconds=3600))


def metric(stack, name, label=""):
    text = urllib.request.urlopen(f"http://127.0.0.1:{stack.ports['ingest-health']}/metrics", timeout=10).read().decode()
    found = re.search(rf"^{re.escape(name + label)} (\S+)$", text, re.M)
    return float(found[1])


def outside(site, to, data, options=""):
    """A mail from the internet; (code, text) of the last reply."""
    with Client(site.mx) as c:
        c.say("EHLO far.example")
        got = c.envelope("a@far.example", to, options=options)
        if got[0] == 250 and c.say("DATA")[0] == 354:
            c.send(stuffed(data) + b".\r\n")
            got = c.reply()
        return got


def id_of(reply):
    assert reply[0] == 250, reply
    return re.search(r"[0-9a-f-]{36}", reply[1])[0]


def intents(stack, action, tenant):
    return stack.psql(f"SELECT encode(detail, 'escape') FROM ingest.audit_intent WHERE tenant = '{tenant.id}' AND action = '{action}'")


# --- grammar -------------------------------------------------------------------------------------------------
VIOLATIONS = {
    "http": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "tls hello in clear": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100 + b"\n",
    "nul": b"NOOP \0\r\n", "no hello": b"MAIL FROM:<a@b.example>\r\n", "bare lf": b"NOOP\n", "bare cr": b"NOOP\rNOOP\r\n",
    "long line": b"NOOP " + b"x" * 100_000 + b"\r\n", "no brackets": b"EHLO a.example\r\n|MAIL FROM:a@b.example\r\n",
    "two ats": b"EHLO a.example\r\n|MAIL FROM:<a@b@c.example>\r\n", "control in address": b"EHLO a.example\r\n|MAIL FROM:<a\x01@b.example>\r\n",
    "8 bit without smtputf8": "EHLO a.example\r\n|MAIL FROM:<é@b.example>\r\n".encode(), "bad utf8": b"EHLO a.example\r\n|MAIL FROM:<\xff@b.example> SMTPUTF8\r\n",
    "unknown parameter": b"EHLO a.example\r\n|MAIL FROM:<a@b.example> FOO=1\r\n", "size twice": b"EHLO a.example\r\n|MAIL FROM:<a@b.example> SIZE=1 SIZE=2\r\n",
    "size huge": b"EHLO a.example\r\n|MAIL FROM:<a@b.example> SIZE=99999999999\r\n", "binarymime": b"EHLO a.example\r\n|MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n",
    "notify never and more": b"EHLO a.example\r\n|MAIL FROM:<a@b.example>\r\n|RCPT TO:<a@b.example> NOTIFY=NEVER,DELAY\r\n",
    "bdat negative": b"EHLO a.example\r\n|BDAT -5\r\n", "bdat without mail": b"EHLO a.example\r\n|BDAT 1 LAST\r\nx", "data without mail": b"EHLO a.example\r\n|DATA\r\n",
    "our own parameter": b"EHLO a.example\r\n|MAIL FROM:<a@b.example> XSEKISHO-IDEMPOTENCY=a\r\n", "auth on mx": b"EHLO a.example\r\n|AUTH PLAIN AGEAYg==\r\n",
    "actor on mx": b"EHLO a.example\r\n|AUTH XSEKISHO-ACTOR YQ==\r\n", "expn": b"EHLO a.example\r\n|EXPN staff\r\n", "turn": b"EHLO a.example\r\n|TURN\r\n",
    "snowman": "EHLO a.example\r\n|MAIL FROM:<a@☃.example> SMTPUTF8\r\n".encode(), "bad a-label": b"EHLO a.example\r\n|MAIL FROM:<a@xn--n3h.example>\r\n",
    "control in envid": b"EHLO a.example\r\n|MAIL FROM:<a@b.example> ENVID=a+0D+0Ab\r\n",
    "mail with ehlo": b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\n",
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation(site, name):
    """A 5xx or the end of the connection, and the server goes on."""
    with Client(site.mx) as c:
        code = None
        for step in VIOLATIONS[name].split(b"|"):
            c.send(step)
            code, text = c.reply()
        assert code == 0 or code // 100 == 5, (code, text)
        if code and name not in ("no hello",):
            assert re.match(r"5\.\d+\.\d+ ", text) or b"EHLO" not in VIOLATIONS[name], text
    assert site.stack.starts("ingest") == 1
    with Client(site.mx) as c:
        assert c.say("EHLO a.example")[0] == 250


def test_before_the_greeting(site):
    with socket.create_connection(("127.0.0.1", site.stack.ports["mx"])) as s:
        s.sendall(b"EHLO a.example\r\nMAIL FROM:<a@b.example>\r\n")
        s.settimeout(10)
        got = b"".join(iter(lambda: s.recv(4096), b""))
    # Either we saw it in time, or the EHLO is refused because something came behind it.
    assert re.search(rb"^5\d\d", got, re.M) and b"250" not in got


def test_too_many_errors(site):
    with Client(site.mx) as c:
        codes = [c.say("WHAT")[0] for _ in range(30)]
    assert 421 in codes or 0 in codes


def test_auth_only_under_tls(site, tenant):
    with Client(site.submission) as c:
        assert "AUTH" not in c.say("EHLO a.example")[1]
        assert c.login(tenant.user, tenant.password)[0] // 100 == 5
        assert c.say(f"MAIL FROM:<{tenant.sender}>")[0] == 530
    with Client(site.submissions, tls=True) as c:
        assert "AUTH PLAIN LOGIN" in c.say("EHLO a.example")[1]
        assert c.login(tenant.user, tenant.password)[0] == 235


# --- who, and the record -------------------------------------------------------------------------------------
def test_only_as_oneself(site, tenant):
    boss = f"boss@{tenant.domain}"
    assert tenant.send(tenant.mail("x@far.example"), "x@far.example", sender=boss)[0] == 550
    assert tenant.send(tenant.mail("x@far.example", sender=boss), "x@far.example")[0] == 550
    assert tenant.send(tenant.mail("x@far.example").replace(b"From:", b"X-From:"), "x@far.example")[0] == 554
    assert len(intents(site.stack, "mail.sender_refused", tenant)) == 1
    assert sum('"from-header"' in row[0] for row in intents(site.stack, "mail.refused", tenant)) == 2
    assert tenant.messages() == []


@pytest.mark.parametrize("domain", ["☃.example", "€.example", "a\u200bb.example", "\u0301a.example", "aא.example", "é" * 60 + ".example", "xn--n3h.example"])
def test_recipient_that_cannot_be(tenant, domain):
    """Refused at the door: delivery could do nothing with it."""
    with tenant.client() as c:
        assert c.say(f"MAIL FROM:<{tenant.sender}> SMTPUTF8")[0] == 250
        code, text = c.say(f"RCPT TO:<a@{domain}>")
        assert code == 550 and text.startswith("5.1.3"), (code, text)
        assert c.say("RCPT TO:<a@例え.example>")[0] == 250


def test_from_that_is_no_address(site, tenant):
    data = tenant.mail("x@far.example").replace(f"From: <{tenant.sender}>".encode(), f"From: <{tenant.sender}> <x@else.example>".encode())
    assert tenant.send(data, "x@far.example")[0] // 100 == 5
    assert tenant.messages() == []


def test_no_relay_and_one_tenant(site, tenant):
    other = site.tenant()
    with Client(site.mx) as c:
        c.say("EHLO far.example")
        assert c.envelope("a@far.example", "x@nobody.example")[0] == 550
        assert c.say(f"RCPT TO:<x@{tenant.domain}>")[0] == 250
        code, text = c.say(f"RCPT TO:<x@{other.domain}>")
        assert code == 451 and text.startswith("4.5.3")


def test_virus(site, tenant):
    code, text = tenant.send(tenant.mail("x@far.example") + EICAR, "x@far.example")
    assert code == 550 and "EICAR" in text.upper(), text
    assert any("infected" in row[0] for row in intents(site.stack, "mail.refused", tenant))
    ident = id_of(outside(site, f"in@{tenant.domain}", tenant.mail(f"in@{tenant.domain}") + EICAR))
    shown = wait_for("it is in delivery", lambda: [m for m in tenant.messages() if m["id"] == ident])
    assert [r["state"] for r in shown[0]["recipients"]] == ["quarantined"]


def test_loop(site, tenant):
    data = b"Received: from a by b; Sun, 22 Nov 2026 12:00:00 +0900\r\n" * 51 + tenant.mail(f"in@{tenant.domain}")
    assert outside(site, f"in@{tenant.domain}", data)[0] == 554


def test_words_of_a_refusal(site):
    words = "社外秘は送れません"
    t = site.tenant(rules=policy(rules=[{"id": "r", "name": "r", "when": {"keyword": {"words": ["confidential"]}},
                                         "then": {"action": "refuse", "message": words}}]))
    data = t.mail("x@far.example", subject="confidential")
    code, text = t.send(data, "x@far.example", options=" SMTPUTF8")
    assert code == 550 and words in text
    code, text = t.send(data, "x@far.example")
    assert code == 550 and text.isascii() and "reference" in text
    reference = re.search(r"[0-9a-f-]{36}", text)[0]
    rows = site.stack.psql(f"SELECT outcome FROM ingest.audit_intent WHERE subject = '{reference}'")
    assert rows == [["denied"]]


def test_dsn_parameters_reach_the_event(site, tenant):
    with tenant.client() as c:
        assert c.say(f"MAIL FROM:<{tenant.sender}> RET=HDRS ENVID=Q+2B1")[0] == 250
        assert c.say("RCPT TO:<x@far.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first@far.example")[0] == 250
        assert c.say("DATA")[0] == 354
        c.send(stuffed(tenant.mail("x@far.example")) + b".\r\n")
        ident = id_of(c.reply())
    for part in ("Q+1", "HDRS", "SUCCESS,DELAY", "rfc822;first@far.example"):
        assert site.stack.psql(f"SELECT position('{part}'::bytea IN event) > 0 FROM ingest.acceptance WHERE id = '{ident}'") == [["t"]], part


def test_body_is_stored_as_received(site, tenant):
    """Size in the acceptance is that of the octets, dots undone, whatever the way they came."""
    data = tenant.mail("x@far.example", body=".dot\r\n..\r\n")
    ident = id_of(tenant.send(data, "x@far.example"))
    with tenant.client() as c:
        c.envelope(tenant.sender, "x@far.example")
        c.send(b"BDAT 10\r\n" + data[:10] + b"BDAT %d LAST\r\n" % (len(data) - 12) + data[10:-2])  # without its last CRLF
        assert c.reply()[0] == 250
        chunked = id_of(c.reply())
    sizes = site.stack.psql(f"SELECT size FROM ingest.acceptance WHERE id IN ('{ident}', '{chunked}')")
    assert sizes == [[str(len(data))]] * 2


# --- breaking things -----------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def fragile(own_site):
    return own_site.tenant(rules=policy(action="hold", seconds=3600))


def test_client_that_leaves_before_the_commit(own_site, fragile):
    stack, label = own_site.stack, '{outcome="abandoned"}'
    before = metric(stack, "sekisho_ingest_mails_total", label)
    accepted = stack.psql("SELECT count(*) FROM ingest.acceptance")
    client = fragile.client()
    assert client.envelope(fragile.sender, "x@far.example")[0] == 250
    assert client.say("DATA")[0] == 354
    stack.kill("policy", signal.SIGSTOP)
    try:
        client.send(stuffed(fragile.mail("x@far.example")) + b".\r\n")
        wait_for("it is being judged", lambda: metric(stack, "sekisho_ingest_scanning_seconds_count") > 0 and
                 metric(stack, "sekisho_ingest_connections", '{listener="submission"}') == 1)
        client.sock.close()
        client.file.close()
        wait_for("ingest noticed", lambda: metric(stack, "sekisho_ingest_connections", '{listener="submission"}') == 0)
    finally:
        stack.kill("policy", signal.SIGCONT)
    wait_for("abandoned", lambda: metric(stack, "sekisho_ingest_mails_total", label) +
             metric(stack, "sekisho_ingest_mails_total", '{outcome="deferred"}') > before)
    assert stack.psql("SELECT count(*) FROM ingest.acceptance") == accepted


def test_proxy_header(own_site, fragile):
    stack = own_site.stack
    stack.restart("ingest", {"SEKISHO_INGEST_PROXY_TRUSTED": "127.0.0.1"})
    try:
        header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton("192.0.2.77") + socket.inet_aton("127.0.0.1") + b"\0\x19\0\x19"
        with socket.create_connection(("127.0.0.1", stack.ports["mx"])) as s, s.makefile("rwb") as f:
            s.sendall(header)
            assert f.readline().startswith(b"220")
            data = stuffed(fragile.mail(f"in@{fragile.domain}"))
            for line in (b"HELO far.example", b"MAIL FROM:<a@far.example>", f"RCPT TO:<in@{fragile.domain}>".encode(), b"DATA",
                         data + b"."):
                s.sendall(line + b"\r\n")
                last = f.readline()
            ident = id_of((int(last[:3]), last.decode()))
        with socket.create_connection(("127.0.0.1", stack.ports["mx"])) as s:
            s.sendall(b"EHLO no.header.example\r\n")
            s.settimeout(10)
            with contextlib.suppress(ConnectionResetError):
                assert s.recv(100) == b""
        assert stack.psql(f"SELECT position('192.0.2.77'::bytea IN event) > 0 FROM ingest.acceptance WHERE id = '{ident}'") == [["t"]]
    finally:
        stack.restart("ingest", {"SEKISHO_INGEST_PROXY_TRUSTED": ""})


def test_limits(own_site):
    stack = own_site.stack
    stack.restart("ingest", {"SEKISHO_INGEST_MAX_CONN_PER_ADDR": "3", "SEKISHO_INGEST_IDLE": "1s", "SEKISHO_INGEST_MAX_SIZE": "10K"})
    try:
        clients = [Client(own_site.mx) for _ in range(4)]
        assert [c.banner[0] for c in clients] == [220, 220, 220, 421]
        assert "SIZE 10240" in clients[0].say("EHLO a.example")[1]
        assert clients[0].say("MAIL FROM:<a@far.example> SIZE=10241")[0] == 552
        assert clients[1].reply()[0] == 421  # idle for too long
    finally:
        stack.restart("ingest", {"SEKISHO_INGEST_MAX_CONN_PER_ADDR": "200", "SEKISHO_INGEST_IDLE": "5m", "SEKISHO_INGEST_MAX_SIZE": "50M"})


def half_a_mail(site, to, octets, source=None):
    """A client in the middle of its message, which has sent so many octets."""
    c = Client(site.mx, source=source)
    c.say("EHLO far.example")
    assert c.envelope("a@far.example", to)[0] == 250
    assert c.say("DATA")[0] == 354
    line = b"x" * 998 + b"\r\n"
    c.send(b"Subject: half\r\n\r\n" + line * (octets // len(line)))
    return c


def test_nobody_fills_the_memory(own_site, fragile):
    """Eight connections of one address, each with most of a message: others still get their mail in."""
    stack, other = own_site.stack, own_site.tenant()
    stack.restart("ingest", {"SEKISHO_INGEST_MEMORY": "16M", "SEKISHO_INGEST_MAX_SIZE": "2M"})
    try:
        held = [half_a_mail(own_site, f"in@{fragile.domain}", 1_900_000) for _ in range(8)]
        wait_for("the share is full", lambda: metric(stack, "sekisho_ingest_message_bytes") >= 1_900_000)
        other_way = half_a_mail(own_site, f"in@{other.domain}", 1_500_000, source="127.0.0.2")
        other_way.send(b".\r\n")
        assert other_way.reply()[0] == 250
        assert other.submit("x@far.example")
        assert metric(stack, "sekisho_ingest_message_bytes") <= 4 << 20
        codes = []
        for c in held:
            c.send(b".\r\n")
            codes.append(c.reply()[0])
            c.close()
        assert set(codes) == {250, 452}, codes
        wait_for("all is given back", lambda: metric(stack, "sekisho_ingest_message_bytes") == 0)
    finally:
        stack.restart("ingest", {"SEKISHO_INGEST_MEMORY": "512M", "SEKISHO_INGEST_MAX_SIZE": "50M"})


@pytest.mark.parametrize("limits, words", [({"SEKISHO_INGEST_DATA_RATE": "1K"}, "too slowly"), ({"SEKISHO_INGEST_DATA_TIMEOUT": "2s"}, "too long")])
def test_message_that_does_not_end(own_site, fragile, limits, words):
    stack = own_site.stack
    usual = {"SEKISHO_INGEST_DATA_STRETCH": "1m", "SEKISHO_INGEST_DATA_RATE": "0", "SEKISHO_INGEST_DATA_TIMEOUT": "20m"}
    stack.restart("ingest", usual | {"SEKISHO_INGEST_DATA_STRETCH": "1s"} | limits)
    try:
        c = half_a_mail(own_site, f"in@{fragile.domain}", 100_000)
        over = threading.Event()

        def trickle():
            while not over.wait(0.1):  # the pace of the client is what is tried
                c.send(b"x\r\n")

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            code, text = c.reply()
        finally:
            over.set()
            thread.join()
        assert code == 421 and words in text, (code, text)
        wait_for("its memory is free", lambda: metric(stack, "sekisho_ingest_message_bytes") == 0)
        assert metric(stack, "sekisho_ingest_connections_dropped_total", '{reason="slow"}') == 1
    finally:
        stack.restart("ingest", usual | {"SEKISHO_INGEST_DATA_RATE": "1K"})


def certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{folder}/{name}.key",
                    "-out", f"{folder}/{name}.crt", "-subj", f"/CN={name}"], check=True, capture_output=True)
    for kind in ("key", "crt"):
        os.chmod(f"{folder}/{name}.{kind}", 0o644)


def test_new_certificate(own_site, fragile):
    stack = own_site.stack
    folder = stack.run / "keys"
    crt, key = stack.run / "keys/tls.crt", stack.run / "keys/tls.key"
    for name in ("first", "second"):
        certificate(folder, name)

    def place(name, *kinds):
        for kind in kinds:
            shutil.copy(folder / f"{name}.{kind}", folder / f"new.{kind}")
            os.replace(folder / f"new.{kind}", folder / f"live.{kind}")

    def shown():
        with Client(own_site.submissions, tls=True) as c:
            der = c.sock.getpeercert(True)
        return next(n for n in ("first", "second") if ssl.PEM_cert_to_DER_cert((folder / f"{n}.crt").read_text()) == der)

    place("first", "crt", "key")
    stack.restart("ingest", {"SEKISHO_INGEST_TLS_CERT": str(folder / "live.crt"), "SEKISHO_INGEST_TLS_KEY": str(folder / "live.key"),
                             "SEKISHO_INGEST_TLS_CHECK": "1s"})
    try:
        with fragile.client() as open_one:
            assert shown() == "first"
            place("second", "crt")  # and not yet its key
            wait_for("the attempt", lambda: "new certificate cannot be used" in stack.log("ingest").read_text())
            assert shown() == "first"
            place("second", "key")
            wait_for("the new certificate", lambda: shown() == "second")
            assert open_one.say("NOOP")[0] == 250
            assert fragile.send(fragile.mail("x@far.example"), "x@far.example", client=open_one)[0] == 250
    finally:
        stack.restart("ingest", {"SEKISHO_INGEST_TLS_CERT": str(crt), "SEKISHO_INGEST_TLS_KEY": str(key), "SEKISHO_INGEST_TLS_CHECK": "1m"})


def test_sigterm_under_load(own_site, fragile):
    """It ends by itself with 0, whatever is open; nobody is told 250 for nothing."""
    stack = own_site.stack
    for _ in range(3):
        idle = [Client(own_site.mx) for _ in range(20)] + [fragile.client() for _ in range(5)]
        accepted, over = [], threading.Event()

        def load():
            while not over.is_set():
                with contextlib.suppress(OSError, AssertionError):
                    reply = fragile.send(fragile.mail("x@far.example"), "x@far.example")
                    if reply[0] == 250:
                        accepted.append(id_of(reply))

        threads = [threading.Thread(target=load) for _ in range(6)]
        for t in threads:
            t.start()
        try:
            wait_for("load", lambda: len(accepted) >= 10)
            stack.halt("ingest")
        finally:
            over.set()
            for t in threads:
                t.join()
            for c in idle:
                c.close()
        assert stack.status()["ingest"]["last_exit"] == 0
        stack.restart("ingest")
        rows = stack.psql(f"SELECT count(*) FROM ingest.acceptance WHERE id = ANY ('{{{','.join(accepted)}}}')")
        assert rows == [[str(len(accepted))]]


def test_old_rows_go(own_site):
    stack, t = own_site.stack, own_site.tenant(rules=policy(action="hold", seconds=3600))
    for days in (1, 8):
        stack.psql(f"INSERT INTO ingest.idempotency VALUES ('{t.id}', '{t.id}', 'k{days}', '{t.id}', "
                   f"now() - interval '{days} days', '')")
        stack.psql(f"INSERT INTO ingest.poison VALUES ('{t.id}', 'k{days}', 1, now() - interval '{days} days')")
    assert t.send(t.mail("x@far.example"), "x@far.example")[0] == 250
    for table, column in (("idempotency", "key"), ("poison", "sha256")):
        rows = f"SELECT encode({column}, 'escape') FROM ingest.{table} WHERE tenant = '{t.id}'"
        wait_for(f"{table} without what is old", lambda: stack.psql(rows) == [["k1"]])


class DyingScanner:
    """Takes every message, says it is ready, and dies of it. The real scanner's protocol (proto/facts.proto)."""

    def __init__(self, path):
        self.taken = 0
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        os.chmod(path, 0o666)
        self.listener.listen(16)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            with s:
                s.send(b"\x08\x01\x18\x03")  # ready, three workers
                request, fds, _, _ = socket.recv_fds(s, 4096, 1)
                for fd in fds:
                    os.close(fd)
                self.taken += bool(fds)


def test_message_that_kills_the_scanner(own_site, fragile):
    stack = own_site.stack
    path = stack.run / "sock/dying"
    scanner = DyingScanner(path)
    stack.restart("ingest", {"SEKISHO_INGEST_SCAN_SOCKET": str(path)})
    try:
        data = fragile.mail("x@far.example")
        replies = [fragile.send(data, "x@far.example")[0] for _ in range(3)]
        assert replies == [451, 554, 554] and scanner.taken == 2
        assert any("scan-failed" in row[0] for row in intents(stack, "mail.refused", fragile))
        # what is long ago does not count
        aged = fragile.mail("y@far.example")
        assert fragile.send(aged, "y@far.example")[0] == 451
        stack.psql(f"UPDATE ingest.poison SET last_at = now() - interval '2 hours' WHERE tenant = '{fragile.id}'")
        assert [fragile.send(aged, "y@far.example")[0] for _ in range(2)] == [451, 554]
        data = fragile.mail(f"in@{fragile.domain}")
        assert outside(own_site, f"in@{fragile.domain}", data)[0] == 451
        ident = id_of(outside(own_site, f"in@{fragile.domain}", data))
        shown = wait_for("it is in delivery", lambda: [m for m in fragile.messages() if m["id"] == ident])
        assert [r["state"] for r in shown[0]["recipients"]] == ["quarantined"]
    finally:
        scanner.listener.close()
        path.unlink()
        stack.restart("ingest", {"SEKISHO_INGEST_SCAN_SOCKET": str(stack.run / "sock/scan")})
    assert fragile.send(fragile.mail("x@far.example"), "x@far.example")[0] == 250
