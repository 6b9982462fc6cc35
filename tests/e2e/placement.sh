#!/bin/bash
# Children that are placed by what they need, over workers that differ; then
# one of those drains, one dies: placement.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
. tests/lib/placing.sh
deploy() { "$plex" application deploy "$work/app.yaml"; }

suite_start "$work/data" --workers 1 --processes || exit 1
export PLEXSPACES_SERVER=$suite_url
registry=$("$plex" node list --output json | python3 -c '
import json, sys
print(next(n["url"] for n in json.load(sys.stdin) if n["kind"] == "registry"))')
worker x-small --labels zone=a --cpu-cores 2 --memory-bytes 1073741824
worker y-large --labels zone=b,disk=ssd --cpu-cores 4 --memory-bytes 8589934592
until_true "both workers offer what they have" 20 has_reserved x-small 0
until_true "both of them" 20 has_reserved y-large 0

# -- chosen by what they need ------------------------------------------------------
cat >"$work/app.yaml" <<'YAML'
name: farm
version: 1.0.0
supervisor:
  intensity: 10
  children:
    - id: labelled
      name: labelled
      module: chat_room
      behaviour: guest
      args: {nick: labelled}
      placement: {cpu_cores: 0.5, labels: {zone: b}}
    - id: hungry
      name: hungry
      module: chat_room
      behaviour: guest
      args: {nick: hungry}
      placement: {cpu_cores: 1.5, avoided_nodes: [worker-1], preferred_nodes: [x-small]}
    - id: apart
      name: apart
      module: chat_room
      behaviour: guest
      args: {nick: apart}
      placement:
        cpu_cores: 0.25
        avoided_nodes: [worker-1]
        affinity: [{apart: true, actor: farm/hungry}]
YAML
check "it is deployed" 0 'farm' deploy
until_true "a label decides" 20 runs_on labelled y-large
until_true "a preferred worker is taken" 20 runs_on hungry x-small
until_true "what must be apart is" 20 runs_on apart y-large
until_true "what they need is reserved" 20 has_reserved y-large 750
check "on the other one, too" 0 '^1500$' reserved x-small

# -- crashes -----------------------------------------------------------------------
# What it leaves is its own: placement hears of the end from the one worker and
# of the start from another, in either order.
process_of() { "$plex" actor inspect hungry | awk '$1 == "process" { print $2 }'; }
renewed() { now=$(process_of) && [ -n "$now" ] && [ "$now" != "$old" ]; }
for try in 1 2 3 4 5; do
    old=$(process_of)
    check "a child crashes" 0 '' "$plex" actor exit hungry --reason crash
    until_true "and is started again" 20 renewed
    check "where it had room before" 0 '^x-small$' of hungry
done
until_true "what it had is reserved once" 20 has_reserved x-small 1500

# -- placement forgets ----------------------------------------------------------------
kill -KILL "$(suite_daemon placement)"
until_true "a placement that is started again learns what is held" 20 \
    has_reserved x-small 1500
until_true "of all workers" 20 has_reserved y-large 750

# -- a worker dies ---------------------------------------------------------------------
kill -KILL "${workers[x-small]}"
wait "${workers[x-small]}" 2>/dev/null
until_true "what ran on a worker that died is started elsewhere" 20 \
    runs_on hungry y-large
until_true "and its room is reserved there" 20 has_reserved y-large 2250

# -- a worker drains ---------------------------------------------------------------------
worker z-third --labels zone=b --cpu-cores 4
until_true "another worker comes" 20 has_reserved z-third 0
restarts()
{
    "$plex" supervisor which farm --output json | python3 -c '
import json, sys
print([c.get("restarts", 0) for c in json.load(sys.stdin) if c["id"] == "hungry"])'
}
before=$(restarts)
check "a worker is drained" 0 'y-large has 0 shards left' \
    "$plex" node drain y-large
until_true "the children of a draining worker move" 20 runs_on hungry z-third
until_true "all that fit" 20 runs_on labelled z-third
until_true "it has nothing left" 20 has_reserved y-large 0
check "a move is no restart" 0 "^same$" \
    echo "$([ "$(restarts)" = "$before" ] && echo same || restarts)"

# -- a worker stops -----------------------------------------------------------------------
worker w-fourth --labels zone=b --cpu-cores 4
until_true "another worker comes" 20 has_reserved w-fourth 0
kill -TERM "${workers[z-third]}"
wait "${workers[z-third]}"
check "a worker that stops does so in good time" 0 '^0$' echo $?
until_true "the children of a worker that stops move" 20 runs_on hungry w-fourth
until_true "all of them" 20 runs_on labelled w-fourth
check "that is no restart, either" 0 "^same$" \
    echo "$([ "$(restarts)" = "$before" ] && echo same || restarts)"
worker z-third --labels zone=b --cpu-cores 4
until_true "it comes back" 20 has_reserved z-third 0

# -- nothing fits --------------------------------------------------------------------------
sed -i 's/cpu_cores: 1.5/cpu_cores: 64000/' "$work/app.yaml"
check "more than any worker has is deployed" 0 '' deploy
said() { grep -q 'no worker for .*farm/hungry.*asked for 64000000 thousandths of a core, the most that is left is' \
    "$suite_data"/dev.log "$suite_data"/*/*.log "$work"/*.log; }
until_true "and the log says what was asked and what is left" 20 said
check "undeploying" 0 '' "$plex" application undeploy farm
until_true "gives everything back" 20 has_reserved w-fourth 0
kill -TERM "${workers[w-fourth]}"
wait "${workers[w-fourth]}"

# -- one process, by request --------------------------------------------------------------------
schedule() # ID REQUIREMENTS
{
    curl -sS -H 'Content-Type: application/json' --data "{\"requestId\":\"$1\",
        \"module\":\"chat_room\", \"behaviour\":\"guest\", \"name\":\"$1\",
        \"args\":\"{\\\"nick\\\":\\\"$1\\\"}\", \"requirements\":$2}" \
        "$suite_url/api/v1/scheduling/actors"
}
status_of() { curl -sS "$suite_url/api/v1/scheduling/requests/$1"; }
check "a process is started where there is room" 0 \
    'SCHEDULING_STATE_SCHEDULED.*"nodeId":"z-third","process":"<' \
    schedule job-1 '{"cpuCores":1.5,"labels":{"zone":"b"}}'
first=$(schedule job-1 '{"cpuCores":1.5,"labels":{"zone":"b"}}')
check "the same request again finds it" 0 "^same$" \
    echo "$([ "$(schedule job-1 '{"cpuCores":1.5,"labels":{"zone":"b"}}')" = "$first" ] &&
        echo same)"
check "the same request for something else is refused" 0 '"status":422' \
    schedule job-1 '{"cpuCores":2,"labels":{"zone":"b"}}'
scheduled() { status_of job-1 | grep -q SCHEDULING_STATE_SCHEDULED; }
until_true "its status can be asked for" 20 scheduled
until_true "it has reserved what it asked for" 20 has_reserved z-third 1500
check "one for which there is no room is refused with reasons" 0 \
    '"status":503.*with too little cpu left; asked for 3000' \
    schedule job-2 '{"cpuCores":3,"labels":{"zone":"b"}}'
check "a module that is not there is named" 0 'no module|nothere' \
    curl -sS -H 'Content-Type: application/json' \
    --data '{"requestId":"j","module":"nothere"}' "$suite_url/api/v1/scheduling/actors"
check "it ends" 0 '' "$plex" actor exit job-1 --reason crash
until_true "and gives back what it had" 20 has_reserved z-third 0
check "a request that has ended is not found" 0 '"status":404' status_of job-1

# -- looking -----------------------------------------------------------------------------------
check "the command shows what workers have" 0 'z-third .*4\.0.*zone=b' \
    "$plex" node capacity
check "of those with a label" 0 '^0$' bash -c \
    "'$plex' node capacity --labels zone=b | grep -c worker-1; true"
check "of one" 0 'cpu *0 of 4000' "$plex" node capacity z-third
check "a worker that is not there is named" 1 'no worker "nobody" offers' \
    "$plex" node capacity nobody

# -- what may not be deployed -----------------------------------------------------------------
bad() # LINE: of a placement
{
    printf 'name: x\nversion: 1.0.0\nsupervisor:\n  children:\n    - id: a\n      module: m\n      placement: %s\n' \
        "$1" >"$work/app.yaml"
    deploy
}
check "an unknown key is named with its place" 100 \
    'app.yaml:7:19: unknown key cpu; known are profile' bad '{cpu: 1}'
check "a wrong value, too" 100 'app.yaml:7:30: .*cpu_cores is "lots"' \
    bad '{cpu_cores: lots}'
check "an unknown profile is refused" 1 \
    'children\[0\].placement: profile is "big", it must be one of none' \
    bad '{profile: big}'
check "an unknown strategy is refused" 1 \
    'strategy is "best", it must be one of best_fit' bad '{strategy: best}'
check "affinity to nothing is refused" 1 \
    'affinity\[0\] has none of actor and mark; give one' bad '{affinity: [{apart: true}]}'

# -- the end ------------------------------------------------------------------------------------
check "a process by request" 0 'SCHEDULED' schedule job-3 '{"labels":{"zone":"b"}}'
before=$SECONDS
kill -TERM "${workers[z-third]}"
wait "${workers[z-third]}"
check "does not keep its worker from stopping" 0 '^yes$' \
    echo "$([ $((SECONDS - before)) -lt 8 ] && echo yes || echo no)"
check_end
