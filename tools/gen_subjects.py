#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""From proto/subjects.tsv: C constants, the document, and each service's NATS permissions.
From proto/permissions.tsv: the permissions and the roles that are there in every tenant.

  gen_subjects.py --c OUT.h OUT.c
  gen_subjects.py --doc OUT.md
  gen_subjects.py --permissions OUT.md
  gen_subjects.py --nats KEYS_DIR > accounts part of nats.conf (KEYS_DIR holds <service>.pub)
  gen_subjects.py --matrix        > JSON: {user: {"publish": [...], "subscribe": [...]}} for the tests
"""
import json
import pathlib
import re
import sys

TABLE = pathlib.Path(__file__).resolve().parent.parent / "proto" / "subjects.tsv"
KINDS = ("rpc", "evt", "ack", "sig")
SERVICES = ("ingest", "auth", "policy", "delivery", "keeper", "api", "audit", "notify")
COLUMNS = ("kind", "constant", "subject", "owner", "peers", "stream", "proto", "permission", "record", "what")
PERMISSIONS = TABLE.with_name("permissions.tsv")
ROLES = ("operator", "auditor", "developer", "member")  # administrator has them all


def permission_rows():
    """[(name, roles, what, Japanese)]; roles: names, or ["platform"]"""
    out = []
    for number, line in enumerate(PERMISSIONS.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != 4:
            sys.exit(f"{PERMISSIONS}:{number}: want 4 tab-separated cells")
        roles = [] if cells[1] == "-" else cells[1].split(",")
        if any(r not in (*ROLES, "platform") for r in roles):
            sys.exit(f"{PERMISSIONS}:{number}: unknown role in {cells[1]}")
        out.append((cells[0], roles, cells[2], cells[3]))
    return out


def rows():
    names = {name for name, *_ in permission_rows()}
    out = []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        cells = line.split("\t")
        if len(cells) != len(COLUMNS) or cells[0] not in KINDS:
            sys.exit(f"{TABLE}:{number}: want {len(COLUMNS)} tab-separated cells that begin with one of {KINDS}")
        row = dict(zip(COLUMNS, cells))
        row["permissions"] = row["permission"].split(",")
        known = row["permission"] in ("-", "*") or (set(row["permissions"]) <= names and len(row["permissions"]) <= 2)
        if not known or row["record"] not in ("-", "read", "change"):
            sys.exit(f"{TABLE}:{number}: unknown permission {row['permission']} or record {row['record']}")
        row["peers"] = row["peers"].split(",")
        for name in [row["owner"], *row["peers"]]:
            if name not in SERVICES:
                sys.exit(f"{TABLE}:{number}: unknown service {name}")
        out.append(row)
    return out


def streams(table):
    """stream -> (subjects, consumers)"""
    out = {}
    for r in table:
        if r["kind"] == "evt":
            subjects, consumers = out.setdefault(r["stream"], ([], []))
            subjects.append(r["subject"] + ".*")
            consumers.extend(p for p in r["peers"] if p not in consumers)
    return out


def permissions(table):
    """Explicit allow-lists. The inbox of a service is _INBOX_<service>.>; nobody else may listen there. Who serves an
    rpc may publish to an inbox only as the one answer to a request it got (allow_responses).

    A consumer gets its events on deliver.<service>.<stream> (a push consumer that only keeper can make) and
    acknowledges to its own $JS.ACK.<stream>.<service>.> only.
    """
    allow = {s: {"publish": [], "subscribe": [f"_INBOX_{s}.>"]} for s in SERVICES}

    def add(service, verb, subject):
        if subject not in allow[service][verb]:
            allow[service][verb].append(subject)

    for r in table:
        if r["kind"] == "rpc":
            add(r["owner"], "subscribe", r["subject"])
            for p in r["peers"]:
                add(p, "publish", r["subject"])
        elif r["kind"] == "evt":
            add(r["owner"], "publish", r["subject"] + ".*")
            for p in r["peers"]:
                add(p, "subscribe", f"deliver.{p}.{r['stream']}")
                add(p, "publish", f"$JS.ACK.{r['stream']}.{p}.>")
        elif r["kind"] == "ack":
            add(r["owner"], "subscribe", r["subject"])
            for p in r["peers"]:
                add(p, "publish", r["subject"])
        elif r["kind"] == "sig":
            add(r["owner"], "publish", r["subject"])
            for p in r["peers"]:
                add(p, "subscribe", r["subject"])
    for verb in ("STREAM.INFO", "STREAM.CREATE", "STREAM.UPDATE", "STREAM.NAMES", "STREAM.LIST"):
        for s in streams(table):
            add("keeper", "publish", f"$JS.API.{verb}" + ("" if verb in ("STREAM.NAMES", "STREAM.LIST") else f".{s}"))
    for s in streams(table):
        add("keeper", "publish", f"$JS.API.CONSUMER.*.{s}.>")
        add("keeper", "publish", f"$JS.API.CONSUMER.LIST.{s}")
        add("keeper", "publish", f"$JS.API.CONSUMER.CREATE.{s}")
        add("keeper", "publish", f"$JS.API.CONSUMER.DURABLE.CREATE.{s}.>")
    add("keeper", "publish", "$JS.API.INFO")
    return allow


def descriptor(message):
    """As protobuf-c names it: auth.ApiKeyRequest -> sekisho__auth__api_key_request__descriptor"""
    package, name = message.split(".")
    return f"sekisho__{package}__{re.sub('(?<!^)(?=[A-Z])', '_', name).lower()}__descriptor"


def write_c(table, header, source):
    h = ["/* Made from proto/subjects.tsv. */", "#ifndef SUBJECTS_H", "#define SUBJECTS_H", ""]
    for r in table:
        h.append(f"/* {r['what']} ({r['proto']}); {r['owner']} <- {', '.join(r['peers'])} */")
        h.append(f'#define {r["constant"]} "{r["subject"]}"')
    h += ["", "/* What libs/svc asks for before it hands a request on. NULL permission: called by services for themselves;",
          ' * "*": any valid token. */', "enum subject_record { SUBJECT_RECORD_NONE, SUBJECT_RECORD_READ, SUBJECT_RECORD_CHANGE };",
          "struct ProtobufCMessageDescriptor;", "struct subject_rpc {", "\tconst char *subject;", '\tconst char *operation; /* "delivery.list", the action on the record */',
          "\tconst char *permission;", "\tconst char *also; /* a permission that is needed beside it; may be NULL */",
          "\tenum subject_record record;",
          "\tconst struct ProtobufCMessageDescriptor *request; /* for protobuf-c; see svc/asked.c */", "};", "/* Ended by a NULL subject. */",
          "extern const struct subject_rpc subject_rpcs[];", "", "struct subject_permission {", "\tconst char *name;",
          "\tconst char *roles; /* built-in ones beside administrator, each with a space before and behind */",
          "\tint platform;      /* the platform's own keys only */", "};", "/* Ended by a NULL name. */",
          "extern const struct subject_permission subject_permissions[];",
          "/* Built-in roles; ended by NULL. administrator has every permission but the platform's. */",
          "extern const char *const subject_roles[];", "", "struct subject_stream {", "\tconst char *name;", "\tconst char *const *subjects;  /* NULL-terminated */",
          "\tconst char *const *consumers; /* services, NULL-terminated */", "};",
          "/* Ended by a NULL name. */", "extern const struct subject_stream subject_streams[];",
          "/* Where a consumer of a stream gets its messages: deliver.<service>.<stream> */",
          '#define SUBJECT_DELIVER(service, stream) "deliver." service "." stream', "", "#endif", ""]
    c = ["/* Made from proto/subjects.tsv. */", '#include "subjects.h"', "", "#include <stddef.h>", "", "#include <protobuf-c/protobuf-c.h>", ""]
    c += sorted({f"extern const ProtobufCMessageDescriptor {descriptor(r['proto'])};" for r in table if r["kind"] == "rpc"}) + [""]
    all_streams = streams(table)
    for name, (subjects, consumers) in all_streams.items():
        c.append(f"static const char *const subjects_{name}[] = {{" + ", ".join(f'"{s}"' for s in subjects) + ", NULL};")
        c.append(f"static const char *const consumers_{name}[] = {{" + ", ".join(f'"{s}"' for s in consumers) + ", NULL};")
    c.append("const struct subject_stream subject_streams[] = {")
    c += [f'\t{{"{n}", subjects_{n}, consumers_{n}}},' for n in all_streams]
    c += ["\t{NULL, NULL, NULL},", "};", "", "const struct subject_rpc subject_rpcs[] = {"]
    for r in table:
        if r["kind"] == "rpc":
            needed = [f'"{p}"' for p in r["permissions"] if p != "-"] + ["NULL", "NULL"]
            permission = ", ".join(needed[:2])
            record = {"-": "NONE", "read": "READ", "change": "CHANGE"}[r["record"]]
            c.append(f'\t{{"{r["subject"]}", "{r["subject"].removeprefix("rpc.v1.")}", {permission}, SUBJECT_RECORD_{record}, &{descriptor(r["proto"])}}},')
    c += ["\t{NULL, NULL, NULL, NULL, SUBJECT_RECORD_NONE, NULL},", "};", "", "const struct subject_permission subject_permissions[] = {"]
    for name, roles, *_ in permission_rows():
        platform = "platform" in roles
        text = "" if platform or not roles else " " + " ".join(roles) + " "
        c.append(f'\t{{"{name}", "{text}", {int(platform)}}},')
    c += ["\t{NULL, NULL, 0},", "};", "",
          "const char *const subject_roles[] = {" + ", ".join(f'"{r}"' for r in ("administrator", *ROLES)) + ", NULL};", ""]
    pathlib.Path(header).write_text("\n".join(h))
    pathlib.Path(source).write_text("\n".join(c))


def write_doc(table, path):
    out = ["# Subjects", "", "Made from `proto/subjects.tsv` by `make docs`; who may call whom is enforced by NATS from the same table.", ""]
    titles = {"rpc": "Request and reply", "evt": "Events", "ack": "Confirmations", "sig": "Hints"}
    for kind in KINDS:
        out += [f"## {titles[kind]}", "", "| subject | owner | peers | message | permission | what |", "|---|---|---|---|---|---|"]
        out += [f"| `{r['subject']}` | {r['owner']} | {', '.join(r['peers'])} | {r['proto']} | {', '.join(r['permissions'])} | {r['what']} |"
                for r in table if r["kind"] == kind]
        out.append("")
    pathlib.Path(path).write_text("\n".join(out))


def write_permissions(table, path):
    """Operation x permission x built-in role."""
    roles = ("administrator", *ROLES)
    held = {}
    out = ["# Permissions", "", "Made from `proto/permissions.tsv` and `proto/subjects.tsv` by `make docs`. The services enforce it from the same tables:",
           "each verifies the actor token of a request and what it permits itself; a page or a client that hides a button is no protection.", "",
           "- A person's permissions: own roles, roles by groups, single exceptions. A denial wins over everything. Somebody without any role is",
           "  a `member`. `GET /v1/users/{id}/permissions` says each permission's every reason.",
           "- A person's API key permits what its scopes *and* the person's permissions of that moment both allow. A tenant's own key permits its scopes.",
           "- Nobody gives what he does not have, nor changes somebody who has more; nobody's own access grows by his own hand.",
           "- Built-in roles are there in every tenant and cannot be changed; a tenant makes its own beside them.", "",
           "## Permissions and built-in roles", "", "| permission | 日本語 | what | " + " | ".join(roles) + " |",
           "|---|---|---|" + "|".join(":-:" for _ in roles) + "|"]
    for name, given, what, japanese in permission_rows():
        held[name] = ["platform keys"] if "platform" in given else [r for r in roles if r == "administrator" or r in given]
        out.append(f"| `{name}` | {japanese} | {what} | " + " | ".join("x" if r in held[name] else "" for r in roles) + " |")
    out += ["", "`platform.admin` is held by the platform's own keys only, and by no role.", "", "## Operations", "",
            "Where two permissions are named, both are needed.", "",
            "| operation | permission | recorded | what | built-in roles that may |", "|---|---|---|---|---|"]
    recorded = {"read": "each call", "change": "each change and refusal", "-": ""}
    for r in sorted((r for r in table if r["kind"] == "rpc" and r["permission"] != "-"), key=lambda r: r["subject"]):
        any_token = r["permission"] == "*"
        needed = ", ".join(f"`{p}`" for p in r["permissions"])
        may = [] if any_token else [role for role in held[r["permissions"][0]] if all(role in held[p] for p in r["permissions"])]
        out.append(f"| `{r['subject'].removeprefix('rpc.v1.')}` | {'any key' if any_token else needed} | {recorded[r['record']]} | "
                   f"{r['what']} | {'all' if any_token else ', '.join(may)} |")
    out += ["", "What is not listed is called by services for themselves and by nobody else: [SUBJECTS.md](SUBJECTS.md).", ""]
    pathlib.Path(path).write_text("\n".join(out))


def write_nats(table, keys_dir):
    q = json.dumps
    print("accounts {\n  SEKISHO {\n    jetstream: enabled\n    users: [")
    for service, allow in permissions(table).items():
        key = (pathlib.Path(keys_dir) / f"{service}.pub").read_text().strip()
        print(f"      {{ nkey: {key}, permissions: {{")
        print(f"          publish: {{ allow: [{', '.join(map(q, allow['publish']))}] }}")
        print(f"          subscribe: {{ allow: [{', '.join(map(q, allow['subscribe']))}] }}")
        serves = any(r["kind"] == "rpc" and r["owner"] == service for r in table)
        print("          allow_responses: { max: 1, expires: \"90s\" } } }" if serves else "      } }")
    print("    ]\n  }\n  SYS { users: [] }\n}\nsystem_account: SYS")


def main():
    table = rows()
    match sys.argv[1:]:
        case ["--c", header, source]:
            write_c(table, header, source)
        case ["--doc", path]:
            write_doc(table, path)
        case ["--permissions", path]:
            write_permissions(table, path)
        case ["--nats", keys_dir]:
            write_nats(table, keys_dir)
        case ["--matrix"]:
            print(json.dumps(permissions(table), indent=1))
        case _:
            sys.exit(__doc__)


main()
