# SPDX-License-Identifier: MIT
"""An idempotent submission while api, ingest or delivery is killed (SIGKILL): the client asks again with the same key until
it gets its answer, and then there is exactly one message, and exactly one mail arrives.

The points are where a process waits for somebody else: the test holds that somebody (a stopped process, a lock in the
database, a commit that waits for a standby, a receiver that does not reply), sees that the victim waits there, kills it and
lets go. So the binaries are the ones that run everywhere, and no point depends on timing."""
import contextlib
import os
import secrets
import signal
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request

import psycopg2
import pytest

import measure
from lib.site import ApiError
from lib.wire import Receiver, wait_for

ANSWER_S = 90


class Gates(Receiver):
    """A receiver whose next conversation stops at one stage until it is let go: "connect", "mail", "rcpt" or "dot". At "dot"
    it has the whole mail and has taken it."""

    def __init__(self):
        self.stage, self.reached, self.go = None, threading.Event(), threading.Event()
        super().__init__(verdict=self._verdict)

    def _stop(self, stage):
        if self.stage == stage:
            self.stage = None
            self.reached.set()
            self.go.wait(120)

    def _verdict(self, stage, value):
        self._stop(stage)

    def _serve(self, sock):
        self._stop("connect")
        super()._serve(sock)

    @contextlib.contextmanager
    def hold(self, stage):
        self.reached.clear()
        self.go.clear()
        self.stage = stage
        try:
            yield
        finally:
            self.stage = None
            self.go.set()

    def copies(self, address):
        with self.lock:
            return sum(address in m.recipients for m in self.mails)


class Submission(threading.Thread):
    """The first attempt, whose answer may never come."""

    def __init__(self, tenant, to):
        super().__init__(daemon=True)
        self.tenant, self.to, self.key = tenant, to, f"key-{secrets.token_hex(8)}"
        self.answer = self.error = None

    def attempt(self):
        return self.tenant.submit(self.to, headers={"Idempotency-Key": self.key}, subject=self.key)

    def run(self):
        try:
            self.answer = self.attempt()
        except (ApiError, OSError, urllib.error.URLError, ssl.SSLError) as e:
            self.error = e

    def insist(self):
        """Again, until there is an answer."""
        def answered():
            try:
                return self.attempt()
            except ApiError as e:
                assert e.status in (409, 429) or e.status >= 500, e  # nothing else is for a retry
            except (OSError, urllib.error.URLError, ssl.SSLError):
                pass
            time.sleep(0.1)
            return None
        return wait_for("an answer", answered, ANSWER_S)


