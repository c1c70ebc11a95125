#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Outlives the supervisor by a moment: reads "+PGID" and "-PGID" lines from standard input, and when that ends (the
supervisor is gone, however it died) asks every process group left to end, waits, and kills what remains."""
import os
import signal
import sys
import time

GRACE_S = 10


def send(group, sig):
    try:
        os.killpg(group, sig)
        return True
    except ProcessLookupError:
        return False


def main():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    groups = []
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.append(group)
        elif group in groups:
            groups.remove(group)
    # The last started first: services before what they stand on. SIGINT is the fast stop of PostgreSQL, whose
    # SIGTERM waits for its clients; everything else takes both.
    for group in reversed(groups):
        send(group, signal.SIGTERM)
    until = time.monotonic() + GRACE_S
    for group in reversed(groups):
        send(group, signal.SIGINT)
        while send(group, 0) and time.monotonic() < until:
            time.sleep(0.1)
    for group in groups:
        send(group, signal.SIGKILL)


main()
