# SPDX-License-Identifier: MIT
"""docs/openapi.yaml and the table of operations in services/api/operations.c say the same, in both directions; what the
codes of problems, permissions and rpcs are the ones there are. No service runs for these tests."""
import re

import pytest
import yaml

from lib import site as sites

DOCUMENT = yaml.safe_load((sites.ROOT / "docs/openapi.yaml").read_text())
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
ROW = re.compile(r'\{"(\w+)",\s*API_(\w+),\s*"([^"]+)",\s*API_BODY_(\w+),\s*([\w| ]+),\s*(\w+),\s*(\w+),\s*op_\w+(?:, submit_admit)?\}')
CODE = re.compile(r'\{"(\w+)", (\d{3}), "([^"]+)"\}')
FLAGS = {"CHANGE": {"API_IF_MATCH"}, "UPSERT": {"API_IF_MATCH", "API_IF_NEW"}, "0": set()}


def table():
    """operationId -> (method, path, body, flags, needs a key, query names)"""
    source = (sites.ROOT / "services/api/operations.c").read_text()
    lists = {name: re.findall(r'"(\w+)"', text)
             for name, text in re.findall(r"const char \*const (\w+)\[\] = \{([^}]*)\}", source)}
    rows = {}
    for ident, method, path, body, flags, audiences, query in ROW.findall(source):
        assert ident not in rows, ident
        flags = set().union(*(FLAGS.get(f.strip(), {f.strip()}) for f in flags.split("|")))
        rows[ident] = (method.lower(), path, body, flags, audiences != "NULL", set(lists.get(query, [])))
    assert len(rows) == len(re.findall(r"\bop_\w+(?:, submit_admit)?\}", source)), "a row of the table was not understood"
    return rows


def codes():
    """code -> (status, title), as services/api/problem.c has them"""
    found = CODE.findall((sites.ROOT / "services/api/problem.c").read_text())
    assert len({c for c, _, _ in found}) == len(found) > 30
    return {c: (int(status), title) for c, status, title in found}


def described():
    return {op["operationId"]: (method, path, item, op)
            for path, item in DOCUMENT["paths"].items() for method, op in item.items() if method in METHODS}


def resolved(node):
    while isinstance(node, dict) and "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


def parameters(item, op, place):
    both = [resolved(p) for p in item.get("parameters", []) + op.get("parameters", [])]
    return {p["name"] for p in both if p["in"] == place}


def test_same_operations():
    assert {k: v[:2] for k, v in table().items()} == {k: v[:2] for k, v in described().items()}


@pytest.mark.parametrize("ident", sorted(table()))
def test_same_details(ident):
    method, path, body, flags, key, query = table()[ident]
    _, _, item, op = described()[ident]
    assert parameters(item, op, "query") == query
    assert parameters(item, op, "path") == set(re.findall(r"\{(\w+)\}", path))
    assert (op.get("security") != []) == key
    wanted = resolved(op["requestBody"]) if "requestBody" in op else None
    types = set(wanted["content"]) if wanted else set()
    assert types == {"NONE": set(), "JSON": {"application/json"}, "JSON_OPTIONAL": {"application/json"},
                     "MESSAGE": {"application/json", "message/rfc822"}}[body]
    if wanted:
        assert bool(wanted.get("required")) == (body != "JSON_OPTIONAL")
    promised = {int(c) for c in op["responses"]}
    assert {400, 406, 422, 429, 500, 503} <= promised and any(200 <= c < 300 for c in promised)
    assert (401 in promised) == key and (403 in promised) == (key and op.get("x-permission") != "*")
    assert (415 in promised) == (413 in promised) == (body != "NONE")
    headers = parameters(item, op, "header")
    assert ("Idempotency-Key" in headers) == ("API_ONCE" in flags)
    assert ("If-Match" in headers) == ("API_IF_MATCH" in flags)
    assert (412 in promised) == bool(flags & {"API_IF_MATCH", "API_IF_NEW"})
    streams = flags & {"API_MAIL", "API_LINES", "API_EVENTS"}
    assert (304 in promised) == (method == "get" and key and not streams)
    assert ("If-None-Match" in headers) == (304 in promised or "API_IF_NEW" in flags)
    answers = {t for code in promised if 200 <= code < 300 for t in resolved(op["responses"][str(code)]).get("content", {})}
    wanted = {"API_MAIL": {"message/rfc822"}, "API_LINES": {"application/jsonl", "text/csv"}, "API_EVENTS": {"text/event-stream"}}
    assert answers == (wanted[streams.pop()] if streams else {"application/json"} if 204 not in promised else set())


@pytest.mark.parametrize("ident", sorted(table()))
def test_same_permission(ident):
    """What proto/subjects.tsv asks of the token is what the document says."""
    rpcs = {f[1]: (f[4].split(","), f[7]) for f in (line.split("\t") for line in
            (sites.ROOT / "proto/subjects.tsv").read_text().splitlines()) if f[0] == "rpc"}
    op = described()[ident][3]
    for rpc in op.get("x-rpc", []):
        assert "api" in rpcs[rpc][0] and op["x-permission"] == rpcs[rpc][1], rpc
    assert ident in ("getHealth", "submitMessage") or op["x-rpc"]


def test_every_rpc_for_the_api_is_an_operation():
    rows = (line.split("\t") for line in (sites.ROOT / "proto/subjects.tsv").read_text().splitlines())
    served = {f[1] for f in rows if f[0] == "rpc" and "api" in f[4].split(",")}
    assert served - {"RPC_AUTH_API_KEY"} == {r for _, _, _, op in described().values() for r in op.get("x-rpc", [])}


def test_codes_are_one_table():
    """Each code has its one status; the document, the guide and the gateway know the same ones."""
    known, seen = codes(), set()

    def walk(node, status=None):
        if isinstance(node, dict):
            for code in node.get("x-codes", []):
                seen.add(code)
                assert status is None or known[code][0] == status, (code, status)
            for name, value in node.items():
                walk(value, int(name) if str(name).isdigit() else status)
        elif isinstance(node, list):
            for value in node:
                walk(value, status)
    walk(DOCUMENT)
    for _, _, _, op in described().values():
        for status, answer in op["responses"].items():
            walk(resolved(answer), int(status))
    anywhere = {"no_such_path", "method", "header_timeout", "uri_too_long", "header_too_large", "not_implemented"}
    assert seen | anywhere == set(known)
    assert anywhere <= set(re.findall(r"`(\w+)`", DOCUMENT["info"]["description"]))
    guide = (sites.ROOT / "docs/api.md").read_text()
    assert {(c, int(n)) for c, n in re.findall(r"^\| `(\w+)` \| (\d{3}) \|", guide, re.M)} == {(c, s) for c, (s, _) in known.items()}
    gateway = (sites.ROOT / "services/gateway/nginx.conf.template").read_text()
    titles = dict(re.findall(r'^        (\w+) +"([^"]+)";', gateway, re.M))
    for code in re.findall(r"set \$problem_code (\w+);", gateway):
        assert titles[code] == known[code][1]


def test_every_reference_leads_somewhere():
    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                assert resolved(node) is not None
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
    walk(DOCUMENT)
