#!/bin/bash
# Measure the real path: load generator, gateway, worker, journal, store, on
# this machine. Prints a table with the targets and writes BUILD/bench.json.
#
#   run.sh BUILD [SECONDS per row]
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
seconds=${2:-5}
bin=$(cd "$build/bin" && pwd) || exit 1
. tests/lib/suite.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/plex-bench.XXXXXX") || exit 1
trap 'suite_stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
rows=$work/rows.jsonl
: >"$rows"

# row SETUP WHAT TARGET(text) VALUE UNIT OK(true|false|null) [JSON]
row()
{
    local verdict=''
    [ "$6" != true ] || verdict=PASS
    [ "$6" != false ] || verdict=MISS
    printf '%-22s %-40s %12s %-8s %-14s %s\n' "$1" "$2" "$4" "$5" "$3" \
        "$verdict"
    printf '{"setup":"%s","what":"%s","target":"%s","value":%s,"unit":"%s","pass":%s,"detail":%s}\n' \
        "$1" "$2" "$3" "$4" "$5" "$6" "${7:-null}" >>"$rows"
}

field() # field NAME: of the JSON in $json
{
    python3 -c 'import json, sys
print(json.loads(sys.argv[1])[sys.argv[2]])' "$json" "$1"
}

at_least()
{
    python3 -c 'import sys
print("true" if float(sys.argv[1]) >= float(sys.argv[2]) else "false")' "$1" "$2"
}

at_most()
{
    python3 -c 'import sys
print("true" if float(sys.argv[1]) <= float(sys.argv[2]) else "false")' "$1" "$2"
}

# The processes of the suite: "name pid" a line.
suite_processes()
{
    local file
    echo "dev $suite_pid"
    for file in "$suite_data"/run/*.pid; do
        [ -e "$file" ] || continue
        echo "$(basename "$file" .pid) $(cat "$file")"
    done
}

# "name ticks" for each thread (one process) or daemon.
cpu_sample()
{
    local name pid task
    if [ "$mode" = threads ]; then
        for task in /proc/"$suite_pid"/task/*; do
            awk -v FS='[()]' '{ split($3, f, " "); print $2, f[12] + f[13] }' \
                "$task/stat"
        done | tr ' ' '\t' | awk -F'\t' '{ sum[$1] += $NF }
            END { for (n in sum) print n, sum[n] }'
        return
    fi
    suite_processes | while read -r name pid; do
        awk -v n="$name" '{ print n, $14 + $15 }' "/proc/$pid/stat"
    done
}

# CPU microseconds per call by daemon, between two samples, as JSON.
cpu_per_call() # BEFORE AFTER CALLS
{
    python3 - "$1" "$2" "$3" <<'PY'
import json, os, sys
def read(path):
    return {l.rsplit(None, 1)[0]: int(l.rsplit(None, 1)[1]) for l in open(path)}
before, after, calls = read(sys.argv[1]), read(sys.argv[2]), int(sys.argv[3])
tick = 1e6 / os.sysconf("SC_CLK_TCK")
out = {n: round((after[n] - before.get(n, 0)) * tick / max(calls, 1), 2)
       for n in after if after[n] > before.get(n, 0)}
print(json.dumps(dict(sorted(out.items(), key=lambda x: -x[1]))))
PY
}

rss_kib()
{
    local name pid
    suite_processes | while read -r name pid; do
        awk '/^VmRSS/ { print $2 }' "/proc/$pid/status"
    done | awk '{ sum += $1 } END { print sum }'
}

pss_kib()
{
    local name pid
    suite_processes | while read -r name pid; do
        awk '/^Pss:/ { print $2 }' "/proc/$pid/smaps_rollup"
    done | awk '{ sum += $1 } END { print sum }'
}

# "name switches": voluntary context switches of each daemon or thread.
wakeups()
{
    local name pid task
    suite_processes | while read -r name pid; do
        for task in /proc/"$pid"/task/*/status; do
            awk -v part="$name" -v threads="$mode" '
                /^Name:/ { if (threads == "threads") part = $2 }
                /^voluntary_ctxt/ { print part, $2 }' "$task"
        done
    done | awk '{ sum[$1] += $2 } END { for (n in sum) print n, sum[n] }'
}

# Per second and daemon over 5 s, as JSON; the sum is its "total".
wakeups_rate()
{
    wakeups >"$work/wake.before"
    sleep 5
    wakeups >"$work/wake.after"
    python3 - "$work/wake.before" "$work/wake.after" <<'PY'
import json, sys
def read(path):
    return {l.split()[0]: int(l.split()[1]) for l in open(path)}
before, after = read(sys.argv[1]), read(sys.argv[2])
out = {n: (after[n] - before.get(n, 0)) / 5 for n in after}
out["total"] = round(sum(out.values()))
print(json.dumps(dict(sorted(out.items(), key=lambda x: -x[1]))))
PY
}

load() # load WHAT... : sets json, calls, cpu
{
    cpu_sample >"$work/cpu.before"
    json=$("$bin/plex-load" --url "$suite_url" --json "$@") || {
        echo "run.sh: the load failed: $json" >&2
        tail -n 20 "$suite_data/dev.log" >&2
        exit 1
    }
    cpu_sample >"$work/cpu.after"
    calls=$(field answers_with_warmup)
    cpu=$(cpu_per_call "$work/cpu.before" "$work/cpu.after" "$calls")
}

row_rate() # SETUP WHAT TARGET load options...
{
    local setup=$1 what=$2 target=$3 value ok=null
    shift 3
    load "$@"
    value=$(printf %.0f "$(field per_s)")
    [ "$target" = - ] || ok=$(at_least "$value" "$target")
    row "$setup" "$what" ">= $target/s" "$value" "/s" "$ok" \
        "{\"load\":$json,\"cpu_us_per_call\":$cpu}"
    echo "    p50 $(field p50_us) us, p99 $(field p99_us) us; CPU us per call: $cpu"
    rate=$value
}

