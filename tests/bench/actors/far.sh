#!/bin/bash
# Calls between two plex-worker processes on this machine, 64 in flight: a line
# for each run, as bench_actors prints it. CPU is that of both workers.
#
#   far.sh BUILD CALLS RUNS
set -u
cd "$(dirname "$0")/../../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
calls=${2:?calls}
runs=${3:?runs}
. tests/lib/suite.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-bench.XXXXXX") || exit 1
trap 'suite_stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/modules"
cc -O2 -shared -fPIC -I sdk/c/include -o "$work/modules/far.so" \
    tests/bench/modules/far.c || exit 1

ticks() # of both workers
{
    local name
    for name in worker-1 worker-2; do
        awk '{ print $14 + $15 }' "/proc/$(suite_daemon $name)/stat"
    done | awk '{ sum += $1 } END { print sum }'
}
drive() # CALLS: the answer
{
    curl -sS -m 120 -H 'X-Request-Deadline-Ms: 120000' \
        -H 'Content-Type: application/json' \
        --data "{\"calls\":$1,\"flying\":64,\"node\":\"worker-2\"}" \
        "$suite_url/api/v1/actors/default/default/driver?invocation=call"
}

suite_start "$work/data" --store mem: --workers 2 --processes \
    --modules "$work/modules" || exit 1
suite_deploy tests/bench/modules/far.yaml || exit 1
# The driver is there, and the workers have found each other.
for _ in $(seq 1 200); do
    drive 64 | grep -q '"failed":0' && break
    sleep 0.05
done
for _ in $(seq 1 "$runs"); do
    before=$(ticks)
    answer=$(drive "$calls")
    after=$(ticks)
    python3 - "$answer" "$((after - before))" "$(getconf CLK_TCK)" <<'PY' || exit 1
import json, sys
try:
    found = json.loads(sys.argv[1])
    calls, failed, ns = found["calls"], found["failed"], found["ns"]
except (ValueError, KeyError):
    sys.exit("far.sh: " + (sys.argv[1] or "no answer"))
if failed:
    sys.exit("far.sh: %d of %d calls failed" % (failed, calls))
print("far-64\t%d\t%.6f\t%.6f\t0\t0" %
      (calls, ns / 1e9, int(sys.argv[2]) / int(sys.argv[3])), flush=True)
PY
done
