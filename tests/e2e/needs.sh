#!/bin/bash
# Virtual actors whose type needs something reserve it while they are in
# memory, beside processes: needs.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
. tests/lib/placing.sh

suite_start "$work/data" --workers 1 --processes || exit 1
export PLEXSPACES_SERVER=$suite_url
registry=$("$plex" node list --output json | python3 -c '
import json, sys
print(next(n["url"] for n in json.load(sys.stdin) if n["kind"] == "registry"))')
worker small --cpu-cores 2 --labels zone=b
until_true "a worker offers two cores" 20 has_reserved small 0
check "it is to have all shards" 0 'worker-1 has 0 shards left' \
    "$plex" node drain worker-1

cat >"$work/app.yaml" <<'YAML'
name: crowd
version: 1.0.0
actor_types:
  - name: heavy
    module: counter
    behaviour: counter
    virtual: true
    durable: true
    resources: {cpu_cores: 1}
YAML
check "a type with needs is deployed" 0 'crowd' "$plex" application deploy "$work/app.yaml"
call() # KEY
{
    curl -sS --max-time 20 -H 'Content-Type: application/json' \
        --data '{"action":"increment"}' \
        "$suite_url/api/v1/actors/default/default/heavy/$1?invocation=call"
}
calls() { call "$1" | grep -q '"count"'; }
until_true "an actor comes into memory" 20 calls a
check "another one" 0 '"count":1' call b
until_true "both have reserved what they need" 20 has_reserved small 2000
check "who is idle makes room" 0 '"count":1' call c
check "and comes back" 0 '"count":[2-9]' call a
until_true "there is never more reserved than there is" 20 has_reserved small 2000

schedule() # ID
{
    curl -sS -H 'Content-Type: application/json' --data "{\"requestId\":\"$1\",
        \"module\":\"chat_room\", \"behaviour\":\"guest\", \"name\":\"$1\",
        \"args\":\"{\\\"nick\\\":\\\"$1\\\"}\",
        \"requirements\":{\"cpuCores\":1.5,\"labels\":{\"zone\":\"b\"}}}" \
        "$suite_url/api/v1/scheduling/actors"
}
check "what they have is not given to processes" 0 \
    '"status":503.*with too little cpu left; asked for 1500' schedule job-1
for key in a b c; do
    "$plex" actor deactivate heavy/$key >"$work/out" 2>&1
done
until_true "who leaves memory gives it back" 20 has_reserved small 0
check "then a process has it" 0 'SCHEDULED' schedule job-1
check "and an actor is refused, with reasons" 0 \
    '"status":(429|503).*no room for an actor of the type, and none is idle: it needs 1000 thousandths of a core, of 500 for actors 500 are left' \
    call a
check "the process ends" 0 '' "$plex" actor exit job-1 --reason crash
until_true "and the actor has room again" 20 calls a
until_true "which is known" 20 has_reserved small 1000
check "undeploying" 0 '' "$plex" application undeploy crowd
until_true "gives back everything" 20 has_reserved small 0
check_end
