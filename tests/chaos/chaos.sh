#!/bin/bash
# Real daemons under HTTP load while one after the other is killed with -9 or
# stopped for a while, on SQLite and on Postgres. At the end every acknowledged
# increment must be there exactly once, and after the death of a worker the
# suite must answer again within 3 s.
#
#   chaos.sh BUILD SECONDS [SEED]     half of SECONDS for each store
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
seconds=${2:-60}
seed=${3:-$((SRANDOM % 1000000))}
answer_ms_max=3000
. tests/lib/suite.sh

echo "chaos: seed $seed (chaos.sh $1 $seconds $seed repeats the choices)"
RANDOM=$seed
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-chaos.XXXXXX") || exit 1
load=
finish()
{
    [ -z "$load" ] || kill "$load" 2>/dev/null
    suite_stop
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail()
{
    echo "chaos: FAILED ($store, seed $seed): $*"
    echo "-- the end of the daemons' log:"
    tail -n 60 "$suite_data/dev.log"
    exit 1
}

now_ms()
{
    echo $(($(date +%s%N) / 1000000))
}

# The daemons that may be hit, workers twice as often as the others.
victims=(worker-1 worker-2 worker-1 worker-2 journal placement registry gateway
    tuplespace channel-broker)

wait_restarted() # NAME OLDPID
{
    local waited=0 pid
    while pid=$(suite_daemon "$1"); [ -z "$pid" ] || [ "$pid" = "$2" ]; do
        sleep 0.02
        waited=$((waited + 1))
        [ $waited -lt 500 ] || fail "$1 was not started again"
    done
}

hit()
{
    local name=${victims[RANDOM % ${#victims[@]}]} pause
    local pid
    pid=$(suite_daemon "$name")
    [ -n "$pid" ] || return 0
    if [ $((RANDOM % 3)) -eq 0 ]; then
        # Longer than a lease, so that its shards have moved when it wakes.
        pause=$((300 + RANDOM % 2200))
        echo "  $(date +%T) SIGSTOP $name for $pause ms"
        kill -STOP "$pid" 2>/dev/null || return 0
        sleep "$((pause / 1000)).$(printf %03d $((pause % 1000)))"
        kill -CONT "$pid" 2>/dev/null
        stops=$((stops + 1))
    else
        echo "  $(date +%T) kill -9 $name"
        kill -KILL "$pid" 2>/dev/null || return 0
        kills=$((kills + 1))
        wait_restarted "$name" "$pid"
    fi
}

# Both workers own shards: the second gets its part a while after it came.
wait_balanced()
{
    local waited=0
    until "$bin/plexspaces" node list --kind worker --output json \
        --server "$suite_url" | python3 -c 'import json, sys
sys.exit(not all(int(n.get("shards", 0)) > 1000 for n in json.load(sys.stdin)))'
    do
        sleep 0.1
        waited=$((waited + 1))
        [ $waited -lt 200 ] || fail "the workers do not share the shards"
    done
}

# With nothing else wrong: kill a worker and call actors of every shard until
# all have answered again.
measure_answer()
{
    local pid began took
    wait_balanced
    "$bin/plex-load" --url "$suite_url" --connections 16 --keys 64 \
        --prefix probe --requests 64 --duration 20 --keyed \
        >"$work/probe.out" 2>&1 || fail "no answer before the kill"
    pid=$(suite_daemon worker-1)
    began=$(now_ms)
    kill -KILL "$pid"
    "$bin/plex-load" --url "$suite_url" --connections 32 --keys 64 \
        --prefix probe --requests 256 --duration 30 --retry-ms 5 --keyed \
        --seed "$began" >"$work/probe.out" 2>&1 || {
        cat "$work/probe.out"
        fail "no answer after the kill"
    }
    took=$(($(now_ms) - began))
    echo "chaos: $store: answered for all keys $took ms after kill -9 of a" \
        "worker (at most $answer_ms_max)"
    [ $took -le $answer_ms_max ] || fail "$took ms is too long"
    wait_restarted worker-1 "$pid"
}

round() # STORE DSN SECONDS
{
    local end
    store=$1
    kills=0
    stops=0
    suite_start "$work/$store" --processes --workers 2 --store "$2" ||
        exit 1
    suite_deploy examples/counter/app.yaml || fail "deploy"
    measure_answer
    "$bin/plex-load" --url "$suite_url" --connections 24 --keys 100 \
        --duration "$3" --keyed --ledger --settle-s 60 --timeout-ms 8000 \
        --seed "$seed" >"$work/load.out" 2>&1 &
    load=$!
    end=$(($(date +%s) + $3 - 2))
    sleep 1
    while [ "$(date +%s)" -lt $end ]; do
        hit
        sleep "0.$(printf %03d $((RANDOM % 700)))"
        kill -0 "$suite_pid" 2>/dev/null || fail "dev itself ended"
    done
    if ! wait "$load"; then
        load=
        cat "$work/load.out"
        fail "the ledger does not add up"
    fi
    load=
    cat "$work/load.out"
    suite_stop || fail "dev ended with $?"
    echo "chaos: $store: passed, $kills kills, $stops stops"
}

half=$((seconds / 2 > 8 ? seconds / 2 : 8))
round sqlite sqlite $half
if [ -n "${PLEX_TEST_PG:-}" ]; then
    dsn=$(scripts/test-postgres.sh newdb "chaos_$$") || exit 1
    round postgres "$dsn" $half
else
    echo "SKIP: no Postgres (PLEX_TEST_PG is not set)"
fi
echo "chaos: passed"
