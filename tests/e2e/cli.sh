#!/bin/bash
# The plexspaces command against a real suite: cli.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh

check "no gateway is said with the remedy" 111 'could not reach.*--server' \
    "$plex" node list --server http://127.0.0.1:1
check "an unknown command is a usage error" 2 'unknown command nod' "$plex" nod
check "an unknown option names the nearest" 2 'nearest is "kind"' \
    "$plex" node list --knd x
check "a missing argument shows the usage" 2 'usage: plexspaces node status' \
    "$plex" node status
check "a wrong server is a configuration error" 100 'http://host:port' \
    "$plex" node list --server localhost
check "the version is printed" 0 '^plexspaces [0-9]+\.' "$plex" version
check "help lists every command" 0 'application undeploy' "$plex" help
check "the bash completion is valid bash" 0 '^$' bash -c \
    "$plex completion bash | bash -n; echo"

suite_start "$work/data" || exit 1
export PLEXSPACES_SERVER=$suite_url
check "a second dev on the same folder is refused" 111 "in use.*$suite_pid" \
    "$plex" dev --data "$work/data" --http 127.0.0.1:0
check "a wrong store is a configuration error" 100 'must be sqlite' \
    "$plex" dev --data "$work/other" --store bogus --http 127.0.0.1:0

check "an undeployed type is not found" 1 'ACTOR_TYPE_NOT_FOUND' \
    "$plex" actor call counter/a '{"action":"get"}'
check "the demo application is deployed" 0 'counter-volatile' \
    "$plex" application deploy examples/counter/app.yaml
check "deploying it again changes nothing" 0 '"revision": "?1"?' \
    "$plex" application deploy examples/counter/app.yaml --output json
printf 'name: x\nversion: 1.0.0\nactor_types:\n- {name: a, modul: m}\n' \
    >"$work/bad.yaml"
check "a manifest's unknown key is named by place" 100 \
    'bad.yaml:4:13: unknown key modul' \
    "$plex" application deploy "$work/bad.yaml"
printf 'name: x\nversion: one\nactor_types:\n- {name: a, module: m}\n' \
    >"$work/bad.yaml"
check "a manifest's wrong value is refused by the registry" 1 'version' \
    "$plex" application deploy "$work/bad.yaml"

check "a call is answered" 0 '^\{"count":5\}$' \
    "$plex" actor call counter/a '{"action":"increment","amount":5}'
check "the message may come from standard input" 0 '^\{"count":6\}$' bash -c \
    "echo '{\"action\":\"increment\"}' | $plex actor call counter/a -"
check "an idempotency key gets the first answer again" 0 '^\{"count":7\}$' \
    "$plex" actor call counter/a '{"action":"increment"}' \
    --idempotency-key order-1
check "and does nothing new" 0 '^\{"count":7\}$' \
    "$plex" actor call counter/a '{"action":"increment"}' \
    --idempotency-key order-1
check "the key with another message is refused" 1 'HTTP 422' \
    "$plex" actor call counter/a '{"action":"get"}' --idempotency-key order-1
check "the actor's own refusal is shown" 1 'action must be.*400' \
    "$plex" actor call counter/a '{"action":"dance"}'
check "a cast is accepted" 0 '"status": ?"accepted"' \
    "$plex" actor cast counter/a '{"action":"increment"}'
check "what is not JSON is refused before sending" 100 'not JSON: line 1' \
    "$plex" actor call counter/a '{x'
check "an actor's name is checked" 100 'not of the form' \
    "$plex" actor call alice
check "the volatile counter counts" 0 '^\{"count":1\}$' \
    "$plex" actor call default/default/counter-volatile/v \
    '{"action":"increment"}'

check "actors in memory are listed" 0 'default/default/counter/a +active' \
    "$plex" actor list
check "one actor's status is shown" 0 '^durable +yes' \
    "$plex" actor status counter/a
check "actor inspect shows it as well" 0 "^state +active" \
    "$plex" actor inspect counter/a
check "an actor nobody called is not found" 1 'NOT_FOUND' \
    "$plex" actor status counter/nobody
check "all seven daemons are listed as ready" 0 '^7$' bash -c \
    "$plex node list | grep -c ready"
check "one node's status is shown" 0 '^status +ready' \
    "$plex" node status worker-1
check "an unknown node is not found" 1 'HTTP 404' "$plex" node status nobody
check "the list of nodes is JSON when asked" 0 '"nodeId": "journal"' \
    "$plex" node list --output json
check "the suite is healthy" 0 '^health +healthy' "$plex" health --wait-s 5
check "metrics are Prometheus text" 0 '^# TYPE .* counter' \
    "$plex" metrics worker-1
check "of turns that wait, too" 0 '^plexspaces_turns_waiting(\{.*\})? [0-9]' \
    "$plex" metrics worker-1
check "metrics of all daemons are named" 0 '^# node gateway' "$plex" metrics

check "the application is listed" 0 '^counter +default +1.0.0 +running +2' \
    "$plex" application list
check "its types are listed" 0 '^counter-volatile +counter' \
    "$plex" application status counter
check "an unknown application is not found" 1 'HTTP 404' \
    "$plex" application status nothing
check "it is stopped" 0 'stopped' "$plex" application stop counter

until_code() # until_code SENTENCE EXIT PATTERN: the catalogue travels
{
    local try
    for try in $(seq 1 100); do
        "$plex" actor call counter/a '{"action":"get"}' >"$work/out" 2>&1
        [ $? -eq "$2" ] && grep -qE -e "$3" "$work/out" && break
        sleep 0.02
    done
    check "$1" "$2" "$3" "$plex" actor call counter/a '{"action":"get"}'
}
until_code "a stopped application's types answer 503" 1 APPLICATION_STOPPED
check "it is started" 0 'running' "$plex" application start counter
until_code "its actors have kept their state" 0 '^\{"count":8\}$'
check "it is undeployed" 0 'undeployed' "$plex" application undeploy counter
until_code "and its types are gone" 1 ACTOR_TYPE_NOT_FOUND

if suite_stop; then
    ok "dev ends with 0 on SIGTERM"
else
    not_ok "dev ends with 0 on SIGTERM" "$?"
fi
suite_start "$work/data" || exit 1
export PLEXSPACES_SERVER=$suite_url
check "it is deployed again" 0 'counter' \
    "$plex" application deploy examples/counter/app.yaml
until_code "state survives a restart of everything" 0 '^\{"count":8\}$'
check_end