class World:
    def __init__(self, site, receiver):
        self.site, self.stack, self.receiver = site, site.stack, receiver
        self.tenants = {"retry": site.tenant(next_hop=receiver.address), "ask": site.tenant(next_hop=receiver.address)}
        self.stack.psql("INSERT INTO delivery.setting (tenant, uncertain) VALUES "
                        f"('{self.tenants['ask'].id}', 'ask')")

    # --- seeing ------------------------------------------------------------------------------------------
    def metric(self, service, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.stack.ports[service + '-health']}/metrics", timeout=10) as r:
            for line in r.read().decode().splitlines():
                if line.startswith(name + " ") or line.startswith(name + "{"):
                    return float(line.split()[-1])
        raise AssertionError(f"{service} has no metric {name}")

    def waits_for_lock(self, role, table):
        """A session of role wants a lock on the table (or a part of it) and does not get it."""
        wait_for(f"{role} at {table}", lambda: self.stack.psql(
            "SELECT 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted "
            f"AND a.usename = 'sekisho_{role}' AND l.relation = '{table}'::regclass LIMIT 1"))

    def waits_for_standby(self, role, table):
        """A session of role has written its commit, which changes the table, and has not been told."""
        schema, name = table.split(".")
        wait_for(f"commit of {role} in {table}", lambda: self.stack.psql(
            "SELECT 1 FROM pg_stat_activity a JOIN pg_locks l USING (pid) JOIN pg_class c ON c.oid = l.relation "
            f"WHERE a.usename = 'sekisho_{role}' AND a.wait_event = 'SyncRep' AND l.mode = 'RowExclusiveLock' "
            f"AND c.relnamespace = '{schema}'::regnamespace AND c.relname LIKE '{name}%' LIMIT 1"))

    # --- holding -----------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def stopped(self, name):
        pids = measure.tree(self.stack.pid(name))
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield pids
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    @contextlib.contextmanager
    def locked(self, table, mode="EXCLUSIVE"):
        """EXCLUSIVE: nobody writes; ACCESS EXCLUSIVE: nobody reads either."""
        session = psycopg2.connect(self.stack.conninfo())
        try:
            session.cursor().execute(f"LOCK TABLE {table} IN {mode} MODE")
            yield
        finally:
            session.close()

    @contextlib.contextmanager
    def no_standby(self):
        """Commits are on disk, and wait for a standby that does not come."""
        try:
            self.stack.psql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            self.stack.psql("SELECT pg_reload_conf()")
            wait_for("the setting", lambda: self.stack.psql("SHOW synchronous_standby_names") == [["nobody"]])
            yield
        finally:
            self.stack.psql("ALTER SYSTEM RESET synchronous_standby_names")
            self.stack.psql("SELECT pg_reload_conf()")

    # --- ends ----------------------------------------------------------------------------------------------
    def instances(self):
        return [row[0] for row in self.stack.psql("SELECT id FROM delivery.instance")]

    def bury(self, instances):
        """As if the 15 s were over after which the leases of a dead delivery end."""
        ids = ",".join(f"'{i}'" for i in instances)
        if ids:
            self.stack.psql(f"UPDATE delivery.instance SET alive_until = now() - interval '1 second' WHERE id IN ({ids})")

    def stored(self, submission):
        return [row[0] for row in self.stack.psql(
            f"SELECT id FROM ingest.acceptance WHERE tenant = '{submission.tenant.id}' "
            f"AND recipients = ARRAY[convert_to('{submission.to}', 'UTF8')]")]

    def quiet(self):
        """What a killed process had sent to the database is through."""
        wait_for("idle sessions", lambda: not self.stack.psql(
            "SELECT 1 FROM pg_stat_activity WHERE usename IN ('sekisho_ingest', 'sekisho_delivery') "
            "AND state <> 'idle' AND now() - query_start > interval '0.1 second' LIMIT 1"))


@pytest.fixture(scope="module")
def world(own_site):
    with Gates() as receiver:
        w = World(own_site, receiver)
        for t in w.tenants.values():
            t.submit("warm@sink.example")
            t.settled()
        yield w


# --- the points ----------------------------------------------------------------------------------------------
# name -> (victim, what follows an uncertain delivery, rows of the acceptance after the kill or None, how to get there).
# A way begins the submission, comes back when the victim is at the point, and lets go of everything at its end.
POINTS = {}


def point(victim, name, stored=None, uncertain="retry"):
    def add(way):
        POINTS[f"{victim}: {name}"] = (victim, uncertain, stored, contextlib.contextmanager(way))
        return way
    return add


@point("api", "half of the request is there", stored=0)
def api_half(w, s):
    host, port = "localhost", w.stack.ports["https"]
    before = unix_connections(w.stack.run / "api/api.sock")
    with socket.create_connection((host, port)) as plain, w.site.tls.wrap_socket(plain, server_hostname=host) as c:
        c.sendall((f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {s.tenant.send_key}\r\n"
                   f"Idempotency-Key: {s.key}\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n"
                   + '{"from": "' + " " * 1000).encode())
        wait_for("api has it", lambda: unix_connections(w.stack.run / "api/api.sock") > before)
        yield


@point("api", "auth looks for the key", stored=0)
def api_key(w, s):
    with w.locked("auth.credential", "ACCESS EXCLUSIVE"):
        s.start()
        w.waits_for_lock("auth", "auth.credential")
        yield


def unix_connections(path):
    """Sockets of that path beside the listening one, accepted or not."""
    with open("/proc/net/unix", encoding="ascii") as f:
        return sum(line.rstrip().endswith(str(path)) for line in f)


