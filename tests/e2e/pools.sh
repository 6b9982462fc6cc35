#!/bin/bash
# Elastic pools on real daemons, one of which is killed: pools.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh

pool() { "$plex" pool "$@"; }
tight() # COMMAND...: its output on one line without blanks
{
    local status
    "$@" >"$work/out" 2>&1
    status=$?
    tr -d ' \n' <"$work/out"
    return $status
}
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
named=scales
stat() # FIELD, of the pool $named
{
    pool stats $named | python3 -c '
import json, sys
print(json.load(sys.stdin)["pool"].get(sys.argv[1], 0))' "$1"
}
has() { [ "$(stat "$1")" = "$2" ]; }
suite_start "$work/data" --processes --workers 2 --modules "$build/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
check "a namespace gets pools" 0 'plexspaces-pools' pool enable
suite_deploy examples/counter/app.yaml || exit 1

# -- lending
check "a pool is made" 0 '"workers":1,"idle":1' tight \
    pool create scales counter --max 3 --check-ms 500
check "its name is taken then" 1 'pool "scales" exists' \
    pool create scales counter
check "what makes no pool is refused" 1 'max must be 5 to 1000' \
    pool create bad counter --min 5 --max 4
first=$(pool checkout scales)
check "a member is lent" 0 '^scales~1$' field actor_key <<<"$first"
check "it is an actor" 0 '"count": *1' "$plex" actor call \
    "counter/$(field actor_key <<<"$first")" '{"action":"increment"}'
second=$(pool checkout scales)
check "the pool grows for the next one" 0 '^scales~2$' field actor_key <<<"$second"
third=$(pool checkout scales)
check "up to what it may have" 1 'all 3 members of the pool are lent' \
    pool checkout scales
(pool checkout scales --wait-ms 15000 >"$work/waited" 2>&1) &
waiter=$!
until_true "who may wait has a place in the queue" 20 has waiting 1
check "a member is given back" 0 '' pool checkin scales "$(field checkout_id <<<"$second")"
wait "$waiter"
check "and lent to the one who waited" 0 '^scales~2$' field actor_key <"$work/waited"
check "who waits in vain is told so" 1 'members of the pool are lent' \
    pool checkout scales --wait-ms 300
check "what was given back cannot be given back again" 1 'not any more' \
    pool checkin scales "$(field checkout_id <<<"$second")"

# -- leases, and the death of workers
check "a lease can be renewed" 0 'until_ms' pool renew scales \
    "$(field checkout_id <<<"$first")"
for each in "$first" "$third" "$(cat "$work/waited")"; do
    check "one more is given back" 0 '' \
        pool checkin scales "$(field checkout_id <<<"$each")"
done
named=brief
check "a pool with short leases is made" 0 '"workers":1' tight \
    pool create brief counter --max 3 --check-ms 500 --lease-ms 1000
for each in 1 2 3; do
    pool checkout brief --wait-ms 10000 >/dev/null
done
kill -KILL "$(suite_daemon worker-1)"
until_true "what borrowers do not give back is replaced, whoever dies" 20 \
    has expired 3
named=scales
until_true "and the pool shrinks again" 20 has workers 1
check "nothing is lent any more" 0 '^0$' stat out

# -- by hand
check "it does not scale by itself during a pause" 0 '"paused":true' \
    tight pool pause scales
check "but by hand" 0 '"workers":3' tight pool scale scales 3
check "also by steps" 0 '"workers":2' tight pool scale scales -1
check "within its limits" 0 '"workers":3' tight pool scale scales +9
check "a pause ends" 0 '"paused":false|"pool":\{' tight pool resume scales
last=$(pool checkout scales)
check "it drains" 0 '"state":"draining"' tight pool drain scales
check "and lends nothing then" 1 'the pool drains' pool checkout scales
check "until the last one is back" 0 '"state":"drained"' tight \
    pool checkin scales "$(field checkout_id <<<"$last")" --unhealthy

# -- health and the breaker
check "a pool is made whose members are asked how they are" 0 '"workers":1' \
    tight pool create asked counter --health_ms 200 \
    --health_message '{"action":"get"}'
check "and one whose members refuse to say" 0 '"workers":1' \
    tight pool create mute counter --health_ms 200 \
    --health_message '{"action":"no such thing"}' --failure_threshold 2 \
    --open_ms 600000
named=mute
more() { [ "$(stat "$1")" -gt "$2" ]; }
until_true "these are replaced, over and over" 20 more unwell 1
named=asked
check "the others are not" 0 '^0$' stat unwell
for each in 1 2; do
    pool checkin mute "$(pool checkout mute | field checkout_id)" \
        --unhealthy >/dev/null
done
check "after bad loans the breaker keeps others back" 1 \
    'circuit breaker of the pool is open' pool checkout mute
check "which is said" 0 '"breaker":\{"state":"open"' tight pool stats mute
coded() # STATUS-LINE AND CODE of POST PATH
{
    curl -s -X POST -H 'Content-Type: application/json' -d '{}' \
        "$suite_url/api/v1/pools/$1" | tr -d ' \n'
}
check "with a code for programs" 0 '"code":"POOL_CIRCUIT_OPEN"' \
    coded mute:checkout
check "as a pool that drains has" 0 '"code":"POOL_DRAINING"' \
    coded scales:checkout
listed() { [ "$(pool list | awk 'NR > 1 { print $1 }' | tr '\n' ' ')" = "$1" ]; }
until_true "pools are listed" 20 listed 'asked brief mute scales '
check "also by pages" 0 '"pool_name":"asked".*"nextPageToken":"asked"' \
    curl -s "$suite_url/api/v1/pools?page_size=1"
check "a page has its limits" 0 'page_size must be 1 to 1000' \
    curl -s "$suite_url/api/v1/pools?page_size=1001"
check "their numbers can be watched" 0 'wait_p99_ms' \
    pool watch asked --every_ms 100 --count 2
check "it is deleted" 0 '' pool delete scales
until_true "and leaves the list" 20 listed 'asked brief mute '
check "and not found any more" 1 'does not exist' pool stats scales
check_end
