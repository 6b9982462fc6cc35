#!/bin/bash
# Who takes a tuple and dies before it has it: takers.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
mkdir "$work/modules"
cc -Wall -Wextra -Werror -Wno-missing-field-initializers -shared -fPIC \
    -I sdk/c/include -o "$work/modules/takers.so" tests/e2e/modules/takers.c ||
    exit 1

ask() # ACTOR JSON
{
    curl -sS -m 60 -H 'Content-Type: application/json' -H "$header" \
        --data "$2" -H 'X-Request-Deadline-Ms: 60000' \
        "$suite_url/api/v1/actors/default/default/$1?invocation=call"
}
header='X-Nothing: 0'
waiters() # SPACE N: that many wait there
{
    curl -sS "$suite_url/api/v1/tuplespace/spaces/$1" |
        grep -q "\"waiters\":\"\?$2\b"
}

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/takers.yaml
check "a tuple that comes after the death of a waiting taker is another's" 0 \
    '^{"lost":0}$' ask waits/a '{}'
check "who is killed while its tuple comes has read it, or it is back" 0 \
    '^{"lost":0,' ask race/a '{"wait_ms":60000}'
check "also when it did not wait" 0 '^{"lost":0,' ask race/b '{"wait_ms":0}'

check "a space is spread over all shards" 0 '^{}$' curl -sS --json \
    '{"space":"spread", "options":{"partition_field":1}}' \
    "$suite_url/api/v1/tuplespace/spaces"
ask spread/a '{}' >"$work/spread" &
spread=$!
for try in $(seq 1 100); do waiters spread '[1-9]' && break; sleep 0.02; done
"$plex" tuplespace write spread '["p", 4]' >/dev/null
wait "$spread"
check "there, too, who waits gets what comes" 0 '^{"status":0,"got":\["p",4\]}$' \
    cat "$work/spread"

# -- plex_tuple_once(): each of 24 tuples is taken once by 12 durable runs while
# their workers are killed again and again ------------------------------------
for i in $(seq 1 12); do
    header="Idempotency-Key: \"once-$i\""
    (
        for try in 1 2 3 4 5 6; do
            ask "taking/$i" '{}' >"$work/answer.$i" 2>/dev/null
            grep -q '^{"first"' "$work/answer.$i" && break
            sleep 0.2
        done
    ) &
    runs+=($!)
done
for try in $(seq 1 400); do waiters once 12 && break; sleep 0.05; done
check "twelve runs wait for a tuple" 0 '^' waiters once 12
for n in $(seq 1 24); do
    "$plex" tuplespace write once "[\"n\", $n]" >/dev/null
    case $n in
    3 | 15) kill -9 "$(suite_daemon worker-1)" ;;
    7 | 19) kill -9 "$(suite_daemon worker-2)" ;;
    esac
done
wait "${runs[@]}"
taken() { grep -ohE '\["n",[0-9]+\]' "$work"/answer.* | sort | uniq -c |
    awk '$1 == 1 { n++ } END { print n + 0 }'; }
check "each has two tuples, and no two have the same" 0 '^24$' taken
check "and none is left" 0 '^0$' "$plex" tuplespace count once '["n", ?]'
suite_stop || exit 1
check_end