@point("api", "ingest has not greeted yet", stored=0)
def api_greeting(w, s):
    with w.stopped("ingest"):
        before = unix_connections(w.stack.run / "sock/ingest")
        s.start()
        wait_for("a connection to ingest", lambda: unix_connections(w.stack.run / "sock/ingest") > before)
        yield


def sender_asked(w, s):
    with w.locked("auth.address", "ACCESS EXCLUSIVE"):
        s.start()
        w.waits_for_lock("auth", "auth.address")
        yield


def scanning(w, s):
    """The message is in a sealed memfd, which a stopped scanner does not read."""
    def in_memory():
        folder = f"/proc/{w.stack.pid('ingest')}/fd"
        for fd in os.listdir(folder):
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{fd}").startswith("/memfd:message"):
                    return True
        return False
    with w.stopped("scan"):
        s.start()
        wait_for("the message at the scanner", in_memory)
        yield


def judging(w, s):
    before = w.metric("ingest", "sekisho_ingest_scanning_seconds_count")
    with w.stopped("policy"):
        s.start()
        wait_for("the message scanned", lambda: w.metric("ingest", "sekisho_ingest_scanning_seconds_count") > before)
        yield


def committing(w, s):
    with w.locked("ingest.acceptance"):
        s.start()
        w.waits_for_lock("ingest", "ingest.acceptance")
        yield


def committed(w, s):
    """On disk, and nobody knows: the commit waits for a standby. auth is done by then: it must not wait too."""
    before = w.metric("ingest", "sekisho_ingest_scanning_seconds_count")
    with w.stopped("policy"):
        s.start()
        wait_for("the message scanned", lambda: w.metric("ingest", "sekisho_ingest_scanning_seconds_count") > before)
        with w.no_standby():
            for pid in measure.tree(w.stack.pid("policy")):
                os.kill(pid, signal.SIGCONT)
            w.waits_for_standby("ingest", "ingest.acceptance")
            yield


# A client that leaves before the commit is abandoned if ingest sees that in time: either is right.
point("api", "ingest asks whether the sender may send", stored=0)(sender_asked)
point("api", "the message is being scanned")(scanning)
point("api", "policy decides")(judging)
point("api", "ingest commits", stored=1)(committing)
point("api", "the commit is on disk, ingest does not know", stored=1)(committed)


@point("api", "the 202 is written, the client does not have it", stored=1)
def api_answered(w, s):
    before = w.metric("ingest", "sekisho_ingest_scanning_seconds_count")
    answered = w.metric("api", 'sekisho_api_requests_total{class="2xx"}')
    with contextlib.ExitStack() as held:
        held.enter_context(w.stopped("policy"))
        s.start()
        wait_for("the message scanned", lambda: w.metric("ingest", "sekisho_ingest_scanning_seconds_count") > before)
        held.enter_context(w.stopped("gateway"))
        for pid in measure.tree(w.stack.pid("policy")):
            os.kill(pid, signal.SIGCONT)
        wait_for("api's answer", lambda: w.metric("api", 'sekisho_api_requests_total{class="2xx"}') > answered)
        yield


point("ingest", "auth is asked whether the sender may send", stored=0)(sender_asked)
point("ingest", "the message is being scanned", stored=0)(scanning)
point("ingest", "policy decides", stored=0)(judging)
# The COMMIT is on its way when the process dies, and arrives without it.
point("ingest", "the commit waits behind a lock", stored=1)(committing)
point("ingest", "the commit is on disk, ingest does not know", stored=1)(committed)


@point("ingest", "250 was said, the event is not on the bus", stored=1)
def ingest_event(w, s):
    with contextlib.contextmanager(committed)(w, s), w.stopped("nats"):
        w.stack.psql("ALTER SYSTEM RESET synchronous_standby_names")
        w.stack.psql("SELECT pg_reload_conf()")
        s.join(ANSWER_S)
        assert s.answer, s.error
        assert w.stack.psql(f"SELECT count(*) FROM ingest.outbox WHERE tenant = '{s.tenant.id}'") == [["1"]]
        yield


