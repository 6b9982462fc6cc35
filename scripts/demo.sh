#!/bin/bash
# The demo of `make run`: the suite as daemons, a durable actor over HTTP, a
# load, a worker killed in the middle of it, and what became of every call.
# DEMO_ONESHOT=1 ends after the verdict, with exit code 1 when it is bad.
set -u
cd "$(dirname "$0")/.."
bin=$(cd "${1:-build}/bin" && pwd) || exit 1
. tests/lib/suite.sh

data=$(mktemp -d "${TMPDIR:-/tmp}/plexspaces-demo.XXXXXX") || exit 1
finish()
{
    trap - EXIT INT TERM
    suite_stop
    rm -rf "$data"
    exit "${1:-0}"
}
trap 'finish 1' EXIT
trap 'echo; finish 0' INT TERM

say()
{
    printf '\n\033[1m%s\033[0m\n' "$*"
}

show()
{
    printf '$ %s\n' "$*"
    "$@"
    local status=$?
    printf '\n'
    return $status
}

port_is_free()
{
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

suite_port=8080
while ! port_is_free "$suite_port"; do
    suite_port=$((suite_port + 1))
done

say "The suite: seven daemons, two workers, SQLite"
suite_start "$data" --processes --workers 2 || finish 1
cat "$data/dev.out"

say "Deploy the demo application"
export PLEXSPACES_SERVER=$suite_url
export PATH=$bin:$PATH
show plexspaces application deploy examples/counter/app.yaml || finish 1

say "Call a durable actor over HTTP"
actor=$suite_url/api/v1/actors/default/default/counter/alice
show curl -sS -X POST -d '{"action":"increment","amount":5}' \
    "$actor?invocation=call" || finish 1
show curl -sS "$actor?action=get"
show curl -sS -H 'Idempotency-Key: "order-17"' -X POST \
    -d '{"action":"increment"}' "$actor?invocation=call"
echo "The same once more, as a client would that lost the answer:"
show curl -sS -H 'Idempotency-Key: "order-17"' -X POST \
    -d '{"action":"increment"}' "$actor?invocation=call"

say "Eight seconds of load; after four, kill -9 of worker-1"
"$bin/plex-load" --url "$suite_url" --connections 32 --keys 500 --duration 8 \
    --keyed --ledger >"$data/load.out" 2>&1 &
load=$!
sleep 4
victim=$(suite_daemon worker-1)
echo "\$ kill -9 $victim"
kill -9 "$victim"
wait "$load"
verdict=$?
cat "$data/load.out"
grep -E 'worker-1' "$data/dev.log" | grep '^dev:'
if [ "$verdict" -eq 0 ]; then
    say "No acknowledged call was lost and none was applied twice."
else
    say "The ledger does not add up."
    tail -n 40 "$data/dev.log"
fi
show plexspaces node list
[ -z "${DEMO_ONESHOT:-}" ] || finish "$verdict"

say "The gateway is at $suite_url until Ctrl-C"
echo "Try: build/bin/plexspaces actor call counter/bob" \
    "'{\"action\":\"increment\"}' --server $suite_url"
wait "$suite_pid"
echo "The suite ended by itself:"
cat "$data/dev.log"
suite_pid=
finish 1
