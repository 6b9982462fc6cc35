#!/bin/bash
# Processes that are placed by what they need without a manifest that says so:
# start-child, code; and children of simple_one_for_one, which all have one
# declaration: placement_start.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
. tests/lib/placing.sh

modules=$work/modules
mkdir "$modules" && cp "$bin"/../modules/chat_room.so "$modules" || exit 1
cc -std=c17 -D_GNU_SOURCE -O1 -g -Wall -Wextra -Werror -shared -fPIC \
    -I sdk/c/include -o "$modules/placer.so" tests/e2e/modules/placer.c || exit 1
suite_start "$work/data" --workers 1 --processes --modules "$modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
registry=$("$plex" node list --output json | python3 -c '
import json, sys
print(next(n["url"] for n in json.load(sys.stdin) if n["kind"] == "registry"))')
# -- start-child -----------------------------------------------------------------
cat >"$work/app.yaml" <<'YAML'
name: farm
version: 1.0.0
supervisor:
  intensity: 10
  children:
    - id: many
      name: many
      supervisor:
        strategy: simple_one_for_one
        intensity: 10
        children:
          - id: guest
            module: chat_room
            behaviour: guest
            restart: temporary
            placement: {cpu_cores: 0.25, labels: {zone: b}}
YAML
check "it is deployed" 0 'farm' "$plex" application deploy "$work/app.yaml"
runs() { "$plex" supervisor count farm; }
until_true "its supervisors run on the only worker" 20 runs
worker here --labels zone=b --cpu-cores 4
worker there --labels zone=c --cpu-cores 4
until_true "both workers offer what they have" 20 has_reserved here 0
until_true "both of them" 20 has_reserved there 0

start() # ID NAME PLACEMENT [OPTION...]: below farm
{
    local id=$1 name=$2 placement=$3
    shift 3
    "$plex" supervisor start-child farm $id chat_room --behaviour guest \
        --name "$name" --args "{\"nick\":\"$name\"}" --placement "$placement" "$@"
}
check "a child is started where there is room" 0 '^<' \
    start near near '{"cpu_cores": 1.5, "labels": {"zone": "b"}}'
check "on a worker that has its label" 0 '^here$' of near
until_true "what it needs is reserved" 20 has_reserved here 1500
check "one apart from it, by its path" 0 '^<' start far far \
    '{"cpu_cores": 0.5, "avoided_nodes": ["worker-1"], "affinity": [{"apart": true, "actor": "farm/near"}]}'
check "is elsewhere" 0 '^there$' of far
process_of() { "$plex" actor inspect near | awk '$1 == "process" { print $2 }'; }
renewed() { now=$(process_of) && [ -n "$now" ] && [ "$now" != "$old" ]; }
for try in 1 2 3; do
    old=$(process_of)
    check "it crashes" 0 '' "$plex" actor exit near --reason crash
    until_true "and is started again" 20 renewed
    check "where it had room before" 0 '^here$' of near
done
until_true "which is reserved once" 20 has_reserved here 1500
check "REST takes it, too" 0 '"ref":"<' curl -sS -H 'Content-Type: application/json' \
    --data '{"id":"rest", "module":"chat_room", "behaviour":"guest", "name":"rest",
        "args":"{\"nick\":\"rest\"}", "placement":{"cpuCores":0.25, "labels":{"zone":"c"}}}' \
    "$suite_url/api/v1/supervisors/farm/children"
check "and places it" 0 '^there$' of rest
check "a need and a worker at once are refused" 1 'give node or placement, not both' \
    start both both '{"cpu_cores": 1}' --node here
check "an unknown need is named" 1 'placement.cores is not a field of Placement' \
    start bad bad '{"cores": 1}'
check "a wrong one, too" 1 'profile is "big", it must be one of none' \
    start bad bad '{"profile": "big"}'
check "what is no JSON is refused" 100 'placement is no JSON' start bad bad '{'
check "terminating it" 0 '' "$plex" supervisor terminate-child farm near
until_true "gives back what it had" 20 has_reserved here 0
check "restarting it" 0 '^<' "$plex" supervisor restart-child farm near
until_true "reserves it again" 20 has_reserved here 1500
check "deleting what runs is refused" 1 'terminate it first' \
    "$plex" supervisor delete-child farm near

# -- from code ---------------------------------------------------------------------
for id in tree starter; do
    check "a $id is started by hand" 0 '^<' \
        "$plex" supervisor start-child farm "$id" placer --behaviour "$id"
done
check "a child that code declares is placed" 0 '^here$' of in-code
check "a process that code spawns, too" 0 '^here$' of spawned
until_true "and both have reserved" 20 has_reserved here 2500
for id in tree starter; do
    check "the $id ends" 0 '' "$plex" supervisor terminate-child farm "$id"
done
until_true "and gives back what they had" 20 has_reserved here 1500
check "so does the other" 0 '' "$plex" supervisor terminate-child farm near
until_true "all of it" 20 has_reserved here 0

# -- many of one kind ---------------------------------------------------------------
for i in 1 2 3; do
    check "one of many is started" 0 '^<' \
        "$plex" supervisor start-child many --name "guest-$i" --args "{\"nick\":\"$i\"}"
done
until_true "each reserves" 20 has_reserved here 750
check "one that says itself what it needs" 0 '^<' "$plex" supervisor \
    start-child many --name guest-4 --args '{"nick":"4"}' \
    --placement '{"cpu_cores": 0.25, "labels": {"zone": "c"}}'
check "is placed by that" 0 '^there$' of guest-4
worker next --labels zone=b --cpu-cores 4
until_true "another worker comes" 20 has_reserved next 0
check "the worker is drained" 0 'here has 0 shards left' "$plex" node drain here
for i in 1 2 3; do
    until_true "they move, though they are temporary" 20 runs_on "guest-$i" next
done
until_true "their room, too" 20 has_reserved next 750
until_true "nothing is left" 20 has_reserved here 0
check "the other one has stayed" 0 '^there$' of guest-4
check "there are as many as before" 0 '"active": *4' \
    "$plex" supervisor count many --output json
check_end
