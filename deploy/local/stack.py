#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""All of Sekisho on one machine, on loopback, under one folder: PostgreSQL, nats-server, nginx and every service that
is built. Used by `make run`, by the integration tests and by the bench. Needs no container engine; started by root it
runs everything as the system user `sekisho`.

  stack.py up [--run DIR] [--build DIR] [--base PORT]   in the foreground, until SIGINT or SIGTERM
  stack.py down|status [--run DIR]
  stack.py pid NAME [--run DIR]                         process id of postgres, nats, gateway or a service
"""
import argparse
import fcntl
import hashlib
import json
import os
import pathlib
import pwd
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tools")]
import folders
import keys
import migrate
import postgres
import services
from supervise import Process, Supervisor

USER = "sekisho"
OURS = ("log", "web", "signatures", "bin")  # the services read there at most
THEIRS = {"sock": 0o755, "api": 0o755, "nats": 0o755, "gateway": 0o755, "scan-temp": 0o755, "handover": 0o700, "pg": 0o700,
          "audit-journal": 0o700, "audit-heads": 0o755}
RUN_PATH_MAX = 107 - len("/sock/.s.PGSQL.5432.lock")  # paths of Unix sockets are short
NATS_CONF = """# Made by deploy/local/stack.py; the accounts come from proto/subjects.tsv.
listen: "127.0.0.1:{nats}"
http: "127.0.0.1:{monitor}"
server_name: "local"
max_payload: 8MB
max_pending: 64MB
write_deadline: "10s"
jetstream {{ store_dir: "{store}", max_memory_store: 1GB, max_file_store: 1GB }}
{accounts}
"""


class StackError(Exception):
    """One line for people."""


class Stack:
    def __init__(self, run_dir, build_dir="build", base_port=None, env=None, only=None, say=lambda text: None):
        """base_port None: the one used before in run_dir, else free ones. env: variables added to every service's.
        only: names of services to run (default: all that are built)."""
        self.named_run, self.build = pathlib.Path(run_dir).absolute(), pathlib.Path(build_dir).absolute()
        self.base, self.env, self.only, self.say = base_port, dict(env or {}), only, say
        self.supervisor = self.lock_file = None

    # --- life --------------------------------------------------------------------------------------------
    def start(self, timeout=90):
        """Returns when everything is ready. On failure everything is stopped again."""
        try:
            self._prepare()
            self._start(time.monotonic() + timeout)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        if self.supervisor:
            groups = [list(self.services), ["gateway"], ["nats"], ["postgres"]]
            for group in groups:
                self.supervisor.stop(*[n for n in group if n in self.supervisor.processes])
            self.supervisor.close()
            self.supervisor = None
            self._write_state()
        if self.lock_file:
            self.lock_file.close()
            self.lock_file = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    # --- single processes --------------------------------------------------------------------------------
    def pid(self, name):
        return self._process(name).popen.pid

    def kill(self, name, sig=signal.SIGKILL, wait=True):
        """Send a signal as if it came from outside; the supervisor starts what dies again. Waits for the death."""
        pid = self.supervisor.kill(name, sig)
        if wait and sig not in (signal.SIGSTOP, signal.SIGCONT, signal.SIGHUP):
            if not self.supervisor.wait_exit(name, pid, 30):
                raise StackError(f"{name} did not end on signal {sig}")

    def halt(self, name):
        """Stop it and keep it stopped until restart()."""
        self.supervisor.stop(name)

    def restart(self, name, env=None, wait=True):
        """Stop and start again; env adds to the variables of this one from now on."""
        p = self._process(name)
        self.supervisor.stop(name)
        p.env.update(env or {})
        self.supervisor.run(p)
        if wait:
            self.wait_ready(name)

    def starts(self, name):
        """How often it was started: 1 unless something died."""
        return self._process(name).starts

    def ready(self, name):
        """None when ready, else why not."""
        p = self._process(name)
        if p.state == "failed":
            raise StackError(f"{name}: {self._last_line(p)}")
        if p.state != "running":
            return p.state
        try:
            self._probe(name)
        except urllib.error.HTTPError as e:
            return e.read(300).decode(errors="replace").strip() or str(e)
        except (OSError, RuntimeError) as e:
            return str(e)
        return None

    def wait_ready(self, *names, timeout=60):
        until = time.monotonic() + timeout
        for name in names or self.supervisor.processes:
            while (why := self.ready(name)) is not None:
                if time.monotonic() > until:
                    raise StackError(f"{name} is not ready after {timeout:.0f} s: {why}; "
                                     f"last line of {self._process(name).log}: {self._last_line(self._process(name))}")
                time.sleep(0.05)

    def log(self, name):
        return self.run / "log" / f"{name}.log"

    def conninfo(self, name="admin"):
        return self.postgres.conninfo(name)

    def psql(self, sql, name="admin"):
        return self.postgres.psql(sql, name=name)

    def status(self):
        return {p.name: {"state": p.state, "pid": p.popen.pid if p.state == "running" else None, "starts": p.starts,
                         "last_exit": p.last_exit} for p in list(self.supervisor.processes.values())}

    # --- setting up --------------------------------------------------------------------------------------
    def _prepare(self):
        """Folders, lock, user, ports, keys."""
        self.user = system_user() if os.getuid() == 0 else None
        self.run_as = {"user": self.user[0], "group": self.user[1], "extra_groups": []} if self.user else {}
        self.run = self._place()
        self._lock()
        self._folders()
        self.bin = self._binaries()
        names = [n for n in services.SERVICES if (self.bin / f"sekisho-{n}").exists()]
        self.services = [n for n in names if self.only is None or n in self.only]
        self.base = self._choose_base()
        self.ports = services.ports(self.base)
        keys.make(self.run / "keys", services.ON_THE_BUS, self.user)
        self.ca = folders.publish(self.run / "ca.crt", (self.run / "keys/ca.crt").read_text())
        self.sockets = self.run / "sock"
        self._signatures()
        self.postgres = postgres.Postgres(self.run / "pg", self.run / "postgres.conf", self.sockets, self.run / "keys", self.run_as)

    def _place(self):
        """The data folder: run_dir, or if the unprivileged user does not get there (or its name is too long for sockets)
        one under /var/tmp with a link to it."""
        run = self.named_run
        if run.is_symlink():
            return self._take_run(run.resolve())
        run.parent.mkdir(parents=True, exist_ok=True)
        self._take_run(run)
        if self._reaches("-x", run) and len(str(run)) <= RUN_PATH_MAX:
            return run
        if any(run.iterdir()):
            raise StackError(f"{run} is not empty, and {USER} cannot use it (path or permissions): move it away")
        data = pathlib.Path("/var/tmp") / f"sekisho-{hashlib.sha256(str(run).encode()).hexdigest()[:12]}"
        self._take_run(data)
        run.rmdir()
        run.symlink_to(data)
        return data

    def _take_run(self, run):
        """run/ itself is root's if root starts this: see folders.py."""
        try:
            os.mkdir(run, 0o755)
        except FileExistsError:
            # Anybody may write to /var/tmp: only take what is ours.
            if run.parent == pathlib.Path("/var/tmp") and os.lstat(run).st_uid not in (os.getuid(), *(self.user or ())[:1]):
                raise StackError(f"{run} belongs to somebody else") from None
        folders.take(run, 0o755, (0, 0) if self.user else None)
        if self.user:
            folders.refuse_links(run, deep=False)
        return run

    def _folders(self):
        for name in OURS:
            folders.take(self.run / name, 0o755, (0, 0) if self.user else None)
            if self.user:
                folders.refuse_links(self.run / name)
        for name, mode in THEIRS.items():
            folders.take(self.run / name, mode, self.user)

    def _reaches(self, test, path):
        return not self.user or subprocess.run(["test", test, path], cwd="/", **self.run_as).returncode == 0

    def _lock(self):
        self.lock_file = open(self.run / "lock", "a+")
        try:
            fcntl.flock(self.lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.lock_file.seek(0)
            pid = self.lock_file.read().strip()
            self.lock_file.close()
            self.lock_file = None
            raise StackError(f"Sekisho is already running in {self.named_run} (process {pid})") from None
        self.lock_file.truncate(0)
        self.lock_file.write(str(os.getpid()))
        self.lock_file.flush()

    def _binaries(self):
        """Where to run them from: build/bin, or copies if the unprivileged user cannot get there."""
        built = self.build / "bin"
        found = sorted(built.glob("sekisho*"))
        if not found or self._reaches("-x", found[0]):
            return built
        for path in found:
            # A running binary cannot be written to, but its name can be given to another file.
            shutil.copy2(path, self.run / "bin" / (path.name + ".new"))
            os.replace(self.run / "bin" / (path.name + ".new"), self.run / "bin" / path.name)
        return self.run / "bin"

    def _choose_base(self):
        if self.base is not None:
            busy = [n for n, p in services.ports(self.base).items() if n not in ("receiver", "page") and not port_free(p)]
            if busy:
                raise StackError(f"port {services.ports(self.base)[busy[0]]} ({busy[0]}) is in use; "
                                 f"choose other ones by SEKISHO_BASE_PORT (now {self.base})")
            return self.base
        return free_base()

    def _signatures(self):
        """Copies: the scanner's user must be able to read them, and a reload is tried by changing them."""
        named = self.env.get("SEKISHO_CLAMAV_DB")
        source = pathlib.Path(named) if named else ROOT / "services/scan/demo-signatures"
        if not source.is_dir():
            if named:
                raise StackError(f"SEKISHO_CLAMAV_DB: {named} is not a folder")
            return
        target = self.run / "signatures"
        for old in target.iterdir():
            if not (source / old.name).exists():
                old.unlink()
        for path in source.iterdir():
            if path.is_file():
                shutil.copy2(path, target / path.name)

    # --- starting ----------------------------------------------------------------------------------------
    def _start(self, until):
        self.supervisor = Supervisor(self.user, self._write_state)
        self.say("PostgreSQL")
        self.postgres.init()
        self._run("postgres", self.postgres.argv(), stop_signal=signal.SIGINT)
        self._run("nats", ["nats-server", "-c", self._nats_conf()])
        self.postgres.wait(until - time.monotonic())
        self.postgres.prepare(services.ON_THE_BUS)
        migrate.migrate(self.conninfo(), lambda text: self.say(text))
        self._bootstrap()
        self.say("services: " + ", ".join(self.services))
        for name in self.services:
            self._run(name, [self.bin / f"sekisho-{name}"], self._environment(name))
        if "api" in self.services:
            self._run("gateway", ["/usr/sbin/nginx", "-e", "stderr", "-p", self.run / "gateway", "-c", self._gateway_conf()])
        self.wait_ready(timeout=max(1, until - time.monotonic()))

    def _bootstrap(self):
        """The platform's own key, made by auth once, on an empty directory."""
        path, made = self.run / "keys/platform.key", self.run / "handover/platform.key"
        if "auth" not in self.services or path.exists():
            return
        if not made.exists():  # else this program died on the lines below
            self._make_platform_key(made)
        keys.write(path, folders.read(made))
        folders.set_file(path, 0o600, self.user)
        made.unlink()

    def _make_platform_key(self, path):
        r = subprocess.run([self.bin / "sekisho-auth", "--bootstrap", path], env=self._environment("auth") | self.env,
                           capture_output=True, text=True, cwd="/", **self.run_as)
        if r.returncode != 0:
            raise StackError(f"sekisho-auth --bootstrap: {r.stderr.strip() or r.stdout.strip()}")

    def _environment(self, name):
        return services.environment(name, self.run, self.ports, self.conninfo)

    def _run(self, name, argv, env=None, **more):
        # Nothing of the caller's environment but what the sanitizers need.
        base = {k: v for k, v in os.environ.items() if k.startswith(("ASAN_", "UBSAN_", "LSAN_"))}
        base |= {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": str(self.run)}
        self.supervisor.run(Process(name, argv, base | (env or {}) | self.env, self.log(name), **more))

    def _nats_conf(self):
        accounts = subprocess.run([sys.executable, ROOT / "tools/gen_subjects.py", "--nats", self.run / "keys"],
                                  check=True, capture_output=True, text=True).stdout
        return folders.publish(self.run / "nats.conf", NATS_CONF.format(
            nats=self.ports["nats"], monitor=self.ports["nats-monitor"], store=self.run / "nats", accounts=accounts))

    def _gateway_conf(self):
        """nginx.conf.template with its @NAMES@ filled in, beside the pages and the description of the API."""
        source, pages = ROOT / "services/gateway", self.run / "web"
        text = (source / "nginx.conf.template").read_text()
        for name, value in {"RUN": self.run, "PORT": self.ports["https"], "CERT": self.run / "keys/tls.crt",
                            "KEY": self.run / "keys/tls.key"}.items():
            text = text.replace(f"@{name}@", str(value))
        shutil.copytree(source / "web", pages, dirs_exist_ok=True)
        if (ROOT / "docs/openapi.yaml").exists():
            folders.publish(pages / "openapi.yaml", (ROOT / "docs/openapi.yaml").read_text())
        return folders.publish(self.run / "nginx.conf", text)

    # --- looking -----------------------------------------------------------------------------------------
    def _process(self, name):
        try:
            return self.supervisor.processes[name]
        except KeyError:
            raise StackError(f"there is no {name} here") from None

    def _probe(self, name):
        if name == "postgres":
            self.postgres.wait(0)
        elif name == "nats":
            urllib.request.urlopen(f"http://127.0.0.1:{self.ports['nats-monitor']}/healthz", timeout=5).read()
        elif name == "gateway":
            context = ssl.create_default_context(cafile=self.ca)
            with socket.create_connection(("127.0.0.1", self.ports["https"]), 5) as s:
                context.wrap_socket(s, server_hostname="localhost").close()
        else:
            urllib.request.urlopen(f"http://127.0.0.1:{self.ports[name + '-health']}/readyz", timeout=5).read()

    def _last_line(self, p):
        try:
            lines = p.log.read_text(errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return lines[-1] if lines else f"nothing (exit {p.last_exit})"

    def _write_state(self):
        state = {"pid": os.getpid(), "base": self.base,
                 "processes": self.status() if self.supervisor else {}}
        path = self.run / "state.json"
        new = path.with_suffix(f".{threading.get_ident()}")
        new.write_text(json.dumps(state, indent=1))
        os.replace(new, path)


def system_user():
    """(uid, gid) of the unprivileged user; made if missing."""
    try:
        entry = pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--system", "--user-group", "--home-dir", "/nonexistent", "--no-create-home",
                        "--shell", "/usr/sbin/nologin", USER], check=True)
        entry = pwd.getpwnam(USER)
    return entry.pw_uid, entry.pw_gid


def port_free(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_base():
    for _ in range(100):
        base = random.randrange(19000, 31000)
        if all(port_free(p) for p in services.ports(base).values()):
            return base
    raise StackError("no free ports")


# --- command ---------------------------------------------------------------------------------------------
def up(args):
    # A pipe, not an Event: a handler that runs while wait() holds the Event's lock would wait for itself.
    told, tell = os.pipe()
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, lambda *_: os.write(tell, b"x"))
    stack = Stack(args.run, args.build, args.base, say=lambda text: print(text, flush=True))
    stack.start()
    try:
        print(f"ready; ports from {stack.base}: {stack.ports}", flush=True)
        os.read(told, 1)
    finally:
        stack.stop()


def state_of(run):
    """state.json of a running instance, or None."""
    try:
        with open(run / "lock", "a+") as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return None
            except BlockingIOError:
                return json.loads((run / "state.json").read_text())
    except FileNotFoundError:
        return None


def down(args):
    state = state_of(pathlib.Path(args.run))
    if state is None:
        raise StackError(f"nothing runs in {args.run}")
    os.kill(state["pid"], signal.SIGTERM)
    until = time.monotonic() + 60
    while state_of(pathlib.Path(args.run)) is not None:
        if time.monotonic() > until:
            raise StackError(f"process {state['pid']} does not end")
        time.sleep(0.1)


def status(args):
    state = state_of(pathlib.Path(args.run))
    if state is None:
        raise StackError(f"nothing runs in {args.run}")
    print(f"{'process':10} {'state':8} {'pid':>8} {'starts':>6}  last exit")
    for name, p in state["processes"].items():
        print(f"{name:10} {p['state']:8} {p['pid'] or '-':>8} {p['starts']:>6}  "
              f"{p['last_exit'] if p['last_exit'] is not None else '-'}")


def pid(args):
    state = state_of(pathlib.Path(args.run))
    if state is None or (p := state["processes"].get(args.name)) is None or p["pid"] is None:
        raise StackError(f"{args.name} does not run in {args.run}")
    print(p["pid"])


def main():
    parser = argparse.ArgumentParser(description="All of Sekisho on one machine.")
    parser.add_argument("verb", choices=("up", "down", "status", "pid"))
    parser.add_argument("name", nargs="?", help="with pid: of which process")
    parser.add_argument("--run", default=ROOT / "run", help="data folder (default: run)")
    parser.add_argument("--build", default=ROOT / "build", help="where bin/ is (default: build)")
    parser.add_argument("--base", type=int, default=services.DEFAULT_BASE, help="first port")
    args = parser.parse_args()
    {"up": up, "down": down, "status": status, "pid": pid}[args.verb](args)


if __name__ == "__main__":
    try:
        main()
    except (StackError, folders.Unsafe, migrate.Refused, RuntimeError) as error:
        sys.exit(f"sekisho: {error}")
