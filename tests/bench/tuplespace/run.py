#!/usr/bin/env python3
"""Measure the tuple space beside Redis and Erlang's ets, on this machine, now.

run.py BUILD [--seconds S] [--long] [--quick]

Prints a table: what was seen, what was aimed at and what the others did at about
the same work, and writes BUILD/bench-tuplespace.json. --long: also 10 million
tuples (some 3 GB of memory and two minutes). --quick: a tenth of the work, to see
that it runs. Postgres and Redis are those of
PLEX_TEST_PG and PLEX_TEST_REDIS; Redis and Erlang for comparison are started here
where they are installed, else it is said."""

import argparse
import json
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
rows = []


def run(command, timeout=600):
    """Its output, or None; says why on stderr."""
    try:
        out = subprocess.run(command, capture_output=True, text=True,
                             timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        print(f"{command[0]}: more than {timeout} s", file=sys.stderr)
        return None
    if out.returncode != 0:
        print(f"{command[0]}: {out.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    return out.stdout


def row(name, seen, unit, target, more="", at_most=False):
    if seen is not None:
        good = None
        if target is not None:
            good = seen <= target if at_most else seen >= target
        rows.append({"row": name, "seen": seen, "unit": unit, "target": target,
                     "at_most": at_most, "met": good, "more": more})


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


# -- others ------------------------------------------------------------------


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def redis_rate(port, n, *command):
    out = run(["redis-benchmark", "-p", str(port), "-c", "64", "-n", str(n),
               "-q", *command])
    found = re.findall(r"([0-9.]+) requests per second, p50=([0-9.]+)",
                       (out or "").replace("\r", "\n"))
    return (float(found[-1][0]), float(found[-1][1])) if found else None


def redis(durable, n):
    """Rates by command with 64 connections, one request each."""
    if not shutil.which("redis-server") or not shutil.which("redis-benchmark"):
        print("SKIP: no redis-server and redis-benchmark", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        options = (["--appendonly", "yes", "--appendfsync", "always"]
                   if durable else ["--appendonly", "no"])
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1",
             "--dir", folder, "--save", "", *options],
            stdout=subprocess.DEVNULL)
        try:
            for _ in range(500):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.02)
            return {
                "LPUSH": redis_rate(port, n, "LPUSH", "q", "order"),
                "BLPOP": redis_rate(port, n, "BLPOP", "q", "0"),
                "fill": redis_rate(port, 1000, "LPUSH", "r", "order"),
                "LMOVE": redis_rate(port, n, "LMOVE", "r", "r", "LEFT",
                                    "RIGHT"),
                "BLMOVE": redis_rate(port, n, "BLMOVE", "r", "r", "LEFT",
                                     "RIGHT", "0"),
            }
        finally:
            server.terminate()
            server.wait()


def erlang():
    if not shutil.which("erlc"):
        print("SKIP: no Erlang", file=sys.stderr)
        return {}
    with tempfile.TemporaryDirectory() as folder:
        if run(["erlc", "-o", folder,
                os.path.join(HERE, "beside.erl")]) is None:
            return {}
        out = run(["erl", "-noshell", "-pa", folder, "-s", "beside", "main"])
    return {name: float(rate) for name, rate in
            (line.split("\t") for line in (out or "").splitlines())}


def said(found, *names):
    return ", ".join(f"{n} {number(found[n][0])}/s" for n in names
                     if found.get(n))


# -- ours --------------------------------------------------------------------