measure_calls() # SETUP P50_TARGET_US
{
    local p99 hot
    row_rate "$1" "non-durable, 64 conns, 1000 keys" 40000 \
        --connections 64 --keys 1000 --duration "$seconds" --warmup-s 1 \
        --type counter-volatile
    row_rate "$1" "durable, 64 conns, 1000 keys" 25000 \
        --connections 64 --keys 1000 --duration "$seconds" --warmup-s 1
    p99=$(field p99_us)
    row "$1" "  its p99" "< 15000 us" "$p99" us "$(at_most "$p99" 15000)"
    hot=$((rate * 70 / 100))
    row_rate "$1" "durable, 64 conns, ONE key" "$hot" \
        --connections 64 --keys 1 --duration "$seconds" --warmup-s 1
    load --connections 1 --keys 1 --duration "$seconds" --warmup-s 1
    row "$1" "durable, 1 connection: p50" "< $2 us" "$(field p50_us)" us \
        "$(at_most "$(field p50_us)" "$2")" \
        "{\"load\":$json,\"cpu_us_per_call\":$cpu}"
    echo "    $(printf %.0f "$(field per_s)")/s; CPU us per call: $cpu"
}

measure_idle() # SETUP RSS_TARGET_MIB
{
    local rss
    sleep 2
    json=$(wakeups_rate)
    rss=$(($(rss_kib) / 1024))
    row "$1" "idle: resident memory" "< $2 MiB" "$rss" MiB \
        "$(at_most "$rss" "$2")" "{\"pss_mib\":$(($(pss_kib) / 1024))}"
    row "$1" "idle: wake-ups" "heartbeats" "$(field total)" "/s" null "$json"
    echo "    $json"
}

now_us()
{
    echo $(($(date +%s%N) / 1000))
}

# With the application already deployed: from exec to the first answer.
measure_start() # SETUP options...
{
    local setup=$1 port began took best=999999 try
    shift
    for try in 1 2 3; do
        suite_stop
        port=$(free_port)
        suite_url=http://127.0.0.1:$port
        began=$(now_us)
        "$bin/plexspaces" dev --data "$suite_data" --http "127.0.0.1:$port" \
            "$@" >"$suite_data/dev.out" 2>>"$suite_data/dev.log" &
        suite_pid=$!
        "$bin/plex-load" --url "$suite_url" --connections 1 --keys 1 \
            --requests 1 --duration 20 --retry --retry-ms 1 --json \
            >"$work/first.json" || { cat "$work/first.json"; exit 1; }
        took=$((($(now_us) - began) / 1000))
        [ $took -ge $best ] || best=$took
    done
    row "$setup" "start to first answer (best of 3)" "< 300 ms" "$best" ms \
        "$(at_most "$best" 300)"
}

# 100,000 actors with a state each; everything killed with -9; the first call
# to any of them.
measure_recovery() # SETUP options...
{
    local setup=$1 loaded name pid
    shift
    "$bin/plex-load" --url "$suite_url" --connections 64 --keys 100000 \
        --sweep --requests 100000 --duration 120 --prefix recover --json \
        >"$work/fill.json" || { cat "$work/fill.json"; exit 1; }
    suite_processes | while read -r name pid; do
        [ "$name" = dev ] || kill -KILL "$pid"
    done
    kill -KILL "$suite_pid"
    wait "$suite_pid" 2>/dev/null
    suite_pid=
    loaded=$(now_us)
    suite_start "$suite_data" "$@" || exit 1
    loaded=$((($(now_us) - loaded) / 1000))
    row "$setup" "ready after kill -9 with 100,000 actors" "-" "$loaded" ms \
        null
    load --connections 1 --keys 100000 --requests 1000 --duration 20 \
        --prefix recover --mode get --seed 7
    row "$setup" "first call to an actor then: p99" "< 20000 us" \
        "$(field p99_us)" us "$(at_most "$(field p99_us)" 20000)" \
        "{\"load\":$json}"
}

measure() # SETUP MODE P50 RSS options...
{
    local setup=$1 p50=$3 rss=$4
    mode=$2
    shift 4
    suite_start "$work/$setup" "$@" || exit 1
    suite_deploy examples/counter/app.yaml || exit 1
    measure_idle "$setup" "$rss"
    measure_calls "$setup" "$p50"
    measure_start "$setup" "$@"
    measure_recovery "$setup" "$@"
    suite_stop
}

echo "$(nproc) cores, $(uname -sr), $seconds s a row, load generator included"
measure sqlite-threads threads 400 30
measure sqlite-daemons daemons 800 90 --processes
if [ -n "${PLEX_TEST_PG:-}" ]; then
    dsn=$(scripts/test-postgres.sh newdb "bench_t_$$") || exit 1
    measure postgres-threads threads 400 30 --store "$dsn"
    dsn=$(scripts/test-postgres.sh newdb "bench_d_$$") || exit 1
    measure postgres-daemons daemons 800 90 --processes --store "$dsn"
else
    echo "SKIP: no Postgres (PLEX_TEST_PG is not set)"
fi
python3 - "$rows" "$build/bench.json" <<'PY'
import json, os, platform, sys
rows = [json.loads(line) for line in open(sys.argv[1])]
json.dump({"machine": {"cores": os.cpu_count(), "system": platform.platform()},
           "rows": rows}, open(sys.argv[2], "w"), indent=1)
missed = [r for r in rows if r["pass"] is False]
print("%d rows, %d of them missed their target; %s" %
      (len(rows), len(missed), sys.argv[2]))
PY
