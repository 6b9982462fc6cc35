#!/bin/bash
# Groups of actors on real daemons that are killed: groups.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh

group()
{
    "$plex" group "$@"
}
says() # PATTERN COMMAND...
{
    local pattern=$1
    shift
    "$@" 2>&1 | tr -d ' \n' | grep -qE -e "$pattern"
}
tight() # COMMAND...: its output on one line without blanks
{
    local status
    "$@" >"$work/out" 2>&1
    status=$?
    tr -d ' \n' <"$work/out"
    return $status
}
add() # CUSTOMER AMOUNT
{
    group send carts "$1" \
        "{\"action\":\"add\",\"customer\":\"$1\",\"amount\":$2}"
}

suite_start "$work/data" --processes --workers 2 --modules "$build/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
group enable >/dev/null || exit 1
suite_deploy examples/actor_groups_sharding/app.yaml || exit 1

# -- what a group is
check "a group is created" 0 '"shard_count":4' tight \
    group create carts cart --shards 4 --partition consistent \
    --rebalance on_scale
check "its name is taken then" 1 'exists' group create carts cart
check "an unknown partition is refused" 1 'hash, range, consistent and custom' \
    group create odd cart --partition alphabet
check "bounds must fit the shards" 1 'list of 2 texts' \
    group create odd cart --shards 3 --partition range --bounds m
check "and ascend" 1 'must be greater' \
    group create odd cart --shards 3 --partition range --bounds m,a
check "a name that cannot name shards is refused" 1 'letters, digits' \
    group create 'a~b' cart
check "what was refused is not there" 1 'does not exist' group get odd
until_true "the group is listed" 20 says 'carts.*cart.*4.*consistent' group list
check "but not among those of another type" 0 '^GROUP[^a-z]*$' \
    tight group list --type basket

# -- one shard, and all
for name in ada bob cyd dan eve fay gus hal ivy jon; do
    add "$name" 2 >/dev/null || not_ok "$name has a cart" "$name"
done
check "a key is always in the same shard" 0 '"items":5' tight add ada 3
check "who refuses is heard" 1 'customer is missing' \
    group send carts ada '{"action":"add"}'
check "all shards are asked" 0 '"responses":4' \
    tight group gather carts '{"action":"total"}'
check "their answers are summed" 0 '"result":23\b' \
    tight group gather carts '{"action":"total"}' --aggregation reduce \
    --field items
check "merged" 0 '"result":\{"carts":[0-9]*,"items":[0-9]*\}' \
    tight group gather carts '{"action":"total"}' --aggregation merge
check "the first is enough" 0 '"responses":1,' \
    tight group gather carts '{"action":"total"}' --aggregation first
check "a majority agrees" 0 '"result":0\b' \
    tight group gather carts '{"action":"get","customer":"nobody"}' \
    --aggregation majority --field items
check "each shard's time is shown" 0 '"latency_ms"' \
    group gather carts '{"action":"total"}'
check "answers that cannot be summed fail it" 1 'no whole number' \
    group gather carts '{"action":"total"}' --aggregation reduce
check "without enough answers there is no result" 1 '0 of 4 shards answered' \
    group gather carts '{"action":"add"}'
check "more than there are cannot be wanted" 1 'min_responses' \
    group gather carts '{"action":"total"}' --min_responses 5

# -- killed
for name in worker-1 worker-2; do
    kill -9 "$(suite_daemon $name)"
done
until_true "all of it survives kill -9 of all workers" 20 says '"result":23\b' \
    group gather carts '{"action":"total"}' --aggregation reduce --field items

# -- scaled
check "the group is scaled" 0 '"previous_shard_count":4' \
    tight group scale carts 7
check "nobody's cart is lost" 0 '"shard_count":7' tight group get carts
for name in ada bob cyd dan eve fay gus hal ivy jon; do
    [ "$name" = ada ] && want=5 || want=2
    until_true "$name's cart is where it is looked for" 20 \
        says "\"items\":$want\\b" group send carts "$name" \
        "{\"action\":\"get\",\"customer\":\"$name\"}"
