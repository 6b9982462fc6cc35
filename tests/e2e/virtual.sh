#!/bin/bash
# Virtual actors over two real workers, and handlers that misbehave:
# virtual.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
mkdir "$work/modules"
cc -shared -fPIC -I sdk/c/include -o "$work/modules/odd.so" \
    tests/e2e/modules/odd.c || exit 1

post() # PATH [JSON]: the body, then the status
{
    curl -sS -m 20 -w '\n%{http_code}\n' -H 'Content-Type: application/json' \
        --data "${2:-{\}}" "$suite_url/api/v1/actors/$1"
}
active() { "$plex" actor exists "$1" --output json | grep -q '"active": *true'; }
asleep() { ! active "$1"; }
logged() { grep -qrE "$1" "$work/data" --include='*.log' --include='*.out'; }

export PLEXSPACES_WORKER_WATCHDOG_EXIT_MS=6000
suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/odd.yaml

# -- in and out of memory -------------------------------------------------------
until_true "eager keys are in memory before anybody asks" 20 active warm/two
check "nobody knows an actor that nobody wrote to" 1 'exists +no' \
    "$plex" actor exists soft/a
check "an actor is activated" 0 'state +active' "$plex" actor activate soft/a
check "and again, which changes nothing" 0 '"actorId":"default/default/soft/a"' \
    post get-or-activate '{"actor_id":"default/default/soft/a"}'
check "then it exists" 0 '"active":true' \
    curl -sS "$suite_url/api/v1/actors/default%2Fdefault%2Fsoft%2Fa/exists"
check "it counts" 0 '"n":1' "$plex" actor call soft/a
check "it counts on" 0 '"n":2' "$plex" actor call soft/a
check "it is deactivated" 0 'state +(inactive|deactivating)' \
    "$plex" actor deactivate soft/a
until_true "it leaves memory" 20 asleep soft/a
check "its state is kept: it exists" 0 'exists +yes' "$plex" actor exists soft/a
check "and it goes on where it was" 0 '"n":3' "$plex" actor call soft/a
check "an actor of another tenant is not ours to move" 0 'TENANT_FORBIDDEN' \
    post other%2Fdefault%2Fsoft%2Fa/activate
check "a type that is not there is named" 1 'not known|not deployed|NOT_FOUND' \
    "$plex" actor activate nothing/a
for key in p q r s t u v w; do "$plex" actor call soft/$key >/dev/null; done
count=$("$plex" actor list --type soft --output json | grep -c '"actorId"')
if [ "$count" -le 6 ]; then ok "max_active holds on each worker"
else not_ok "max_active holds on each worker" "$count in memory"; fi
check "who had to leave comes back with its state" 0 '"n":2' \
    "$plex" actor call soft/p

# -- circles ----------------------------------------------------------------------
check "calls in a circle fail at once and name it" 0 \
    'calls in a circle: ring/a -> ring/b -> ring/a' \
    timeout 20 "$plex" actor call ring/a '{"next":"b","then":"a"}'
check "a call to itself is a circle" 0 'ring/c -> ring/c, which waits' \
    timeout 20 "$plex" actor call ring/c '{"next":"c"}'
check "a chain without one goes through" 0 '"end":true' \
    "$plex" actor call ring/d '{"next":"e","then":"f"}'

# -- handlers that misbehave ------------------------------------------------------
check "who does not reply is answered with nothing" 0 '^(200|204)$' \
    post default/default/solid/mute?invocation=call '{"mute":1}'
check "who replies twice is told" 0 'repl' \
    post default/default/solid/twice?invocation=call '{"twice":1}'
post default/default/solid/loop?invocation=call '{"spin":3000}' >"$work/loop" &
loop=$!
check "while one loops, others go on" 0 '"n":1' \
    timeout 2 "$plex" actor call solid/quick
until_true "the watchdog names who loops" 20 logged 'worker.stuck.*solid/loop'
wait "$loop"
check "and it gets its answer all the same" 0 '"n":1' cat "$work/loop"

post default/default/soft/flood?invocation=call '{"spin":2000}' >"$work/first" &
first=$!
until_true "a slow actor is busy" 20 active soft/flood
for i in $(seq 1 12); do post default/default/soft/flood?invocation=call >"$work/flood.$i" & done
wait $(jobs -p | grep -v -e "^$suite_pid\$")
refused=$(grep -l '^429$' "$work"/flood.* | wc -l)
taken=$(grep -l '^200$' "$work"/flood.* | wc -l)
if [ "$refused" -gt 0 ] && [ $((refused + taken)) -eq 12 ]; then
    ok "a flooded mailbox says 429 and handles the rest"
else
    not_ok "a flooded mailbox says 429 and handles the rest" \
        "$refused refused, $taken taken" "$(tail -n2 "$work"/flood.*)"
fi

for i in 1 2 3; do "$plex" actor call solid/crash >/dev/null; done
touch "$work/die"
owner=$("$plex" actor status solid/crash | awk '$1 == "node" { print $2 }')
pid=$(suite_daemon "$owner")
check "a handler that crashes takes its worker down; the call is done by another" \
    0 '"n":4' "$plex" actor call solid/crash "{\"crash\":\"$work/die\"}"
if [ -e "$work/die" ] || kill -0 "$pid" 2>/dev/null; then
    not_ok "the worker had died" "$owner $pid"
else
    ok "the worker had died"
fi
check "nothing acknowledged is lost" 0 '"n":4' \
    "$plex" actor call solid/crash '{"read":1}'

touch "$work/hang"
"$plex" actor call solid/hang "{\"hang\":\"$work/hang\"}" >"$work/hung" 2>&1 &
hung=$!
until_true "one that never ends takes its worker down after watchdog_exit_ms" 20 \
    logged 'the worker ends.*watchdog_exit_ms'
until_true "and is named" 20 logged 'solid/hang has run for ([6-9]|[1-9][0-9])[0-9]{3} ms'
wait "$hung"
check "its call is done by another worker" 0 '"n":1' cat "$work/hung"
check_end
