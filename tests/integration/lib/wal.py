# SPDX-License-Identifier: MIT
"""When was which part of the WAL on disk? strace of every PostgreSQL process gives the writes to WAL segments and the
fdatasync calls with their ends; pg_waldump gives where each transaction's COMMIT record ends."""
import bisect
import datetime
import pathlib
import re
import subprocess

from .wire import wait_for

SEGMENT = 16 * 1024 * 1024
LINE = re.compile(r"^(?P<pid>\d+) +(?P<at>\d+\.\d+) (?P<rest>.*)$")
WRITE = re.compile(r"pwrite64\(\d+<[^>]*/pg_wal/(?P<segment>[0-9A-F]{24})>, .*, (?P<size>\d+), (?P<offset>\d+)"
                   r"(?:\) += \d+ <(?P<took>[\d.]+)>| <unf)")
SYNC = re.compile(r"fdatasync\(\d+<[^>]*/pg_wal/[0-9A-F]{24}>(?:\) += 0.* <(?P<took>[\d.]+)>| <unf)")
RESUMED = re.compile(r"<\.\.\. (?P<call>\w+) resumed>.*<(?P<took>[\d.]+)>")
COMMIT = re.compile(r"len \(rec/tot\): +\d+/ *(?P<total>\d+), tx: +(?P<xid>\d+), lsn: (?P<hi>[0-9A-F]+)/(?P<lo>[0-9A-F]+),.*"
                    r"desc: COMMIT (?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6})")


class Trace:
    """strace on the postmaster and all its processes, those to come included; each fdatasync is delayed before it begins."""

    def __init__(self, postmaster, children, log, delay_us):
        self.log = pathlib.Path(log)
        argv = ["strace", "-f", "-qq", "-y", "-T", "--absolute-timestamps=format:unix,precision:us", "-s", "0", "-o", str(log),
                "-e", "trace=pwrite64,fdatasync", "-e", f"inject=fdatasync:delay_enter={delay_us}"]
        for pid in (postmaster, *children):
            argv += ["-p", str(pid)]
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        wait_for("strace", lambda: f"TracerPid:\t{self.process.pid}" in pathlib.Path(f"/proc/{postmaster}/status").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        return self.log.read_text(errors="replace")


def position(segment, offset):
    """LSN of an offset in a segment file."""
    return (int(segment[8:16], 16) << 32) + int(segment[16:24], 16) * SEGMENT + offset


class Disk:
    """Writes and flushes of the WAL, from the trace."""

    def __init__(self, text):
        self.writes, self.syncs, pending = [], [], {}  # (began, done, LSN of the end); (began, ended)
        for line in text.splitlines():
            found = LINE.match(line)
            if not found:
                continue
            pid, at, rest = found["pid"], float(found["at"]), found["rest"]
            if write := WRITE.match(rest):
                end = position(write["segment"], int(write["offset"]) + int(write["size"]))
                if write["took"]:
                    self.writes.append((at, at + float(write["took"]), end))
                else:
                    pending[pid] = (at, end)
            elif sync := SYNC.match(rest):
                if sync["took"]:
                    self.syncs.append((at, at + float(sync["took"])))
                else:
                    pending[pid] = (at, None)
            elif (resumed := RESUMED.match(rest)) and pid in pending:
                began, end = pending.pop(pid)
                if end is None:
                    self.syncs.append((began, began + float(resumed["took"])))
                else:
                    self.writes.append((began, began + float(resumed["took"]), end))
        self.writes.sort()
        self.syncs.sort()

    def since(self, at, lsn):
        """When a COMMIT record made at `at` that ends at lsn was on disk: the end of the first flush that began after a write
        that began after the record was made and reaches beyond it. (A page is written again and again while it fills, so
        where a write ends says nothing alone.) None: never."""
        for began, done, end in self.writes[bisect.bisect_left(self.writes, (at,)):]:
            if end >= lsn:
                i = bisect.bisect_left(self.syncs, (done,))
                return min((ended for _, ended in self.syncs[i:i + 4]), default=None)
        return None


def commits(pg_bin, pg_data, start_lsn, run_as):
    """xid -> (when its COMMIT record was made, LSN of its end)."""
    done = subprocess.run([str(pathlib.Path(pg_bin) / "pg_waldump"), "-p", str(pathlib.Path(pg_data) / "pg_wal"), "-r", "Transaction",
                           "-s", start_lsn], capture_output=True, text=True, cwd="/", env={"TZ": "UTC", "LANG": "C"}, **run_as, check=False)
    out = {}
    for found in COMMIT.finditer(done.stdout):
        at = datetime.datetime.fromisoformat(found["at"]).replace(tzinfo=datetime.timezone.utc).timestamp()
        out[int(found["xid"])] = (at, (int(found["hi"], 16) << 32) + int(found["lo"], 16) + int(found["total"]))
    return out
