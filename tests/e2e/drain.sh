#!/bin/bash
# A worker is drained under load and not one call fails; then the only one
# left, and callers are told so: drain.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
node() # NAME FIELD: "shards" or "activations"
{
    curl -sS "$suite_url/api/v1/nodes/$1" | python3 -c '
import json, sys
print(json.load(sys.stdin)["node"].get(sys.argv[1], 0))' "$2"
}
is() { [ "$(node "$1" "$2")" = "$3" ]; }
drain() { curl -sS -X POST "$suite_url/api/v1/nodes/$1:drain${2:-}"; }
drained() { [ "$(drain "$1" "${2:-}")" = '{"shardsLeft":0}' ]; }
counter() # KEY ACTION: the body, then the status
{
    curl -sS -m 5 -w '\n%{http_code}\n' -H 'X-Request-Deadline-Ms: 1000' \
        -H 'Content-Type: application/json' --data "{\"action\":\"$2\"}" \
        "$suite_url/api/v1/actors/default/default/counter/$1?invocation=call"
}
actors_of() { [ "$(node "$1" activations)" -gt 50 ]; }
of_load() # FIELD: of what the load said at the end
{
    python3 - "$work/load.json" "$1" <<'PY'
import json, sys
told = json.load(open(sys.argv[1]))
print(sum(told["errors"].values()) if sys.argv[2] == "errors"
      else told[sys.argv[2]])
PY
}

suite_start "$work/data" --workers 2 --processes || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/counter/app.yaml || exit 1

# -- under load ----------------------------------------------------------------
until_true "both workers have shards" 20 is worker-1 shards 2048
# Without --retry and --keyed: what fails is counted and not tried again.
"$bin/plex-load" --url "$suite_url" --connections 16 --keys 500 --duration 3 \
    --ledger --json >"$work/load.json" 2>"$work/load.err" &
load=$!
e2e_also $load
until_true "the first worker has actors" 20 actors_of worker-1
until_true "it is drained" 20 drained worker-1
kill -0 "$load" 2>/dev/null
check "while the load goes on" 0 '^0$' echo $?
until_true "it has no actors left" 20 is worker-1 activations 0
check "the other one has all shards" 0 '^4096$' node worker-2 shards
wait "$load"
check "the load ends well" 0 '^0$' echo $?
load=
check "not one call failed" 0 '^0$' of_load errors
check "nothing acknowledged is lost" 0 '^0$' of_load lost
check "nothing was done twice" 0 '^0$' of_load twice
calls=$(of_load acknowledged)
check "there were calls" 0 '^many$' \
    echo "$([ "$calls" -gt 1000 ] && echo many || echo "$calls")"

# -- the only worker -------------------------------------------------------------
check "an actor counts" 0 '^200$' counter kept increment
check "the worker that is left is not drained without force" 0 \
    '"status":409.*only one of pool default: its 4096 shards would have no' \
    drain worker-2
check "nor by the command" 1 'only one of pool default' \
    "$plex" node drain worker-2
check "and goes on" 0 '"count": *1' counter kept get
until_true "by force it is" 20 drained worker-2 '?force=true'
check "the command says so" 0 'worker-2 has 0 shards left' \
    "$plex" node drain worker-2 --force
check "then a call is refused: nobody owns its shard" 0 '"NO_OWNER"' \
    counter kept get
check "and said not to have been carried out" 0 \
    '"status":503.*was not carried out' counter kept increment
check "a worker that nobody knows is not found" 0 'NODE_NOT_FOUND|"status":404' \
    drain worker-9
pid=$(suite_daemon worker-1)
kill -KILL "$pid"
counts() { counter kept get | grep -q '"count": *1'; }
until_true "a worker that starts again takes over, and nothing was lost" 20 counts
check_end
