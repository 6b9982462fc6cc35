#!/bin/bash
# Lattices on two workers, which are killed: lattices.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh

lattice() { "$plex" lattice "$@" --output json; }
value() # COMMAND...: the value of the answer, on one line
{
    "$@" | python3 -c 'import json, sys
print(json.dumps(json.load(sys.stdin).get("value"), separators=(",", ":")))'
}
is() # CELL VALUE
{
    curl -sS "$suite_url/api/v1/lattices/$1" | grep -qF "\"value\":$2,"
}
refused() # STATE...: a manifest with that type
{
    printf 'name: bad\nversion: 1.0.0\nactor_types:\n- name: x\n%s\n' "$1" \
        >"$work/bad.yaml"
    "$plex" application deploy "$work/bad.yaml"
}

suite_start "$work/data" --processes --workers 2 --modules "$build/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url

# -- what may be declared -------------------------------------------------------
check "an unknown kind is named with its place" 100 \
    'bad.yaml:4:3: kind "set" is none of max, min' \
    refused '  state: {mode: lattice, kind: set}'
check "so is an unknown consistency" 100 'consistency "strong" is none of' \
    refused '  state: {mode: lattice, kind: max, consistency: strong}'
check "a cell has no module" 100 'module means nothing beside state.mode' \
    refused '  module: x
  state: {mode: lattice, kind: max}'
check "read_committed wants an owner" 100 'kept_in is missing' \
    refused '  state: {mode: lattice, kind: max, consistency: read_committed}'
check "which is there" 100 'which is no linearizable lattice' \
    refused '  state: {mode: lattice, kind: max, consistency: eventual, kept_in: y}'
check "a type without a state has a module" 100 'missing key module' refused ''

# -- one owner ------------------------------------------------------------------
check "cells of any kind are there for the asking" 0 lattice \
    "$plex" lattice enable
check "a cell begins with its first update" 0 '^5$' \
    value lattice increment lattice/hits 5 --kind g_counter
check "its kind stays" 1 'is a g_counter, not a max' \
    lattice set lattice/hits 5 --kind max
check "a set" 0 '^\["a b/c"\]$' value lattice add lattice/tags 'a b/c' --kind or_set
check "is reduced" 0 '^\[\]$' value lattice remove lattice/tags 'a b/c'
check "a register has any JSON" 0 '^{"x":\[1,null\]}$' \
    value lattice set lattice/reg '{"x":[1,null]}' --kind lww
check "by REST" 0 '"value":null' curl -sS \
    "$suite_url/api/v1/lattices/lattice/nothing"
check "with its errors" 0 '"status":400.*op .*fly.* is nothing for a g_counter' \
    curl -sS -d '{"op":"fly"}' "$suite_url/api/v1/lattices/lattice/hits:update"
check "an unknown type is not found" 0 '"status":404' \
    curl -sS "$suite_url/api/v1/lattices/unknown/x"
check "the example is deployed" 0 stock-kept \
    "$plex" application deploy examples/lattice/app.yaml
check "a map of counters" 0 '^{"tea":2}$' \
    value lattice increment carts/ada 2 --path tea
check "of another" 0 '^{"rum":1}$' \
    value lattice increment carts/bob --path rum &&
    state=$(lattice get carts/bob --encoded |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["state"])')
check "cells are merged" 0 '^{"rum":1,"tea":2}$' \
    value lattice merge carts/ada "$state"
check "once is enough" 0 '^{"rum":1,"tea":2}$' \
    value lattice merge carts/ada "$state"
check "what is no state is refused" 1 'not of its kind' lattice merge carts/ada CAQSAhgF

# -- a replica on each worker -----------------------------------------------------
same() # CELL VALUE: whoever is asked
{
    local i
    for i in 1 2 3 4; do
        is "$1" "$2" || return 1
    done
}
say() # CELL JSON: an update by REST
{
    curl -sS -m 30 -d "$2" "$suite_url/api/v1/lattices/$1:update"
}
both() # MESSAGE: by which workers they are answered
{
    local i
    for i in 1 2 3 4; do
        "$plex" actor list --type likes | grep -o 'worker-[12]' | sort -u
    done | sort -u | grep -c . | grep -qx 2
}
until_true "updates are counted by both workers" 20 \
    eval 'say likes/post "{\"op\":\"increment\",\"by\":0}" >/dev/null; both'
for i in $(seq 10); do say likes/post '{"op":"increment"}' >>"$work/said"; done
check "an answer says that it is not on disk yet" 0 '^10$' \
    grep -co '"durable":false' <(tr '}' '\n' <"$work/said")
until_true "both replicas come to the same count" 20 same likes/post 10
until_true "and so does the owner that keeps it" 20 is likes-kept/post 10
curl -sS -d '{"op":"increment"}' \
    "$suite_url/api/v1/lattices/likes/c[1-40]:update" >/dev/null
