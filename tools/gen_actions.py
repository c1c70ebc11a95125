#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""From proto/actions.tsv, what services put on the record, the C table of public events and their documentation:

  gen_actions.py --c actions.h actions.c
  gen_actions.py --doc docs/EVENTS.md
"""
import pathlib
import sys

TABLE = pathlib.Path(__file__).resolve().parent.parent / "proto" / "actions.tsv"
COLUMNS = ("action", "service", "event", "subject", "detail", "shown", "what")


def rows():
    out = []
    for number, line in enumerate(TABLE.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != len(COLUMNS):
            sys.exit(f"{TABLE.name}:{number}: {len(fields)} columns, not {len(COLUMNS)}")
        row = dict(zip(COLUMNS, fields))
        for lists in ("detail", "shown"):
            row[lists] = [d for d in row[lists].split(",") if d]
        if set(row["shown"]) - set(row["detail"]) or (row["shown"] and row["event"] == "-"):
            sys.exit(f"{TABLE.name}:{number}: shown is what the event has of the detail")
        out.append(row)
    names = [r["action"] for r in out]
    if len(set(names)) != len(names):
        sys.exit(f"{TABLE.name}: an action twice")
    return out


def c_files(header, source):
    pathlib.Path(header).write_text("""/* Made by tools/gen_actions.py from proto/actions.tsv; do not edit. */
#ifndef ACTIONS_H
#define ACTIONS_H

/* An action that integrators get as an event. */
struct action_event {
	const char *action;	    /* on the record; NULL ends the table */
	const char *event;	    /* type */
	const char *subject;	    /* name of the id it is about */
	const char *const *members; /* of the detail that go out; NULL at the end */
};
extern const struct action_event action_events[];

#endif
""")
    out = ["/* Made by tools/gen_actions.py from proto/actions.tsv; do not edit. */", '#include "actions.h"', "",
           "#include <stddef.h>", "", "const struct action_event action_events[] = {"]
    for r in rows():
        if r["event"] != "-":
            members = "".join(f'"{d}", ' for d in r["shown"])
            out.append(f'\t{{"{r["action"]}", "{r["event"]}", "{r["subject"]}", (const char *const[]){{{members}NULL}}}},')
    out += ["\t{NULL, NULL, NULL, NULL},", "};"]
    pathlib.Path(source).write_text("\n".join(out) + "\n")


def document(path):
    def members(names):
        return ", ".join(f"`{d}`" for d in names) or "-"

    out = ["# Events and the record", "", "Made by `tools/gen_actions.py` from `proto/actions.tsv`; do not edit.", "",
           "Everything a service does, reads or refuses becomes an entry of the tenant's log within seconds (`docs/audit.md`).",
           "Some actions are also events that integrators receive, by webhook or as server-sent events. An event's position",
           "is its index in that log, so a feed can be taken up again wherever it ended, and no event is lost or comes in",
           "another order. An event is thin: ids, numbers, states; no addresses, no names, no text that a person or another",
           "server wrote. Whoever needs more asks the API, with a key that may.", "",
           "## Events", "",
           "`data` always has the id of what the event is about under the name given, and `recipient` (number in the message,",
           "from 0) where it is about one recipient; then the members listed, where they are known. `code` is the three digits of the",
           "receiving server's reply, `status` its enhanced status code (RFC 3463); the reply's text stays on the record.", "",
           "| type | about | members of `data` | when |", "|---|---|---|---|"]
    out += [f"| `{r['event']}` | `{r['subject']}` | {members(r['shown'])} | {r['what']} |" for r in rows() if r["event"] != "-"]
    out += ["", "## Actions on the record", "",
            "Reads and refusals are recorded under `<service>.<verb>` of the request, which is not listed here; their outcome says",
            "`ok`, `denied` and so on.", "",
            "| action | service | about | detail | event | what |", "|---|---|---|---|---|---|"]
    out += [f"| `{r['action']}` | {r['service']} | {r['subject']} | {members(r['detail'])} | "
            f"{'`' + r['event'] + '`' if r['event'] != '-' else ''} | {r['what']} |" for r in rows()]
    pathlib.Path(path).write_text("\n".join(out) + "\n")


def main():
    match sys.argv[1:]:
        case ["--c", header, source]:
            c_files(header, source)
        case ["--doc", path]:
            document(path)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
