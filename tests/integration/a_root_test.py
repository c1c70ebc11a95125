# SPDX-License-Identifier: MIT
"""Started by root, the unprivileged user gets no hold on root: what root writes or gives away is never reached through a
link, and where root writes that user cannot."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

from lib import site as sites

folders = sites.local_stack.folders
pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root has something to lose")


@pytest.fixture
def place():
    """A folder that everybody reaches."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="sekisho-root.", dir="/var/tmp"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def victim(place):
    path = place / "victim"
    path.mkdir(mode=0o755)
    (path / "file").write_text("root's own\n")
    return path


def prepared(place):
    stack = sites.local_stack.Stack(place / "run", sites.BUILD)
    try:
        stack._prepare()
    finally:
        stack.stop()
    return stack


def as_user(*argv):
    uid, gid = sites.local_stack.system_user()
    return subprocess.run(argv, user=uid, group=gid, extra_groups=[], cwd="/", capture_output=True).returncode == 0


def earlier(place):
    """run/ as an earlier version left it: the user's, with all that is in it."""
    prepared(place)
    run = place / "run"
    uid, gid = sites.local_stack.system_user()
    for path in (run, *run.rglob("*")):
        os.chown(path, uid, gid, follow_symlinks=False)
    return run


@pytest.mark.parametrize("name, target", [
    ("pg", "."), ("keys", "."), ("signatures", "."), ("log", "."), ("sock", "."), ("handover", "."),
    ("keys/trust.crt", "file"), ("keys/demo.json", "file"), ("signatures/x.ndb", "file"), ("log/auth.log", "file"),
    ("web/index.html", "file"), ("nats.conf", "file"), ("lock", "file"), ("state.json", "file"), ("postgres.conf", "file"),
])
def test_a_planted_link_is_refused(place, victim, name, target):
    path, aim = earlier(place) / name, victim / target
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    assert as_user("ln", "-s", aim, path), "the test itself cannot plant it"
    before = os.stat(aim)
    with pytest.raises(folders.Unsafe, match=path.name):
        prepared(place)
    after = os.stat(aim)
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)
    assert (victim / "file").read_text() == "root's own\n" and len(list(victim.iterdir())) == 1


def test_what_an_earlier_version_left_is_taken_over(place):
    run = earlier(place)
    assert as_user("test", "-w", run)
    prepared(place)
    assert not as_user("test", "-w", run)


def test_where_root_writes_the_user_cannot(place):
    run = prepared(place).run
    for name in (".", "keys", *sites.local_stack.OURS):
        assert not as_user("test", "-w", run / name), name
        assert as_user("test", "-x", run / name), name
    for name in sites.local_stack.THEIRS:
        assert as_user("test", "-w", run / name), name
    assert (run / "keys").stat().st_mode & 0o7777 == 0o710
    assert as_user("cat", run / "keys/auth.nk") and not as_user("ls", run / "keys")
    for path in (run / "keys").iterdir():
        assert path.stat().st_mode & 0o777 == (0o644 if path.name == "ca.crt" else 0o600), path
