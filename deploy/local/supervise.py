# SPDX-License-Identifier: MIT
"""Runs processes and starts again what ends: each in its own session, output to one log file each, with back-off, as
an unprivileged user when told so. One thread watches; all methods may be called from any. guard.py cleans up when
this process dies without stop()."""
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

BACKOFF_FIRST_S, BACKOFF_MOST_S, HEALTHY_S = 0.2, 5.0, 20.0
EXIT_CONFIG = 78  # EX_CONFIG: starting again would say the same
HERE = pathlib.Path(__file__).resolve().parent


class Process:
    """What to run; the rest is the supervisor's bookkeeping."""

    def __init__(self, name, argv, env, log, stop_signal=signal.SIGTERM, stop_s=20):
        self.name, self.argv, self.env, self.log = name, [str(a) for a in argv], env, pathlib.Path(log)
        self.stop_signal, self.stop_s = stop_signal, stop_s
        self.popen = None
        self.state = "stopped"  # stopped | running | waiting | failed
        self.wanted = False
        self.starts = 0
        self.started_at = self.next_at = 0.0
        self.backoff = BACKOFF_FIRST_S
        self.last_exit = None


class Supervisor:
    def __init__(self, user=None, on_change=lambda: None):
        """user: (uid, gid) or None. on_change is called without locks after any change of state."""
        self.user, self.on_change = user, on_change
        self.processes = {}
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.guard = subprocess.Popen([sys.executable, HERE / "guard.py"], stdin=subprocess.PIPE, text=True,
                                      start_new_session=True)
        self.ending = False
        self.thread = threading.Thread(target=self._watch, daemon=True, name="supervisor")
        self.thread.start()

    # --- what callers do ---------------------------------------------------------------------------------
    def run(self, process):
        with self.lock:
            self.processes[process.name] = process
            process.wanted = True
            process.backoff = BACKOFF_FIRST_S
            self._start(process)
        self.on_change()

    def stop(self, *names):
        """Stop them (all at once) and keep them stopped."""
        with self.lock:
            for n in names:
                p = self.processes[n]
                p.wanted = False
                if p.state == "running":
                    self._signal(p, p.stop_signal)
                else:
                    p.state = "stopped"
            for n in names:
                p = self.processes[n]
                if not self.changed.wait_for(lambda p=p: p.state != "running", p.stop_s):
                    self._signal(p, signal.SIGKILL)
                    self.changed.wait_for(lambda p=p: p.state != "running", 10)
        self.on_change()

    def kill(self, name, sig):
        """Send a signal to the process itself (not its children), as if it came from outside."""
        with self.lock:
            p = self.processes[name]
            if p.state != "running":
                raise RuntimeError(f"{name} is not running")
            pid = p.popen.pid
            os.kill(pid, sig)
        return pid

    def wait_exit(self, name, pid, timeout):
        with self.lock:
            p = self.processes[name]
            return self.changed.wait_for(lambda: p.state != "running" or p.popen.pid != pid, timeout)

    def close(self):
        with self.lock:
            running = [p.name for p in self.processes.values() if p.wanted]
        self.stop(*running)
        self.ending = True
        self.thread.join()
        self.guard.stdin.close()
        self.guard.wait()

    # --- the watching thread -----------------------------------------------------------------------------
    def _signal(self, p, sig):
        try:
            os.kill(p.popen.pid, sig)
        except ProcessLookupError:
            pass

    def _start(self, p):
        p.starts += 1
        user = {"user": self.user[0], "group": self.user[1], "extra_groups": []} if self.user else {}
        with open(p.log, "ab") as log:
            p.popen = subprocess.Popen(p.argv, env=p.env, cwd="/", stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True, **user)
        p.state, p.started_at = "running", time.monotonic()
        self._tell_guard(f"+{p.popen.pid}")

    def _tell_guard(self, line):
        try:
            self.guard.stdin.write(line + "\n")
            self.guard.stdin.flush()
        except OSError:
            pass  # the guard is gone: nothing is left that could clean up for us

    def _ended(self, p, code):
        # What the process left behind (workers of a killed nginx) would hold its ports.
        try:
            os.killpg(p.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._tell_guard(f"-{p.popen.pid}")
        p.last_exit = code
        if not p.wanted:
            p.state = "stopped"
        elif code == EXIT_CONFIG:
            p.state = "failed"
        else:
            now = time.monotonic()
            if now - p.started_at > HEALTHY_S:
                p.backoff = BACKOFF_FIRST_S
            p.state, p.next_at = "waiting", now + p.backoff
            p.backoff = min(p.backoff * 2, BACKOFF_MOST_S)

    def _watch(self):
        while not self.ending:
            moved = False
            with self.lock:
                for p in self.processes.values():
                    if p.state == "running" and (code := p.popen.poll()) is not None:
                        self._ended(p, code)
                        moved = True
                    elif p.state == "waiting" and time.monotonic() >= p.next_at:
                        self._start(p)
                        moved = True
                if moved:
                    self.changed.notify_all()
            if moved:
                self.on_change()
            time.sleep(0.05)
