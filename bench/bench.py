#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Sekisho against Postfix + clamav-milter + OpenDKIM: one run, one machine, the same signatures and the same mails, from the
first byte in to the last delivery at the sink. The two sides take turns, so that a noisy minute hits both.

  bench.py [--mails-4k N] [--mails-200k N] [--rounds N] [--conns N] [--idle N] [--only postfix|sekisho] [--json FILE]

Environment: SEKISHO_BUILD (folder of the build), BENCH_CLAMAV_DB (a folder with other signatures).
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import measure
import postfix_side
import signatures

SIZES = {"4k": ["--size", 4096], "200k": ["--size", 204800, "--attach"]}
NEED = {"4k": 3.0, "200k": 1.0}
AIM = {"4k": 5.0, "200k": 1.3}
GIB = 1 << 30


def say(text=""):
    print(text, flush=True)


def prepare(root):
    """Signatures and a certificate; (folder of signatures, certificate, key)."""
    db = os.environ.get("BENCH_CLAMAV_DB")
    if not db:
        db = root / "signatures"
        say(f"{signatures.write(db):,} synthetic signatures and EICAR in {db}")
    cert, key = root / "bench.crt", root / "bench.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=bench.example", "-keyout", str(key), "-out", str(cert)], check=True, stderr=subprocess.DEVNULL)
    return db, cert, key


def measure_side(side, sink, size, mails, conns, number, tools, root):
    options = ["--conns", conns, "--seed", number, *SIZES[size]]
    return measure.Run(tools, side, sink, mails, options, f"{side.name[0]}{size}-{number}", root / "load.log")


def table(results, sizes):
    """{size: {side: [Run, ...]}} as text and as data."""
    data = {}
    for size in sizes:
        say(f"\n== {size}: {sum(r.mails for r in next(iter(results[size].values()))):,} mails for each side, distinct bodies")
        data[size] = {}
        for name, runs in results[size].items():
            rate = statistics.median(r.rate for r in runs)
            p50, p99 = (statistics.median(r.summary[p] for r in runs) for p in ("p50_ms", "p99_ms"))
            stages = {k: statistics.mean(r.cpu_ms[k] for r in runs) for k in runs[0].cpu_ms}
            cpu = sum(stages.values())
            say(f"{name:36} {rate:8.1f} mails/s   dot to 250: p50 {p50:7.1f} ms  p99 {p99:7.1f} ms   CPU {cpu:6.2f} ms/mail   "
                f"machine {100 * statistics.mean(r.busy for r in runs):3.0f} % busy")
            say("    CPU ms/mail: " + ", ".join(f"{k} {v:.2f}" for k, v in sorted(stages.items(), key=lambda kv: -kv[1])))
            data[size][name] = {"rate": rate, "p50_ms": p50, "p99_ms": p99, "cpu_ms": stages, "rates": [r.rate for r in runs]}
        sides = list(data[size].values())
        if len(sides) == 2:
            ratio = sides[1]["rate"] / sides[0]["rate"]
            verdict = "as aimed" if ratio >= AIM[size] else "enough" if ratio >= NEED[size] else "TOO SLOW"
            say(f"ratio {ratio:.2f} (at least {NEED[size]}, aim {AIM[size]}): {verdict};  p99 "
                f"{'no worse' if sides[1]['p99_ms'] <= sides[0]['p99_ms'] else 'WORSE'}")
            data[size]["ratio"] = ratio
        bound(results[size])
    return data


