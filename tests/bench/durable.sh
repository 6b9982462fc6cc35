#!/bin/bash
# Measure runs that wait: recorded effects through HTTP, gateway, worker,
# journal and a store that flushes. Prints a table with the targets.
#
#   durable.sh BUILD [SECONDS per row]
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
seconds=${2:-5}
bin=$(cd "$build/bin" && pwd) || exit 1
. tests/lib/suite.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-bench.XXXXXX") || exit 1
trap 'suite_stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/modules"
cc -O2 -shared -fPIC -I sdk/c/include -o "$work/modules/steps.so" \
    tests/bench/modules/steps.c || exit 1

cpu_ticks() # of the whole suite
{
    local file pid
    for file in "$suite_data"/run/*.pid; do
        pid=$(cat "$file")
        awk '{ print $14 + $15 }' "/proc/$pid/stat"
    done | awk '{ sum += $1 } END { print sum }'
}

# row WHAT TARGET_PER_S TARGET_US FIELD(p50_us|p99_us) load options...
row()
{
    local what=$1 rate=$2 limit=$3 field=$4 before after json
    shift 4
    before=$(cpu_ticks)
    json=$("$bin/plex-load" --url "$suite_url" --json --duration "$seconds" \
        --warmup-s 1 "$@") || exit 1
    after=$(cpu_ticks)
    python3 - "$store" "$what" "$rate" "$limit" "$field" "$json" \
        "$((after - before))" "$(getconf CLK_TCK)" <<'PY'
import json, sys
store, what, rate, limit, field, text, ticks, hz = sys.argv[1:9]
d = json.loads(text)
calls = max(d["answers_with_warmup"], 1)
def verdict(ok):
    return "PASS" if ok else "MISS"
line = "%-9s %-24s %8.0f/s" % (store, what, d["per_s"])
if rate != "-":
    line += " (>= %s/s %s)" % (rate, verdict(d["per_s"] >= float(rate)))
line += "  p50 %d us  p99 %d us" % (d["p50_us"], d["p99_us"])
if limit != "-":
    line += " (%s < %s us %s)" % (field[:3], limit,
                                  verdict(d[field] < float(limit)))
line += "  CPU %.0f us/run" % (int(ticks) * 1e6 / int(hz) / calls)
print(line, flush=True)
PY
}

# One run of many effects: time and bytes of the journal per effect must not
# grow with their number.
long_rows()
{
    local steps before after start ms
    for steps in 10 100 1000 5000; do
        before=$(du -sb "$work/$store" | cut -f1)
        start=$(date +%s%N)
        "$bin/plexspaces" actor call "long/$steps" "{\"steps\":$steps}" \
            --deadline-ms 60000 >/dev/null || exit 1
        ms=$((($(date +%s%N) - start) / 1000000))
        after=$(du -sb "$work/$store" | cut -f1)
        printf '%-9s one run of %5d effects: %6d ms, %5d us and %5d bytes of files an effect\n' \
            "$store" "$steps" "$ms" $((ms * 1000 / steps)) \
            $(((after - before) / steps))
    done
}

rows() # STORE [dev options...]
{
    store=$1
    shift
    suite_start "$work/$store" --processes --modules "$work/modules" "$@" ||
        exit 1
    suite_deploy tests/bench/modules/steps.yaml || exit 1
    row "1 step, 64 conns" 20000 - p99_us --type steps1 --connections 64
    row "3 steps, 64 conns" 9000 30000 p99_us --type steps3 --connections 64
    row "9 steps, 64 conns" 4000 - p99_us --type steps9 --connections 64
    row "3 steps, 1 conn" - 1500 p50_us --type steps3 --connections 1 --keys 1
    PLEXSPACES_SERVER=$suite_url long_rows
    suite_stop
}

uptime
rows sqlite
if [ -n "${PLEX_TEST_PG:-}" ]; then
    dsn=$(scripts/test-postgres.sh newdb "bench_$$") || exit 1
    rows postgres --store "$dsn"
else
    echo "SKIP: Postgres: PLEX_TEST_PG is not set"
fi
uptime
