#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""`make run`: start everything on loopback, make a demo tenant, play the demo, stay up until Ctrl-C.

Environment: DEMO=0 only starts; SEKISHO_NEXT_HOP=host:port sends all outgoing mail there; SEKISHO_HOLD_SECONDS is the
demo's hold (default 20, 0: none); SEKISHO_CLAMAV_DB names a folder of signatures; SEKISHO_BASE_PORT moves all ports;
SEKISHO_RUN and SEKISHO_BUILD name other folders than run/ and build/. Other SEKISHO_ variables reach every service.
"""
import os
import pathlib
import re
import shlex
import signal
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tools")]
import demo
import folders
import migrate
import receiver
import services
from stack import Stack, StackError

OWN = ("SEKISHO_NEXT_HOP", "SEKISHO_HOLD_SECONDS", "SEKISHO_BASE_PORT", "SEKISHO_RUN", "SEKISHO_BUILD", "SEKISHO_URL",
       "SEKISHO_CA", "SEKISHO_API_KEY", "SEKISHO_SENDER", "SEKISHO_TENANT")
NOT_BUILT = ("approvals, variants (zip, web download, Bcc), incoming mailboxes, shared inbox, campaigns, the web "
             "console, Kubernetes manifests")


class Settings:
    def __init__(self, env):
        self.demo = env.get("DEMO", "1") != "0"
        self.next_hop = env.get("SEKISHO_NEXT_HOP", "")
        if self.next_hop and not re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}", self.next_hop):
            raise StackError(f"SEKISHO_NEXT_HOP: {self.next_hop!r} is not host:port")
        self.hold = self._number(env, "SEKISHO_HOLD_SECONDS", 20, 3600)
        self.base = self._number(env, "SEKISHO_BASE_PORT", services.DEFAULT_BASE, 64000)
        self.run = pathlib.Path(env.get("SEKISHO_RUN", ROOT / "run"))
        self.build = pathlib.Path(env.get("SEKISHO_BUILD", ROOT / "build"))
        self.env = {k: v for k, v in env.items() if k.startswith("SEKISHO_") and k not in OWN and not k.startswith("SEKISHO_SMTP_")}
        if self.next_hop:  # stronger than any tenant's route
            self.env["SEKISHO_DELIVERY_NEXT_HOP"] = self.next_hop
        # Incoming mail of the demo's domains is shown on the page too.
        self.env.setdefault("SEKISHO_DELIVERY_INBOUND_HOP", f"{services.HOST}:{services.ports(self.base)['receiver']}")

    @staticmethod
    def _number(env, name, default, most):
        text = env.get(name, str(default))
        if not text.isdecimal() or int(text) > most:
            raise StackError(f"{name}: {text!r} is not a number between 0 and {most}")
        return int(text)


def say(text=""):
    print(text, flush=True)


def write_env(stack, tenant, settings):
    """run/sekisho.env, for a shell or a program that reads NAME=value."""
    p, host = stack.ports, services.HOST
    values = {
        "SEKISHO_URL": f"https://localhost:{p['https']}", "SEKISHO_CA": str(settings.run.absolute() / "ca.crt"),
        "SEKISHO_API_KEY": tenant.key, "SEKISHO_SMTP_MX": f"{host}:{p['mx']}",
        "SEKISHO_SMTP_SUBMISSION": f"{host}:{p['submission']}", "SEKISHO_SMTP_SUBMISSIONS": f"{host}:{p['submissions']}",
        "SEKISHO_SMTP_USER": tenant.login, "SEKISHO_SMTP_PASSWORD": tenant.password, "SEKISHO_SENDER": tenant.login,
        "SEKISHO_TENANT": tenant.id,
    }
    path = stack.run / "sekisho.env"
    path.unlink(missing_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w") as f:
        f.write("".join(f"{k}={shlex.quote(v)}\n" for k, v in values.items()))
        # Who may read it: whoever owns the checkout, even when root started this.
        owner = ROOT.stat()
        if os.getuid() == 0:
            os.fchown(fd, owner.st_uid, owner.st_gid)
    return values


def tenants(stack, settings, sink_port):
    """(demo tenant, second tenant), made or found again, with routes and rules of this start."""
    url, path = f"https://localhost:{stack.ports['https']}", stack.run / "keys/demo.json"
    platform = demo.Api(url, stack.ca, (stack.run / "keys/platform.key").read_text().strip())
    kept = demo.load(path)
    try:
        one = demo.Tenant(platform, url, stack.ca, demo.DOMAIN, f"hanako@{demo.DOMAIN}", kept["one"])
        two = demo.Tenant(platform, url, stack.ca, demo.OTHER_DOMAIN, f"jun@{demo.OTHER_DOMAIN}", kept["two"])
    finally:
        demo.save(path, kept)
    one.route(f"{services.HOST}:{sink_port}")
    two.route(f"{services.HOST}:{stack.ports['dead']}")
    one.api("PUT", "/v1/policy", demo.rules(settings.hold))
    two.api("PUT", "/v1/policy", demo.rules(0))
    return one, two


def play(stack, settings, both, sink, ready_at):
    """True when everything was as expected."""
    color = sys.stdout.isatty()
    cases = demo.cases(*both, settings.hold, with_receiver=not settings.next_hop)
    say("\nMails through the front door (SMTP submission with STARTTLS and AUTH); what the server answered:")
    demo.play(cases, both, None if settings.next_hop else sink, services.HOST, stack.ports["submission"], stack.ca,
              settings.hold + 60, say)
    say("\nWhat became of them, read back through the API; DKIM verified by dkimpy on the mail as received:")
    say(demo.table(cases, color))
    if settings.next_hop:
        say(f"  Everything went to {settings.next_hop}: DKIM cannot be checked here, and no receiver is down.")
    sums = [t.api("GET", "/v1/conservation")["tenants"][0] for t in both]
    say("\nEvery recipient accounted for:")
    for t, one in zip(both, sums):
        terms = ", ".join(f"{name} {count}" for name, count in one["terms"].items() if count)
        say(f"  {t.domain}: {terms} - {'the sum holds' if one['holds'] else 'THE SUM IS WRONG'}")
    wrong = [c for c in cases if c.wrong()]
    if wrong or not all(one["holds"] for one in sums):
        mark, off = ("\033[31m", "\033[0m") if color else ("", "")
        say(f"\n{mark}{len(wrong)} of {len(cases)} are not as expected. Logs: {stack.run}/log{off}")
        return False, cases
    say(f"All {len(cases)} as expected, {time.monotonic() - ready_at:.0f} s after ready.")
    return True, cases


def farewell(stack, settings, values, cases):
    run = os.path.relpath(settings.run, pathlib.Path.cwd())
    program = os.path.relpath(settings.build / "bin/sekisho", pathlib.Path.cwd())
    stack_py = os.path.relpath(HERE / "stack.py", pathlib.Path.cwd())
    real = "SEKISHO_CLAMAV_DB" in settings.env
    shown = next((c.message for c in cases if c.message), None)
    q = shlex.quote
    say(f"""
