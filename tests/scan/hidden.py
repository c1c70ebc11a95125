# SPDX-License-Identifier: MIT
"""Containers with something behind their end, before their beginning or beside their list; and harmless ones that look
alike."""
import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile

from archives import rar5, sevenzip, zip_of
from corpus import HEAD, b64

GOOD = b"hello harmless text\n" * 5
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0" + b"\0" * 200 + b"\xff\xd9"
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 17 + b"\0\0\0\0IEND\xaeB`\x82"
PDF = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\ntrailer\n<<>>\n%%EOF\n"
HTML = b"<html><body>x</body></html>"
EMPTY_END = b"PK\5\6" + b"\0" * 18


def tar(*items, form=tarfile.USTAR_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as t:
        for name, data in items:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
    return out.getvalue()


def tar_head(head, **changed):
    """The first 512 octets with fields changed and the checksum made anew."""
    places = {"name": (0, 100), "size": (124, 12), "kind": (156, 1), "prefix": (345, 155)}
    block = bytearray(head[:512])
    for field, value in changed.items():
        at, n = places[field]
        block[at:at + n] = value.ljust(n, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + head[512:]


def base256(n):
    return b"\x80" + n.to_bytes(11, "big")


def with_comment(z, comment):
    return z[:-2] + struct.pack("<H", len(comment)) + comment


def local_method(z, method):
    """The first member's own header says another method than the directory."""
    return z[:8] + struct.pack("<H", method) + z[10:]


def hidden(eicar):
    """name -> file with the test file in it where readers differ. None may be clean."""
    deflated = zip_of(("e.com", eicar, zipfile.ZIP_DEFLATED))
    odd = zip_of(("e.com", eicar, zipfile.ZIP_LZMA))
    locked, locked_7z = sevenzip(eicar, "a.zip", "-psecret"), sevenzip(eicar, "a.7z", "-psecret", "-mhe=on")
    rar, packed = rar5(eicar), gzip.compress(eicar)
    good, good_tar = zip_of(("g.txt", GOOD, zipfile.ZIP_DEFLATED)), tar(("good.txt", GOOD))
    evil_tar = tar(("evil.com.gz", packed))
    nameless = tar_head(tar(("d", b"")), name=b"", prefix=b"dir", kind=b"5")[:512]
    out = {
        "bzip2: a second stream": bz2.compress(GOOD) + bz2.compress(eicar),
        "bzip2: a second stream behind an empty one": bz2.compress(b"") + bz2.compress(eicar),
        "bzip2: garbage behind": bz2.compress(GOOD) + b"garbage",
        "bzip2: one octet behind": bz2.compress(GOOD) + b"\0",
        "bzip2: a tar over two streams": bz2.compress(good_tar[:1024]) + bz2.compress(evil_tar),
        "bzip2: in a tar": tar(("x.bz2", bz2.compress(GOOD) + bz2.compress(eicar))),
        "gzip: a second stream behind one zero": gzip.compress(GOOD) + b"\0" + packed,
        "gzip: a second stream behind padding": gzip.compress(GOOD) + b"\0" * 512 + packed,
        "gzip: a third stream behind padding": gzip.compress(GOOD) * 2 + b"\0" * 7 + packed,
        "gzip: rar behind": gzip.compress(GOOD) + rar,
        "xz: rar behind": lzma.compress(GOOD) + rar,
        "gzip: encrypted zip behind": gzip.compress(GOOD) + locked,
        "zip: an end record behind": locked + EMPTY_END,
        "zip: an end record behind, odd method": odd + EMPTY_END,
        "zip: an end record in the comment": with_comment(locked, EMPTY_END),
        "zip: octets behind": odd + b"x",
        "zip: two of them": deflated + good,
        "zip: two of them, the first encrypted": locked + good,
        "zip: two methods": local_method(deflated, 14),
        "zip: a member without entry": zip_of(("e.com", eicar, zipfile.ZIP_LZMA))[:len(odd) - 22 - 46 - 5] + good,
        "tar: a first member without name": nameless + evil_tar,
        "tar: a first member without name, packed": gzip.compress(nameless + evil_tar),
        "tar: another behind its end": good_tar + evil_tar,
        "tar: another behind one block of zeros": good_tar[:1024] + b"\0" * 512 + evil_tar,
        "tar: binary size": good_tar[:1024] + tar_head(evil_tar, size=base256(len(packed))),
        "tar: binary size first": tar_head(evil_tar, size=base256(len(packed))),
        "tar: a wrong checksum": good_tar[:1024] + evil_tar[:148] + b"0000000\0" + evil_tar[156:],
        "tar: cut": (good_tar[:1024] + evil_tar)[:1700],
        "tar: a folder with content": good_tar[:1024] + tar_head(evil_tar, kind=b"5"),
        "7z behind a picture": JPEG + locked_7z,
    }
    for name, front in (("junk", b"xxxx"), ("jpeg", JPEG), ("png", PNG), ("html", HTML), ("text", b"hello\n" * 50),
                        ("program", b"MZ" + b"\0" * 600), ("pdf", PDF)):
        out[f"encrypted zip behind {name}"] = front + locked
        out[f"odd zip behind {name}"] = front + odd
        out[f"zip behind {name}"] = front + deflated
        out[f"rar behind {name}"] = front + rar
    out["encrypted zip behind junk, in a zip"] = zip_of(("i.zip", b"xxxx" + locked, zipfile.ZIP_DEFLATED))
    return out


def unnamed(eicar):
    """name -> mail: files in parts that call themselves texts and have no name, or one behind a broken disposition."""
    files = {"rar": rar5(eicar), "odd zip": zip_of(("e.com", eicar, zipfile.ZIP_LZMA)),
             "encrypted zip": sevenzip(eicar, "a.zip", "-psecret"), "bzip2": bz2.compress(GOOD) + bz2.compress(eicar),
             "encrypted 7z": sevenzip(eicar, "a.7z", "-psecret", "-mhe=on")}
    headers = {"plain": b"Content-Type: text/plain\r\n", "html": b"Content-Type: text/html\r\n",
               "calendar": b"Content-Type: text/calendar\r\n", "other": b"Content-Type: text/x-rar\r\n", "none": b"",
               "utf-16": b"Content-Type: text/plain; charset=utf-16\r\n",
               "comma": b'Content-Type: text/plain\r\nContent-Disposition: attachment, filename="a.rar"\r\n',
               "no semicolon": b'Content-Type: text/plain\r\nContent-Disposition: attachment filename="a.rar"\r\n'}
    return {f"{f} as {h}": HEAD + header + b"Content-Transfer-Encoding: base64\r\n\r\n" + b64(data)
            for f, data in files.items() for h, header in headers.items()}


def harmless():
    """name -> file of the same kinds that every reader reads alike: clean."""
    good = zip_of(("g.txt", GOOD, zipfile.ZIP_DEFLATED), ("h.txt", GOOD, zipfile.ZIP_STORED))
    stream = io.BytesIO()
    stream.seekable = lambda: False
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.txt", GOOD)
        z.writestr("b.txt", GOOD * 2)
    return {
        "zip with a comment": with_comment(good, b"a comment"),
        "zip with data descriptors": stream.getvalue(),
        "zip in a zip, stored": zip_of(("i.zip", good, zipfile.ZIP_STORED), ("j.zip", good, zipfile.ZIP_STORED)),
        "zip behind a program": b"MZ" + b"\0" * 600 + good,
        "zip by 7z": sevenzip(GOOD, "a.zip"),
        "bzip2": bz2.compress(GOOD * 1000),
        "bzip2 of a tar": bz2.compress(tar(("a", GOOD), ("b", GOOD))),
        "gzip with padding": gzip.compress(GOOD) + b"\0" * 512,
        "gzip of two streams": gzip.compress(GOOD) + gzip.compress(GOOD),
        "tar with pax headers": tar(("a" * 300, GOOD), form=tarfile.PAX_FORMAT),
        "tar with long names": tar(("a" * 300, GOOD), form=tarfile.GNU_FORMAT),
        "tar without end": tar(("a", GOOD))[:1024],
        "tar with one block of end": tar(("a", GOOD))[:1536],
        "picture": JPEG,
        "pdf": PDF,
        "text about archives": b"PK and Rar! and 7z are signs of archives\r\n" * 10,
    }