done
check "nor counted twice" 0 '"result":23\b' \
    tight group gather carts '{"action":"total"}' --aggregation reduce \
    --field items
check "down again" 0 '"previous_shard_count":7' tight group scale carts 2
until_true "all carts are in what is left" 20 says '"result":23\b' \
    group gather carts '{"action":"total"}' --aggregation reduce --field items

# -- more shards than one actor asks
group create many cart --shards 230 >/dev/null
check "230 shards are asked by several actors" 0 '"responses":230' \
    tight group gather many '{"action":"total"}' --aggregation reduce \
    --field items --wait_ms 20000
check "the first of them is enough" 0 '"failures":0' \
    tight group gather many '{"action":"total"}' --aggregation first

lines() { group gather many '{"action":"total"}' --stream | grep -c '"ok":true'; }
check "their answers can be had as they come" 0 '^230$' lines
check "a stream of answers of no group says so" 1 'does not exist' \
    group gather nowhere '{}' --stream

# -- balanced by load
check "load based balancing is for hashes" 1 'goes with partition hash' \
    group create odd cart --partition range --bounds a,b,c --shards 4 \
    --rebalance load_based
check "a group is balanced by its load" 0 '"rebalance":"load_based"' tight \
    group create warm cart --shards 4 --partition consistent \
    --rebalance load_based --rebalance_ms 3600000
check "with little to say nothing moves" 0 '"changed":false' tight \
    group rebalance warm
post() # GROUP CUSTOMER
{
    curl -s -X POST -H 'Content-Type: application/json' -d "{\"partition_key\":
        \"$2\", \"message\": {\"action\": \"add\", \"customer\": \"$2\"}}" \
        "$suite_url/api/v1/actor-groups/$1/shards:send" >/dev/null
}
post warm bob
posted=0
counted() # what was counted went with its worker when the shard moved
{
    local each
    for each in $(seq 1 40); do
        post warm ada
    done
    posted=$((posted + 40))
    [ "$(group load warm | awk 'NR > 1 { n += $2 } END { print n }')" -ge 90 ]
}
until_true "what shards get is counted" 20 counted
check "keys move from a shard that gets much" 0 '"changed":true' tight \
    group rebalance warm
check "by the shares that shards have" 0 '"weights":"[0-9]+,[0-9]+,[0-9]+,[0-9]+"' \
    tight group get warm
for pair in "ada:$posted" bob:1; do
    until_true "${pair%:*}'s cart is where it is looked for then" 20 \
        says "\"items\":${pair#*:}\\b" group send warm "${pair%:*}" \
        "{\"action\":\"get\",\"customer\":\"${pair%:*}\"}"
done
check "a group that is not balanced is not" 1 'not load_based' \
    group rebalance carts

# -- a partition of one's own
check "a custom partition needs somebody to ask" 1 'needs a partitioner' \
    group create own cart --shards 26 --partition custom
check "a group is parted by an actor's rule" 0 '"partitioner":"by-letter"' \
    tight group create own cart --shards 26 --partition custom \
    --partitioner by-letter
check "a key is where it says" 0 '"shard":19' tight \
    group send own ada '{"action":"add","customer":"ada"}'
group create astray cart --partition custom --partitioner cart >/dev/null
check "one that says nothing is told apart" 1 'did not say' \
    group send astray ada '{"action":"add","customer":"ada"}'

# -- sent again
again()
{
    curl -s -X POST -H 'Idempotency-Key: "k1"' \
        -H 'Content-Type: application/json' -d '{"partition_key": "ada",
            "message": {"action": "add", "customer": "ada", "amount": 1}}' \
        "$suite_url/api/v1/actor-groups/carts/shards:send"
}
check "a request with a key is carried out" 0 '"items":6' tight again
check "once" 0 '"items":6' tight again

check "the group is deleted" 0 '' group delete carts
check "and gone" 1 'does not exist' group send carts ada '{"action":"get"}'
listed()
{
    group list | grep -q '^carts '
}
unlisted()
{
    ! listed
}
until_true "from the list as well" 20 unlisted
check_end
