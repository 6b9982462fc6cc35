#!/bin/bash
# Bad input to the tuple space, over HTTP and from the command line: each is
# answered with a status and a text that says why, and nothing is lost.
#
#   bad_tuples.sh BUILD
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
. tests/lib/suite.sh
. tests/lib/check.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-e2e.XXXXXX") || exit 1
daemons=()
daemons_stop()
{
    kill "${daemons[@]}" 2>/dev/null
    wait "${daemons[@]}" 2>/dev/null
}
# A shell that is ended before it has become a daemon runs the trap, too.
trap '[ $BASHPID -ne $$ ] || { daemons_stop; rm -rf "$work"; }' EXIT

daemon() # NAME OPTIONS...
{
    local name=$1
    shift
    "$bin/plex-$name" --node "$name" --listen-url "ipc://$work/$name" \
        --registry-url "ipc://$work/registry" --admin-addr "" \
        --log-level warn "$@" 2>>"$work/log" &
    daemons+=($!)
}

# METHOD PATH [BODY]: prints the answer and its status; a BODY of "@file" too.
ask()
{
    local answer
    answer=$(curl -s -m 10 -w ' %{http_code}' -X "$1" \
        -H 'Content-Type: application/json' ${3:+--data-binary "$3"} \
        "$api/$2")
    echo "${answer//$'\n'/}"
}

# refused SENTENCE STATUS TEXT PATH BODY
refused()
{
    check "$1: $2" 0 "\"detail\":\".*($3).*\",\"code\".* $2\$" ask POST "$4" "$5"
}

port=$(free_port)
daemon registry --store-dsn mem:
daemon tuplespace --store-dsn "sqlite:$work/tuples.db" \
    --tenant-tuples-max 100 --tenant-waiters-max 1 \
    --tenant-transactions-max 3 --tenant-subscriptions-max 2
daemon gateway --http-addr "127.0.0.1:$port"
export PLEXSPACES_SERVER=http://127.0.0.1:$port
api=$PLEXSPACES_SERVER/api/v1/tuplespace
tuples="$bin/plexspaces tuplespace"
for _ in $(seq 500); do
    curl -sf -o "$work/answer" "$api/stats" && break
    kill -0 "${daemons[2]}" || break
    sleep 0.02
done
check "a tuple is kept to be there at the end" 0 ' 200$' \
    ask POST tuples '{"space":"kept", "tuples":[["keep", 1]]}'

# -- values and tuples ---------------------------------------------------------

write() # FIELDS
{
    echo "{\"space\":\"s\", \"tuples\":[$1]}"
}
fields=$(printf '1,%.0s' {1..1001})
nested='[1]'
for _ in {1..12}; do nested="{\"tuple\":[$nested]}"; done
python3 -c 'print("{\"space\":\"s\",\"tuples\":[[\"%s\"]]}" % ("x" * 1100000))' \
    >"$work/large"
printf '{"space":"s", "tuples":[["\xff\xfe"]]}' >"$work/utf8"
refused "no fields" 400 'fields' tuples "$(write '[]')"
refused "1001 fields" 400 'fields' tuples "$(write "[${fields%,}]")"
refused "nesting that is too deep" 400 'at most 8' tuples "$(write "[$nested]")"
refused "a tuple over 1 MiB" 413 'bytes' tuples "@$work/large"
refused "a string that is not UTF-8" 400 'decode byte 0xff' tuples "@$work/utf8"
refused "NaN as an object" 400 'must be a number' tuples \
    "$(write '[{"float":"NaN"}]')"
refused "NaN as a word" 400 'JSON' tuples "$(write '[NaN]')"
refused "an integer of 65 bits" 400 'int' tuples \
    "$(write '[{"int":"18446744073709551616"}]')"
refused "bytes that are not base64" 400 'base64' tuples \
    "$(write '[{"bytes":"%%%"}]')"
