# SPDX-License-Identifier: MIT
"""The bus may lose everything at any moment: its store removed, its streams and consumers deleted live, all under load.
Nothing is lost, nothing stays stuck, and everything is out within 60 s of the end of the load."""
import json
import shutil
import signal
import time

import pytest

from lib.fixtures import Load, account
from lib.nats_raw import Nats, NatsError
from lib.site import FULL
from lib.wire import wait_for

MAILS = 5_000 if FULL else 800
DRAIN_S = 60


@pytest.fixture(scope="module")
def site(own_site):
    return own_site


@pytest.fixture(scope="module")
def admin(site):
    """A connection that may do everything: a user of the test's own in the server's account, by configuration reload."""
    conf = site.stack.run / "nats.conf"
    text = conf.read_text()
    conf.write_text(text.replace("users: [\n", 'users: [\n      { user: "test", password: "test" },\n', 1))
    site.stack.kill("nats", signal.SIGHUP)

    def connect():
        try:
            return Nats(site.stack.ports["nats"], user="test", **{"pass": "test"})
        except (NatsError, OSError):
            return None

    yield lambda: wait_for("the test's own user", connect)


def ask(admin, subject, body=None):
    with admin() as nats:
        return json.loads(nats.request(subject, json.dumps(body).encode() if body else b"")[1])


def under_load(site, tools, sink, tmp_path, prefix, harm, times=3):
    """A load with `harm` done at several moments of it."""
    tenant = site.tenant(next_hop=f"127.0.0.1:{sink.port}")
    load = Load(tools, tenant, MAILS, tmp_path / "load.log", prefix=prefix)
    done = []
    try:
        for n in range(times):
            load.wait_accepted(len(load.accepted()) + MAILS // (times + 2))
            harm()
            done.append(len(load.accepted()))
        load.finish()
        end = time.monotonic()
        lost, duplicates, phantoms = account(load, sink, DRAIN_S)
        sum_ = tenant.settled(max(1, DRAIN_S - (time.monotonic() - end)))
        drained = time.monotonic() - end
    finally:
        load.stop()
    print(f"{prefix}: {len(load.accepted())} accepted, harm at {done}, drained in {drained:.1f} s")
    assert len(load.accepted()) > done[-1], "the load ended before the last harm"
    assert not lost, f"{len(lost)} lost: {lost[:10]}"
    assert duplicates == 0 and not phantoms
    assert sum_["terms"]["delivered"] == sum_["terms"]["accepted"] >= MAILS
    wait_for("an empty outbox", lambda: site.stack.psql(
        f"SELECT count(*) FROM ingest.outbox WHERE tenant = '{tenant.id}'") == [["0"]], DRAIN_S)


def test_server_killed_and_its_store_gone(site, tools, sink, tmp_path):
    def harm():
        site.stack.kill("nats")
        site.stack.halt("nats")
        for path in (site.stack.run / "nats").iterdir():
            shutil.rmtree(path)
        site.stack.restart("nats")
    under_load(site, tools, sink, tmp_path, "store", harm, times=2)


def test_stream_deleted_live(site, admin, tools, sink, tmp_path):
    def harm():
        assert ask(admin, "$JS.API.STREAM.DELETE.MAIL")["success"]
        wait_for("the stream made again", lambda: "config" in ask(admin, "$JS.API.STREAM.INFO.MAIL"), 60)
    under_load(site, tools, sink, tmp_path, "stream", harm)


def test_stream_purged_live(site, admin, tools, sink, tmp_path):
    """Emptied but not made anew: nobody is told, only the rows that stay unconfirmed show it."""
    def harm():
        assert ask(admin, "$JS.API.STREAM.PURGE.MAIL")["success"]
    under_load(site, tools, sink, tmp_path, "purge", harm)


def test_consumer_deleted_live(site, admin, tools, sink, tmp_path):
    def harm():
        names = ask(admin, "$JS.API.CONSUMER.NAMES.MAIL")["consumers"]
        assert names
        for name in names:
            assert ask(admin, f"$JS.API.CONSUMER.DELETE.MAIL.{name}")["success"]
        wait_for("the consumer made again", lambda: ask(admin, "$JS.API.CONSUMER.NAMES.MAIL").get("consumers"), 60)
    under_load(site, tools, sink, tmp_path, "consumer", harm)