@point("ingest", "delivery has it, its confirmation is not committed", stored=1)
def ingest_confirm(w, s):
    with contextlib.ExitStack() as held:
        resumed = held.enter_context(w.stopped("delivery"))
        s.start()
        s.join(ANSWER_S)
        assert s.answer, s.error
        held.enter_context(w.locked("ingest.outbox"))
        for pid in resumed:
            os.kill(pid, signal.SIGCONT)
        w.waits_for_lock("ingest", "ingest.outbox")
        assert w.stack.psql(f"SELECT count(*) FROM delivery.message WHERE id = '{s.answer['id']}'") == [["1"]]
        yield


@point("delivery", "it has not seen the event", stored=1)
def delivery_event(w, s):
    with w.stopped("delivery"):
        s.start()
        s.join(ANSWER_S)
        assert s.answer, s.error
        yield


@point("delivery", "the legs wait behind a lock", stored=1)
def delivery_legs(w, s):
    with w.locked("delivery.message"):
        s.start()
        w.waits_for_lock("delivery", "delivery.message")
        yield


@point("delivery", "the legs are on disk, delivery does not know", stored=1)
def delivery_committed(w, s):
    with contextlib.ExitStack() as held:
        resumed = held.enter_context(w.stopped("delivery"))
        s.start()
        s.join(ANSWER_S)
        assert s.answer, s.error
        held.enter_context(w.no_standby())
        for pid in resumed:
            os.kill(pid, signal.SIGCONT)
        w.waits_for_standby("delivery", "delivery.leg")
        yield


def at_receiver(stage):
    def way(w, s):
        if stage == "connect":  # no connection is left from the mail before
            w.stack.restart("delivery")
        with w.receiver.hold(stage):
            s.start()
            assert w.receiver.reached.wait(ANSWER_S), "nobody came"
            s.join(ANSWER_S)
            assert s.answer, s.error
            yield
    return way


point("delivery", "the receiver has not greeted yet", stored=1)(at_receiver("connect"))
point("delivery", "the receiver looks at the sender", stored=1)(at_receiver("mail"))
point("delivery", "the receiver looks at the recipient", stored=1)(at_receiver("rcpt"))
# Whether the receiver has it nobody can know: sending again could be a second copy. A tenant that wants none says "ask".
point("delivery", "the receiver has the mail, its reply is not here", stored=1, uncertain="ask")(at_receiver("dot"))


@point("delivery", "the result waits behind a lock", stored=1, uncertain="ask")
def delivery_result(w, s):
    with w.receiver.hold("dot"):
        s.start()
        assert w.receiver.reached.wait(ANSWER_S), "nobody came"
        with w.locked("delivery.leg"):
            w.receiver.go.set()
            w.waits_for_lock("delivery", "delivery.leg")
            yield


@point("delivery", "the result is on disk, delivery does not know", stored=1)
def delivery_result_committed(w, s):
    with w.receiver.hold("dot"):
        s.start()
        assert w.receiver.reached.wait(ANSWER_S), "nobody came"
        s.join(ANSWER_S)
        with w.no_standby():
            w.receiver.go.set()
            w.waits_for_standby("delivery", "delivery.leg")
            yield


# --- what must be true at each ---------------------------------------------------------------------------------
done = []


def check_one(world, s, ident):
    assert world.stored(s) == [ident]
    assert world.stack.psql(f"SELECT count(*) FROM delivery.message WHERE id = '{ident}'") == [["1"]]
    assert world.stack.psql(f"SELECT count(*) FROM ingest.idempotency WHERE tenant = '{s.tenant.id}' "
                            f"AND message = '{ident}'") == [["1"]]
    assert world.receiver.copies(s.to) == 1


