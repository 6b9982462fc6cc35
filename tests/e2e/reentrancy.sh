#!/bin/bash
# Turns of one actor that interleave where they wait, over two real workers:
# reentrancy.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
mkdir "$work/modules"
cc -shared -fPIC -I sdk/c/include -o "$work/modules/again.so" \
    tests/e2e/modules/again.c || exit 1

post() # TYPE/KEY JSON: the body, then the status
{
    curl -sS -m 30 -w '\n%{http_code}\n' -H 'Content-Type: application/json' \
        --data "$2" "$suite_url/api/v1/actors/default/default/$1?invocation=call"
}
active() { "$plex" actor exists "$1" --output json | grep -q '"active": *true'; }
counts() { post "$1" '{}' | grep -qE "\"before\":$2,"; }
node_of() { "$plex" actor status "$1" 2>&1 | awk '$1 == "node" { print $2 }'; }
apart() # TYPE: two keys that are not on one worker, once both have shards
{
    local try first node key
    for try in $(seq 1 100); do
        first=''
        for key in a b c d e f g h i j k l m n; do
            "$plex" actor call "$1/$key" >/dev/null 2>&1 || break
            node=$(node_of "$1/$key")
            if [ -z "$first" ]; then
                first=$node
            elif [ "$node" != "$first" ]; then
                echo "a $key"
                return
            fi
        done
        sleep 0.1
    done
    return 1
}

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/again.yaml

# -- none --------------------------------------------------------------------
read -r a b <<<"$(apart none)"
check "the actors are on two workers" 0 '^[a-n] [a-n]$' echo "$a $b"
check "none: calls in a circle fail at once and name it" 0 \
    "calls in a circle: none/$a -> none/$b -> none/$a, which waits" \
    timeout 8 "$plex" actor call "none/$a" "{\"via\":\"none/$b none/$a\"}"

# -- call_chain ----------------------------------------------------------------
read -r a b <<<"$(apart chain)"
check "call_chain: the call that comes back is let in" 0 \
    '"before":5,"after":6,"answer":.*"answer":."before":6,"after":6' \
    timeout 8 "$plex" actor call "chain/$a" \
    "{\"add\":\"5\",\"via\":\"chain/$b chain/$a\"}"
check "and what it put is there after the wait" 0 '"before":6,"after":7' \
    "$plex" actor call "chain/$a" '{"more":"1"}'
check "as deep as one likes" 0 '"before":12,"after":12,"answer":null' \
    timeout 8 "$plex" actor call "chain/$a" \
    "{\"add\":\"1\",\"via\":\"chain/$b chain/$a chain/$b chain/$a chain/$b chain/$a chain/$b chain/$a\"}"
check "a call to itself is let in, too" 0 '"answer":."before":1,' \
    timeout 8 "$plex" actor call chain/self '{"via":"chain/self"}'
check "but not without end" 0 '"error":-[0-9]+,"reason":"100 calls wait' \
    timeout 20 "$plex" actor call chain/deep '{"deep":"chain/deep"}'
check "through one that is not reentrant, by a chain without a circle there" \
    0 '"answer":."before":1,.*"answer":."before":1,' \
    timeout 8 "$plex" actor call chain/x '{"via":"none/x chain/x"}'
post chain/nap '{"add":"1","nap":1000,"more":"1"}' >"$work/nap" &
nap=$!
until_true "a turn waits" 20 active chain/nap
check "who is not of the chain waits for its end" 0 '"before":2,"after":2' \
    post chain/nap '{}'
wait "$nap"

# -- always ----------------------------------------------------------------------
read -r a b <<<"$(apart always)"
check "always: the call that comes back is let in" 0 \
    '"before":5,"after":6,"answer":.*"answer":."before":6,"after":6' \
    timeout 8 "$plex" actor call "always/$a" \
    "{\"add\":\"5\",\"via\":\"always/$b always/$a\"}"
post always/waits '{"add":"1","until":8}' >"$work/waits" &
waits=$!
until_true "any call gets its turn while one waits, and sees what that has put" 20 \
    counts always/waits 1
check "what it puts is there for the next" 0 '"after":8' \
    post always/waits '{"more":"7"}'
wait "$waits"
check "and for who waited" 0 '"before":1,"after":8' cat "$work/waits"
check "a turn that fails keeps what it did before its wait" 0 '^500$' \
    post always/fails '{"add":"3","nap":1,"more":"50","fail":1}'
check "and nothing of what came after it" 0 '"before":3,' post always/fails '{}'

for i in $(seq 1 6); do
    (for j in $(seq 1 15); do
        post always/watched '{"nap":1,"via":"always/helper","more":"1"}'
    done) >"$work/watched.$i" &
done
wait $(jobs -p | grep -v -e "^$suite_pid\$")
check "its code never runs twice at once, and nothing is lost" 0 \
    '"most":1,"n":90' post always/watched '{"most":1}'

# -- other code, and the end of a worker -----------------------------------------------------------
post always/code '{"add":"1","until":9999}' >"$work/code" &
code=$!
until_true "a turn waits while its type is deployed anew" 20 counts always/code 1
sed -e 's/1\.0\.0/1.0.1/' -e '/type: metrics/d' tests/e2e/modules/again.yaml \
    >"$work/again.yaml"
check "it is" 0 . "$plex" application deploy "$work/again.yaml"
wait "$code"
check "it is told that the rest of it is not done" 0 \
    'left this worker while the turn waited' cat "$work/code"
until_true "and the next message finds the actor" 20 counts always/code 0

post "always/$b" '{"add":"500","until":9999}' >"$work/lost" &
lost=$!
until_true "a turn waits" 20 counts "always/$b" '5[0-9][0-9]'
pid=$(suite_daemon "$(node_of "always/$b")")
kill -9 "$pid"
wait "$lost"
check "who waited on a worker that is lost is told" 0 '^(500|502|503|504)$' \
    cat "$work/lost"
until_true "and the actor begins anew" 20 counts "always/$b" 0

# -- what cannot be ------------------------------------------------------------------
cat >"$work/both.yaml" <<'EOF_BOTH'
name: both
version: 1.0.0
actor_types:
  - name: both
    module: again
    behaviour: again
    durable: true
    facets:
      - {type: virtual_actor, config: {reentrancy: always}}
EOF_BOTH
check "a durable type cannot be reentrant" 1 'reentrancy: "always" is for types' \
    "$plex" application deploy "$work/both.yaml"
check_end
