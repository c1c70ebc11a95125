# SPDX-License-Identifier: MIT
"""The simplest failures first: does it start, does it say what is wrong with its configuration, does a second start
find what the first one left, does nothing stay behind."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from lib import site as sites
from lib.wire import wait_for

sys.path.insert(0, str(sites.ROOT / "deploy/local"))
import services  # noqa: E402

STACK_PY = sites.ROOT / "deploy/local/stack.py"
NAMES = services.SERVICES


@pytest.fixture(scope="module")
def environment(site):
    """Variables with which each service starts."""
    return {name: services.environment(name, site.stack.run, site.stack.ports, site.stack.conninfo) for name in NAMES}


def run(name, env, *args):
    return subprocess.run([sites.BUILD / "bin" / f"sekisho-{name}", *args], env={"PATH": os.environ["PATH"], **env},
                          capture_output=True, text=True, timeout=20)


def get(site, name, path):
    url = f"http://127.0.0.1:{site.stack.ports[name + '-health']}{path}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def test_everything_is_built():
    assert [n for n in NAMES if not (sites.BUILD / "bin" / f"sekisho-{n}").exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_ready(site, name):
    site.stack.wait_ready(name)
    assert get(site, name, "/healthz")
    assert get(site, name, "/readyz")
    assert site.stack.starts(name) == 1


@pytest.mark.parametrize("name", NAMES)
def test_metrics_are_prometheus_text(site, name):
    for line in get(site, name, "/metrics").splitlines():
        if line and not line.startswith("#"):
            metric, value = line.rsplit(" ", 1)
            assert metric.startswith("sekisho_"), line
            float(value)


@pytest.mark.parametrize("name", NAMES)
def test_log_is_json_lines_without_errors(site, name):
    for line in site.stack.log(name).read_text().splitlines():
        assert json.loads(line)["severity_text"] != "ERROR", line


@pytest.mark.parametrize("name", NAMES)
def test_check_config(environment, name):
    good = run(name, environment[name], "--check-config")
    assert good.returncode == 0, good.stderr


@pytest.mark.parametrize("name", NAMES)
def test_bad_config_names_the_variable(environment, name):
    variable = "SEKISHO_LOG_LEVEL"
    bad = run(name, environment[name] | {variable: "loud"}, "--check-config")
    assert bad.returncode == 78
    assert variable in bad.stderr and len(bad.stderr.splitlines()) == 1, bad.stderr


@pytest.mark.parametrize("name", [n for n in NAMES if n != "scan"])
def test_missing_config_names_the_variable(environment, name):
    variable = f"SEKISHO_{name.upper()}_NKEY"
    env = {k: v for k, v in environment[name].items() if k != variable}
    bad = run(name, env)
    assert bad.returncode == 78
    assert variable in bad.stderr and len(bad.stderr.splitlines()) == 1, bad.stderr


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_variable_of_its_own_in_the_file_is_an_error(environment, name, tmp_path):
    file = tmp_path / "config"
    variable = f"SEKISHO_{name.upper()}_NO_SUCH_THING"
    file.write_text(f"# comment\n{variable}=1\n")
    bad = run(name, environment[name] | {"SEKISHO_CONFIG": str(file)}, "--check-config")
    assert bad.returncode == 78
    assert variable in bad.stderr


def test_a_second_instance_is_refused(site):
    second = sites.start(site.stack.run)
    with pytest.raises(sites.local_stack.StackError, match="already running"):
        second.start()
    site.stack.wait_ready()


def test_everything_listens_on_loopback_only(site):
    """No port of ours answers on another address of this machine."""
    for address in {"127.0.0.2", own_address()} - {None}:
        for name, port in site.stack.ports.items():
            with socket.socket() as s:
                s.settimeout(2)
                assert s.connect_ex((address, port)) != 0, f"{name} answers on {address}:{port}"


def test_nothing_runs_as_root(site):
    for name, p in site.stack.status().items():
        assert pathlib.Path(f"/proc/{p['pid']}").stat().st_uid != 0, name


def test_secrets_are_for_the_owner_only(site):
    for path in (site.stack.run / "keys").iterdir():
        if path.name != "ca.crt":
            assert path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("name", ["keeper", "policy"])
def test_what_dies_is_started_again(own_site, name):
    before = own_site.stack.pid(name)
    own_site.stack.kill(name)
    own_site.stack.wait_ready(name)
    assert own_site.stack.pid(name) != before
    assert own_site.stack.starts(name) == 2


def test_not_ready_without_database_and_ready_again(own_site):
    stack = own_site.stack
    stack.halt("postgres")
    wait_for("keeper says why", lambda: "database" in (stack.ready("keeper") or ""))
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(own_site, "keeper", "/readyz")
    assert refused.value.code == 503
    assert get(own_site, "keeper", "/healthz")
    stack.restart("postgres")
    stack.wait_ready(timeout=60)


def test_restart_finds_its_data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twice")
    with sites.start(folder) as stack:
        tenant = sites.Site(stack).tenant()
        base = stack.base
    with sites.start(folder) as stack:
        site = sites.Site(stack)
        assert tenant.id in [t["id"] for t in site.api("GET", "/v1/tenants")["tenants"]]
        assert site.api("GET", f"/v1/domains/{tenant.domain}/dkim", key=tenant.key)["records"]
        assert base


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_behind(tmp_path, sig):
    """Neither after an orderly end nor when the supervisor itself is killed."""
    folder = tmp_path / "run"
    base = sites.local_stack.free_base()
    supervisor = subprocess.Popen([sys.executable, STACK_PY, "up", "--run", folder, "--build", sites.BUILD, "--base", str(base)],
                                  stdout=subprocess.PIPE, text=True)
    try:
        wait_for("ready", lambda: supervisor.stdout.readline().startswith("ready"), 90)
        state = sites.local_stack.state_of(folder)
        groups = [p["pid"] for p in state["processes"].values()]
        assert len(groups) >= 3
        supervisor.send_signal(sig)
        supervisor.wait(60)
        wait_for("all gone", lambda: not any(alive(g) for g in groups), 30)
        assert sites.local_stack.state_of(folder) is None
    finally:
        supervisor.kill()
        supervisor.wait()
        supervisor.stdout.close()
        shutil.rmtree(folder.resolve(), ignore_errors=True)


def own_address():
    """The address with which this machine talks to others; None if it has none. Sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return s.getsockname()[0]


def alive(group):
    """Is any process of the group there that is not a zombie?"""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False
