#!/bin/bash
# Coordination over the tuple space, on three workers that are killed:
# coordination.sh BUILD [spread]; spread: the space lies in all shards
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
mkdir "$work/modules"
cc -Wall -Wextra -Werror -shared -fPIC -I sdk/c/include \
    -o "$work/modules/coordination.so" tests/e2e/modules/coordination.c ||
    exit 1
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' \
    docs/coordination.md >"$work/shop.c"
cc -Wall -Wextra -Werror -Wno-missing-field-initializers -D_GNU_SOURCE -shared \
    -fPIC -I sdk/c/include -o "$work/modules/shop.so" "$work/shop.c" || exit 1

ask() # ACTOR JSON
{
    curl -sS -m 40 -H 'Content-Type: application/json' --data "$2" \
        "$suite_url/api/v1/actors/default/default/$1?invocation=call"
}
all() # N PATTERN: that many answers in $work/answer.*, and all match
{
    local n=$1
    shift
    [ "$(cat "$work"/answer.* | grep -cE "$1")" -eq "$n" ] || {
        cat "$work"/answer.*
        return 1
    }
}
each() # N JSON with RANK in it: party/0.. do it together
{
    local i pids=()
    rm -f "$work"/answer.*
    for ((i = 0; i < $1; i++)); do
        { ask "party/$i" "${2//RANK/$i}"; echo; } >"$work/answer.$i" 2>&1 &
        pids+=($!)
    done
    wait "${pids[@]}"
}

settled() # every worker has shards, and so actors
{
    "$plex" node list --output json |
        python3 -c 'import json, sys
nodes = json.load(sys.stdin)
sys.exit(any(int(n.get("shards", 0)) in (0, 4096) for n in nodes
             if n["kind"] == "worker"))'
}

suite_start "$work/data" --processes --workers 3 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/coordination.yaml
[ "${2:-}" != spread ] || curl -sS -o /dev/null --json \
    '{"space":"coord", "options":{"partition_field":1}}' \
    "$suite_url/api/v1/tuplespace/spaces"
for try in $(seq 1 200); do settled && break; sleep 0.05; done
settled || not_ok "every worker has shards"
for test in semaphores barriers elections duties queues; do
    check "$test do what they say" 0 '^{"line":0}$' \
        ask coord/a "{\"test\":\"$test\"}"
done
each 6 '{"do":"meet","n":6}'
check "six parties pass a barrier twice, and a latch" 0 '' \
    all 6 '^{"status":0,"generation":2}$'
each 5 '{"do":"rank","rank":"RANK","n":5}'
check "all collectives give what they should, three times" 0 '' \
    all 5 '^{"line":0,"round":45,"check":4.5}$'
each 5 '{"do":"rank","rank":"RANK","n":5}'
check "ranks that begin again find their rounds as they were" 0 '' \
    all 5 '^{"line":0,"round":45,"check":4.5}$'
check "a rank that does not come is named" 0 \
    '^{"status":-8,"sum":[0-9]+,"round":0,"missing":1}$' \
    ask party/x '{"do":"again","rank":0,"n":10}'
check "what the first try gave is what counts" 0 \
    '^{"status":-8,"sum":0,"round":0,"missing":0}$' \
    ask party/y '{"do":"again","rank":1,"n":5}'
check "the other one, restarted, gets the sum" 0 \
    '^{"status":0,"sum":15,"round":2' ask party/z '{"do":"again","rank":0,"n":11}'
check "and so does the first" 0 '^{"status":0,"sum":15,"round":2' \
    ask party/y '{"do":"again","rank":1,"n":99}'

"$plex" tuplespace write coord '["n", 0]' >/dev/null
each 5 '{"do":"mutex"}'
check "five parties exclude each other" 0 '' all 5 '^{"status":0}$'
check "and nothing is lost" 0 '^\["n", 50\]$' "$plex" tuplespace read coord \
    '["n", ?]'
suite_deploy tests/e2e/modules/shop.yaml
check "docs/coordination.md shows what happens" 0 '^' \
    env PATH="$bin:$PATH" tests/lib/doc_commands.py docs/coordination.md

