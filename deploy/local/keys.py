# SPDX-License-Identifier: MIT
"""Keys and certificates of one local instance, made once and then found again. They are demo keys: made by this
program, kept in files under run/keys with mode 0600, known to whoever can read that folder. It has mode 0700; if root
makes it for the services' user, it is root's with mode 0710 and their group: they find the files, which are theirs, by
name, and cannot put others there.

  <service>.nk, <service>.pub   NATS user nkey: seed and public key
  <service>.pgpass              password of the service's database role, as libpq reads it
  admin.pgpass, admin.password  the same for the superuser of the cluster
  actor.pem, actor.pub          Ed25519: auth signs actor tokens with the first, all others check with the second
  audit.pem                     Ed25519: audit signs the heads of its logs
  kek                           key-encryption key, 64 hex digits
  ca.crt, tls.crt, tls.key      TLS for localhost
  trust.crt                     whom delivery believes: the system's authorities and ours
"""
import base64
import os
import pathlib
import secrets
import subprocess

import nacl.signing

import folders

NKEY_SEED, NKEY_USER = 18 << 3, 20 << 3
SYSTEM_CAS = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
NAMES = "DNS:localhost,DNS:mx.sekisho.test,IP:127.0.0.1"


def crc16(data):
    """CRC-16/XMODEM, as nkeys use it."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


def nkey_text(raw):
    return base64.b32encode(raw + crc16(raw).to_bytes(2, "little")).decode().rstrip("=")


def nkey_user():
    """(seed, public key) of a new NATS user."""
    seed = secrets.token_bytes(32)
    public = bytes(nacl.signing.SigningKey(seed).verify_key)
    head = bytes([NKEY_SEED | (NKEY_USER >> 5), (NKEY_USER & 31) << 3])
    return nkey_text(head + seed), nkey_text(bytes([NKEY_USER]) + public)


def write(path, text, mode=0o600):
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(fd, "w") as f:
        f.write(text)


def openssl(*args, cwd):
    r = subprocess.run(["openssl", *args], cwd=cwd, capture_output=True, text=True)
    if r.returncode != 0:
        raise RuntimeError(f"openssl {args[0]}: {r.stderr.strip()}")


def make_tls(folder):
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "825")
    openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=Sekisho demo CA",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign", cwd=folder)
    openssl("req", *curve[:-2], "-keyout", "tls.key", "-out", "tls.csr", "-subj", "/CN=localhost", cwd=folder)
    (folder / "ext").write_text(f"subjectAltName={NAMES}\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", "tls.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "825",
            "-extfile", "ext", "-out", "tls.crt", cwd=folder)
    for name in ("tls.csr", "ext", "ca.srl"):
        (folder / name).unlink(missing_ok=True)
    # Nothing but tls.key needs to be signed by this CA again.
    (folder / "ca.key").unlink()


def make(folder, services, user=None):
    """Make whatever is missing. user: (uid, gid) who reads them, if not the caller. Returns the folder."""
    folder = pathlib.Path(folder)
    folders.take(folder, 0o710 if user else 0o700, (0, user[1]) if user else None)
    folders.refuse_links(folder, deep=False)
    for service in services:
        if not (folder / f"{service}.pub").exists():
            seed, public = nkey_user()
            (folder / f"{service}.nk").unlink(missing_ok=True)
            write(folder / f"{service}.nk", seed + "\n")
            write(folder / f"{service}.pub", public + "\n", 0o644)
        if not (folder / f"{service}.pgpass").exists():
            write(folder / f"{service}.pgpass", f"*:*:*:sekisho_{service}:{secrets.token_hex(20)}\n")
    if not (folder / "admin.pgpass").exists():
        secret = secrets.token_hex(20)
        (folder / "admin.password").unlink(missing_ok=True)
        write(folder / "admin.password", secret + "\n")
        write(folder / "admin.pgpass", f"*:*:*:sekisho_admin:{secret}\n")
    if not (folder / "kek").exists():
        write(folder / "kek", secrets.token_hex(32) + "\n")
    if not (folder / "actor.pub").exists():
        openssl("genpkey", "-algorithm", "ed25519", "-out", "actor.pem", cwd=folder)
        openssl("pkey", "-in", "actor.pem", "-pubout", "-out", "actor.pub", cwd=folder)
    if not (folder / "audit.pem").exists():
        openssl("genpkey", "-algorithm", "ed25519", "-out", "audit.pem", cwd=folder)
    if not (folder / "tls.crt").exists():
        make_tls(folder)
    system = SYSTEM_CAS.read_text() if SYSTEM_CAS.exists() else ""
    folders.publish(folder / "trust.crt", system + (folder / "ca.crt").read_text())
    for path in folder.iterdir():
        # Clients outside read the one, nobody but its owner the others.
        folders.set_file(path, 0o644 if path.name == "ca.crt" else 0o600, user)
    return folder


def password(folder, name):
    return (pathlib.Path(folder) / f"{name}.pgpass").read_text().strip().rsplit(":", 1)[1]
