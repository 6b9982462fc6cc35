#!/bin/bash
# Events of the tuple space that are sent to actors: tuple_events.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
mkdir "$work/modules"
cc -Wall -Wextra -Werror -Wno-missing-field-initializers -shared -fPIC \
    -I sdk/c/include -o "$work/modules/heard.so" tests/e2e/modules/heard.c ||
    exit 1

post() # PATH JSON
{
    curl -sS --json "$2" "$suite_url/api/v1/tuplespace/$1"
}
subscribe() # KEY GUARANTEED
{
    post subscriptions "{\"space\":\"$1\", \"template\":[\"order\", {\"any\":true}],
        \"target\":\"actor:heard/$1\", \"guaranteed\":$2}"
}
write() # SPACE N
{
    post tuples "{\"space\":\"$1\", \"tuples\":[[\"order\", $2]]}" >/dev/null
}
heard() # KEY N: what it heard, once it has heard so many
{
    local try
    for try in $(seq 200); do
        curl -sS --json '{}' >"$work/heard" \
            "$suite_url/api/v1/actors/default/default/heard/$1?invocation=call"
        grep -q "{\"count\":$2," "$work/heard" && break
        sleep 0.05
    done
    cat "$work/heard"
}

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/heard.yaml
check "an actor is subscribed" 0 'subscription_id' subscribe plain false
write plain 1
check "the first event of all arrives although nobody had asked for workers" 0 \
    '^{"count":1,"last":{"event":"written",.*\["order",1\]' heard plain 1
check "another one, guaranteed" 0 'subscription_id' subscribe sure true
for n in 1 2 3; do write sure $n; done
check "each event arrives once" 0 '^{"count":3,.*"number":3.*\["order",3\]' \
    heard sure 3
kill -9 "$(suite_daemon worker-1)" "$(suite_daemon worker-2)"
for n in 4 5 6 7 8; do write sure $n; done
check "also those of when there was no worker" 0 \
    '^{"count":8,.*"number":8.*\["order",8\]' heard sure 8
check "an actor of no type is not heard of as one" 0 'subscription_id' \
    post subscriptions '{"space":"none", "template":[], "target":"actor:no/x"}'
write none 1
write plain 2
check "and holds up nobody else" 0 '^{"count":2,' heard plain 2
check_end
