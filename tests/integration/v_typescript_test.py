# SPDX-License-Identifier: MIT
"""The TypeScript client: it builds strictly from the OpenAPI document as it is, and does its work against a real site over
HTTPS through the gateway."""
import os
import re
import subprocess

import pytest

from lib import site as sites
from lib.wire import Receiver

FOLDER = sites.ROOT / "clients/typescript"


@pytest.fixture(scope="module")
def built():
    for command in ([sites.ROOT / "tools/node.sh", "install", "clients/typescript"], ["npm", "run", "--silent", "build"]):
        run = subprocess.run(command, cwd=FOLDER if command[0] == "npm" else sites.ROOT, capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stdout + run.stderr


def run_tests(**env):
    run = subprocess.run(["npm", "test", "--silent"], cwd=FOLDER, env=os.environ | env, capture_output=True, text=True, timeout=300)
    counts = {k: int(v) for k, v in re.findall(r"^(?:#|ℹ) (pass|fail|skipped) (\d+)$", run.stdout, re.M)}
    assert run.returncode == 0 and counts["fail"] == 0, run.stdout + run.stderr
    return counts


def test_lock_file_names_no_host():
    for folder in (FOLDER, sites.ROOT / "tools/node"):
        assert '"resolved"' not in (folder / "package-lock.json").read_text()


def test_against_a_site(built, site):
    with Receiver() as receiver:
        tenant = site.tenant(next_hop=receiver.address)
        counts = run_tests(SEKISHO_URL=site.url, SEKISHO_API_KEY=tenant.key, SEKISHO_SEND_KEY=tenant.send_key,
                           SEKISHO_SENDER=tenant.sender, NODE_EXTRA_CA_CERTS=str(site.stack.ca))
    assert counts["skipped"] == 0 and counts["pass"] >= 25
