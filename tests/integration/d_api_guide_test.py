# SPDX-License-Identifier: MIT
"""The samples of docs/api.md run as they stand, one after the other in one shell, and say what the text around them says."""
import os
import re
import subprocess

from lib import site as sites

BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)


def test_samples(site):
    tenant = site.tenant(sandbox=True)
    blocks = BLOCK.findall((sites.ROOT / "docs/api.md").read_text())
    assert len(blocks) >= 8
    script = "".join(f"echo '=== {n}'\n{block}" for n, block in enumerate(blocks))
    env = os.environ | {"SEKISHO_URL": site.url, "SEKISHO_CA": str(site.stack.ca), "SEKISHO_API_KEY": tenant.key, "SEKISHO_DOMAIN": tenant.domain}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=env, capture_output=True, text=True, timeout=180)
    print(done.stdout, done.stderr)
    assert done.returncode == 0
    said = [part.partition("\n")[2].split() for part in done.stdout.split("=== ")[1:]]
    assert said[2] == ["/addresses/0"]      # the pointer of the wrong member
    assert said[3] == ["1"]                 # two requests, one person
    assert said[5][-2] in ("queued", "sending", "delivered"), said[5]
    assert said[6] == ["key.created"] and said[8][-1] == "200"
