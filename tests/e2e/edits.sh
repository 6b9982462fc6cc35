#!/bin/bash
# States that are changed from outside, on daemons that are killed:
# edits.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh

actor()
{
    "$plex" actor "$@"
}
balance() # KEY AMOUNT
{
    actor call "account/$1" '{"action":"get"}' | grep -q "\"balance\":$2}"
}
cart_has() # KEY SKU QUANTITY
{
    actor call "cart/$1" '{"action":"get"}' |
        grep -q "\"sku\":\"$2\",\"quantity\":$3}"
}
http() # METHOD PATH [BODY]: the body, then the status
{
    curl -s -m 20 -X "$1" ${3:+-H 'Content-Type: application/json' -d "$3"} -w '\n%{http_code}\n' \
        "$suite_url/api/v1/$2"
}
kill_workers()
{
    local name
    for name in worker-1 worker-2; do
        kill -9 "$(suite_daemon $name)"
    done
}
full()
{
    echo "default%2Fdefault%2F${1%/*}%2F${1#*/}"
}

suite_start "$work/data" --processes --workers 2 --modules "$build/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/bank/app.yaml || exit 1
suite_deploy examples/cart/app.yaml || exit 1
suite_deploy examples/approval/app.yaml || exit 1
for amount in 100 20 3; do
    actor call account/alice "{\"action\":\"deposit\",\"amount\":$amount}" \
        >/dev/null
done
check "there were three turns" 0 'after turn 3 of 3' actor at account/alice

check "the state after the first is restored, by a turn of its own" 0 \
    '^turn 4$' actor restore account/alice --sequence 1
until_true "so the actor has it" 20 balance alice 100
check "its past is what it was" 0 '"base64": "ewAAAAAAAAA="' \
    actor at account/alice --sequence 3
check "the history says what was done" 0 '"kind": "edit"' \
    actor history account/alice --from 4 --limit 1 --output json
check "and its chain holds" 0 'whole|0 broken|ok|verified' \
    "$plex" journal verify account/alice
kill_workers
until_true "after kill -9 of all workers it still has it" 20 balance alice 100
check "another begins with what it once had" 0 '^turn 1$' \
    actor fork account/alice account/bob --sequence 2
until_true "and has it" 20 balance bob 120
check "not with what another has already" 1 'has a state already' \
    actor fork account/alice account/bob
check "nor in another tenant" 1 'TENANT_FORBIDDEN' \
    actor fork account/alice other/default/account/bob
check "an account is forgotten" 0 '^turn 2$' actor forget account/bob
until_true "it begins anew" 20 balance bob 0
check "one that nobody knows is not" 1 'NOT_FOUND' actor forget account/nobody
check "nor is a turn restored that never was" 1 'NOT_FOUND' \
    actor restore account/alice --sequence 99
check "or none" 1 'sequence or time_ms is needed' actor restore account/alice
check "one that forgot has nothing to keep" 1 'has no state' \
    actor checkpoint account/bob
check "a state is put as it is given" 0 '"stateText": ?"AAAAAAAA"' \
    http PUT "actors/$(full account/carol)/state" '{"stateText":"AAAAAAAA"}'
check "as bytes too" 0 '^200$' \
    http PUT "actors/$(full account/carol)/state" '{"state":"ewAAAAAAAAA="}'
until_true "the actor has it" 20 balance carol 123
check "one of a newer schema is refused" 0 'code of an older schema' \
    http PUT "actors/$(full account/carol)/state" \
    '{"state":"ewAAAAAAAAA=","schema_version":9}'
check "none is refused" 0 'one of state' \
    http PUT "actors/$(full account/carol)/state" '{}'

keyed() # STATE: put under one key
{
    curl -s -m 20 -X PUT -H 'Content-Type: application/json' \
        -H 'Idempotency-Key: "once"' -d "{\"stateText\":\"$1\"}" \
        -w '\n%{http_code}\n' \
        "$suite_url/api/v1/actors/$(full account/dora)/state"
}
check "a state is put under a key" 0 '"stateText":"AAAAAAAA"' keyed AAAAAAAA
check "then another one" 0 '"stateText":"BBBBBBBB"' \
    http PUT "actors/$(full account/dora)/state" '{"stateText":"BBBBBBBB"}'
check "what is sent again is not done again" 0 '"stateText":"BBBBBBBB"' \
    keyed AAAAAAAA
check "and another state under its key is refused" 0 '^422$' keyed CCCCCCCC

for sku in pen ink pen; do
    actor call cart/ann "{\"action\":\"add\",\"sku\":\"$sku\"}" >/dev/null
done
check "of events the state is made by the worker" 0 '^turn 4$' \
    actor restore cart/ann --sequence 2
check "or by code that is named" 0 '^turn 1$' actor fork cart/ann cart/amy \
    --sequence 2 --module "$build/modules/cart.so"
until_true "and events go on from there" 20 cart_has ann pen 1
actor call cart/ann '{"action":"add","sku":"pen"}' >/dev/null
kill_workers
until_true "as after kill -9" 20 cart_has ann pen 2
check "a checkpoint is a turn with the whole state" 0 '^turn 6$' \
    actor checkpoint cart/ann
check "under the names of the original's services" 0 '"stateSequence": ?"7"' \
    http POST journal/checkpoint \
    '{"actor_id":"default/default/cart/ann"}'
check "from which another is forked without the code" 0 '^turn 1$' \
    actor fork cart/ann cart/eve
until_true "that goes on by itself" 20 cart_has eve pen 2

actor cast expense/e1 '{"patience_ms":60000}' >/dev/null
waits()
{
    "$plex" why expense/e1 | grep -q 'waits for.*promise'
}
until_true "while a run is open" 20 waits
check "no state is put" 1 'a run of the actor is open' actor forget expense/e1
check "nor a state taken that is one" 1 'a run was open after turn' \
    actor fork expense/e1 expense/e2
check "its run goes on" 0 'promise' "$plex" why expense/e1
check_end