refused "a matcher in a tuple" 400 'is an object' tuples "$(write '[{"any":true}]')"
refused "no tuples" 400 'tuple' tuples '{"space":"s", "tuples":[]}'
refused "a space's name with a slash" 400 'space' tuples \
    '{"space":"a/b", "tuples":[[1]]}'
refused "no space" 400 'space' tuples '{"tuples":[[1]]}'

# -- templates -----------------------------------------------------------------

read_of() # TEMPLATE [MORE]
{
    echo "{\"space\":\"s\", \"template\":$1 ${2:-}}"
}
refused "an unknown matcher" 400 'nearly' read "$(read_of '[{"nearly":1}]')"
refused "an unknown type" 400 'int64' read "$(read_of '[{"type":"int32"}]')"
refused "an expression that is none" 400 'regex|expression' read \
    "$(read_of '[{"regex":"(a"}]')"
refused "a range that ends before it begins, of two types" 400 'range|bound|type' \
    read "$(read_of '[{"gt":1, "lt":"a"}]')"
refused "more results than 10000" 400 'max_results|results' read \
    "$(read_of '[1]' ', "max_results":10001')"
refused "a wait of two hours" 400 'timeout' take \
    "$(read_of '[1]' ', "timeout_ms":7200000')"
refused "a negative wait" 400 'timeout' take \
    "$(read_of '[1]' ', "timeout_ms":-1')"
refused "a wait for anything at all" 400 'template with fields' take \
    "$(read_of '[]' ', "timeout_ms":5')"
refused "an order that is none" 400 'order' read \
    "$(read_of '[1]' ', "order":"best"')"
check "it writes what an expression is to choke on" 0 ' 200$' ask POST tuples \
    "{\"space\":\"bomb\", \"tuples\":[[\"$(printf 'a%.0s' {1..4000})b\"]]}"
refused "an expression that explodes" 429 'expression|regex' take \
    '{"space":"bomb", "template":[{"regex":"^(a+)+$"}]}'
check "and takes nothing" 0 '"count":1' ask POST count \
    '{"space":"bomb", "template":[]}'

# -- leases ----------------------------------------------------------------------

refused "a negative ttl" 400 'ttl' tuples \
    '{"space":"s", "tuples":[[1]], "ttl_ms":-1}'
refused "a ttl of 31 days" 400 'ttl|30 days' tuples \
    '{"space":"s", "tuples":[[1]], "ttl_ms":2678400000}'
id=$(ask POST tuples '{"space":"l", "tuples":[["short"]], "ttl_ms":30}' |
    grep -oE '[0-9]{6,}')
for _ in $(seq 200); do
    ask POST count '{"space":"l", "template":[]}' | grep -q '"count":0' && break
    sleep 0.02
done
refused "a lease that is renewed when it is over" 404 'tuple' \
    "tuples/$id/renew-lease" '{"space":"l", "ttl_ms":1000}'
id=$(ask POST tuples \
    '{"space":"l", "tuples":[["mine"]], "ttl_ms":60000, "owner":"me"}' |
    grep -oE '[0-9]{6,}')
refused "a lease of somebody else" 403 'owner' "tuples/$id/renew-lease" \
    '{"space":"l", "ttl_ms":1000, "owner":"you"}'
refused "a tuple id that is no number" 400 'tuple_id|number' \
    tuples/seven/renew-lease '{"space":"l", "ttl_ms":1000}'

# -- transactions ----------------------------------------------------------------

refused "an unknown transaction" 404 'transaction' transactions/12345/commit '{}'
refused "a write in an unknown transaction" 404 'transaction' tuples \
    '{"space":"s", "tuples":[[1]], "transaction_id":12345}'
refused "a transaction without end" 400 'transaction|timeout' transactions \
    '{"timeout_ms":99999999}'
tx=$(ask POST transactions '{"timeout_ms":40}' | grep -oE '[0-9]{6,}')
ask POST tuples \
    "{\"space\":\"t\", \"tuples\":[[1]], \"transaction_id\":$tx}" >"$work/answer"
for _ in $(seq 200); do
    curl -s "$api/stats" | grep -q '"transactions":0' && break
    sleep 0.02
done
refused "a commit after the timeout" 409 'transaction' \
    "transactions/$tx/commit" '{}'
check "and nothing of it was written" 0 '"count":0' ask POST count \
    '{"space":"t", "template":[]}'
for _ in 1 2 3; do
    ask POST transactions '{"timeout_ms":60000}' >"$work/answer"
done
refused "a fourth transaction of three" 429 'transactions' transactions \
    '{"timeout_ms":60000}'

# -- subscriptions ---------------------------------------------------------------

check "events of an unknown subscription: 404" 0 'subscription.* 404$' \
    ask GET 'subscriptions/12345/events?timeout_ms=0'
refused "an acknowledgement to an unknown subscription" 404 'subscription' \
    subscriptions/12345/acknowledge '{"up_to":1}'
# A client that subscribes and is gone: its subscription lives on, guaranteed,
# and writers do not feel it.
sub=$(ask POST subscriptions \
    '{"space":"w", "template":[{"any":true}], "guaranteed":true}' |
    grep -oE '[0-9]{6,}')
curl -sN "$api/subscribe?subscription_id=$sub" >"$work/stream" 2>&1 &
gone=$!
for _ in $(seq 200); do
    [ -s "$work/stream" ] && break
    sleep 0.02
done
kill -9 $gone
wait $gone 2>/dev/null
check "a subscriber that was killed hinders no writer" 0 ' 200$' \
    ask POST tuples '{"space":"w", "tuples":[["seen"]]}'
check "and its events are there when it comes back" 0 '"seen"' \
    ask GET "subscriptions/$sub/events?timeout_ms=5000"
ask POST subscriptions '{"space":"w", "template":[], "guaranteed":true}' \
    >"$work/answer"
refused "a third subscription of two" 429 'subscriptions' subscriptions \
    '{"space":"w", "template":[], "guaranteed":true}'

# -- quotas ------------------------------------------------------------------------

check "a space may have a quota" 0 ' 200$' ask POST spaces \
    '{"space":"small", "options":{"tuples_max":2}}'
check "it is filled" 0 ' 200$' ask POST tuples \
    '{"space":"small", "tuples":[[1], [2]]}'
refused "a space over its quota" 429 'tuples' tuples \
    '{"space":"small", "tuples":[[3]]}'
check "and holds what it held" 0 '"count":2' ask POST count \
    '{"space":"small", "template":[]}'
many=$(printf '[1],%.0s' {1..101})
refused "a tenant over its quota" 429 'tenant' tuples \
    "{\"space\":\"s\", \"tuples\":[${many%,}]}"
curl -s -m 10 -o "$work/waited" --json \
    '{"space":"s", "template":["never"], "timeout_ms":9000}' "$api/take" &
waiting=$!
for _ in $(seq 200); do
    curl -s "$api/stats" | grep -q '"waiters":1' && break
    sleep 0.02
done
refused "a second caller that waits, of one" 429 'wait' take \
    '{"space":"s", "template":["never"], "timeout_ms":9000}'
kill $waiting
wait $waiting 2>/dev/null

# -- the command line ----------------------------------------------------------------

check "the command says where it cannot read a tuple" 2 'character' \
    $tuples write s '["order", ]'
check "it refuses a matcher in a tuple" 1 'is an object' \
    $tuples write s '["order", ?]'
check "it knows no negative lease" 2 'ttl' $tuples write s '[1]' --ttl-ms -1
check "it tells that a transaction is unknown" 1 'transaction' \
    $tuples tx commit 12345
check "and that there is nothing to clear under a name that is none" 1 'space' \
    $tuples clear 'a b'
check "it tells of the quota" 1 'tuples' $tuples write small '[3]'

check "what was kept is there" 0 '"keep",1.* 200$' ask POST read \
    '{"space":"kept", "template":["keep", {"any":true}]}'
for daemon in "${daemons[@]}"; do
    kill -0 "$daemon" || not_ok "a daemon has ended" "$(cat "$work/log")"
done
check_end