This is a demo: its keys and certificates were made here and lie in {run}/keys; {'signatures of your own' if real else
'it knows demo signatures only'}{'' if real else ' (`make signatures` fetches real ones)'}.
Not built yet: {NOT_BUILT}.

Addresses and credentials: {run}/sekisho.env     Mails as received: http://127.0.0.1:{stack.ports['page']}/
Processes: {stack_py} status     Logs: {run}/log/

To paste in another terminal:
  swaks --server {values['SEKISHO_SMTP_SUBMISSION']} --tls --auth PLAIN --auth-user {q(values['SEKISHO_SMTP_USER'])} --auth-password {q(values['SEKISHO_SMTP_PASSWORD'])} --from {q(values['SEKISHO_SENDER'])} --to you@partner.example --header 'Subject: hello' --body 'Hello from Sekisho'
  {program} --env {run}/sekisho.env message trace {shown or 'ID'}
  kill -9 $({stack_py} pid nats --run {run}); sleep 3; {program} --env {run}/sekisho.env conservation
""")


def main():
    settings = Settings(os.environ)
    stop = threading.Event()

    def end(*_):
        if not stop.is_set():
            stop.set()
            raise KeyboardInterrupt
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sig, end)
    stack = Stack(settings.run, settings.build, settings.base, env=settings.env, say=lambda text: say(f"  {text}"))
    sink = page = None
    try:
        say("Starting Sekisho")
        stack.start()
        ready_at = time.monotonic()
        say(f"Ready: {', '.join(stack.services)}; https://localhost:{stack.ports['https']}, SMTP on "
            f"{stack.ports['mx']} (MX), {stack.ports['submission']} (submission), {stack.ports['submissions']} (submissions)")
        keys = stack.run / "keys"
        sink = receiver.Receiver(stack.run / "received", stack.ports["receiver"], keys / "tls.crt", keys / "tls.key")
        both = tenants(stack, settings, stack.ports["receiver"])
        page = receiver.Page(stack.ports["page"], sink, lambda mail: demo.dkim_count(both, mail.data))
        values = write_env(stack, both[0], settings)
        good, cases = play(stack, settings, both, sink, ready_at) if settings.demo else (True, [])
        if not good:
            return 1
        farewell(stack, settings, values, cases)
        say("Running. Ctrl-C stops everything.")
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say("\nStopping")
    finally:
        stop.set()
        for part in (page, sink):
            if part is not None:
                part.close()
        stack.stop()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (StackError, folders.Unsafe, migrate.Refused, demo.ApiError, RuntimeError) as error:
        sys.exit(f"sekisho: {error}")
