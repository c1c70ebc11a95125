#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/asyncapi.yaml: everything that travels as a message. From proto/subjects.tsv (who sends what to whom),
proto/*.proto (what it holds) and proto/actions.tsv (the events that integrators get).

  gen_asyncapi.py OUT.yaml
"""
import pathlib
import subprocess
import sys
import tempfile

import yaml
from google.protobuf import descriptor_pb2

PROTO = pathlib.Path(__file__).resolve().parent.parent / "proto"
F = descriptor_pb2.FieldDescriptorProto
SUBJECT_COLUMNS = ("kind", "constant", "subject", "owner", "peers", "stream", "proto", "permission", "record", "what")
ACTION_COLUMNS = ("action", "service", "event", "subject", "detail", "shown", "what")
# Replies that are not called as the request is.
REPLIES = {"delivery.RouteGetRequest": "delivery.RouteReply", "delivery.SettingsGetRequest": "delivery.SettingsReply",
           "delivery.SettingsPutRequest": "delivery.SettingsReply"}
SCALARS = {F.TYPE_BOOL: {"type": "boolean"}, F.TYPE_STRING: {"type": "string"}, F.TYPE_DOUBLE: {"type": "number"},
           F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"}}
INTEGERS = {F.TYPE_UINT32: "uint32", F.TYPE_UINT64: "uint64", F.TYPE_INT32: "int32", F.TYPE_INT64: "int64",
            F.TYPE_SINT32: "sint32", F.TYPE_SINT64: "sint64", F.TYPE_FIXED32: "fixed32", F.TYPE_FIXED64: "fixed64"}


def table(name, columns):
    for number, line in enumerate((PROTO / name).read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != len(columns):
            sys.exit(f"{name}:{number}: want {len(columns)} cells")
        yield dict(zip(columns, cells))


def descriptors():
    with tempfile.NamedTemporaryFile() as out:
        files = sorted(p.name for p in PROTO.glob("*.proto"))
        subprocess.run(["protoc", "-I.", f"--descriptor_set_out={out.name}", "--include_source_info", *files], cwd=PROTO, check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(pathlib.Path(out.name).read_bytes())


def short(full):
    """.sekisho.auth.LoginRequest -> auth.LoginRequest"""
    return full.removeprefix(".").removeprefix("sekisho.")


def field_schema(field):
    if field.type == F.TYPE_MESSAGE:
        schema = {"$ref": f"#/components/schemas/{short(field.type_name)}"}
    elif field.type == F.TYPE_ENUM:
        schema = {"$ref": f"#/components/schemas/{short(field.type_name)}"}
    elif field.type in INTEGERS:
        schema = {"type": "integer", "format": INTEGERS[field.type]}
    else:
        schema = dict(SCALARS[field.type])
    if field.label == F.LABEL_REPEATED:
        schema = {"type": "array", "items": schema}
    return schema


def schemas(files):
    """Name -> JSON schema of every message and enum, with the comments that stand beside them."""
    out = {}
    for file in files.file:
        notes = {tuple(x.path): " ".join((x.leading_comments + x.trailing_comments).split()) for x in file.source_code_info.location}
        scope = file.package.removeprefix("sekisho.")

        def enum(e, name, path):
            out[name] = {"enum": [v.name for v in e.value], "x-protobuf": {v.name: v.number for v in e.value}}
            if notes.get(path):
                out[name]["description"] = notes[path]

        def message(m, name, path):
            properties = {}
            for i, f in enumerate(m.field):
                schema = field_schema(f)
                note = notes.get((*path, 2, i))
                if "$ref" in schema and note:
                    schema = {"allOf": [schema]}
                if note:
                    schema["description"] = note
                schema["x-protobuf-field"] = f.number
                properties[f.name] = schema if "$ref" not in schema else {"$ref": schema["$ref"]}
            out[name] = {"type": "object", "properties": properties}
            if notes.get(path):
                out[name]["description"] = notes[path]
            for i, inner in enumerate(m.nested_type):
                message(inner, f"{name}.{inner.name}", (*path, 3, i))
            for i, inner in enumerate(m.enum_type):
                enum(inner, f"{name}.{inner.name}", (*path, 4, i))

        for i, m in enumerate(file.message_type):
            message(m, f"{scope}.{m.name}", (4, i))
        for i, e in enumerate(file.enum_type):
            enum(e, f"{scope}.{e.name}", (5, i))
    return out


def reply_of(request, known):
    name = REPLIES.get(request) or request.removesuffix("Request") + "Reply"
    if name not in known:
        sys.exit(f"no reply is known for {request}: add it to REPLIES")
    return name


def bus(document, known):
    channels, operations, messages = document["channels"], document["operations"], document["components"]["messages"]

    def message(name):
        if name not in known:
            sys.exit(f"proto/subjects.tsv names {name}, which no .proto has")
        messages[name] = {"name": name, "contentType": "application/x-protobuf",
                          "payload": {"$ref": f"#/components/schemas/{name}"}}
        return {"$ref": f"#/components/messages/{name}"}

    inbox = channels["inbox"] = {
        "address": None, "servers": [{"$ref": "#/servers/bus"}], "messages": {},
        "description": "The inbox of who asked, _INBOX_<service>.>, which nobody else may listen on. Replies travel as "
                       "sekisho.bus.Answers, one for each call, in their order."}
    for row in table("subjects.tsv", SUBJECT_COLUMNS):
        name = row["subject"]
        channel = channels[name] = {"address": name, "description": row["what"], "servers": [{"$ref": "#/servers/bus"}], "messages": {}}
        operation = operations[name] = {
            "action": "send" if row["kind"] in ("evt", "sig") else "receive", "channel": {"$ref": f"#/channels/{name}"},
            "summary": row["what"], "x-owner": row["owner"], "x-peers": row["peers"].split(",")}
        if row["kind"] == "rpc":
            reply = reply_of(row["proto"], known)
            channel["messages"]["request"] = message(row["proto"])
            inbox["messages"][reply] = message(reply)
            operation["messages"] = [{"$ref": f"#/channels/{name}/messages/request"}]
            operation["reply"] = {"channel": {"$ref": "#/channels/inbox"},
                                  "messages": [{"$ref": f"#/channels/inbox/messages/{reply}"}]}
            operation["x-permission"] = row["permission"]
            operation["x-record"] = row["record"]
        elif row["kind"] == "evt":
            channel["address"] += ".{tenant}"
            channel["parameters"] = {"tenant": {"description": "The tenant's id"}}
            channel["messages"]["event"] = message(row["proto"])
            operation["x-stream"] = row["stream"]
        elif row["kind"] == "ack":
            channel["messages"]["confirmation"] = message(row["proto"])
        else:
            messages["hint"] = {"name": "hint", "contentType": "application/octet-stream", "payload": {"type": "string"},
                                "description": "Nobody depends on it: at most a few octets, as the channel says"}
            channel["messages"]["hint"] = {"$ref": "#/components/messages/hint"}
    messages["bus.Calls"] = {"name": "bus.Calls", "contentType": "application/x-protobuf",
                             "payload": {"$ref": "#/components/schemas/bus.Calls"}}
    document["components"]["schemas"].update(known)


def events(document):
    """What integrators get: the same events as server-sent events and as webhooks."""
    feed = {"address": "/v1/events", "servers": [{"$ref": "#/servers/api"}], "messages": {},
            "description": "Server-sent events (GET /v1/events of docs/openapi.yaml). The id of each is its position; "
                           "Last-Event-ID resumes behind it."}
    hooks = {"address": None, "messages": {},
             "description": "POST to the address of a webhook, signed as the Standard Webhooks specification says "
                            "(webhook-id, webhook-timestamp, webhook-signature)."}
    document["channels"]["events"], document["channels"]["webhooks"] = feed, hooks
    components = document["components"]
    components["schemas"]["event"] = {
        "type": "object", "required": ["id", "type", "timestamp", "position", "subject", "recipient", "trace_id", "data"],
        "properties": {
            "id": {"type": "string", "format": "uuid"}, "type": {"type": "string"},
            "timestamp": {"type": "string", "format": "date-time"},
            "position": {"type": "integer", "description": "Place in the tenant's record"},
            "subject": {"type": ["string", "null"], "format": "uuid", "description": "What it is about"},
            "recipient": {"type": ["integer", "null"], "description": "Number of a recipient of the message"},
            "trace_id": {"type": "string"}, "data": {"type": "object"}}}
    components["schemas"]["webhook"] = {
        "type": "object", "required": ["type", "timestamp", "data"],
        "properties": {"type": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time"}, "data": {"type": "object"}}}
    kinds = {}
    for row in table("actions.tsv", ACTION_COLUMNS):
        if row["event"] != "-":
            kinds.setdefault(row["event"], []).append(row)
    for name, rows in kinds.items():
        members = {rows[0]["subject"]: {"type": "string", "format": "uuid"}, "recipient": {"type": "integer"}}
        members |= {k: {} for row in rows for k in row["shown"].split(",") if k}
        for kind, channel in (("event", feed), ("webhook", hooks)):
            components["messages"][f"{kind}.{name}"] = {
                "name": name, "summary": "; ".join(row["what"] for row in rows), "contentType": "application/json",
                "payload": {"allOf": [{"$ref": f"#/components/schemas/{kind}"},
                                      {"type": "object", "properties": {"type": {"const": name},
                                                                        "data": {"type": "object", "properties": members}}}]},
                "x-actions": [row["action"] for row in rows], "x-service": rows[0]["service"]}
            channel["messages"][name] = {"$ref": f"#/components/messages/{kind}.{name}"}
    document["operations"]["events"] = {"action": "send", "channel": {"$ref": "#/channels/events"}, "summary": "Events as they happen",
                                        "x-permission": "event.read"}
    document["operations"]["webhooks"] = {"action": "send", "channel": {"$ref": "#/channels/webhooks"},
                                          "summary": "The same events, brought to an address of the tenant's choice"}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    document = {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sekisho", "version": "1", "license": {"name": "MIT"},
            "description": "Events for integrators (channels events and webhooks), and the messages between the services on "
                           "NATS, which are no interface for others.\n\nOn NATS a request travels in sekisho.bus.Calls, up to "
                           "64 calls in one message; each call's payload is the encoded request named here. Events of a "
                           "stream travel in sekisho.bus.Batch. Bytes are raw on the wire and base64 in JSON."},
        "defaultContentType": "application/json",
        "servers": {
            "bus": {"host": "localhost:4222", "protocol": "nats", "description": "Loopback or TLS; one nkey per service"},
            "api": {"host": "localhost:18443", "protocol": "https", "description": "The gateway of a local instance"}},
        "channels": {}, "operations": {}, "components": {"messages": {}, "schemas": {}},
    }
    bus(document, schemas(descriptors()))
    events(document)
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=140)
    pathlib.Path(sys.argv[1]).write_text("# SPDX-License-Identifier: MIT\n# Made by tools/gen_asyncapi.py (make docs).\n" + text)


main()
