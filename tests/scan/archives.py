# SPDX-License-Identifier: MIT
"""Containers made by hand or by 7z, with something in them."""
import io
import shutil
import struct
import subprocess
import tempfile
import pathlib
import zipfile
import zlib

from corpus import HEAD, b64


def attached(data, name="file.bin"):
    return HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsee file\r\n" \
        b"--b\r\nContent-Type: application/octet-stream; name=\"" + name.encode() + \
        b"\"\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64(data) + b"--b--\r\n"


def rar4(content, name=b"eicar.com", method=0x30):
    """RAR 4, stored."""
    def block(kind, flags, rest):
        body = struct.pack("<BHH", kind, flags, 7 + len(rest)) + rest
        return struct.pack("<H", zlib.crc32(body) & 0xffff) + body
    head = block(0x73, 0, b"\0" * 6)
    entry = struct.pack("<IIBIIBBHI", len(content), len(content), 2, zlib.crc32(content), 0x5a000000, 20, method,
                        len(name), 0x20) + name
    return b"Rar!\x1a\x07\x00" + head + block(0x74, 0x8000, entry) + content + block(0x7b, 0x4000, b"")


def _vint(n):
    out = b""
    while n >= 0x80:
        out += bytes([n & 0x7f | 0x80])
        n >>= 7
    return out + bytes([n])


def rar5(content, name=b"eicar.com"):
    """RAR 5, stored."""
    def block(body, data=b""):
        body = _vint(len(body)) + body
        return struct.pack("<I", zlib.crc32(body)) + body + data
    main = block(_vint(1) + _vint(0) + _vint(0))
    entry = _vint(2) + _vint(2) + _vint(len(content)) + _vint(4) + _vint(len(content)) + _vint(0x20) + \
        struct.pack("<I", zlib.crc32(content)) + _vint(0) + _vint(1) + _vint(len(name)) + name
    return b"Rar!\x1a\x07\x01\x00" + main + block(entry, content) + block(_vint(5) + _vint(0) + _vint(0))


def sevenzip(content, name, *options):
    """An archive made by 7z, the format by name's ending."""
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "eicar.com").write_bytes(content)
        subprocess.run([shutil.which("7z"), "a", *options, name, "eicar.com"], cwd=folder, check=True,
                       stdout=subprocess.DEVNULL)
        return (pathlib.Path(folder) / name).read_bytes()


def nested_zip(content, depth):
    data, name = content, "eicar.com"
    for i in range(depth):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr(name, data)
        data, name = out.getvalue(), f"{i}.zip"
    return data


def zip_of(*members):
    """(name, content, method) each."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, content, method in members:
            z.writestr(name, content, method)
    return out.getvalue()


def bomb(octets):
    return zip_of(("zero", b"\0" * octets, zipfile.ZIP_DEFLATED))


def unopened(eicar):
    """name -> container whose content libclamav may pass over in silence. None may be clean."""
    filler = bytes(range(256)) * 8
    out = {
        "rar4": rar4(eicar),
        "rar5": rar5(eicar),
        "rar4 compressed": rar4(eicar, method=0x33),
        "rar4 in zip": zip_of(("a.rar", rar4(eicar), zipfile.ZIP_DEFLATED)),
        "rar5 in zip": zip_of(("a.rar", rar5(eicar), zipfile.ZIP_DEFLATED)),
        "lzma zip": sevenzip(eicar + b" " * 50, "a.zip", "-mm=LZMA"),
        "lzma zip by python": zip_of(("e.com", eicar, zipfile.ZIP_LZMA)),
        "deflate64 zip": sevenzip(eicar, "a.zip", "-mm=Deflate64"),
        "ppmd zip": sevenzip(eicar + b" " * 50, "a.zip", "-mm=PPMd"),
        "one good and one lzma member": zip_of(("a", filler, zipfile.ZIP_DEFLATED), ("e.com", eicar, zipfile.ZIP_LZMA)),
        "lzma zip in zip": zip_of(("a.zip", zip_of(("e.com", eicar, zipfile.ZIP_LZMA)), zipfile.ZIP_DEFLATED)),
        "encrypted zip": sevenzip(eicar, "a.zip", "-psecret"),
        "AES zip": sevenzip(eicar, "a.zip", "-psecret", "-mem=AES256"),
        "encrypted 7z": sevenzip(eicar, "a.7z", "-psecret"),
        "encrypted 7z with names": sevenzip(eicar, "a.7z", "-psecret", "-mhe=on"),
        "7z": sevenzip(eicar, "a.7z"),
        "7z ppmd": sevenzip(eicar, "a.7z", "-m0=PPMd"),
        "7z bzip2": sevenzip(eicar, "a.7z", "-m0=BZip2"),
        "xz": sevenzip(eicar, "a.xz"),
        "bzip2": sevenzip(eicar, "a.bz2"),
        "tar": sevenzip(eicar, "a.tar"),
        "wim": sevenzip(eicar, "a.wim"),
        "zstd": b"\x28\xb5\x2f\xfd" + b"\x20\x44" + struct.pack("<I", len(eicar) << 3 | 1)[:3] + eicar,
        "compress": b"\x1f\x9d\x90" + eicar,
        "lzma alone": __import__("lzma").compress(eicar, format=__import__("lzma").FORMAT_ALONE),
        "lz4": b"\x04\x22\x4d\x18\x60\x40\x82" + struct.pack("<I", len(eicar) | 1 << 31) + eicar + b"\0\0\0\0",
        "ace": b"\0\0\0\0\0\0\0**ACE**" + eicar,
        "cut zip": zip_of(("e.com", eicar + filler, zipfile.ZIP_DEFLATED))[:-40],
        "zip split": b"PK\x07\x08" + zip_of(("e.com", eicar, zipfile.ZIP_DEFLATED)),
        "zip 20 deep": nested_zip(eicar, 20),
        "zip 200 deep": nested_zip(eicar, 200),
    }
    return out
