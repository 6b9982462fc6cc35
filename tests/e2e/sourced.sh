#!/bin/bash
# An event-sourced actor on real daemons that are killed: sourced.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh
mkdir "$work/modules" "$work/new"
cp "$build/modules/cart.so" "$work/modules/"
code="--module $work/modules/cart.so"

cart() # ACTION SKU QUANTITY
{
    "$plex" actor call cart/anna \
        "{\"action\":\"$1\",\"sku\":\"${2:-}\",\"quantity\":${3:-1}}"
}

# The same until it is answered, as a client does that wants it done once.
add_once() # KEY SKU
{
    curl -sS -m 30 --retry 60 --retry-all-errors --retry-delay 0 \
        --retry-max-time 30 -f -X POST -H "Idempotency-Key: \"$1\"" \
        -H 'Content-Type: application/json' \
        -d "{\"action\":\"add\",\"sku\":\"$2\"}" \
        "$suite_url/api/v1/actors/default/default/cart/ben" >/dev/null
}

ben_has() # SKU QUANTITY
{
    "$plex" actor call cart/ben '{"action":"get"}' |
        grep -q "\"sku\":\"$1\",\"quantity\":$2}"
}

kill_daemons()
{
    local name
    for name in "$@"; do
        kill -9 "$(suite_daemon "$name")"
    done
}


suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/cart/app.yaml

check "a cart is filled" 0 '"sku":"apple","quantity":3' cart add apple 3
check "and filled more" 0 '"sku":"pear","quantity":1' cart add pear 1
check "and something taken out" 0 '\[\{"sku":"pear"' cart remove apple
check "what is not there cannot be" 1 'not in the cart' cart remove apple
check "history has the events by type" 0 'item_removed' \
    "$plex" actor history cart/anna
check "with what they say" 0 '"sku": "apple"' \
    "$plex" actor history cart/anna --output json
check "the state after two events is made by the worker" 0 '"quantity": 3' \
    "$plex" actor at cart/anna --sequence 2
check "also over HTTP" 0 'pear' bash -c "curl -sS \
    '$suite_url/api/v1/actors/default%2Fdefault%2Fcart%2Fanna/at?sequence=2'"
check "what is stored is another thing" 0 '"hasState":false' bash -c "curl -sS \
    '$suite_url/api/v1/actors/default%2Fdefault%2Fcart%2Fanna/at?sequence=2&stored=true'"
check "two states differ" 0 '^- /lines/0/sku: "apple"' \
    "$plex" actor diff cart/anna 1 3
check "so it is by code that is named" 0 '"quantity": 3' \
    "$plex" actor at cart/anna --sequence 2 $code
check "the state now is another" 0 '"sku": "pear"' \
    "$plex" actor at cart/anna $code
check "two states differ" 0 '^- /lines/0/sku: "apple"' \
    "$plex" actor diff cart/anna 1 3 $code
sed 's/"item_removed"/"item_gone"/' examples/cart/cart.c >"$work/cart.c"
cc -shared -fPIC -I sdk/c/include -o "$work/new/cart.so" "$work/cart.c" ||
    exit 1
check "code that does not know an event says which turn" 1 \
    'rebuilt at turn 3: the cart knows no such event' \
    "$plex" actor at cart/anna --module "$work/new/cart.so"
check "no such code" 100 'No such file' \
    "$plex" actor at cart/anna --module "$work/none.so"
check "nor behaviour" 1 'has no behaviour "basket"' \
    "$plex" actor at cart/anna $code --behaviour basket

kill_daemons worker-1 worker-2
until_true "after kill -9 of all workers the cart comes back from its events" 20 \
    cart get
check "as it was" 0 '\[\{"sku":"pear","quantity":1\}\]' cart get
for i in 4 5 6 7; do
    cart add "plum$i" >/dev/null
done
check "after five turns there is a snapshot, which needs no code" 0 \
    '"stateSequence": 5' \
    "$plex" actor at cart/anna --sequence 5 --output json
check "and of the turns after it" 0 '"sku": "plum7"' \
    "$plex" actor at cart/anna --sequence 7

# Every worker and the journal die while keyed requests go on.
for i in $(seq 1 60); do
    add_once "k$i" fig || not_ok "request $i is answered" ""
    case $i in
    10 | 40) kill_daemons worker-1 ;;
    20 | 50) kill_daemons worker-2 ;;
    30) kill_daemons journal ;;
    esac
done
until_true "sixty requests under kill -9 counted once each" 20 ben_has fig 60
for i in 7 33 60; do
    add_once "k$i" fig
done
check "and are not counted when they are asked again" 0 '' ben_has fig 60
check "the chain of its history holds" 0 '0 broken' \
    "$plex" journal verify cart/ben

check "an order ends it" 0 '"ordered":true' cart order
check "and is in the history" 0 'ordered' "$plex" actor history cart/anna
check_end
