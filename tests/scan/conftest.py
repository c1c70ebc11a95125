# SPDX-License-Identifier: MIT
"""One running cage for the tests that do not hurt it; signatures of the tests' own."""
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import cage  # noqa: E402


def write_signatures(folder, extra=b""):
    """EICAR at offset 0 only, as the real signature has it; so that finding it in the raw mail does not count."""
    folder.mkdir(parents=True, exist_ok=True)
    demo = (cage.ROOT / "services/scan/demo-signatures/sekisho-demo.ndb").read_bytes().splitlines()
    clam = next(line for line in demo if b"ClamAV" in line)
    (folder / "test.ndb").write_bytes(b"Test.EICAR:0:0:" + cage.eicar().hex().encode() + b"\n" + clam + b"\n" + extra)
    return folder


@pytest.fixture(scope="session")
def folder():
    # A Unix socket's path is short; pytest's own temp folders may not be.
    with tempfile.TemporaryDirectory(prefix="scan-") as name:
        yield pathlib.Path(name)


@pytest.fixture(scope="session")
def signatures(folder):
    return write_signatures(folder / "db")


@pytest.fixture(scope="session")
def shared(folder, signatures):
    c = cage.Cage(folder / "shared", signatures)
    yield c
    c.stop()


@pytest.fixture
def start(folder, signatures, request):
    """start(**config) -> Cage with folders of its own, stopped at the end."""
    running = []

    def run(db=signatures, **config):
        c = cage.Cage(folder / f"{abs(hash(request.node.name)) % 10**8}-{len(running)}", db, **config)
        running.append(c)
        return c

    yield run
    for c in running:
        c.stop()
