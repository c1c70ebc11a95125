# SPDX-License-Identifier: MIT
"""Workers that die, hang, retire; signatures that change under load."""
import os
import pathlib
import signal
import threading
import time

import pytest

import archives
import cage
from conftest import write_signatures
from corpus import HEAD, zipped

MAIL = HEAD + b"\r\nhello\r\n"
SLOW = archives.attached(archives.bomb(100 << 20))


def wait_until(condition, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "does not happen"


def test_kill_of_a_worker(start):
    c = start(workers=1)
    r = cage.Request(c.path, SLOW)
    assert r.status().ready
    (worker,) = c.pids(2)
    os.kill(worker, signal.SIGKILL)
    with pytest.raises(cage.Crashed):
        r.facts()
    assert c.inspect(MAIL).verdict == cage.pb.Facts.CLEAN
    assert c.pids(2) != [worker]


def test_worker_over_its_time_is_killed(start):
    c = start(workers=1, timeout="400ms")
    (worker,) = c.pids(2)
    os.kill(worker, signal.SIGSTOP)  # hangs for good
    r = cage.Request(c.path, MAIL)
    os.kill(worker, signal.SIGCONT)
    assert r.status().ready
    r.close()
    r = cage.Request(c.path, archives.attached(archives.bomb(120 << 20)))
    r.status()
    try:
        assert r.facts().verdict == cage.pb.Facts.LIMIT  # libclamav's own clock was first
    except cage.Crashed:
        wait_until(lambda: "over its time" in c.text())
    assert c.inspect(MAIL).verdict == cage.pb.Facts.CLEAN


def test_stopped_worker_is_killed(start):
    c = start(workers=1, timeout="500ms")
    (worker,) = c.pids(2)
    r = cage.Request(c.path, SLOW)
    assert r.status().ready
    os.kill(worker, signal.SIGSTOP)
    with pytest.raises(cage.Crashed):
        r.facts()
    assert c.inspect(MAIL).verdict == cage.pb.Facts.CLEAN


def test_workers_retire(start):
    c = start(workers=1, retire_after=3)
    seen = set()
    for _ in range(12):
        seen.update(c.pids(2))
        assert c.inspect(MAIL).verdict == cage.pb.Facts.CLEAN
    assert len(seen) >= 3


@pytest.mark.parametrize("mail", [HEAD + b"Subject: again\r\n\r\nx\r\n", archives.attached(archives.rar5(b"x"))])
def test_worker_retires_after_an_odd_mail(start, mail):
    c = start(workers=1)
    (worker,) = c.pids(2)
    assert c.inspect(archives.attached(zipped(cage.eicar()))).verdict == cage.pb.Facts.INFECTED
    assert c.inspect(MAIL).verdict == cage.pb.Facts.CLEAN
    assert c.pids(2) == [worker]
    assert c.inspect(mail).verdict not in (cage.pb.Facts.CLEAN, cage.pb.Facts.INFECTED)
    assert c.inspect(MAIL).verdict == cage.pb.Facts.CLEAN
    assert worker not in c.pids(2)


def test_generation_swap_under_load(start, folder):
    db = write_signatures(folder / "db-swap")
    c = start(db=db, reload_every="50ms")
    failures, done, stop = [], [0], threading.Event()

    def client():
        n = 0
        while not stop.is_set():
            n += 1
            try:
                facts = c.inspect(HEAD + b"\r\n" + os.urandom(500).hex().encode() + b"\r\n")
                if facts.verdict != cage.pb.Facts.CLEAN:
                    failures.append(facts.reason)
            except Exception as e:  # whatever it is, it is a failed scan
                failures.append(repr(e))
        done[0] += n

    threads = [threading.Thread(target=client) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        before = cage.status(c.path).generation
        for i in range(4):
            new = db / "new.tmp"
            new.write_bytes(b"Test.New%d:0:*:%032x\n" % (i, i + 0x1000))
            new.rename(db / f"new{i}.ndb")
            c.wait_for(lambda st, want=before + i + 1: st.generation >= want and st.ready)
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert failures == [] and done[0] > 100
    assert cage.status(c.path).signatures == 6
    wait_until(lambda: len(c.pids(1)) == 1 and len(c.pids(2)) == 2)


def test_broken_new_signatures_keep_the_old(start, folder):
    db = write_signatures(folder / "db-keep")
    c = start(db=db, reload_every="50ms")
    (db / "broken.ndb").write_bytes(b"broken\n")
    wait_until(lambda: "signatures not loaded" in c.text())
    st = cage.status(c.path)
    assert st.ready and st.generation == 1
    assert c.inspect(archives.attached(zipped(cage.eicar()))).verdict == cage.pb.Facts.INFECTED


def test_generation_killed_comes_back(start):
    c = start(workers=1)
    (generation,) = c.pids(1)
    os.kill(generation, signal.SIGKILL)
    wait_until(lambda: c.pids(1) not in ([], [generation]))
    c.wait_for(lambda st: st.ready)
    assert c.inspect(MAIL).verdict == cage.pb.Facts.CLEAN


def lives(pid):
    """There, and no zombie."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_parent_killed_takes_all_with_it(start):
    c = start()
    family = c.pids(1) + c.pids(2)
    c.proc.kill()
    c.proc.wait()
    wait_until(lambda: not any(lives(p) for p in family))


def test_sigterm_drains(start):
    c = start(workers=1)
    r = cage.Request(c.path, archives.attached(archives.bomb(20 << 20)))
    assert r.status().ready
    c.proc.send_signal(signal.SIGTERM)
    assert r.facts().verdict == cage.pb.Facts.CLEAN
    assert c.proc.wait(30) == 0 and not c.path.exists()