def core(build, quick, long):
    tuples = 100_000 if quick else 1_000_000
    ets = erlang()
    out = run([f"{build}/bin/bench_tuplespace_core", "--tuples", str(tuples),
               "--range-tuples", str(tuples), "--waiters", "100000"]) or ""

    def line(start, pattern):
        for text in out.splitlines():
            if text.startswith(start):
                found = re.search(pattern, text[len(start):])
                return float(found.group(1)) if found else None
        return None

    row("in process, write and take, prepared",
        line("write and take it, prepared", r"([0-9]+) /s"), "pairs/s", 3e6,
        f"ets insert and take {number(ets['ets'])}/s" if "ets" in ets else "")
    row("in process, block a taker, 100,000 of them",
        line("block a taker", r"([0-9]+) /s"), "/s", None)
    row("in process, write that wakes one of 100,000",
        line("write that wakes", r"([0-9]+) /s"), "/s", None)
    row("memory of a tuple of 4 fields",
        float((re.findall(r"tuples of 4 fields: ([0-9.]+) bytes", out) or
               ["nan"])[0]),
        "bytes", 200, at_most=True)
    if long:
        out = run([f"{build}/bin/bench_tuplespace_core", "--range-tuples",
                   "10000000", "--only", "range"], 1200) or ""
        row("one exact and one range field, 10 M tuples",
            line("one exact, one range (narrow)", r"p50 ([0-9.]+)"), "us p50",
            20, at_most=True)
    return ets


def link(build, seconds, ets, quick):
    off = redis(False, 20_000 if quick else 200_000)
    always = redis(True, 10_000 if quick else 100_000)
    beside = {
        "mem": said(off, "LPUSH", "BLPOP", "LMOVE", "BLMOVE") +
        (f", gen_server over ets {number(ets['gen_server'])}/s"
         if "gen_server" in ets else ""),
        "": said(always, "LPUSH", "BLPOP", "LMOVE", "BLMOVE") +
        (" (fsync always)" if always else ""),
    }
    with tempfile.TemporaryDirectory() as folder:
        stores = ["mem:", f"sqlite:{folder}/t.db"]
        for name in ("PLEX_TEST_PG", "PLEX_TEST_REDIS"):
            if os.environ.get(name):
                stores.append(os.environ[name])
            else:
                print(f"SKIP: {name} is not set", file=sys.stderr)
        out = run([f"{build}/bin/bench_tuplespace_link", "--seconds",
                   str(seconds), *stores]) or ""
    for text in out.splitlines()[1:]:
        words = text.split()
        store, what = words[0], words[1]
        rate, cpu, p50, p99 = (float(w) for w in words[-5:-1])
        flight = int(words[-6])
        if what == "woken":
            row(f"blocked take woken over a link, {store}", p50 / 1000,
                "ms p50", 0.3, f"p99 {p99 / 1000:.2f} ms", at_most=True)
        elif flight == 64:
            row(f"over a link, {store}, 64 in flight", rate, "ops/s",
                300e3 if store == "mem" else 60e3,
                f"p50 {p50 / 1000:.2f} ms, p99 {p99 / 1000:.2f} ms, "
                f"{cpu:.2f} us CPU/op; " + beside["mem" if store == "mem"
                                                  else ""])


def http(build):
    out = run([f"{build}/bin/bench_tuplespace_http"]) or ""
    found = re.search(r"^64 connections: ([0-9]+) ops/s, (.*us),", out, re.M)
    if found:
        row("HTTP, 64 connections", float(found.group(1)), "ops/s", 25e3,
            found.group(2))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if args.quick:
        args.seconds = 0.2
    link(args.build, args.seconds, core(args.build, args.quick, args.long),
         args.quick)
    http(args.build)
    for r in rows:
        target = "" if r["target"] is None else (
            f"{'<=' if r['at_most'] else '>='} {number(r['target'])}")
        verdict = {None: "", True: "met", False: "MISSED"}[r["met"]]
        print(f"{r['row']:48} {number(r['seen']):>11} {r['unit']:8} "
              f"{target:12} {verdict:7} {r['more']}")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"largest process: {most // 1024} MiB")
    with open(f"{args.build}/bench-tuplespace.json", "w",
              encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
    return 0 if rows else 1


if __name__ == "__main__":
    sys.exit(main())
