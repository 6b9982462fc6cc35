#!/usr/bin/env python3
"""Measure the actor runtime against Erlang/OTP and CAF: the same work, row by
row in turn, on this machine, now.

run.py BUILD [--runs R] [--row NAME ...] [--idle N] [--quick]

Prints a table (medians of R runs) with what was aimed at, and writes
BUILD/bench-actors.json. A runtime that is not installed is skipped, and why is
said. --idle N: also N processes that do nothing, for what one costs. --quick: a
tenth of the work, to see that it runs."""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
M = 1e6
# Row: (what it does, how much by default, rate aimed at or None: 3 x Erlang and
# 1.2 x CAF).
ROWS = {
    "send-1": ("one-way send, 1 to 1", 10_000_000, 30 * M),
    "send-100": ("one-way send, 100 pairs", 10_000_000, 40 * M),
    "pingpong-1": ("ping-pong, 1 pair", 2_000_000, 10 * M),
    "pingpong-500": ("ping-pong, 500 pairs", 5_000_000, 30 * M),
    "ring-1000": ("thread ring of 1000", 5_000_000, None),
    "counting": ("counting", 1_000_000, None),
    "fork-create": ("fork-join: create 1 M", 1_000_000, None),
    "fork-throughput": ("fork-join: throughput", 6_000_000, None),
    "chameneos": ("chameneos", 1_000_000, None),
    "big": ("big", 2_400_000, None),
    "bank": ("bank transaction", 1_000_000, None),
    "call-64": ("call, 64 in flight", 2_000_000, 3 * M),
    "far-64": ("call, 2 workers, 64", 600_000, 300e3),
    "spawn": ("spawn", 1_000_000, 3 * M),
    "restart": ("supervisor restart", 300_000, 500e3),
    "timer": ("timer set and fired", 3_000_000, 1 * M),
}
# They would take a minute.
ERLANG_N = {"restart": 30_000, "far-64": 100_000}
CAF_N = {"far-64": 200_000}
LATE_US, IDLE_BYTES = 2000, 256


