# SPDX-License-Identifier: MIT
"""What runs on one machine: the ports, and each service's environment, in one place."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
# Database role, NATS user and keys. scan has none of them.
ON_THE_BUS = ("ingest", "auth", "policy", "delivery", "keeper", "api", "audit", "notify")
# In the order in which they are started; each waits for what it needs by itself.
SERVICES = ("scan", "auth", "policy", "delivery", "keeper", "audit", "notify", "ingest", "api")
# Offsets to the base port.
PORTS = {
    "https": 443, "mx": 25, "submission": 587, "submissions": 465, "nats": 222, "nats-monitor": 223,
    "page": 80, "receiver": 900, "dead": 901,
    **{f"{name}-health": 100 + i for i, name in enumerate(SERVICES)},
}
DEFAULT_BASE = 18000
HOST = "127.0.0.1"


def ports(base):
    return {name: base + offset for name, offset in PORTS.items()}


def environment(name, run, port, database):
    """Variables of one service. run: data folder; port: see ports(); database: conninfo by service name."""
    keys, upper = run / "keys", f"SEKISHO_{name.upper()}_"
    env = {upper + "HEALTH_LISTEN": f"{HOST}:{port[name + '-health']}"}
    if name in ON_THE_BUS:
        env |= {
            "SEKISHO_NATS_URL": f"nats://{HOST}:{port['nats']}",
            "SEKISHO_ACTOR_PUBLIC": keys / "actor.pub",
            "SEKISHO_KEK": keys / "kek",
            upper + "NKEY": keys / f"{name}.nk",
            upper + "DB": database(name),
        }
    return {k: str(v) for k, v in (env | OWN.get(name, lambda *_: {})(run, port)).items()}


def _scan(run, port):
    # The demo signatures never change, so they may be of any age; real ones may not.
    real = any((run / "signatures" / f).exists() for f in ("daily.cvd", "daily.cld"))
    return {
        "SEKISHO_SCAN_SOCKET": run / "sock/scan",
        "SEKISHO_SCAN_DB": run / "signatures",
        "SEKISHO_SCAN_TMP": run / "scan-temp",
        **({} if real else {"SEKISHO_SCAN_MAX_AGE": "0s"}),
    }


def _ingest(run, port):
    return {
        "SEKISHO_INGEST_LISTEN_MX": f"{HOST}:{port['mx']}",
        "SEKISHO_INGEST_LISTEN_SUBMISSION": f"{HOST}:{port['submission']}",
        "SEKISHO_INGEST_LISTEN_SUBMISSIONS": f"{HOST}:{port['submissions']}",
        "SEKISHO_INGEST_LISTEN_INTERNAL": run / "sock/ingest",
        "SEKISHO_INGEST_TLS_CERT": run / "keys/tls.crt",
        "SEKISHO_INGEST_TLS_KEY": run / "keys/tls.key",
        "SEKISHO_INGEST_HOSTNAME": "mx.sekisho.test",
        "SEKISHO_INGEST_SCAN_SOCKET": run / "sock/scan",
    }


def _auth(run, port):
    return {"SEKISHO_AUTH_ACTOR_PRIVATE": run / "keys/actor.pem"}


def _delivery(run, port):
    return {"SEKISHO_DELIVERY_HOSTNAME": "mx.sekisho.test", "SEKISHO_DELIVERY_ALLOW_PRIVATE": "true",
            "SEKISHO_DELIVERY_CA": run / "keys/trust.crt"}


def _audit(run, port):
    return {"SEKISHO_AUDIT_KEY": run / "keys/audit.pem", "SEKISHO_AUDIT_JOURNAL": run / "audit-journal",
            "SEKISHO_AUDIT_HEADS": run / "audit-heads", "SEKISHO_AUDIT_HOSTNAME": "mx.sekisho.test"}


def _notify(run, port):
    # Receivers of this machine are reached too, and without TLS: demo, tests.
    return {"SEKISHO_NOTIFY_ALLOW": "127.0.0.0/8,::1/128", "SEKISHO_NOTIFY_ALLOW_HTTP": "true",
            "SEKISHO_NOTIFY_PORTS": "any", "SEKISHO_NOTIFY_CA": run / "keys/trust.crt"}


def _api(run, port):
    return {"SEKISHO_API_SOCKET": run / "api/api.sock", "SEKISHO_API_INGEST_SOCKET": run / "sock/ingest"}


OWN = {"scan": _scan, "ingest": _ingest, "auth": _auth, "delivery": _delivery, "audit": _audit, "notify": _notify, "api": _api}
