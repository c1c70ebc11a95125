#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Check by the includes of every C file that the arrows of the layers (README.md) point up the list only, that each foreign
library is behind its one door, and that no service knows another service's inside. Prints what is wrong; exit 1."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A layer may include those before it.
LAYERS = ("core", "record", "crypt", "db", "bus", "content", "smtp", "mail", "facts", "svc", "client")
# Header of a foreign library -> the only folders that may include it. Tests may look from outside.
DOORS = {
    "libpq-fe.h": ("libs/db",),
    "nats/nats.h": ("libs/bus",),
    "nats.h": ("libs/bus",),
    "clamav.h": ("services/scan",),
    "gmime/gmime.h": ("libs/facts", "services/scan"),
    "microhttpd.h": ("libs/svc", "services/api", "cli"),
    "sodium.h": ("libs/crypt", "libs/bus", "services/auth"),
    "curl/curl.h": ("libs/content", "cli", "services/notify", "services/audit"),
}
# scan has neither bus nor database (and libclamav's licence wants nats.c elsewhere).
SCAN_SIDE = ("services/scan", "libs/facts")
SCAN_FORBIDDEN = ("bus/", "db/", "content/", "svc/svc.h", "client/")
SCAN_ALLOWED = ("client/scan_client.h",)  # its own protocol
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
GENERATED = re.compile(r"(^|/)[a-z_]+\.pb-c\.h$")
# Files that may know the bus's encoding: handlers, stubs, and what is made for it.
WIRE = re.compile(r"^(libs/client/|libs/bus/|libs/svc/|libs/mail/facts|libs/facts/|services/)")


def layer_of(path):
    parts = path.split("/")
    if parts[0] == "libs":
        return LAYERS.index(parts[1]) if parts[1] in LAYERS else None
    return len(LAYERS)  # services, cli, bench


def check(path, text):
    folder = "/".join(path.split("/")[:2]) if path.startswith(("libs/", "services/")) else path.split("/")[0]
    is_test = path.endswith(("_test.c", "_fuzz.c"))
    if folder.startswith("libs/") and folder.split("/")[1] not in LAYERS:
        yield f"{folder} is in no layer"
        return
    for quote, name in INCLUDE.findall(text):
        if name in DOORS and folder not in DOORS[name] and not is_test:
            yield f"includes <{name}>, which only {' and '.join(DOORS[name])} may"
        top = name.split("/")[0]
        if quote == '"' and top in LAYERS and "/" in name and layer_of(path) < LAYERS.index(top):
            yield f'includes "{name}": {top} is not below {folder.split("/")[1]}'
        if "services/" in name or (name.startswith("../") and not name.endswith(".def")):
            yield f'includes "{name}": no service includes another service\'s header'
        if folder in SCAN_SIDE and not is_test and name.startswith(SCAN_FORBIDDEN) and name not in SCAN_ALLOWED:
            yield f'includes "{name}": scan has neither bus nor database'
        if GENERATED.search(name) and not WIRE.match(path) and not is_test:
            yield f'includes "{name}": generated types stay in handlers and client stubs'
    # "foo.h" without a folder is the file's own folder's, or generated.
    if folder.startswith("services/") or folder.startswith("libs/"):
        for quote, name in INCLUDE.findall(text):
            if quote == '"' and "/" not in name and name not in ("subjects.h", "actions.h"):
                if not (ROOT / path).with_name(name).exists():
                    yield f'includes "{name}", which is not in its folder'
    if not text.lstrip().startswith(("/* SPDX-License-Identifier: MIT", "// SPDX-License-Identifier: MIT")):
        yield "does not begin with its SPDX line"


def main():
    bad = 0
    for top in ("libs", "services", "cli", "bench"):
        for path in sorted((ROOT / top).rglob("*.[ch]")):
            name = str(path.relative_to(ROOT))
            for problem in check(name, path.read_text(errors="replace")):
                print(f"{name}: {problem}")
                bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
