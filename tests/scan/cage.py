# SPDX-License-Identifier: MIT
"""A client of the cage's protocol (proto/facts.proto) and a runner of the sekisho-scan binary, for the tests.

The protobuf module is generated at test time into the build folder; nothing generated is kept in the tree.
"""
import array
import fcntl
import os
import pathlib
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SEKISHO_BUILD", ROOT / "build")).resolve()
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def _generate():
    out = BUILD / "gen" / "py"
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run(["protoc", "-I.", f"--python_out={out}", "proto/facts.proto"], cwd=ROOT, check=True)
    sys.path.insert(0, str(out))


_generate()
from proto import facts_pb2 as pb  # noqa: E402

Verdict = pb.Facts.Verdict


class Crashed(Exception):
    """The worker that took the request died."""


class NotReady(Exception):
    """Nobody scans; the argument is the Status."""


def eicar():
    """Composed, so that this file is not one itself."""
    return b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-" + b"ANTIVIRUS-TEST-FILE!$H+H*"


def memfd(data, seals=SEALS):
    fd = os.memfd_create("message", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, data) if len(data) < 1 << 20 else _write_all(fd, data)
    if seals:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


def _write_all(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


class Request:
    """One request in flight."""

    def __init__(self, path, data=None, size=None, seals=SEALS, timeout=60):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                self.sock.connect(str(path))
                break
            except BlockingIOError:  # the backlog is full
                if time.monotonic() > deadline:
                    raise
        verb = pb.Request.STATUS if data is None else pb.Request.INSPECT
        req = pb.Request(verb=verb, size=len(data or b"") if size is None else size, message=os.urandom(16))
        control = []
        if data is not None:
            fd = memfd(data, seals)
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        try:
            self.sock.sendmsg([req.SerializeToString()], control)
        except (BrokenPipeError, ConnectionResetError):
            pass
        if data is not None:
            os.close(fd)

    def _receive(self):
        try:
            return self.sock.recvmsg(65536, socket.CMSG_SPACE(4))
        except ConnectionResetError:
            return self.sock.recvmsg(65536, socket.CMSG_SPACE(4))

    def status(self):
        data = self._receive()[0]
        if not data:
            raise Crashed("before a worker took it")
        st = pb.Status()
        st.ParseFromString(data)
        return st

    def facts(self):
        data, control, _, _ = self._receive()
        if control:
            fd = array.array("i", control[0][2])[0]
            assert fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS == SEALS
            data = os.pread(fd, 8 << 20, 0)
            os.close(fd)
        if not data:
            raise Crashed("while scanning")
        facts = pb.Facts()
        facts.ParseFromString(data)
        return facts

    def close(self):
        self.sock.close()


def status(path):
    """From the parent's own socket."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10)
    try:
        s.connect(f"{path}.status")
        data = s.recv(65536)
        if not data:
            raise Crashed("without status")
        st = pb.Status()
        st.ParseFromString(data)
        return st
    finally:
        s.close()


def inspect(path, data, **kw):
    r = Request(path, data, **kw)
    try:
        st = r.status()
        if not st.ready or st.stale:
            raise NotReady(st)
        return r.facts()
    finally:
        r.close()


class Cage:
    """A running sekisho-scan with its own folders below `folder`."""

    def __init__(self, folder, db, wait=True, user=None, **config):
        self.folder = pathlib.Path(folder)
        self.tmp = self.folder / "tmp"
        self.tmp.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / "scan.sock"
        self.log = open(self.folder / "scan.log", "ab")
        env = {
            "PATH": os.environ["PATH"],
            "SEKISHO_SCAN_SOCKET": str(self.path),
            "SEKISHO_SCAN_DB": str(db),
            "SEKISHO_SCAN_TMP": str(self.tmp),
            "SEKISHO_SCAN_MAX_AGE": "0s",
            "SEKISHO_SCAN_WORKERS": "2",
        }
        env.update({f"SEKISHO_SCAN_{k.upper()}": str(v) for k, v in config.items()})
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        self.proc = subprocess.Popen([str(BUILD / "bin" / "sekisho-scan")], env=env, stdout=self.log,
                                     stderr=subprocess.STDOUT, user=user)
        if wait:
            workers = int(config.get("workers", 2))
            self.wait_for(lambda st: st.ready and st.workers == workers)

    def wait_for(self, condition, timeout=30):
        """Ask for the status until it is as wished."""
        deadline = time.monotonic() + timeout
        st = None
        while time.monotonic() < deadline:
            assert self.proc.poll() is None, self.text()
            try:
                st = status(self.path)
                if condition(st):
                    return st
            except (FileNotFoundError, ConnectionRefusedError, Crashed):
                pass
        raise AssertionError(f"status stays {st}\n{self.text()}")

    def inspect(self, data, **kw):
        return inspect(self.path, data, **kw)

    def text(self):
        return (self.folder / "scan.log").read_text(errors="replace")

    def pids(self, depth):
        """Process ids below the parent: depth 1 are generations, 2 are workers."""
        level = [self.proc.pid]
        for _ in range(depth):
            level = [int(c) for p in level for c in _children(p)]
        return level

    def stop(self):
        if self.proc.poll() is None:
            self.proc.terminate()
            self.proc.wait(60)
        self.log.close()


def _children(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []
