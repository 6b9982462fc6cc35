#!/bin/bash
# Keys, locks and objects: the command, and what a registry killed with -9 under load
# keeps, on every back end there is: keep.sh BUILD
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
. tests/lib/suite.sh
. tests/lib/check.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-keep.XXXXXX") || exit 1
daemons=()
# A shell that is ended before it has become a daemon runs the trap, too.
trap '[ $BASHPID -ne $$ ] || { daemons_stop; rm -rf "$work"; }' EXIT
plex=$bin/plexspaces
export PLEXSPACES_OUTPUT=table

# registry DSN, gateway: on ports of their own; pids in $daemons.
registry()
{
    "$bin/plex-registry" --node registry --listen-url "ipc://$work/registry" \
        --registry-url "ipc://$work/registry" --admin-addr "" \
        --store-dsn "sqlite:$work/apps.db" --kv-dsn "$1" --lock-dsn "$1" \
        --object-dsn "$1" \
        --log-level warn 2>>"$work/log" &
    daemons[0]=$!
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
suite_begin()
{
    local port
    rm -rf "$work"/*
    registry "$1"
    port=$(free_port)
    "$bin/plex-gateway" --node gateway --listen-url "ipc://$work/gateway" \
        --registry-url "ipc://$work/registry" --admin-addr "" \
        --http-addr "127.0.0.1:$port" --log-level warn 2>>"$work/log" &
    daemons[1]=$!
    export PLEXSPACES_SERVER=http://127.0.0.1:$port
    for _ in $(seq 500); do
        "$plex" kv stats >/dev/null 2>&1 && return 0
        kill -0 "${daemons[1]}" || break
    done
    cat "$work/log"
    return 1
}

# Kills the registry as long as the clients run, each time after it has served.
under_fire()
{
    local clients status kills=0
    timeout 90 python3 tests/e2e/keep.py "$PLEXSPACES_SERVER" &
    clients=$!
    while kill -0 $clients 2>/dev/null; do
        "$plex" kv increment kills >/dev/null || return 1
        kill -9 "${daemons[0]}"
        wait "${daemons[0]}" 2>/dev/null
        registry "$1"
        kills=$((kills + 1))
    done
    wait $clients
    status=$?
    # Ended before it has become one, a daemon would be a shell with our trap.
    "$plex" kv increment kills >/dev/null || return 1
    echo "$kills kills"
    [ $kills -ge 3 ] && return $status
    echo "the clients were done before the registry was killed three times"
    return 1
}

suite_begin "sqlite:$work/keep.db" || exit 1
check "a key is put" 0 '^1$' "$plex" kv put greeting hello
check "and got" 0 '^hello$' "$plex" kv get greeting
check "one that is not there is not found" 1 'no key "nope"' "$plex" kv get nope
check "numbers count" 0 '^5$' "$plex" kv increment visits 5
check "and only numbers" 1 'no whole number' "$plex" kv increment greeting
check "cas wants the old value" 1 '^no$' \
    "$plex" kv cas greeting bye --expected hi
check "and takes it" 0 '^yes$' "$plex" kv cas greeting bye --expected hello
check "keys are listed" 0 'greeting +bye' "$plex" kv list gr
check "a watch hears what happened" 0 '^3 PUT greeting bye$' \
    "$plex" kv watch gr --since 1
check "a lock is taken" 0 'token +1$' \
    "$plex" lock acquire report --holder a --lease-ms 60000
check "by one" 1 'held by "a"' "$plex" lock acquire report --holder b
check "a wrong version does not release it" 1 'CONFLICT|another tenure' \
    "$plex" lock release report --holder a --version 01ARZ3NDEKTSV4RRFFQ69G5FAV
check "who lacks a name is told" 1 'holder is missing' \
    "$plex" lock acquire report
check "an operator takes it away" 0 'deleted' "$plex" lock delete report
check "the next tenure has the next token" 0 'token +2$' \
    "$plex" lock acquire report --holder b
check "the commands of docs/registry.md do what it says" 0 '^' \
    env PATH="$bin:$PATH" python3 tests/lib/doc_commands.py docs/registry.md
check "a type has to be known" 1 'objectType|object_type' \
    "$plex" registry register table x
check "and a filter's, too" 1 'is none of ACTOR, TUPLESPACE' \
    "$plex" registry objects --type table
check "nobody changes the suite's own" 1 'DENIED|kept by the suite' \
    "$plex" registry heartbeat gateway --namespace system
"$plex" application deploy examples/counter/app.yaml >/dev/null
check "an application is an object of its namespace" 0 'health +healthy' \
    "$plex" registry lookup counter --type application
check "which nobody registers" 1 'kept by the suite itself' \
    "$plex" registry register application counter
"$plex" application undeploy counter >/dev/null
check "until it is undeployed" 1 'no APPLICATION "counter"' \
    "$plex" registry lookup counter --type application
check "what is gone is not found" 1 'no object "billing-1"' \
    "$plex" registry lookup billing-1
daemons_stop

backends=("sqlite:$work/keep.db")
[ -n "${PLEX_TEST_PG:-}" ] && backends+=("$PLEX_TEST_PG") ||
    echo "SKIP: no Postgres in PLEX_TEST_PG"
[ -n "${PLEX_TEST_REDIS:-}" ] && backends+=("$PLEX_TEST_REDIS") ||
    echo "SKIP: no Redis in PLEX_TEST_REDIS"
for dsn in "${backends[@]}"; do
    suite_begin "$dsn" || exit 1
    # Not by check(): it is the daemons' parent.
    "$plex" registry register vm box --labels a,b --ttl-ms 600000 >/dev/null
    sentence="kill -9 loses, doubles and mixes up nothing (${dsn%%:*})"
    if under_fire "$dsn" >"$work/fire" 2>&1; then
        ok "$sentence"
    else
        not_ok "$sentence" "$(cat "$work/fire")"
    fi
    check "and objects are as they were (${dsn%%:*})" 0 'labels +a, b$' \
        "$plex" registry lookup box --type vm
    daemons_stop
done
check_end
