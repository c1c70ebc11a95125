# SPDX-License-Identifier: MIT
"""Our side of the bench: the same stack as `make run`, with one tenant whose policy holds nothing and whose next hop is
the sink. Nothing is switched off: policy, decision records, audit intents, RSA and Ed25519 signatures, encryption at rest,
a WAL flush before each 250."""
import sys
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/integration"))
from lib import site as sites  # noqa: E402


class SekishoSide:
    name = "Sekisho"

    def __init__(self, root, signatures, sink_port, env=None):
        self.stack = sites.start(root, env={"SEKISHO_CLAMAV_DB": str(signatures), **(env or {})})
        self.sink_port = sink_port

    def start(self):
        self.stack.start(timeout=300)
        self.site = sites.Site(self.stack)
        self.tenant = self.site.tenant(next_hop=f"127.0.0.1:{self.sink_port}")
        self.port = self.stack.ports["submission"]
        return self

    def groups(self):
        return {name: self.stack.pid(name) for name in [*self.stack.services, "postgres", "nats"]}

    def load_options(self):
        t = self.tenant
        return ["--starttls", "--user", t.app_user, "--password", t.app_password, "--from", t.sender]

    def stop(self):
        self.stack.stop()
