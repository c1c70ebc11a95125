# SPDX-License-Identifier: MIT
"""A worker without room: not clean, and it recovers. (Descriptors and an unwritable folder: services/scan/starved_test.c.)"""
import os
import pathlib
import time

import pytest

import archives
import cage
from corpus import HEAD, zipped

MAIL = HEAD + b"\r\nhello\r\n"


def worker_folders(c):
    """The workers' temp folders as they see them, through their own mounts."""
    found = []
    for pid in c.pids(2):
        for f in (pathlib.Path(f"/proc/{pid}/root") / str(c.tmp).lstrip("/")).iterdir():
            if os.stat(f).st_dev != os.stat(c.tmp).st_dev:
                found.append(f)
    if not found:
        pytest.skip("workers have no mount of their own here (the kernel allows none in a chroot): nothing of bounded size to fill")
    return found


def leftovers(c):
    """What stays in the folders. A worker that has scanned something odd retires, and the self-test of the one after
    it writes files of its own for some milliseconds: what is left of a scan is what is still there later."""
    seen = None
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            seen = [entry for f in worker_folders(c) for entry in f.iterdir()]
        except (FileNotFoundError, ProcessLookupError):
            c.wait_for(lambda st: st.ready)
            continue
        if not seen:
            return []
        time.sleep(0.02)
    return seen


def test_workers_are_caged(shared):
    """What the kernel says of each worker; what it means is tried in services/scan/cage_test.c."""
    workers = shared.pids(2)
    assert len(workers) == 2
    for pid in workers:
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
        assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
        assert status["Threads"] == "1"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into a worker's mounts")
def test_temp_folder_full(start):
    for inner in (zipped(cage.eicar(), "e.com"), zipped(os.urandom(3000), "x.bin")):
        c = start(workers=1, tmp_size="2M")
        (f,) = worker_folders(c)
        with open(f / "fill", "wb", buffering=0) as out:
            with pytest.raises(OSError):
                while True:
                    out.write(b"x" * 4096)
        facts = c.inspect(archives.attached(zipped(inner, "inner.zip")))
        assert facts.verdict not in (cage.pb.Facts.CLEAN, cage.pb.Facts.ERROR)
        c.wait_for(lambda st: st.ready)
        assert c.inspect(archives.attached(zipped(b"x" * 3000))).verdict == cage.pb.Facts.CLEAN


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into a worker's mounts")
def test_temp_folder_is_empty_after_each_scan(start):
    c = start(workers=1)
    for data in (zipped(zipped(b"y" * 5000)), zipped(zipped(cage.eicar())), archives.nested_zip(cage.eicar(), 30)):
        c.inspect(archives.attached(data))
        assert leftovers(c) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into a worker's mounts")
def test_worker_that_is_blind_dies(start):
    """Without room the self-test finds nothing; a new worker has a new folder."""
    c = start(workers=1, tmp_size="2M", selftest_every="100ms")
    (worker,) = c.pids(2)
    (f,) = worker_folders(c)
    with open(f / "fill", "wb", buffering=0) as out:
        try:
            while True:
                out.write(b"x" * 4096)
        except OSError:
            pass
    c.wait_for(lambda st: "self-test failed" in c.text())
    c.wait_for(lambda st: st.ready and c.pids(2) not in ([], [worker]))
