# SPDX-License-Identifier: MIT
"""What one caller can make the API hold or wait for is bounded, and is said in words."""
import json
import secrets

import pytest

from lib import site as sites
from lib.wire import wait_for


@pytest.fixture(scope="module")
def tenant(site):
    return site.tenant()


def problem(call, *args, **more):
    """(status, problem) of a call that must fail."""
    with pytest.raises(sites.ApiError) as e:
        call(*args, **more)
    return e.value.status, json.loads(e.value.body)


def key_with(tenant, *permissions):
    return tenant.api("POST", "/v1/keys", {"kind": "api_key", "name": secrets.token_hex(4), "login": tenant.user,
                                           "permissions": list(permissions)})["secret"]


def peak_kib(site):
    """The most memory that the service held at once."""
    status = open(f"/proc/{site.stack.pid('api')}/status").read()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))


# --- documents ---------------------------------------------------------------------------------------------------
def test_values_of_a_submission(tenant):
    site = tenant.site
    bomb = {"from": tenant.sender, "x": [{}] * 2_000_000}
    before = peak_kib(site)
    status, body = problem(site.api, "POST", "/v1/messages", bomb, key=tenant.send_key, timeout=60)
    assert (status, body["code"], body["errors"][0]["pointer"]) == (422, "invalid_field", "")
    assert "20000 values" in body["detail"]
    # The body itself and no more: parsed it would be half a gigabyte.
    assert peak_kib(site) - before < 100_000


def test_values_of_other_documents(tenant):
    names = ["x"] * 10_000
    status, body = problem(tenant.api, "POST", "/v1/keys", {"kind": "api_key", "name": "n", "permissions": names})
    assert (status, body["code"]) == (422, "invalid_field") and "10000 values" in body["detail"]
    # Below the bound it is the service's own that is told.
    body = problem(tenant.api, "POST", "/v1/keys", {"kind": "api_key", "name": "n", "permissions": names[:9000]})[1]
    assert "10000 values" not in body["detail"]


def test_a_key_that_may_not_send_is_refused_before_the_body_is_read(tenant):
    key = key_with(tenant, "message.read")
    for i, octets in enumerate((b"not json", b"[" + b"{}," * 1_000_000 + b"{}]"), 1):
        status, body = problem(tenant.site.api, "POST", "/v1/messages", octets, key=key, timeout=60)
        assert (status, body["code"]) == (403, "forbidden")
        wait_for("it on the record", lambda: len([e for e in tenant.api("GET", "/v1/audit/entries?action=ingest.submit")["entries"]
                                                  if e["outcome"] == "denied"]) == i)
