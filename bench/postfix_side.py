# SPDX-License-Identifier: MIT
"""The other side of the bench: Postfix + clamav-milter (clamd) + OpenDKIM, an instance of its own in its own folder.

Tuned as its own documentation advises for throughput, nothing held back:
- smtpd, cleanup and smtp processes enough for every connection (default_process_limit 200), in_flow_delay 0, no limits per client;
- outgoing: 50 parallel connections to the next hop, kept open and reused without limit (smtp_connection_cache);
- no DNS, no local delivery, no address rewriting maps; milters over Unix sockets; clamd with one thread per core and more;
- its durability is its own default: the queue file is synced to disk before the 250, as Sekisho's WAL is.
"""
import os
import pathlib
import pwd
import shutil
import socket
import subprocess

from measure import wait_for

MASTER = """\
smtp       inet n - n - {smtpd} smtpd
pickup     unix n - n 60 1 pickup
cleanup    unix n - n - 0 cleanup
qmgr       unix n - n 300 1 qmgr
tlsmgr     unix - - n 1000? 1 tlsmgr
rewrite    unix - - n - - trivial-rewrite
bounce     unix - - n - 0 bounce
defer      unix - - n - 0 bounce
trace      unix - - n - 0 bounce
verify     unix - - n - 1 verify
flush      unix n - n 1000? 0 flush
proxymap   unix - - n - - proxymap
smtp       unix - - n - - smtp
relay      unix - - n - - smtp
showq      unix n - n - - showq
error      unix - - n - - error
retry      unix - - n - - error
discard    unix - - n - - discard
anvil      unix - - n - 1 anvil
scache     unix - - n - 1 scache
postlog    unix-dgram n - n - 1 postlogd
"""

MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/mail.log
maillog_file_prefixes = {root}
mail_owner = postfix
setgid_group = postdrop
myhostname = bench.example
mydestination =
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
relayhost = [127.0.0.1]:{sink}
smtp_dns_support_level = disabled
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_tls_security_level = may
smtpd_tls_cert_file = {cert}
smtpd_tls_key_file = {key}
smtpd_milters = unix:{root}/clamav-milter.sock unix:{root}/opendkim.sock
milter_default_action = tempfail
milter_command_timeout = 120s
milter_content_timeout = 300s
message_size_limit = 67108864
default_process_limit = 200
max_use = 1000
in_flow_delay = 0
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_client_message_rate_limit = 0
smtpd_error_sleep_time = 0
qmgr_message_active_limit = 20000
initial_destination_concurrency = 50
default_destination_concurrency_limit = 50
smtp_destination_concurrency_limit = 50
smtp_connection_cache_destinations = [127.0.0.1]:{sink}
smtp_connection_reuse_count_limit = 0
smtp_connection_reuse_time_limit = 300s
smtp_connect_timeout = 5s
minimal_backoff_time = 5s
queue_run_delay = 5s
"""

CLAMD = """\
Foreground yes
LocalSocket {root}/clamd.sock
DatabaseDirectory {signatures}
LogFile {root}/clamd.log
LogTime yes
MaxThreads {threads}
MaxQueue 200
MaxConnectionQueueLength 200
StreamMaxLength 100M
SelfCheck 0
IdleTimeout 30
OfficialDatabaseOnly no
AlertExceedsMax yes
TemporaryDirectory {root}/tmp
"""

MILTER = """\
Foreground yes
MilterSocket unix:{root}/clamav-milter.sock
MilterSocketMode 666
ClamdSocket unix:{root}/clamd.sock
OnInfected Reject
OnFail Defer
LogFile {root}/clamav-milter.log
MaxFileSize 100M
TemporaryDirectory {root}/tmp
"""

DKIM = """\
Mode s
Socket local:{root}/opendkim.sock
UMask 0000
Domain bench.example
Selector bench
KeyFile {root}/dkim.private
Canonicalization relaxed/relaxed
SignatureAlgorithm rsa-sha256
OversignHeaders From,To,Subject,Date,Message-ID
Syslog no
Background no
UserID opendkim
RequireSafeKeys no
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class PostfixSide:
    name = "Postfix + clamav-milter + OpenDKIM"

    def __init__(self, root, signatures, sink_port, cert, key, tls):
        self.root, self.tls = pathlib.Path(root), tls
        self.port = free_port()
        shutil.rmtree(self.root, ignore_errors=True)
        values = {"root": self.root, "signatures": signatures, "sink": sink_port, "cert": cert, "key": key,
                  "smtpd": 200, "threads": max(10, 4 * os.cpu_count())}
        for folder in ("", "etc", "queue", "data", "tmp"):
            (self.root / folder).mkdir(parents=True, exist_ok=True)
        for path in (self.root, self.root / "tmp"):
            path.chmod(0o1777)  # three users put their sockets here
        owner = pwd.getpwnam("postfix")
        os.chown(self.root / "data", owner.pw_uid, owner.pw_gid)
        (self.root / "etc" / "main.cf").write_text(MAIN.format(**values))
        master = MASTER.format(**values).replace("smtp       inet", f"127.0.0.1:{self.port} inet", 1)
        (self.root / "etc" / "master.cf").write_text(master)
        for name, text in (("clamd.conf", CLAMD), ("milter.conf", MILTER), ("opendkim.conf", DKIM)):
            (self.root / name).write_text(text.format(**values))
        subprocess.run(["openssl", "genrsa", "-out", str(self.root / "dkim.private"), "2048"], check=True,
                       stderr=subprocess.DEVNULL)
        shutil.chown(self.root / "dkim.private", "opendkim", "opendkim")
        self.daemons = {}

    def _daemon(self, name, user, argv):
        out = open(self.root / f"{name}.out", "w", encoding="utf-8")
        self.daemons[name] = subprocess.Popen(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv],
                                              stdout=out, stderr=out)

    def start(self):
        self._daemon("clamd", "clamav", ["clamd", "-c", str(self.root / "clamd.conf")])
        wait_for("clamd", lambda: (self.root / "clamd.sock").exists(), 300)
        self._daemon("clamav-milter", "clamav", ["clamav-milter", "-c", str(self.root / "milter.conf")])
        self._daemon("opendkim", "opendkim", ["opendkim", "-f", "-x", str(self.root / "opendkim.conf")])
        for name in ("clamav-milter", "opendkim"):
            wait_for(name, lambda n=name: (self.root / f"{n}.sock").exists())
        postfix = ["postfix", "-c", str(self.root / "etc")]
        subprocess.run([*postfix, "check"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.run([*postfix, "start"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.master = int(wait_for("postfix", lambda: self._master_pid()))
        return self

    def _master_pid(self):
        try:
            return (self.root / "queue" / "pid" / "master.pid").read_text().strip()
        except OSError:
            return None

    def groups(self):
        return {"postfix": self.master, **{name: p.pid for name, p in self.daemons.items()}}

    def load_options(self):
        return ["--starttls"] if self.tls else []

    def stop(self):
        subprocess.run(["postfix", "-c", str(self.root / "etc"), "stop"], check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        for daemon in reversed(list(self.daemons.values())):
            daemon.terminate()
        for daemon in self.daemons.values():
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
