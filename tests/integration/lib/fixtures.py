# SPDX-License-Identifier: MIT
"""Fixtures of the tests that watch mail flow, die and come back. conftest.py imports them."""
import os
import pathlib
import subprocess
import sys

import pytest

from . import site as sites
from .wire import Receiver, wait_for

sys.path.insert(0, str(sites.ROOT / "bench"))
import measure  # noqa: E402


@pytest.fixture(scope="session")
def bare_stack(tmp_path_factory):
    """PostgreSQL and nats-server with their accounts, no service."""
    with sites.start(tmp_path_factory.mktemp("bare"), only=[]) as stack:
        yield stack


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Everything, shared by tests that do not break it."""
    with sites.start(tmp_path_factory.mktemp("site")) as stack:
        yield sites.Site(stack)


@pytest.fixture(scope="module")
def own_site(tmp_path_factory):
    """Everything, for one test file that breaks things."""
    with sites.start(tmp_path_factory.mktemp("own")) as stack:
        yield sites.Site(stack)


class Traffic:
    def __init__(self, stack, tenant):
        self.stack, self.tenant = stack, tenant


@pytest.fixture(scope="session")
def traffic(site):
    """The shared site with mail of two tenants in its tables."""
    with Receiver() as receiver:
        tenants = [site.tenant(next_hop=receiver.address) for _ in range(2)]
        for n in range(6):
            t = tenants[n % 2]
            assert t.send(t.mail(f"r{n}@sink.example"), f"r{n}@sink.example")[0] == 250
        for t in tenants:
            t.settled()
    return Traffic(site.stack, tenants[0].id)


@pytest.fixture(scope="session")
def tools():
    """Folder of bench-load and bench-sink; built if missing."""
    folder = sites.BUILD / "bin"
    if not (folder / "bench-load").exists() or not (folder / "bench-sink").exists():
        subprocess.run(["make", "-s", f"B={sites.BUILD}", "bench-bins"], cwd=sites.ROOT, check=True)
    return folder


class Load:
    """bench-load under way; the account so far can be read at any time."""

    def __init__(self, tools, tenant, mails, log, *options, conns=20, prefix="load", endless=True):
        """mails: at least so many are accepted when finish() returns. endless: it goes on until finish(), however many that
        makes, so that whatever is done meanwhile is done under load."""
        host, port = tenant.site.submission.rsplit(":", 1)
        self.log = pathlib.Path(log)
        self.log.touch()
        self.mails, self.endless = mails, endless
        self.process = subprocess.Popen(
            [tools / "bench-load", "--host", host, "--port", port, "--starttls", "--user", tenant.app_user, "--password", tenant.app_password,
             "--from", tenant.sender, "--to", "load@sink.example", "--mails",
             str(1_000_000 if endless else mails), "--conns", str(conns), "--prefix", prefix,
             "--log", str(log), "--retry", "--timeout", "90", "--limit", "1200", *map(str, options)],
            stdout=subprocess.PIPE, text=True)

    def accepted(self):
        return {i for i, kind in measure.read_log(self.log).items() if kind == "ok"}

    def unknown(self):
        """Sent, and the connection gone before the reply: may be accepted."""
        return {i for i, kind in measure.read_log(self.log).items() if kind == "lost"}

    def wait_accepted(self, n, seconds=300):
        wait_for(f"{n} mails accepted", lambda: len(self.accepted()) >= n or self.process.poll() is not None, seconds)

    def finish(self, seconds=900):
        if self.endless:
            self.wait_accepted(self.mails, seconds)
            self.process.terminate()  # ends what is under way first
        self.process.communicate(timeout=seconds)
        assert len(self.accepted()) >= self.mails, f"{len(self.accepted())} of {self.mails} were accepted"
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def sink(tools, tmp_path):
    s = measure.Sink(tools / "bench-sink", tmp_path / "sink.log")
    yield s
    if s.process.poll() is None:
        s.stop()


def account(load, sink, seconds):
    """Waits until everything accepted has arrived; (lost ids, duplicate arrivals, ids nobody was told about)."""
    accepted = load.accepted()
    try:
        wait_for("arrivals", lambda: accepted <= sink.arrivals().keys(), seconds)
    except AssertionError:
        pass
    arrivals = sink.arrivals()
    return (sorted(accepted - arrivals.keys()), sum(len(at) - 1 for at in arrivals.values()),
            sorted(arrivals.keys() - accepted - load.unknown()))