# -- who holds something dies ---------------------------------------------------
node_of() # KEY: the worker that has party/KEY in memory
{
    local try node
    for try in $(seq 1 200); do
        node=$("$plex" actor status "party/$1" 2>/dev/null |
            awk '$1 == "node" { print $2 }')
        [ -n "$node" ] && echo "$node" && return
        sleep 0.05
    done
}
hold() # WHAT NUMBER: party/WHAT takes it and keeps it
{
    curl -sS -m 60 -H 'Content-Type: application/json' \
        --data "{\"do\":\"hold\",\"what\":\"$1\"}" -o /dev/null \
        "$suite_url/api/v1/actors/default/default/party/$1?invocation=cast" \
        2>/dev/null &
    check "somebody has a $1" 0 "\[\"held\", \"$1\", 0, $2\]" \
        "$plex" tuplespace read coord "[\"held\", \"$1\", ?, ?]" --wait-ms 20000
}
next() # WHAT WAIT_MS
{
    ask "party/next-$1" "{\"do\":\"next\",\"what\":\"$1\",\"rank\":$2}"
}
"$plex" tuplespace write coord '["work", "killed", 0, "i", "what"]' \
    '["tries", "killed", "i", 0]' >/dev/null
hold permit 0
hold seat 1
hold work 1
check "the permit is kept for longer than a lease" 0 '^{"status":-8' \
    next permit 2000
check "so is the seat" 0 '^{"status":-8' next seat 0
check "so is the item of work" 0 '^{"status":-8' next work 0
for worker in $(for key in permit seat work; do node_of $key; done | sort -u); do
    kill -9 "$(suite_daemon "$worker")" || not_ok "$worker is killed"
done
check "the permit comes back, to the next one that waits" 0 \
    '^{"status":0,"number":0,"ms":[0-9]{1,4}}$' next permit 20000
check "the next one leads, with a greater term" 0 \
    '^{"status":0,"number":2,"ms":[0-9]{1,4}}$' next seat 20000
check "the item comes back, and says that it is the second time" 0 \
    '^{"status":0,"number":2,"ms":[0-9]{1,4}}$' next work 20000

# -- workers die again and again --------------------------------------------------
until_answered() # N JSON PATTERN: each of party/0.. is asked until it says so
{
    local i try
    rm -f "$work"/answer.*
    for ((i = 0; i < $1; i++)); do
        (
            for try in $(seq 1 20); do
                { ask "party/$i" "${2//RANK/$i}"; echo; } >"$work/answer.$i" 2>&1
                grep -qE "$3" "$work/answer.$i" && break
                sleep 0.2
            done
        ) &
        parties+=($!)
    done
}
kill_workers()
{
    local worker
    for worker in worker-1 worker-2 worker-3; do
        kill -9 "$(suite_daemon $worker)"
        sleep 0.3
    done
}
parties=()
until_answered 4 '{"do":"rank","rank":"RANK","n":4,"group":"k","pause_ms":500}' \
    '"round":45'
"$plex" tuplespace read coord '["rank", "k", >=15, ?, ?, ?, ?]' --wait-ms 20000 \
    >/dev/null # the first part is done, the second is not
kill_workers
wait "${parties[@]}"
check "ranks whose workers died catch up, and all get the same" 0 '' \
    all 4 '^{"line":0,"round":45,"check":3}$'
parties=()
items=()
for n in $(seq 1 40); do
    items+=("[\"work\", \"stress\", 0, \"i$n\", $n]" "[\"tries\", \"stress\", \"i$n\", 0]")
done
"$plex" tuplespace write coord "${items[@]}" >/dev/null
until_answered 4 '{"do":"hand"}' '"status":-8'
"$plex" tuplespace read coord '["did", ?, ?]' --wait-ms 20000 >/dev/null
kill_workers
wait "${parties[@]}"
did() { "$plex" tuplespace read coord '["did", ?, ?]' --max 1000 |
    awk '{ print $2 }' | sort -u | wc -l; }
check "all the work is done although all workers died" 0 '^40$' did
check "nothing is left of it" 0 '^0$' "$plex" tuplespace count coord \
    '["work", "stress", ?, ?, ?]'
check "and nothing was given up" 0 '^0$' "$plex" tuplespace count coord \
    '["dead", "stress", ?, ?, ?, ?]'
suite_stop || exit 1
check_end
