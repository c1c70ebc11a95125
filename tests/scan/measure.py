# SPDX-License-Identifier: MIT
"""CPU per scan, as services/scan/README.md reports it: python3 tests/scan/measure.py [signature folder]

Every mail has its own random body: libclamav's cost depends on it. One worker, one client.
"""
import base64
import os
import pathlib
import sys
import tempfile
import time

import cage
from corpus import HEAD, b64

TICK = os.sysconf("SC_CLK_TCK")


def text(octets):
    """Words in lines, distinct each time."""
    raw = base64.b64encode(os.urandom(octets * 3 // 4)).decode()
    return "\r\n".join(" ".join(raw[i + k:i + k + 9] for k in range(0, 63, 9)) for i in range(0, octets, 63)).encode()


def small():
    return HEAD + b"Content-Type: text/plain; charset=us-ascii\r\n\r\n" + text(3300) + b"\r\n"


def large():
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n" + \
        text(2000) + b"\r\n--b\r\nContent-Type: application/octet-stream; name=a.bin\r\n" \
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b64(os.urandom(145000)) + b"--b--\r\n"


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def main():
    with tempfile.TemporaryDirectory(prefix="scan-") as folder:
        db = sys.argv[1] if len(sys.argv) > 1 else cage.ROOT / "services/scan/demo-signatures"
        c = cage.Cage(folder, db, workers=1, retire_after=10 ** 9)
        (worker,) = c.pids(2)
        for name, make, count in (("4 KB text", small, 3000), ("200 KB with attachment", large, 200)):
            mails = [make() for _ in range(count)]
            before, start = cpu(worker), time.monotonic()
            for m in mails:
                assert c.inspect(m).verdict == cage.pb.Facts.CLEAN
            wall = time.monotonic() - start
            print(f"{name}: {len(mails[0])} octets, {(cpu(worker) - before) / count * 1000:.3f} ms CPU, "
                  f"{wall / count * 1000:.3f} ms wall (with client)")
        c.stop()


main()
