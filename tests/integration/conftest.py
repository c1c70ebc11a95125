# SPDX-License-Identifier: MIT
"""Fixtures of all integration tests (lib/fixtures.py), and tidiness: the data of every stack that was started is
removed after a run without failures and kept for reading after one with."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import site as sites  # noqa: E402
from lib.fixtures import *  # noqa: E402,F401,F403

started = []


def pytest_configure(config):
    start = sites.local_stack.Stack.start

    def remembered(self, *args, **more):
        started.append(self)
        return start(self, *args, **more)

    sites.local_stack.Stack.start = remembered


def pytest_sessionfinish(session, exitstatus):
    for stack in started:
        folder = getattr(stack, "run", None)
        if folder is None or stack.supervisor is not None:
            continue
        if exitstatus == 0:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"\nlogs: {folder}/log")