def bound(by_side):
    """What bounds ours."""
    runs = by_side.get("Sekisho")
    if not runs:
        return
    busy = statistics.mean(r.busy for r in runs)
    stages = {k: statistics.mean(r.cpu_ms[k] for r in runs) for k in runs[0].cpu_ms}
    top = sorted(stages, key=lambda k: -stages[k])[:3]
    cores = os.cpu_count()
    if busy > 0.9:
        say(f"bound by CPU: all {cores} cores busy; most of it in " + ", ".join(f"{k} ({stages[k]:.2f} ms)" for k in top))
    else:
        say(f"not bound by CPU ({busy:.0%} of {cores} cores busy): waiting for flushes or replies; most CPU in {', '.join(top)}")
    accepted, delivered = (statistics.median(getattr(r, a) for r in runs) for a in ("accepted_rate", "rate"))
    if accepted > delivered * 1.1:
        say(f"accepting ({accepted:.0f}/s) runs ahead of delivering ({delivered:.0f}/s)")


def idle(side, tools, count):
    """Memory of ingest with many idle connections."""
    before = measure.rss_octets(side.stack.pid("ingest"))
    process = subprocess.Popen([tools / "bench-load", "--port", str(side.stack.ports["mx"]), "--conns", str(count), "--idle", "--spread"],
                               stdout=subprocess.PIPE, text=True)
    try:
        reached = json.loads(process.stdout.readline())["idle"]
        after = measure.rss_octets(side.stack.pid("ingest"))
    finally:
        process.terminate()
        process.wait(30)
    say(f"\n== {reached:,} idle SMTP connections: ingest {before / 2**20:.0f} -> {after / 2**20:.0f} MiB "
        f"({(after - before) / reached / 1024:.1f} KiB each); {'within' if after < GIB else 'MORE THAN'} 1 GiB")
    return {"connections": reached, "before": before, "after": after}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mails-4k", type=int, default=5000)
    parser.add_argument("--mails-200k", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--conns", type=int, default=50)
    parser.add_argument("--idle", type=int, default=10_000)
    parser.add_argument("--only", choices=("postfix", "sekisho"))
    parser.add_argument("--json")
    args = parser.parse_args()
    mails = {"4k": args.mails_4k, "200k": args.mails_200k}
    sizes = [s for s in SIZES if mails[s]]
    from sekisho_side import SekishoSide, sites
    tools = sites.BUILD / "bin"
    data = {}
    with tempfile.TemporaryDirectory(prefix="sekisho-bench-", dir="/var/tmp") as folder:
        root = pathlib.Path(folder)
        root.chmod(0o755)
        db, cert, key = prepare(root)
        sinks = [measure.Sink(tools / "bench-sink", root / f"sink{i}.log") for i in range(2)]
        sides = []
        try:
            if args.only != "sekisho":
                sides.append((postfix_side.PostfixSide(root / "postfix", db, sinks[0].port, cert, key, True), sinks[0]))
                sides[-1][0].start()
            if args.only != "postfix":
                sides.append((SekishoSide(root / "sekisho", db, sinks[1].port), sinks[1]))
                sides[-1][0].start()
            say(f"{os.cpu_count()} cores; {args.conns} connections with STARTTLS; sides take turns, {args.rounds} rounds")
            results, number = {s: {side.name: [] for side, _ in sides} for s in sizes}, 0
            for size in sizes:
                for turn in range(args.rounds + 1):
                    for side, sink in sides:
                        number += 1
                        run = measure_side(side, sink, size, mails[size] if turn else max(50, mails[size] // 20), args.conns, number,
                                           tools, root)
                        if turn:  # the first is for warming up
                            results[size][side.name].append(run)
                            say(f"   {size} {side.name}: {run.rate:.1f}/s")
            data = table(results, sizes)
            if args.idle and args.only != "postfix":
                data["idle"] = idle(sides[-1][0], tools, args.idle)
        finally:
            for side, _ in reversed(sides):
                side.stop()
            summaries = [sink.stop() for sink in sinks]
    duplicates = sum(s["duplicates"] for s in summaries)
    say(f"\nduplicates at the sinks: {duplicates}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(data, indent=1))
    slow = [s for s in sizes if data.get(s, {}).get("ratio", NEED[s]) < NEED[s]]
    return 1 if slow or duplicates else 0


if __name__ == "__main__":
    sys.exit(main())
