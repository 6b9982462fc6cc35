#!/bin/bash
# Stateless types on two real workers, one of which dies: stateless.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh

# ask TYPE[/KEY] JSON: the answer.
ask()
{
    curl -sS -m 30 -H 'Content-Type: application/json' -d "$2" \
        "$suite_url/api/v1/actors/default/default/$1?invocation=call"
}
# times N JSON: so many calls one after the other, how many each worker did.
times()
{
    local i
    for i in $(seq 1 "$1"); do ask resize "$2"; echo; done |
        sed 's/~[0-9]*//' | sort | uniq -c
}
# together N JSON: the same at once.
together()
{
    local i
    for i in $(seq 1 "$1"); do
        ask resize/key-$i "$2" >"$work/together.$i" &
    done
    wait $(jobs -p | grep -v "^$suite_pid\$")
    for i in $(seq 1 "$1"); do cat "$work/together.$i"; echo; done | sort | uniq -c
}
listed() { "$plex" actor list --type resize | grep -c "resize/worker-$1"; }
listed_are() { [ "$(listed 1)$(listed 2)" = "$1" ]; }
both() { times 4 '{}' | grep -c ' 2 {"by":"worker-[12]"}' | grep -qx 2; }
metric() { "$plex" metrics "$1" | awk -v name="$2" '$1 == name { print $2 }'; }
refused()
{
    printf 'name: bad\nversion: 1.0.0\nactor_types:\n- name: x\n  module: stateless\n  behaviour: resize\n%s\n' \
        "$1" >"$work/bad.yaml"
    "$plex" application deploy "$work/bad.yaml"
}

suite_start "$work/data" --processes --workers 2 --modules "$build/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url

# -- what may not be deployed ---------------------------------------------------
check "durable and stateless is refused" 1 'durable keeps state, and the type is stateless' \
    refused '  durable: true
  stateless: {max_local: 2}'
check "so are facets that keep state" 1 'facet durability keeps state' \
    refused '  stateless: {}
  facets: [{type: durability}]'
check "reminders too" 1 'facet reminder keeps state' \
    refused '  stateless: {}
  facets: [{type: reminder}]'
check "and what is said of keys" 1 'config.max_active means nothing' \
    refused '  stateless: {}
  facets: [{type: virtual_actor, config: {max_active: "3"}}]'
check "a route has to be one" 1 'route "fastest" is none of' \
    refused '  stateless: {route: fastest}'
check "there are bounds" 1 'max_local is 2000, the most is 1000' \
    refused '  stateless: {max_local: 2000}'
check "an unknown key is named with its place" 100 'bad.yaml:7:15: unknown key max' \
    refused '  stateless: {max: 2}'

# -- calls ----------------------------------------------------------------------
check "the example is deployed" 0 'resize' \
    "$plex" application deploy examples/stateless/app.yaml
until_true "calls without a key go to both workers in turn" 20 both
together 4 '{"ms":500}' >"$work/four"
check "calls at once make as many activations as may be" 0 '^4$' \
    grep -c ' 1 {"by":"worker-[12]~[01]"}' "$work/four"
check "the list of actors names them" 0 'resize/worker-1~0' \
    "$plex" actor list --type resize
check "metrics count them" 0 '^2$' \
    metric worker-1 plexspaces_worker_stateless_activations
check "one can be looked at by its name" 0 'worker-2~1' \
    "$plex" actor status resize/worker-2~1
check "a key is no name" 1 'only its activations have names' \
    "$plex" actor status resize/key-1
together 6 '{"ms":300}' >"$work/six"
check "more calls than that wait, and none is lost" 0 '^6$' \
    awk '{ n += $1 } END { print n }' "$work/six"

# -- from actors and processes --------------------------------------------------
until_true "a process asks it" 20 eval 'ask shop {} | grep -q "\"by\":\"worker-"'
check "an actor asks it" 0 '"by":"worker-[12]~' ask front/a '{}'
ask gallery/a '{}' >/dev/null
until_true "the call of a durable actor's turn is answered" 20 \
    eval 'curl -sS "$suite_url/api/v1/actors/default/default/gallery/a" | grep -q by'

# -- idle ones go ---------------------------------------------------------------
until_true "idle activations leave memory" 20 listed_are 00

# -- a worker dies, another is drained ------------------------------------------
for i in 1 2 3 4; do
    ask resize '{"ms":3000}' >"$work/dying.$i" &
done
until_true "four are at work" 20 eval '[ "$(listed 1)$(listed 2)" = 22 ]'
kill -KILL "$(suite_daemon worker-2)"
wait $(jobs -p | grep -v "^$suite_pid\$")
check "calls that the lost worker had are of unknown outcome" 0 '^2$' \
    eval 'cat "$work"/dying.* | grep -o OUTCOME_UNKNOWN | wc -l'
check "the others are answered" 0 '^2$' \
    eval 'cat "$work"/dying.* | grep -o worker-1~ | wc -l'
until_true "the lost worker is there again" 20 both

: >"$work/failed"
touch "$work/go"
for loop in 1 2 3; do
    while [ -e "$work/go" ]; do
        ask resize '{"ms":20}' | grep -q '"by":"worker-' ||
            echo no >>"$work/failed"
    done &
done
check "a worker is drained" 0 '' "$plex" node drain worker-1
only_two() { times 4 '{}' | grep -q ' 4 .*worker-2'; }
until_true "it gets no more calls" 20 only_two
kill -TERM "$(suite_daemon worker-1)"
until_true "and comes back" 20 both
rm "$work/go"
wait $(jobs -p | grep -v "^$suite_pid\$")
check "meanwhile no call has failed" 0 '^0$' eval 'wc -l <"$work/failed"'

if suite_stop; then
    ok "it ends in good order"
else
    not_ok "it ends in good order" "$(tail -5 "$work/data/dev.log")"
fi
check_end