def run(command, timeout):
    try:
        out = subprocess.run(command, capture_output=True, text=True,
                             timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return None, f"more than {timeout} s"
    lines = [line.split("\t") for line in out.stdout.splitlines()]
    lines = [line for line in lines if len(line) == 6]
    if out.returncode != 0 or not lines:
        return None, (out.stderr.strip() or "it failed").splitlines()[-1]
    return lines, None


def summary(lines):
    rows = [[float(x) for x in line[1:]] for line in lines]
    return {
        "rate": statistics.median(r[0] / r[1] for r in rows),
        "rates": sorted(r[0] / r[1] for r in rows),
        "cpu_ns": statistics.median(r[2] / r[0] * 1e9 for r in rows),
        "bytes": statistics.median(r[3] for r in rows),
        "late_us": statistics.median(r[4] for r in rows),
    }


def build_erlang(folder):
    if shutil.which("erlc") is None:
        return "erlc is not installed (scripts/setup.sh --bench)"
    out = subprocess.run(
        ["erlc", "-o", folder, os.path.join(HERE, "../erlang/bench.erl"),
         os.path.join(HERE, "../erlang/far.erl")],
        capture_output=True, text=True, check=False)
    return None if out.returncode == 0 else out.stdout.strip()


def build_caf(folder):
    if not os.path.exists("/usr/include/caf/all.hpp"):
        return "CAF is not installed (scripts/setup.sh --bench)"
    for program, libraries in (("bench", ["-lcaf_core"]),
                               ("far", ["-lcaf_core", "-lcaf_io"])):
        out = subprocess.run(
            ["g++", "-std=c++17", "-O2", "-o",
             os.path.join(folder, program + "_caf"),
             os.path.join(HERE, f"../caf/{program}.cpp")] + libraries,
            capture_output=True, text=True, check=False)
        if out.returncode != 0:
            return out.stderr.strip()[-300:]
    return None


def commands_of(options, folder, row, n):
    """Who does it with what command. Calls between two workers are between two
    processes, each with its own starter."""
    runs = str(options.runs)
    erlang_n = str(min(n, ERLANG_N.get(row, n)))
    caf_n = str(min(n, CAF_N.get(row, n)))
    if row == "far-64":
        return {
            "plexspaces": [os.path.join(HERE, "far.sh"), options.build, str(n),
                           runs],
            "erlang": [os.path.join(HERE, "../erlang/far.sh"), folder,
                       erlang_n, runs],
            "caf": [os.path.join(folder, "far_caf"), caf_n, runs],
        }
    commands = {
        "plexspaces": [os.path.join(options.build, "bin/bench_actors"),
                       "--row", row, "--n", str(n), "--runs", runs],
        "erlang": ["erl", "+P", "5000000", "-noshell", "-pa", folder, "-s",
                   "bench", "main", row, erlang_n, runs],
        "caf": [os.path.join(folder, "bench_caf"), "--row", row, "--n", caf_n,
                "--runs", runs],
    }
    if row == "restart":
        del commands["caf"]  # it has no supervisors
    return commands


def human(rate):
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if rate >= size:
            return f"{rate / size:.2f} {unit}"
    return f"{rate:.0f}"


def verdict(row, found):
    own, target = found["plexspaces"], ROWS[row][2]
    if own is None:
        return "-", "FAILED"
    missed = []
    if target is not None:
        text = human(target)
        if own["rate"] < target:
            missed.append(f"{own['rate'] / target:.0%} of it")
    else:
        text = "3 x Erlang, 1.2 x CAF"
        for other, factor in (("erlang", 3), ("caf", 1.2)):
            if found.get(other) is None:
                missed.append(f"no {other}")
            elif own["rate"] < factor * found[other]["rate"]:
                missed.append(
                    f"{own['rate'] / found[other]['rate']:.1f} x {other}")
    if row == "timer":
        text += f", late < {LATE_US / 1000:.0f} ms"
        if own["late_us"] >= LATE_US:
            missed.append(f"late {own['late_us'] / 1000:.1f} ms at p99")
    if row in ("spawn", "idle"):
        text += f", {IDLE_BYTES} bytes"
        if own["bytes"] > IDLE_BYTES:
            missed.append(f"{own['bytes']:.0f} bytes")
    return text, "met" if not missed else "missed: " + ", ".join(missed)


def measure(options, folder, skipped):
    results = {}
    for row in options.row or ROWS:
        n = ROWS[row][1] // (10 if options.quick else 1)
        found = {}
        for who, command in commands_of(options, folder, row, n).items():
            if who in skipped:
                continue
            lines, why = run(command, 120 * options.runs)
            found[who] = summary(lines) if lines else None
            if why:
                print(f"{who}: {row}: {why}", file=sys.stderr)
        results[row] = found
        show(row, found)
    return results


def cell(found, who):
    if who not in found:
        return "-"
    return "failed" if found[who] is None else human(found[who]["rate"])


def ratio(found, who):
    if not found.get(who) or not found.get("plexspaces"):
        return "-"
    return f"{found['plexspaces']['rate'] / found[who]['rate']:.1f} x"


COLUMNS = "%-24s %10s %10s %7s %10s %7s %9s %6s %7s  %-24s %s"


def show(row, found):
    own = found.get("plexspaces") or {"cpu_ns": 0, "bytes": 0, "late_us": 0}
    target, said = verdict(row, found)
    print(COLUMNS % (
        ROWS[row][0], cell(found, "plexspaces"), cell(found, "erlang"),
        ratio(found, "erlang"), cell(found, "caf"), ratio(found, "caf"),
        f"{own['cpu_ns']:.0f} ns", f"{own['bytes']:.0f}" if own["bytes"] else "",
        f"{own['late_us'] / 1000:.1f} ms" if own["late_us"] else "", target,
        said), flush=True)


def idle(options):
    lines, why = run([os.path.join(options.build, "bin/bench_actors"), "--row",
                      "spawn", "--n", str(options.idle)], 600)
    if why:
        print(f"idle: {why}", file=sys.stderr)
        return None
    found = summary(lines)
    said = "met" if found["bytes"] <= IDLE_BYTES else "missed"
    print(f"{options.idle} idle processes: {found['bytes']:.0f} bytes each, "
          f"aimed at {IDLE_BYTES}: {said}; {human(found['rate'])}/s made")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--row", action="append", choices=list(ROWS))
    parser.add_argument("--idle", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    folder = os.path.join(options.build, "bench-actors")
    os.makedirs(folder, exist_ok=True)
    skipped = {}
    for who, build in (("erlang", build_erlang), ("caf", build_caf)):
        why = build(folder)
        if why:
            skipped[who] = why
            print(f"SKIP: {who}: {why}")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; median of "
          f"{options.runs}; rates per second")
    print(COLUMNS % ("work", "plexspaces", "Erlang", "ratio", "CAF", "ratio",
                     "CPU/op", "bytes", "late", "aimed at", ""))
    results = measure(options, folder, skipped)
    if options.idle:
        results["idle"] = {"plexspaces": idle(options)}
    path = os.path.join(options.build, "bench-actors.json")
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"cores": os.cpu_count(), "skipped": skipped,
                   "rows": results}, out, indent=1)
    failed = [row for row, found in results.items()
              if found.get("plexspaces") is None]
    print(f"written to {path}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