all_kept()
{
    curl -sS "$suite_url/api/v1/lattices/likes-kept/c[1-40]" |
        grep -o '"value":1,' | wc -l | grep -qx 40
}
until_true "owners keep many cells" 20 all_kept
metric() { "$plex" metrics "$1" | awk -v name="$2" '$1 == name { print $2 }'; }
at_rest()
{
    [ "$(metric worker-1 plexspaces_lattice_busy)$(metric worker-2 plexspaces_lattice_busy)" = 00 ] &&
        [ "$(metric worker-1 plexspaces_lattice_cells)" = 41 ]
}
until_true "and then there is nothing left to do" 20 at_rest
check "while an application is stopped" 0 '' "$plex" application stop shop
check "its cells do not answer" 0 APPLICATION_STOPPED \
    say likes/post '{"op":"increment"}'
check "when it goes on" 0 '' "$plex" application start shop
for i in 1 2 3 4 5 6; do
    token=$(say rooms/1 "{\"op\":\"add\",\"value\":\"guest-$i\"}" |
        sed 's/.*"token":"\([^"]*\)".*/\1/')
    curl -sS -G --data-urlencode "token=$token" \
        "$suite_url/api/v1/lattices/rooms/1" | grep -c "guest-$i\""
done >"$work/rooms"
check "with a token a causal read has what was written before" 0 '^6$' \
    grep -c 1 "$work/rooms"
check "a token of something else is refused" 1 'token' \
    lattice get rooms/1 --token abc
check "and where it means nothing" 1 'the type is not causal' \
    lattice get likes/post --token "$token"
guests=$(value lattice get rooms/1 --token "$token")
check "stop and go on again" 0 '' eval '"$plex" application stop shop && "$plex" application start shop'
until_true "cells are what they were" 20 same rooms/1 "$guests"
for i in $(seq 5); do say stock/tea '{"op":"increment","by":2}' >>"$work/stock"; done
check "read_committed is answered when it is on disk" 0 '^5$' \
    grep -co '"durable":true' <(tr '}' '\n' <"$work/stock")
until_true "and known by both" 20 same stock/tea 10
check "a key is needed" 0 '"status":400.*key must be' \
    ask likes/x '{"op":"increment"}'
check "actors' calls name it" 0 '"value":10' ask likes/post '{"key":"post"}'

# -- from code ----------------------------------------------------------------------
check "an actor counts, and remembers" 0 '"readers":\["a \\"d\\" a"\]' \
    ask page/1 '{"reader":"a \"d\" a"}'
for i in 2 3 4 5 6; do ask page/$i '{"reader":"bob"}' >"$work/page"; done
until_true "on whichever worker it is" 20 same likes/page 6
until_true "all know of all" 20 same rooms/page '["a \"d\" a","bob"]'

# -- one dies, all die ------------------------------------------------------------
until_true "both know all guests" 20 same rooms/1 "$guests"
pid=$(suite_daemon worker-1)
kill -KILL "$pid"
until_true "a worker that was killed comes back" 20 \
    eval '[ "$(suite_daemon worker-1)" != "$pid" ]'
check "the other has what was told" 0 guest-6 value lattice get rooms/1 --token "$token"
until_true "and tells it the new one" 20 eval 'say likes/post "{\"op\":\"increment\",\"by\":0}" >/dev/null; both'
until_true "so that both have it" 20 same rooms/1 "$guests"
pid=$(suite_daemon worker-1)
touch "$work/go"
for loop in 1 2; do
    while [ -e "$work/go" ]; do
        echo tried >>"$work/tried.$loop"
        say stock/tea '{"op":"increment"}' | grep -q '"durable":true' &&
            echo answered >>"$work/answered.$loop"
    done 2>/dev/null &
    loops="${loops:-} $!"
done
lines() { cat "$work/$1".* 2>/dev/null | wc -l; }
more() { [ "$(lines answered)" -gt 20 ]; }
until_true "updates are committed while" 20 more
kill -KILL "$pid" "$(suite_daemon worker-2)"
rm "$work/go"
wait $loops
until_true "after the death of every worker one owner's cells are there" 20 \
    is carts/ada '{"rum":1,"tea":2}'
check "of any kind" 0 '^5$' value lattice get lattice/hits
until_true "so is what was kept" 20 same likes/post 10
left() # what is there, of what was answered and what was tried
{
    local n
    n=$(curl -sS "$suite_url/api/v1/lattices/stock/tea" |
        sed 's/.*"value":\([0-9]*\),.*/\1/')
    [ "$n" -ge $((10 + $(lines answered))) ] && [ "$n" -le $((10 + $(lines tried))) ]
}
until_true "and all that was committed, no more than was tried" 20 left
check "what was kept nowhere is gone" 0 '^\[\]$' value lattice get rooms/1

if suite_stop; then
    ok "it ends in good order"
else
    not_ok "it ends in good order" "$(tail -5 "$work/data/dev.log")"
fi
check_end
