# SPDX-License-Identifier: MIT
"""Start, readiness, configuration, refusals of the protocol."""
import fcntl
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request

import pytest

import cage
from corpus import HEAD

MAIL = HEAD + b"\r\nhello\r\n"


def test_ready_and_clean(shared):
    st = cage.status(shared.path)
    assert st.ready and not st.stale and st.workers == 2 and st.signatures == 2
    facts = shared.inspect(MAIL)
    assert facts.verdict == cage.pb.Facts.CLEAN and facts.size == len(MAIL)


@pytest.mark.parametrize("env, name", [
    ({}, "SEKISHO_SCAN_SOCKET"),
    ({"SEKISHO_SCAN_SOCKET": "/tmp/x", "SEKISHO_SCAN_DB": "/tmp", "SEKISHO_SCAN_TMP": "/tmp",
      "SEKISHO_SCAN_WORKERS": "0"}, "SEKISHO_SCAN_WORKERS"),
    ({"SEKISHO_SCAN_SOCKET": "/tmp/x", "SEKISHO_SCAN_DB": "/tmp", "SEKISHO_SCAN_TMP": "/tmp",
      "SEKISHO_SCAN_TIMEOUT": "30"}, "SEKISHO_SCAN_TIMEOUT"),
    ({"SEKISHO_SCAN_SOCKET": "/tmp/x", "SEKISHO_SCAN_DB": "/tmp", "SEKISHO_SCAN_TMP": "/tmp",
      "SEKISHO_LOG_LEVEL": "loud"}, "SEKISHO_LOG_LEVEL"),
])
def test_bad_configuration(env, name):
    p = subprocess.run([cage.BUILD / "bin/sekisho-scan", "--check-config"], env=env, capture_output=True, text=True)
    assert p.returncode == 78 and name in p.stderr and p.stderr.count("\n") == 1


def test_links_neither_bus_nor_database():
    p = subprocess.run(["ldd", cage.BUILD / "bin/sekisho-scan"], capture_output=True, text=True, check=True)
    assert "libclamav" in p.stdout and "nats" not in p.stdout and "libpq" not in p.stdout


def test_no_signatures_not_ready(start, folder):
    db = folder / "db-empty"
    db.mkdir()
    c = start(db=db, wait=False, reload_every="50ms")
    st = c.wait_for(lambda s: s.reason == "no signatures")
    assert not st.ready
    with pytest.raises(cage.NotReady):
        c.inspect(MAIL)
    (db / "test.ndb").write_bytes(b"Test.EICAR:0:0:" + cage.eicar().hex().encode() + b"\n")
    c.wait_for(lambda s: s.ready)
    assert c.inspect(MAIL).verdict == cage.pb.Facts.CLEAN


def test_signatures_without_eicar_not_ready(start, folder):
    db = folder / "db-blind"
    db.mkdir()
    (db / "test.ndb").write_bytes(b"Test.Other:0:*:0102030405060708\n")
    c = start(db=db, wait=False)
    c.wait_for(lambda s: "EICAR" in s.reason)
    with pytest.raises(cage.NotReady):
        c.inspect(MAIL)


def test_broken_signatures_not_ready(start, folder):
    db = folder / "db-broken"
    db.mkdir()
    (db / "test.ndb").write_bytes(b"no signature at all\n")
    start(db=db, wait=False).wait_for(lambda s: s.reason == "signatures do not load" and not s.ready)


def test_stale_signatures(start, folder, signatures):
    db = folder / "db-old"
    db.mkdir()
    (db / "test.ndb").write_bytes((signatures / "test.ndb").read_bytes())
    os.utime(db / "test.ndb", (1, 1))
    c = start(db=db, max_age="1h")
    st = c.wait_for(lambda s: s.stale)
    assert st.reason == "signatures are stale"
    with pytest.raises(cage.NotReady):
        c.inspect(MAIL)
    os.utime(db / "test.ndb")
    start(db=db, max_age="1h").wait_for(lambda s: s.ready and not s.stale)


