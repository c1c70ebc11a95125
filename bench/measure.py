# SPDX-License-Identifier: MIT
"""What both sides are measured with: the load generator, the sink, CPU and memory of process groups from /proc."""
import json
import os
import pathlib
import signal
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def wait_for(what, ready, seconds=60):
    """Polls until ready() is true; its value is returned."""
    end = time.monotonic() + seconds
    while True:
        value = ready()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def _stat(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text[text.rindex(")") + 2:].split()


def tree(pid):
    """pid and all its living descendants."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (fields := _stat(entry)):
            children.setdefault(int(fields[1]), []).append(int(entry))
    found, rest = [], [pid]
    while rest:
        pid = rest.pop()
        found.append(pid)
        rest.extend(children.get(pid, ()))
    return found


def cpu_seconds(pid):
    """CPU of pid and its descendants, with the children they have waited for."""
    ticks = 0
    for member in tree(pid):
        if fields := _stat(member):
            ticks += sum(int(f) for f in fields[11:15])
    return ticks / TICK


def rss_octets(pid):
    """Resident memory of pid and its descendants; pages they share count once (PSS)."""
    total = 0
    for member in tree(pid):
        try:
            for line in pathlib.Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
        except OSError:
            pass
    return total


def cpu_busy():
    """Busy and all CPU seconds of the machine so far."""
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK, sum(fields) / TICK


class Sink:
    """bench-sink; its log is read while it runs."""

    def __init__(self, binary, log, *options):
        self.log = pathlib.Path(log)
        self.log.unlink(missing_ok=True)
        self.process = subprocess.Popen([binary, "--log", str(log), *options], stdout=subprocess.PIPE, text=True)
        self.port = json.loads(self.process.stdout.readline())["port"]
        self._file, self._rest, self._arrivals = None, "", {}

    def arrivals(self):
        """id -> list of arrival times in microseconds, of all that was taken so far."""
        if self._file is None:
            self._file = open(self.log, encoding="ascii")
        text = self._rest + self._file.read()
        lines, _, self._rest = text.rpartition("\n")
        for line in lines.splitlines():
            ident, at, _, outcome = line.split()
            if outcome in ("ok", "dropped"):
                self._arrivals.setdefault(ident, []).append(int(at))
        return self._arrivals

    def stop(self):
        """The summary."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=10)
        if self._file:
            self._file.close()
        return json.loads(out)


def load(binary, port, log, *options):
    """Runs bench-load to its end; (summary, {id: class})."""
    done = subprocess.run([binary, "--port", str(port), "--log", str(log), *map(str, options)], stdout=subprocess.PIPE,
                          text=True, check=False)
    return json.loads(done.stdout), read_log(log)


def read_log(log):
    """id -> class of a load generator's log."""
    return {line.split()[0]: line.split()[1] for line in pathlib.Path(log).read_text().splitlines() if line.count(" ") == 4}


class Run:
    """One measured load on one side. `groups` is {stage: pid}."""

    def __init__(self, tools, side, sink, mails, options, prefix, log):
        before = {name: cpu_seconds(pid) for name, pid in side.groups().items()}
        busy, whole = cpu_busy()
        self.summary, classes = load(tools / "bench-load", side.port, log, "--mails", mails, "--prefix", prefix,
                                     *side.load_options(), *options)
        ok = {ident for ident, kind in classes.items() if kind == "ok"}
        wait_for("last delivery", lambda: ok <= sink.arrivals().keys(), 300)
        last = max(sink.arrivals()[ident][0] for ident in ok)
        busy2, whole2 = cpu_busy()
        after = {name: cpu_seconds(pid) for name, pid in side.groups().items()}
        self.mails = len(ok)
        self.seconds = (last - self.summary["first_us"]) / 1e6
        self.rate = self.mails / self.seconds
        self.cpu_ms = {name: (after[name] - before[name]) * 1000 / self.mails for name in after}
        self.busy = (busy2 - busy) / (whole2 - whole)
        self.accepted_rate = self.mails / ((self.summary["last_us"] - self.summary["first_us"]) / 1e6)
