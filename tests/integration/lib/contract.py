# SPDX-License-Identifier: MIT
"""docs/openapi.yaml as a list of operations, values that fit its schemas, and a client that talks to the socket behind the
gateway without changing an octet: attackers and the fuzzer are driven by these."""
import json
import random
import re
import socket
import urllib.parse

import yaml

from . import site as sites

DOCUMENT = yaml.safe_load((sites.ROOT / "docs/openapi.yaml").read_text())
METHODS = ("get", "put", "post", "delete", "patch")


def resolved(node):
    while isinstance(node, dict) and "$ref" in node:
        target = DOCUMENT
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        node = target
    return node


class Operation:
    def __init__(self, path, method, item, op):
        self.id, self.path, self.method, self.op = op["operationId"], path, method.upper(), op
        self.permission = op.get("x-permission")
        self.needs_key = op.get("security") != []
        self.parameters = [resolved(p) for p in item.get("parameters", []) + op.get("parameters", [])]
        body = resolved(op.get("requestBody", {}))
        self.body = resolved(body.get("content", {}).get("application/json", {}).get("schema"))
        self.body_required = bool(body.get("required"))
        self.media = body.get("content", {}).get("application/json", {})
        self.statuses = {int(code) for code in op["responses"]}
        self.streams = any("text/event-stream" in resolved(r).get("content", {}) for r in op["responses"].values())

    def names(self, place):
        return [p["name"] for p in self.parameters if p["in"] == place]

    def target(self, values):
        """Path with its parameters; values may be octets that are already encoded."""
        return re.sub(r"\{(\w+)\}", lambda m: values[m[1]], self.path)

    def __repr__(self):
        return self.id


def operations():
    return [Operation(path, method, item, op) for path, item in DOCUMENT["paths"].items()
            for method, op in item.items() if method in METHODS]


# --- values ------------------------------------------------------------------------------------------------------
def sample(schema, rng=random.Random(1)):
    """A value that fits: an example if there is one, else the least there is."""
    schema = resolved(schema)
    if schema.get("examples"):
        return schema["examples"][0]
    for word in ("example", "const", "default"):
        if word in schema:
            return schema[word]
    if "enum" in schema:
        return schema["enum"][0]
    if "oneOf" in schema or "anyOf" in schema:
        return sample((schema.get("oneOf") or schema["anyOf"])[0], rng)
    if "allOf" in schema:
        out = {}
        for part in schema["allOf"]:
            out |= sample(part, rng)
        return out
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {n: sample(s, rng) for n, s in schema.get("properties", {}).items() if n in schema.get("required", [])}
    if kind == "array":
        return [sample(schema["items"], rng)] * schema.get("minItems", 0)
    if kind == "integer":
        return schema.get("minimum", 1)
    if kind == "boolean":
        return False
    by_format = {"uuid": "019aa5a2-9d0e-7c7a-8f6e-3a1f5ec2b9aa", "date-time": "2026-11-22T00:00:00Z",
                 "uri": "https://hook.example/x"}
    return by_format.get(schema.get("format"), "x" * max(1, schema.get("minLength", 1)))


# --- one request, one answer ----------------------------------------------------------------------------------------
class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def media(self):
        return self.headers.get("content-type", "").split(";")[0]

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        return self.json().get("code") if self.media == "application/problem+json" else None


class Hang(Exception):
    pass


class Inside:
    """The api's own socket. client: the address that the gateway would name."""

    def __init__(self, site, client="127.0.0.1", seconds=30):
        self.path, self.client, self.seconds = str(site.stack.run / "api/api.sock"), client, seconds

    def raw(self, octets, head_only=False):
        """(octets of the answer); Hang: no end of it in time. head_only: up to the end of the header."""
        got = b""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(self.seconds)
            s.connect(self.path)
            try:
                s.sendall(octets)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all of it was sent; the answer may be there
            try:
                while piece := s.recv(262144):
                    got += piece
                    if head_only and b"\r\n\r\n" in without_go_on(got):
                        break
            except ConnectionResetError:
                pass
            except socket.timeout:
                raise Hang(f"no end after {self.seconds} s, {len(got)} octets so far: {got[:300]!r}") from None
        return got

    def request(self, method, target, key=None, body=None, headers=None, head_only=False):
        """target: str, already encoded. body: octets, or a value for JSON."""
        head = {"Host": "localhost", "X-Sekisho-Client": self.client, "Connection": "close"}
        if key is not None:
            head["Authorization"] = f"Bearer {key}"
        if body is not None:
            if not isinstance(body, bytes):
                body = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
            head |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        elif method in ("POST", "PUT", "PATCH"):
            head["Content-Length"] = "0"
        head |= headers or {}
        lines = [f"{method} {target} HTTP/1.1".encode("utf-8", "surrogateescape")]
        lines += [f"{n}: {v}".encode("utf-8", "surrogateescape") for n, v in head.items() if v is not None]
        return parsed(self.raw(b"\r\n".join(lines) + b"\r\n\r\n" + (body or b""), head_only))


def without_go_on(octets):
    while octets.startswith(b"HTTP/1.1 100 "):
        octets = octets.partition(b"\r\n\r\n")[2]
    return octets


def parsed(octets):
    """The first answer in the octets that is not "go on"; status 0: none came."""
    octets = without_go_on(octets)
    head, _, rest = octets.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    found = re.fullmatch(rb"HTTP/1\.[01] (\d{3})(?: .*)?", lines[0])
    if not found:
        return Answer(0, {}, octets)
    headers = {}
    for line in lines[1:]:
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        out = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            n = int(size.split(b";")[0] or b"0", 16)
            if n == 0:
                break
            out, rest = out + rest[:n], rest[n + 2:]
        rest = out
    return Answer(int(found[1]), headers, rest)


def quoted(text):
    return urllib.parse.quote(text, safe="")
