#!/bin/bash
# Workflows on real daemons that are killed: workflows.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh
here=tests/e2e/workflows

says() # PATTERN COMMAND...
{
    local pattern=$1
    shift
    "$@" 2>&1 | tr -d '\n' | grep -qE -e "$pattern"
}
ended() # SENTENCE EXECUTION EXIT PATTERN: it ends so
{
    check "$1" "$3" "$4" bash -c "'$plex' workflow wait '$2' --timeout-s 20 |
        python3 -c 'import json, sys
r = json.load(sys.stdin)
print(r[\"status\"], json.dumps(r.get(\"output\")), r.get(\"error\", \"\"))
sys.exit(r[\"status\"] != \"COMPLETED\")'"
}
start() # ID DEFINITION INPUT [options]
{
    local id=$1 definition=$2 input=$3
    shift 3
    "$plex" workflow start "$definition" "$input" --id "$id" "$@"
}
flow()
{
    "$plex" workflow "$@"
}
kill_workers()
{
    local name
    for name in worker-1 worker-2; do
        kill -9 "$(suite_daemon $name)"
    done
}
counted() # LOG COUNT
{
    says "\"count\": ?$2\b" "$plex" actor call "log/$1" '{"action":"get"}'
}

suite_start "$work/data" --processes --workers 2 --modules "$build/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
flow enable >/dev/null || exit 1
suite_deploy examples/orders/app.yaml || exit 1
for file in examples/orders/order.yaml $here/*.yaml; do
    flow deploy "$file" >/dev/null || not_ok "$file is deployed" "$file"
done
for file in $here/*.asl.json; do
    flow import --asl "$file" >/dev/null || not_ok "$file is imported" "$file"
done
"$plex" actor call stock/tea '{"action":"put","count":100}' >/dev/null

# -- an order, and what goes wrong with it
check "a run is started under the caller's id" 0 '^o1$' \
    start o1 order '{"sku":"tea","count":2,"card":"c1"}'
check "again is nothing new" 0 '^o1$' \
    start o1 order '{"sku":"tea","count":2,"card":"c1"}'
check "another input under its id is refused" 1 'another definition or input' \
    start o1 order '{"sku":"tea","count":3,"card":"c1"}'
ended "the order is shipped" o1 0 'COMPLETED.*"parcel": "o1"'
start o2 order '{"sku":"tea","count":2,"card":"c1","busy":2}' >/dev/null
ended "a busy carrier is asked again" o2 0 '"tries": 3'
start o3 order '{"sku":"tea","count":2,"card":"poor"}' >/dev/null &&
    ended "a card with room pays" o3 0 COMPLETED
"$plex" actor call card/poor '{"action":"limit","cents":2500}' >/dev/null
start o4 order '{"sku":"tea","count":1,"card":"poor"}' >/dev/null
ended "a card that declines fails the run by its code" o4 1 'CARD_DECLINED'
check "without a second try" 0 '"tries":2' \
    "$plex" actor call card/poor '{"action":"get"}'
until_true "and the stock is given back" 20 \
    says '"left": ?94' "$plex" actor call stock/tea '{"action":"get"}'
start o5 order '{"sku":"tea","count":20,"card":"c2"}' >/dev/null
until_true "a large order asks a person" 20 says 'check' flow why o5
check "why: the command that decides" 0 'plexspaces workflow approve o5 check' \
    "$plex" why workflow/o5
kill_workers
until_true "which survives kill -9 of all workers" 20 says 'check' flow why o5
check "who may say yes" 0 '' flow approve o5 check
ended "so it is shipped" o5 0 COMPLETED
start o6 order '{"sku":"tea","count":20,"card":"c3"}' >/dev/null
until_true "another one waits" 20 says 'check' flow why o6
check "it is cancelled" 0 '' flow cancel o6 'changed my mind'
ended "it ends as cancelled" o6 1 'CANCELLED'
check "what was paid is given back" 0 '"charged":0' \
    "$plex" actor call card/c3 '{"action":"get"}'
check "and the stock after it" 0 'release|STEP_COMPENSATED|COMPENSAT' \
    flow history o6
start o7 order '{"sku":"tea","count":20,"card":"c3"}' >/dev/null
until_true "one that is refused" 20 says 'check' flow why o7
check "by the person" 0 '' flow approve o7 check --reject
ended "fails with the code for it" o7 1 'REJECTED'

# -- killed in the middle, again and again
start long steps '{}' >/dev/null
for _ in 1 2 3; do
    sleep 0.4
    kill_workers
done
ended "a run that is killed three times ends" long 0 'COMPLETED "done"'
for n in a b c d e f; do
    until_true "step $n was done once" 20 counted "long-$n" 1
done

# -- while it runs
start w1 wait '{}' >/dev/null
until_true "a run waits for a signal" 20 says 'go' flow why w1
check "why: by its id alone, and the command that sends the signal" 0 \
    'plexspaces workflow signal w1 go' "$plex" why w1
check "a query of its definition answers" 0 '3' flow query w1 limit
check "an update that its rule refuses changes nothing" 1 '' \
    flow update w1 raise '{"limit":2}'
check "one that it allows does" 0 '' flow update w1 raise '{"limit":7}'
check "which the query sees" 0 '7' flow query w1 limit
check "it is paused" 0 'PAUSED' flow pause w1
check "why: since when" 0 'since +[0-9]{4}-' "$plex" why w1
check "why: a paused run is resumed" 0 'plexspaces workflow resume w1' \
    "$plex" why w1
check "a signal is taken in" 0 '' flow signal w1 go 5
check "and nothing more is done" 0 'PAUSED' flow status w1
check "it is resumed" 0 '' flow resume w1
ended "and ends" w1 0 'COMPLETED 12'
check "why: it has ended" 0 'it has ended' "$plex" why w1
check "a signal to a run that has ended is refused" 1 'has ended' \
    flow signal w1 go 1
check "a signal with a start begins a run" 0 '^w2$' \
    start w2 wait '{}' --signal go --value 1
ended "that has the signal" w2 0 'COMPLETED 4'
start w3 wait '{}' >/dev/null
check "and goes to the run that is there" 0 '^w3$' \
    start w3 wait '{}' --signal go --value 2
ended "once" w3 0 'COMPLETED 5'
start w4 wait '{}' --labels team=a,env=test >/dev/null
check "a run is terminated" 0 'TERMINATED' flow terminate w4 enough
until_true "runs are listed by labels" 20 says 'w4' flow list --labels team=a
check "only those" 0 '^[^o]*$' bash -c \
    "'$plex' workflow list --labels team=a | tail -n +2 | cut -d' ' -f1"
printf 'id: labelled\nlabels: {team: z}\nsteps: [{id: a, type: pass}]\n' \
    >"$work/labelled.yaml"
check "a definition has labels" 0 labelled \
    "$plex" workflow deploy "$work/labelled.yaml"
check "definitions are listed by them" 0 '^labelled$' bash -c \
    "'$plex' workflow definitions --labels team=z | tail -n +2 | cut -d' ' -f1"
check "and by none that is not one" 1 'NAME=VALUE' \
    "$plex" workflow definitions --labels team
until_true "and by status" 20 says 'o6' flow list --status CANCELLED
check "a status that there is not is refused" 1 'status is PENDING' \
    flow list --status BANANA
check "a run that is not there is not found" 1 'does not exist' flow status no
start n1 none '{}' >/dev/null
ended "one without a definition fails" n1 1 'NOT_FOUND'

start r1 rounds '{"left":100,"sum":0}' >/dev/null
kill_workers
ended "a run that begins anew again and again ends" r1 0 'COMPLETED 5050'
check "and says how often" 0 '"continued": ?100' flow status r1

# -- back, and beside
start s1 steps '{"fast":true}' >/dev/null
ended "a run ends" s1 0 COMPLETED
check "it is reset to a step" 0 '' flow reset s1 e
ended "and ends again" s1 0 COMPLETED
until_true "having done what follows twice" 20 counted s1-f 2
until_true "and what came before once" 20 counted s1-a 1
check "another run is forked from it" 0 'forked_from' \
    flow fork s1 f --id s2
until_true "under its own id" 20 says 's1' flow status s2
ended "it ends too" s2 0 COMPLETED
until_true "what came before was not done again" 20 counted s2-a 0
until_true "what follows was" 20 counted s2-f 1
check "a step that is not there is refused" 1 'nope' flow fork s1 nope --id s3

# -- children, maps, branches, http, moving on
start c1 parent '{"n":3}' >/dev/null
ended "a parent has its children's outputs" c1 0 'COMPLETED \[0, 2, 4\]'
start c2 parent '{"n":3,"fail":true}' >/dev/null
ended "or their error" c2 1 'TOO_BIG'
start h1 fetch "{\"url\":\"$suite_url/api/v1/workflows/definitions\"}" >/dev/null
ended "an http step has status, headers and body" h1 0 \
    'COMPLETED .*200.*application/json'
start h2 fetch "{\"url\":\"$suite_url/api/v1/no\"}" >/dev/null
ended "from 400 on it is an error" h2 1 'HTTP_404'
start h3 fetch '{"url":"http://127.0.0.1:1/"}' >/dev/null
ended "nobody there is one, too" h3 1 'UNAVAILABLE'
python3 tests/e2e/slow_http.py "$work/slow.port" 2 &
slow_pid=$!
e2e_also $slow_pid
until_true "a slow server is there" 20 test -s "$work/slow.port"
slow=http://127.0.0.1:$(cat "$work/slow.port")
for n in $(seq 1 40); do
    start "slow-$n" fetch "{\"url\":\"$slow/slow/$n\"}" >/dev/null
done
ended "an http step waits for it" slow-1 0 COMPLETED
check "its headers are in the result" 0 '"x-late": ?"2"' \
    flow query slow-1 context
for n in $(seq 2 40); do
    flow wait "slow-$n" --timeout-s 20 >/dev/null || not_ok "run slow-$n ends"
done
check "many are under way at a time" 0 'at_once": ?[1-9][0-9]' \
    bash -c "for n in 10 20 30 40; do '$plex' workflow query slow-\$n context; done"
check "each was asked for once" 0 '^40$' bash -c "for n in \$(seq 1 40); do
    curl -s '$slow/count/'\$n; done | tr -d ' {}' | grep -o ':1' | wc -l"
kill "$slow_pid"
start m1 wait '{}' >/dev/null
until_true "a run of the old version waits" 20 says 'go' flow why m1
sed 's/^version: .*/version: 2.0.0/; s/"${vars.limit + .*"/new/' \
    $here/wait.yaml >"$work/wait2.yaml"
check "before a newer one is deployed: the run could move to it" 0 \
    'workflow/m1 +fits' "$plex" upgrade check --workflow wait \
    --definition "$work/wait2.yaml"
sed 's/id: wait, signal/id: other, signal/; s/\[wait\]/[other]/' \
    "$work/wait2.yaml" >"$work/wait3.yaml"
check "to one without the step that waits it could not" 1 \
    "workflow/m1 +diverges.*no signal .*wait.*1 would diverge" \
    bash -c "'$plex' upgrade check --workflow wait \
    --definition '$work/wait3.yaml' | tr '\n' ' '; exit \${PIPESTATUS[0]}"
echo 'id: wait' >"$work/wait4.yaml"
check "what is no definition is refused" 1 'steps' "$plex" upgrade check \
    --workflow wait --definition "$work/wait4.yaml"
check "all that has changed nothing" 0 '"version": ?"1.0.0"' flow status m1
check "a newer one is deployed" 0 'wait 2.0.0' flow deploy "$work/wait2.yaml"
check "the run moves to it" 0 '' flow move m1 2.0.0
until_true "and says so" 20 says '"version": ?"2.0.0"' flow status m1
check "a signal" 0 '' flow signal m1 go 1
ended "ends it as the new one does" m1 0 'COMPLETED "new"'

# -- waiting for an end, forgetting, and what is listed
api=$suite_url/api/v1/workflows
code()
{
    curl -s -o /dev/null -w '%{http_code}' "$@"
}
start e1 wait '{}' >/dev/null
until_true "a run waits" 20 says 'go' flow why e1
check "who waits for its end gets 202 when time is up" 0 '^202$' \
    code "$api/executions/e1?wait_ms=100"
(sleep 0.3 && flow signal e1 go 1 >/dev/null) &
check "and the end when it comes before" 0 '"status": ?"COMPLETED"' \
    curl -s "$api/executions/e1?wait_ms=20000"
wait $!
check "a start may wait, too" 0 '"COMPLETED".*200$' curl -s -w '%{http_code}' \
    -d '{"definition":"double","input":{"x":4,"fail":false},"wait_ms":20000}' \
    "$api/executions"
check "an hour is the most" 0 '^400$' code "$api/executions/e1?wait_ms=9999999"
check "what the proto does not know is refused" 0 'inputs' \
    curl -s -d '{"definition":"double","inputs":1}' "$api/executions"
check "a key names the run that it began" 0 '' bash -c "
    a=\$(curl -s -H 'Idempotency-Key: k1' -d '{\"definition\":\"wait\"}' '$api/executions')
    b=\$(curl -s -H 'Idempotency-Key: k1' -d '{\"definition\":\"wait\"}' '$api/executions')
    [ -n \"\$a\" ] && [ \"\$a\" = \"\$b\" ]"
for n in $(seq 1 30); do
    start "many-$n" double '{"x":1,"fail":false}' --labels batch=b7 >/dev/null
done
listed()
{
    [ "$(flow list --labels batch=b7 --status COMPLETED | tail -n +2 |
        cut -d' ' -f1 | sort -u | wc -l)" -eq 30 ]
}
until_true "each of many runs is listed once" 20 listed
check "a run under way is removed" 0 removed flow remove m1
start x1 wait '{}' >/dev/null
until_true "another one waits" 20 says 'go' flow why x1
check "it is removed while it waits" 0 removed flow remove x1
check "and is not there any more" 1 'does not exist' flow status x1
check "nor does it take signals" 1 'does not exist' flow signal x1 go 1
not_listed()
{
    ! flow list | grep -q "^$1 "
}
until_true "nor is it listed" 20 not_listed x1
check "its id is free" 0 '^x1$' start x1 double '{"x":2,"fail":false}'
ended "for another run" x1 0 'COMPLETED 4'
check "how long runs are kept is set" 0 '"completed": ?"1500ms"' \
    flow retention --completed 1500ms --failed 30d
check "and looked at" 0 '"failed": ?"30d"' flow retention
check "nonsense is refused" 1 'a duration such as' flow retention --failed soon
start k1 double '{"x":2,"fail":false}' >/dev/null
start k2 parent '{"n":3,"fail":true}' >/dev/null
ended "one that completes" k1 0 'COMPLETED 4'
ended "and one that fails" k2 1 'TOO_BIG'
until_true "the first is forgotten" 20 says 'does not exist' flow status k1
until_true "also in lists" 20 not_listed k1
check "the other is kept" 0 'FAILED' flow status k2
check "the newest two that completed are to be kept" 0 '"completed_max": ?2' \
    flow retention --completed-max 2
check "not more than can be" 2 'completed_max' flow retention --completed-max 1001
for i in 1 2 3 4; do
    start m$i double '{"x":2,"fail":false}' >/dev/null
    "$plex" workflow wait m$i >/dev/null
done
until_true "so the first is forgotten" 20 says 'does not exist' flow status m1
until_true "and the second" 20 says 'does not exist' flow status m2
check "the third is kept" 0 'COMPLETED' flow status m3
check "and the newest" 0 'COMPLETED' flow status m4
start m2 double '{"x":3,"fail":false}' >/dev/null
"$plex" workflow wait m2 >/dev/null
until_true "a name that is used anew counts anew" 20 says 'does not exist' \
    flow status m3
check "and is not mistaken for who had it" 0 'COMPLETED' flow status m2
check "runs are kept for ever again" 0 '' flow retention --forever

# -- the comparisons' workflows
start a1 order-machine '{"sku":"tea","count":1,"card":"c9"}' >/dev/null
ended "Step Functions: a state machine runs unchanged" a1 0 'COMPLETED .*parcel'
start a2 order-machine '{"sku":"gold","count":1,"card":"c9"}' >/dev/null
ended "and catches" a2 1 'NotAvailable'
check_end
