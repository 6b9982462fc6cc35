#!/bin/bash
# The tuple space: the commands of its page, and what a daemon killed with -9
# under load keeps, on every back end there is: tuplespace.sh BUILD
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
. tests/lib/suite.sh
. tests/lib/check.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-e2e.XXXXXX") || exit 1
daemons=()
# A shell that is ended before it has become a daemon runs the trap, too.
trap '[ $BASHPID -ne $$ ] || { daemons_stop; rm -rf "$work"; }' EXIT

# DSN [SLOT]: pids in $daemons, the tuple spaces' at 0 and 3.
tuplespace()
{
    local slot=${2:-0}
    "$bin/plex-tuplespace" --node "tuplespace-$slot" \
        --listen-url "ipc://$work/tuplespace-$slot" \
        --registry-url "ipc://$work/registry" --admin-addr "" \
        --store-dsn "$1" --log-level info 2>>"$work/log" &
    daemons[$slot]=$!
}
# SIGTERM may also hit a shell that goes on to become a daemon.
daemons_stop()
{
    local pid
    for pid in "${daemons[@]}"; do
        kill "$pid" 2>/dev/null
        for _ in $(seq 250); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.02
        done
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    daemons=()
}
answers()
{
    curl -sf -o "$work/answer" "$PLEX/api/v1/tuplespace/stats"
}
suite_begin()
{
    local port
    rm -rf "$work"/*
    tuplespace "$1"
    "$bin/plex-registry" --node registry --listen-url "ipc://$work/registry" \
        --registry-url "ipc://$work/registry" --admin-addr "" \
        --store-dsn "mem:" --log-level warn 2>>"$work/log" &
    daemons[1]=$!
    port=$(free_port)
    "$bin/plex-gateway" --node gateway --listen-url "ipc://$work/gateway" \
        --registry-url "ipc://$work/registry" --admin-addr "" \
        --http-addr "127.0.0.1:$port" --log-level warn 2>>"$work/log" &
    daemons[2]=$!
    export PLEX=http://127.0.0.1:$port
    for _ in $(seq 500); do
        answers && return 0
        kill -0 "${daemons[2]}" || break
        sleep 0.02
    done
    cat "$work/log"
    return 1
}

# Kills the tuple space as long as the clients run, each time after it has
# served again for a moment; they run until it was killed three times.
under_fire()
{
    local clients status kills=0 slot=0
    rm -f "$work/enough"
    timeout 100 python3 tests/e2e/tuplespace.py "$PLEX" "$work/enough" \
        "${2:-1}" &
    clients=$!
    while kill -0 $clients 2>/dev/null; do
        for _ in $(seq 20); do
            kill -0 $clients 2>/dev/null || break
            answers
            sleep 0.02
        done
        # One that sleeps until it has lost its shards must not answer for them
        # when it wakes.
        if [ -n "${daemons[3]:-}" ]; then
            slot=$((kills % 2 * 3))
            kill -STOP "${daemons[3 - slot]}"
            sleep 2.5
            kill -CONT "${daemons[3 - slot]}"
        fi
        kill -9 "${daemons[$slot]}"
        wait "${daemons[$slot]}" 2>/dev/null
        tuplespace "$1" $slot
        kills=$((kills + 1))
        [ $kills -lt 3 ] || touch "$work/enough"
    done
    wait $clients
    status=$?
    until answers; do
        kill -0 "${daemons[0]}" || return 1
    done
    echo "$kills kills"
    [ $kills -ge 3 ] && return $status
    echo "the clients were done before the tuple space was killed three times"
    return 1
}

suite_begin mem: || exit 1
check "the commands of docs/tuplespace.md print what it says" 0 ' 0 differ' \
    python3 tests/lib/doc_commands.py docs/tuplespace.md
export PLEXSPACES_SERVER=$PLEX PLEXSPACES_OUTPUT=table
tuples="$bin/plexspaces tuplespace"
check "the command writes tuples as they are typed" 0 '^[0-9]+$' \
    $tuples write cli '["order", 12, "pending"]' '["order", 150, ["a", null]]'
check "it counts what matches" 0 '^1$' $tuples count cli '["order", >100, ?]'
check "it reads" 0 '^\["order", 12, "pending"\]$' \
    $tuples read cli '["order", ?, "pend"*]'
check "it takes by an order" 0 'tuple.*\["a", null\]' \
    $tuples take cli '["order", ?, ?]' --order max --order-field 1
check "it exits 1 when nothing matches in time" 1 '^$' \
    $tuples take cli '["none"]' --wait-ms 20
check "what it cannot read it says where" 2 'character 9' \
    $tuples read cli '["order"; 1]'
check "it lists spaces" 0 '^cli$' $tuples list
check "it says what a space holds" 0 '^tuples +1$' $tuples stats cli
tx=$($tuples tx begin)
check "it writes in a transaction" 0 '^[0-9]+$' \
    $tuples write cli '["in", "tx"]' --transaction "$tx"
check "others do not see it" 0 '^0$' $tuples count cli '["in", ?]'
check "it commits" 0 '^$' $tuples tx commit "$tx"
check "now they do" 0 '^1$' $tuples count cli '["in", ?]'
check "it clears" 0 '^2$' $tuples clear cli
timeout 30 $tuples watch cli --count 1 >"$work/watch" 2>&1 &
watch=$!
for _ in $(seq 100); do
    curl -s "$PLEX/api/v1/tuplespace/stats" |
        grep -q '"subscriptions":1' && break
    sleep 0.02
done
check "it writes what is watched" 0 '^[0-9]+$' $tuples write cli '["seen"]'
wait $watch
check "and shows the event" 0 '^written \["seen"\]$' cat "$work/watch"
daemons_stop

backends=("sqlite:$work/tuples.db")
[ -n "${PLEX_TEST_PG:-}" ] && backends+=("$PLEX_TEST_PG") ||
    echo "SKIP: no Postgres in PLEX_TEST_PG"
[ -n "${PLEX_TEST_REDIS:-}" ] && backends+=("$PLEX_TEST_REDIS") ||
    echo "SKIP: no Redis in PLEX_TEST_REDIS"
for dsn in "${backends[@]}"; do
    suite_begin "$dsn" || exit 1
    # Not by check(): it is the daemons' parent.
    sentence="kill -9 loses and doubles no tuple (${dsn%%:*})"
    if under_fire "$dsn" >"$work/fire" 2>&1; then
        ok "$sentence"
    else
        not_ok "$sentence" "$(cat "$work/fire")"
    fi
    daemons_stop
    case $dsn in sqlite:*) continue ;; esac
    suite_begin "$dsn" || exit 1
    tuplespace "$dsn" 3
    sentence="two tuple spaces over one store share namespaces (${dsn%%:*})"
    if under_fire "$dsn" 8 >"$work/fire" 2>&1; then
        ok "$sentence"
    else
        not_ok "$sentence" "$(cat "$work/fire")"
    fi
    check "both served shards (${dsn%%:*})" 0 '^2$' sh -c \
        "grep -h shard_owned '$work/log' | grep -o 'tuplespace-[03]' |
        sort -u | wc -l"
    daemons_stop
done
check_end
