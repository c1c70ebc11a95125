# SPDX-License-Identifier: MIT
"""docs/openapi.yaml and the table of operations in services/api/operations.c say the same, in both directions; what the
API answers fits what the document promises. No service runs for the first tests."""
import re

import pytest
import yaml

from lib import site as sites

DOCUMENT = yaml.safe_load((sites.ROOT / "docs/openapi.yaml").read_text())
METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
ROW = re.compile(r'\{"(\w+)",\s*API_(\w+),\s*"([^"]+)",\s*API_BODY_(\w+),\s*(\w+),\s*(\w+),\s*op_\w+\}')


def table():
    """operationId -> (method, path, body, needs a key, query names)"""
    source = (sites.ROOT / "services/api/operations.c").read_text()
    lists = {name: re.findall(r'"(\w+)"', text)
             for name, text in re.findall(r"const char \*const (\w+)\[\] = \{([^}]*)\}", source)}
    rows = {}
    for ident, method, path, body, audiences, query in ROW.findall(source):
        assert ident not in rows, ident
        rows[ident] = (method.lower(), path, body, audiences != "NULL", set(lists.get(query, [])))
    assert len(rows) == len(re.findall(r"\bop_\w+\}", source)), "a row of the table was not understood"
    return rows


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
    method, path, body, key, query = table()[ident]
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
    assert 503 in promised and any(200 <= c < 300 for c in promised)
    assert (401 in promised and 403 in promised) == key
    assert (415 in promised) == (body != "NONE")


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


def fits(value, schema, where="answer"):
    """The part of JSON Schema that the document uses."""
    schema = resolved(schema)
    for part in schema.get("allOf", []):
        fits(value, part, where)
    if "enum" in schema:
        assert value in schema["enum"], (where, value)
    if "const" in schema:
        assert value == schema["const"], (where, value)
    kinds = schema.get("type", [])
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", type(None): "null"}
    if kinds:
        assert names[type(value)] in (kinds if isinstance(kinds, list) else [kinds]), (where, value, kinds)
    if isinstance(value, dict):
        for name in schema.get("required", []):
            assert name in value, (where, name)
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                fits(value[name], inner, f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for i, inner in enumerate(value):
            fits(inner, schema["items"], f"{where}[{i}]")


def answer_schema(ident, status="200"):
    response = resolved(described()[ident][3]["responses"][status])
    return response["content"]["application/json"]["schema"]


def known_members(value, schema, where="answer"):
    """Every member of an answer is described."""
    schema = resolved(schema)
    parts = [resolved(p) for p in schema.get("allOf", [schema])]
    known, open_ended = {}, False
    for part in parts:
        while "allOf" in part:
            part = resolved(part["allOf"][0])
        known |= part.get("properties", {})
        open_ended |= "additionalProperties" in part or not part.get("properties")
    if isinstance(value, dict) and not open_ended:
        assert set(value) <= set(known), (where, set(value) - set(known))
        for name, inner in value.items():
            known_members(inner, known[name], f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for inner in value:
            known_members(inner, schema["items"], where + "[]")


def test_answers_fit(traffic, site):
    tenant = next(t for t in [site.tenant()])
    code, text = tenant.send(tenant.mail(f"someone@{tenant.domain}"), f"someone@{tenant.domain}")
    assert code == 250, text
    sites.wait_for("the message in the list", lambda: tenant.api("GET", "/v1/messages")["messages"])
    message = tenant.api("GET", "/v1/messages")["messages"][0]["id"]
    tenant.api("GET", "/v1/conservation")
    for ident, path in [("getHealth", "/v1/health"), ("listMessages", "/v1/messages"), ("listHolds", "/v1/holds"),
                        ("getMessage", f"/v1/messages/{message}"), ("getQueue", "/v1/queue"), ("getBus", "/v1/bus"),
                        ("getConservation", "/v1/conservation"), ("getDomainDkim", f"/v1/domains/{tenant.domain}/dkim")]:
        answer = tenant.api("GET", path)
        fits(answer, answer_schema(ident), ident)
        known_members(answer, answer_schema(ident), ident)