@pytest.mark.parametrize("name, content", [("local.ign2", b"Some.Signature\n"),
                                           ("local.fp", b"0" * 31 + b"1:5:Some.File\n")])
def test_a_new_list_of_exceptions_does_not_make_old_signatures_fresh(start, folder, signatures, name, content):
    db = folder / f"db-{name}"
    db.mkdir()
    (db / "test.ndb").write_bytes((signatures / "test.ndb").read_bytes())
    os.utime(db / "test.ndb", (1, 1))
    (db / name).write_bytes(content)
    start(db=db, max_age="1h").wait_for(lambda s: s.stale)


def test_signatures_from_the_future_are_stale(start, folder, signatures):
    db = folder / "db-future"
    db.mkdir()
    (db / "test.ndb").write_bytes((signatures / "test.ndb").read_bytes())
    os.utime(db / "test.ndb", (1 << 33, 1 << 33))
    start(db=db, max_age="1h").wait_for(lambda s: s.stale)
    start(db=db, max_age="0s").wait_for(lambda s: s.ready and not s.stale)


@pytest.mark.parametrize("seals", [0, cage.SEALS & ~fcntl.F_SEAL_WRITE, cage.SEALS & ~fcntl.F_SEAL_SHRINK,
                                   cage.SEALS & ~fcntl.F_SEAL_SEAL])
def test_unsealed_message_refused(shared, seals):
    with pytest.raises(cage.Crashed):
        shared.inspect(MAIL, seals=seals)
    assert shared.inspect(MAIL).verdict == cage.pb.Facts.CLEAN


@pytest.mark.parametrize("size", [0, len(MAIL) - 1, len(MAIL) + 1, 1 << 60])
def test_wrong_size_refused(shared, size):
    with pytest.raises(cage.Crashed):
        shared.inspect(MAIL, size=size)


def test_status_on_the_main_socket(shared):
    r = cage.Request(shared.path)
    assert r.status().ready
    r.close()


def test_status_while_every_worker_is_busy(start):
    c = start(workers=1)
    (worker,) = c.pids(2)
    os.kill(worker, signal.SIGSTOP)
    try:
        assert cage.status(c.path).workers == 1
    finally:
        os.kill(worker, signal.SIGCONT)


def test_garbage_request(shared):
    for junk in (b"\xff" * 100, b"\x08\x01", b"x" * 60000):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(10)
        s.connect(str(shared.path))
        s.send(junk)
        assert s.recv(65536)  # the status
        try:
            assert s.recv(65536) == b""
        except ConnectionResetError:
            pass
        s.close()
    assert shared.inspect(MAIL).verdict == cage.pb.Facts.CLEAN


def test_large_facts_come_in_a_memfd(shared):
    mail = HEAD + b"\r\n" + b"word " * 100000
    facts = shared.inspect(mail)
    assert facts.verdict == cage.pb.Facts.CLEAN and len(facts.text) == 500000


def test_second_instance_is_refused(shared, signatures):
    env = {"SEKISHO_SCAN_SOCKET": str(shared.path), "SEKISHO_SCAN_DB": str(signatures), "SEKISHO_SCAN_TMP": "/tmp"}
    p = subprocess.run([cage.BUILD / "bin/sekisho-scan"], env=env, capture_output=True, text=True, timeout=30)
    assert p.returncode == 1 and "another instance" in p.stderr
    assert cage.status(shared.path).ready


def test_health_listener(start):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    c = start(health_listen=f"127.0.0.1:{port}")
    c.inspect(MAIL)

    def get(path):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).read().decode()

    get("/healthz")
    get("/readyz")
    metrics = get("/metrics")
    assert 'sekisho_scan_messages_total{verdict="clean"} 1' in metrics
    assert "sekisho_scan_workers_ready 2" in metrics
    with pytest.raises(urllib.error.HTTPError):
        get("/nothing")
