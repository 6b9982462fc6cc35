#!/bin/bash
# Timers that come due on real daemons, few and many pending. The timers are
# written by the journal's own commits while the suite does not run.
#
#   timers.sh BUILD [MILLIONS pending besides, 0] [sqlite | postgres]
#
# `set again`: 40,000 actors in memory, each sets its timer again for 300 ms
# later (133,000/s are asked for: with fewer there are pauses in which none is
# due, and it is the pauses that are measured). `asleep`: one timer each of
# 100,000 actors that are not in memory, all due when the worker takes over.
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
millions=${2:-0}
only=${3:-}
. tests/lib/suite.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-timers.XXXXXX") || exit 1
trap 'suite_stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/modules"
cc -O2 -shared -fPIC -I sdk/c/include -o "$work/modules/ticks.so" \
    tests/bench/modules/ticks.c || exit 1

worker() # METRIC, of the only worker
{
    curl -fsS --retry 3 "http://$admin/metrics" | awk -v name="$1" '
        index($1, name) == 1 { sum += $2 } END { print sum + 0 }'
}

find_admin()
{
    admin=$(curl -fsS "$suite_url/api/v1/nodes" | python3 -c '
import json, sys
print([n["adminAddr"] for n in json.load(sys.stdin)["nodes"]
       if n["kind"] == "worker"][0])')
}

memory_mb() # of the worker
{
    awk '/^VmRSS/ { print int($2 / 1024) }' \
        "/proc/$(suite_daemon worker-1)/status"
}

begin() # DATA [dev options...]: the suite knows `ticks`, and does not run
{
    data=$1
    shift
    options=("$@")
    suite_start "$data" --processes --modules "$work/modules" "$@" || exit 1
    suite_deploy tests/bench/modules/ticks.yaml || exit 1
    suite_stop
}

again()
{
    local start
    start=$(date +%s%N)
    suite_start "$data" --processes --modules "$work/modules" \
        "${options[@]}" || exit 1
    find_admin
    echo "$store, $pending: ready $((($(date +%s%N) - start) / 1000000)) ms after the start"
}

cpu_us() # of each daemon of the suite so far: NAME MICROSECONDS
{
    local file
    for file in "$suite_data"/run/*.pid; do
        echo "$(basename "$file" .pid) $(awk -v hz="$(getconf CLK_TCK)" '
            { print ($14 + $15) * 1000000 / hz }' "/proc/$(cat "$file")/stat")"
    done
}

# cpu_each BEFORE AFTER TIMERS: of all, and of the daemons that matter.
cpu_each()
{
    { echo "$1"; echo "$2"; } | awk -v n="$3" '
        !($1 in was) { was[$1] = $2; next }
        { us = ($2 - was[$1]) / n; sum += us
          if (us >= 1) text = text ", " $1 " " int(us + 0.5) }
        END { print int(sum + 0.5) " us each (" substr(text, 3) ")" }'
}

# fired WHAT CONDITION: timers a second, and what one costs, while it holds.
fired()
{
    local what=$1 a t cpu cpu_end n
    shift
    a=$(worker plexspaces_worker_turns_total)
    cpu=$(cpu_us)
    t=$(date +%s%N)
    "$@"
    t=$((($(date +%s%N) - t) / 1000000))
    cpu_end=$(cpu_us)
    n=$(($(worker plexspaces_worker_turns_total) - a + 1))
    echo "$store, $pending: $what $((n * 1000 / t))/s, CPU $(cpu_each "$cpu" "$cpu_end" "$n"); worker $(memory_mb) MB, $(worker plexspaces_worker_pendings) pendings in memory"
}

until_turns() # NUMBER
{
    local waited=0
    while [ "$(worker plexspaces_worker_turns_total)" -lt "$1" ]; do
        sleep 0.1
        waited=$((waited + 1))
        [ $waited -lt 1200 ] || return
    done
}

rows() # STORE DSN [dev options...]
{
    local dsn=$2
    store=$1
    shift 2
    pending="$millions million pending"
    begin "$work/$store" "$@"
    [ -n "$dsn" ] || dsn=sqlite:$data/journal.db
    if [ "$millions" -gt 0 ]; then
        "$bin/bench_timers_fill" "$dsn" far $((millions * 100000)) 10 \
            86400000 86400000 0 || exit 1
        du -sh "$work/$store" | cut -f1
    fi
    "$bin/bench_timers_fill" "$dsn" cold 100000 1 0 1 0 || exit 1
    again
    fired asleep until_turns 100000
    suite_stop
    "$bin/bench_timers_fill" "$dsn" hot 40000 1 0 1000 300 || exit 1
    again
    until_turns 200000 # all are in memory
    fired "set again" sleep 6
    suite_stop
}

uptime
[ "$only" = postgres ] || rows sqlite ""
if [ "$only" = sqlite ]; then
    :
elif [ -n "${PLEX_TEST_PG:-}" ]; then
    dsn=$(scripts/test-postgres.sh newdb "timers_$$") || exit 1
    rows postgres "$dsn" --store "$dsn"
else
    echo "SKIP: Postgres: PLEX_TEST_PG is not set"
fi
uptime