@pytest.mark.parametrize("name", POINTS)
def test_killed_while(world, name):
    victim, uncertain, stored, way = POINTS[name]
    tenant = world.tenants[uncertain]
    s = Submission(tenant, f"p{len(done)}-{secrets.token_hex(4)}@sink.example")
    with way(world, s):
        instances = world.instances()
        world.stack.kill(victim)
    if victim == "delivery":
        world.bury(instances)
    world.stack.restart(victim)
    if s.ident is not None:
        s.join(ANSWER_S)
        assert not s.is_alive()
    world.quiet()
    rows = world.stored(s)
    assert stored is None or len(rows) == stored, f"{len(rows)} acceptances after the kill, not {stored}"
    answer = s.insist()
    if rows:
        assert [answer["id"]] == rows and answer["replayed"]
    if s.answer:
        assert s.answer["id"] == answer["id"]
    world.receiver.wait(1, ANSWER_S, match=lambda m: s.to in m.recipients)
    tenant.settled(ANSWER_S)
    again = s.attempt()
    assert again["id"] == answer["id"] and again["replayed"]
    check_one(world, s, answer["id"])
    done.append((s, answer["id"]))
    print(f"{name}: first attempt {'answered' if s.answer else 'not answered'}, {len(rows)} stored at the kill, one mail")


def test_no_copy_came_later(world):
    """After everything: the points above, all of them, still have one mail each."""
    assert len(done) == len(POINTS) >= 20
    for s, ident in done:
        check_one(world, s, ident)
    for t in world.tenants.values():
        assert t.conservation()["holds"]


class Making(Submission):
    """Not a mail but a key, whose secret is in the answer and nowhere else."""

    def attempt(self):
        return self.tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": self.to, "login": self.tenant.user,
                                                    "permissions": ["message.send"]}, headers={"Idempotency-Key": self.key})


def made_behind_a_lock(w, s):
    with w.locked("auth.idempotency"):
        s.start()
        w.waits_for_lock("auth", "auth.idempotency")
        yield


def made_on_disk(w, s):
    with w.no_standby():
        s.start()
        w.waits_for_standby("auth", "auth.credential")
        yield


@pytest.mark.parametrize("victim, way", [("api", made_behind_a_lock), ("auth", made_behind_a_lock), ("api", made_on_disk),
                                         ("auth", made_on_disk)])
def test_a_key_is_made_once(world, victim, way):
    """libs/svc/once.h in a service that gives out secrets: whoever died, the second answer is the first."""
    tenant = world.tenants["retry"]
    s = Making(tenant, f"key-{secrets.token_hex(4)}")
    with contextlib.contextmanager(way)(world, s):
        world.stack.kill(victim)
    world.stack.restart(victim)
    s.join(ANSWER_S)
    world.quiet()
    rows = f"SELECT id FROM auth.credential WHERE tenant = '{tenant.id}' AND name = convert_to('{s.to}', 'UTF8')"
    assert len(world.stack.psql(rows)) == 1, "the commit was on its way"
    answer = s.insist()
    assert world.stack.psql(rows) == [[answer["id"]]] and s.attempt() == answer
    # The secret of the second answer is the one that works.
    assert tenant.site.api("GET", "/v1/me", key=answer["secret"]) is not None


def test_at_once(world):
    """The same submission on ten connections at the same time: one message, ten answers that name it."""
    tenant = world.tenants["retry"]
    first = Submission(tenant, f"race-{secrets.token_hex(4)}@sink.example")
    answers, start = [], threading.Barrier(10)

    def ask():
        start.wait(30)
        answers.append(first.insist())

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(ANSWER_S)
    assert len(answers) == 10 and len({a["id"] for a in answers}) == 1, answers
    assert sum(not a["replayed"] for a in answers) <= 1
    world.receiver.wait(1, ANSWER_S, match=lambda m: first.to in m.recipients)
    tenant.settled(ANSWER_S)
    check_one(world, first, answers[0]["id"])


def test_another_mail_under_the_same_key(world):
    """A key belongs to one message: the second is refused, and stores nothing."""
    tenant = world.tenants["retry"]
    s = Submission(tenant, f"other-{secrets.token_hex(4)}@sink.example")
    first = s.attempt()
    with pytest.raises(ApiError) as e:
        tenant.submit(s.to, headers={"Idempotency-Key": s.key}, subject="another")
    assert 400 <= e.value.status < 500, e.value
    assert world.stored(s) == [first["id"]]
