# SPDX-License-Identifier: MIT
"""Merkle trees and signed heads once more, from RFC 9162, C2SP signed-note and docs/audit.md, so that what audit makes is
checked by something that shares no line with it."""
import base64
import hashlib
import hmac
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes):
    """MTH over leaf hashes, level by level: an odd one at the end goes up as it is."""
    if not hashes:
        return hashlib.sha256().digest()
    while len(hashes) > 1:
        up = [node_hash(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        hashes = up + ([hashes[-1]] if len(hashes) % 2 else [])
    return hashes[0]


def inclusion_holds(leaf, index, size, proof, root):
    """2.1.3.2"""
    if index >= size:
        return False
    fn, sn, r = index, size - 1, leaf
    for p in proof:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            r = node_hash(p, r)
            if not fn & 1:
                while fn and not fn & 1:
                    fn, sn = fn >> 1, sn >> 1
        else:
            r = node_hash(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def consistency_holds(first, second, proof, first_root, second_root):
    """2.1.4.2, 0 < first <= second"""
    if first == second:
        return not proof and first_root == second_root
    proof = list(proof)
    if first & (first - 1) == 0:
        proof.insert(0, first_root)
    if not proof:
        return False
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node_hash(c, fr), node_hash(c, sr)
            if not fn & 1:
                while fn and not fn & 1:
                    fn, sn = fn >> 1, sn >> 1
        else:
            sr = node_hash(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


def checkpoint(note, key):
    """(origin, size, root) of a signed note, after its signature was found good under the verifier key (text)."""
    name, key_id, raw = key.split("+", 2)
    raw = base64.b64decode(raw, validate=True)
    assert raw[0] == 1 and len(raw) == 33
    assert hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4].hex() == key_id
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    line = next(s for s in signatures.splitlines() if s.startswith(f"\u2014 {name} "))
    signature = base64.b64decode(line.rsplit(" ", 1)[1], validate=True)
    assert signature[:4].hex() == key_id
    Ed25519PublicKey.from_public_bytes(raw[1:]).verify(signature[4:], text.encode())
    origin, size, root = text.splitlines()[:3]
    return origin, int(size), base64.b64decode(root, validate=True)


def leaf_of_line(line):
    """Leaf hash of an entry's line of an export, from its own record and salt."""
    entry = json.loads(line)
    if entry.get("erased"):
        return bytes.fromhex(entry["leaf"])
    record = line.rstrip(b"\n").split(b',"record":', 1)[1][:-1]
    commitment = hmac.digest(bytes.fromhex(entry["salt"]), record, "sha256")
    return leaf_hash(b"\x01" + commitment)
