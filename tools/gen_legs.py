#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""docs/LEGS.md from services/delivery/legs.def:  gen_legs.py OUT.md"""
import pathlib
import re
import sys

TABLE = pathlib.Path(__file__).resolve().parent.parent / "services" / "delivery" / "legs.def"


def main():
    text = TABLE.read_text()
    states = re.findall(r'^LEG_STATE\((\w+), (\w+), (\w+), "(.*)"\)$', text, re.M)
    events = re.findall(r'^LEG_EVENT\((\w+), (\w+), "(.*)"\)$', text, re.M)
    initial = re.findall(r"^LEG_INITIAL\((\w+)\)$", text, re.M)
    moves = re.findall(r"^LEG_MOVE\((\w+), (\w+), (\w+), ([\w| ]+)\)$", text, re.M)
    if not (states and events and initial and moves):
        sys.exit(f"{TABLE}: nothing found")
    out = ["# Legs", "", "Made by `tools/gen_legs.py` from `services/delivery/legs.def`; do not edit.",
           "To users a leg is a *recipient*.", "", "| state | kind | begins here | meaning |", "|---|---|---|---|"]
    for c, name, kind, what in states:
        out.append(f"| {name} | {kind.lower()} | {'yes' if c in initial else ''} | {what} |")
    out += ["", "| event | meaning |", "|---|---|"]
    out += [f"| {name} | {what} |" for _, name, what in events]
    out += ["", "| state | event | next | who may cause it |", "|---|---|---|---|"]
    for state, event, nxt, who in moves:
        out.append(f"| {state.lower()} | {event.lower()} | {nxt.lower()} | {who.lower().replace(' | ', ', ')} |")
    pathlib.Path(sys.argv[1]).write_text("\n".join(out) + "\n")


if __name__ == "__main__":
    main()
