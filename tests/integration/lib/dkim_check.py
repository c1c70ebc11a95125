# SPDX-License-Identifier: MIT
"""DKIM by two independent verifiers, dkimpy and opendkim, with keys from a table instead of DNS."""
import pathlib
import re
import subprocess

import dkim


def dkimpy_verified(message, records, domain):
    """(verified, all): how many DKIM signatures of this domain dkimpy verifies; records: {name: TXT value}."""
    def dnsfunc(name, timeout=5):
        name = (name.decode() if isinstance(name, bytes) else name).rstrip(".")
        value = records.get(name)
        return value.encode() if value else None

    fields = [value for name, value in dkim.DKIM(message).headers if name.lower() == b"dkim-signature"]
    own = [i for i, value in enumerate(fields) if re.search(rb"\bd\s*=\s*" + re.escape(domain.encode()) + rb"\s*(;|$)", value)]
    good = 0
    for i in own:
        try:
            good += bool(dkim.DKIM(message).verify(idx=i, dnsfunc=dnsfunc))
        except dkim.DKIMException:
            pass
    return good, len(own)


def opendkim_verified(folder, messages, records):
    """Indexes of the messages that opendkim verifies."""
    folder = pathlib.Path(folder)
    (folder / "keys").write_text("".join(f"{name} {value}\n" for name, value in records.items()))
    (folder / "conf").write_text(f"Mode v\nTestPublicKeys {folder}/keys\nSyslog no\nBackground no\n"
                                 "On-NoSignature reject\nOn-BadSignature reject\nRequireSafeKeys no\nMaximumHeaders 0\n")
    names = []
    for i, message in enumerate(messages):
        (folder / f"{i}.eml").write_bytes(message)
        names.append(str(folder / f"{i}.eml"))
    good = set()
    for start in range(0, len(names), 100):
        done = subprocess.run(["opendkim", "-x", str(folder / "conf"), "-v", "-t", ",".join(names[start:start + 100])],
                              capture_output=True, text=True, errors="replace", timeout=120, check=False)
        for name in re.findall(r"^opendkim: (\S+): verification \(s=.*\) succeeded", done.stdout + done.stderr, re.M):
            good.add(int(pathlib.Path(name).stem))
    return good
