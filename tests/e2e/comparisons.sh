#!/bin/bash
# The workflows that other engines show: comparisons.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh

flow()
{
    "$plex" workflow "$@"
}
start() # ID DEFINITION INPUT
{
    flow start "$2" "$3" --id "$1" >/dev/null
}
waits() # SENTENCE EXECUTION PATTERN: it says so within 20 s
{
    local try
    for try in $(seq 1 200); do
        if flow why "$2" | tr -d '\n' | grep -qE -e "$3"; then
            ok "$1"
            return
        fi
        sleep 0.1
    done
    not_ok "$1" "$(flow why "$2")"
}
ended() # SENTENCE EXECUTION EXIT PATTERN
{
    check "$1" "$3" "$4" bash -c "'$plex' workflow wait '$2' --timeout-s 20 |
        python3 -c 'import json, sys
r = json.load(sys.stdin)
print(r[\"status\"], json.dumps(r.get(\"output\")), r.get(\"error\", \"\"))
sys.exit(r[\"status\"] != \"COMPLETED\")'"
}

suite_start "$work/data" --workers 2 --modules "$build/modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
flow enable >/dev/null || exit 1
suite_deploy examples/orders/app.yaml || exit 1
for file in examples/comparison_workflows/*.yaml; do
    check "$(basename "$file") is a definition" 0 ' 1.0.0$' flow deploy "$file"
done
check "the state machine is imported" 0 'step_functions 1.0.0' flow import \
    --asl examples/comparison_workflows/step_functions.asl.json

# These two wait for nobody, five seconds.
start t2 temporal-subscription '{"card":"t","periods":3}'
start p2 azure-approval '{"what":"it"}'
start t1 temporal-subscription '{"card":"t","periods":2}'
waits "Temporal: a trial waits" t1 cancel
check "its price is read" 0 500 flow query t1 price
check "and changed" 0 '' flow update t1 price '{"cents":700}'
check "and it is cancelled by a signal" 0 '' flow signal t1 cancel
ended "without being charged" t1 0 'cancelled in the trial'
ended "or billed, period by period" t2 0 '"charged": 1500'

start r1 restate-signup '{"user":"ada","secret":"s3"}'
waits "Restate: a sign-up waits for the link" r1 clicked
check "which is clicked" 0 '' flow signal r1 clicked '"s3"'
ended "so the user is welcome" r1 0 'welcome ada'
start r2 restate-signup '{"user":"bob","secret":"s3"}'
check "a wrong one" 0 '' flow signal r2 clicked '"x"'
ended "is refused" r2 1 WRONG_SECRET

start f1 azure-fan-out '{"files":["a","b","c"]}'
ended "Azure: what was fanned out comes together" f1 0 'COMPLETED 3'
start p1 azure-approval '{"what":"it"}'
waits "a person is asked" p1 ask
check "who says no" 0 '' flow approve p1 ask --reject
ended "which is a result" p1 0 rejected
ended "and silence is escalated" p2 0 escalated

start c1 conductor-fork-join '{"files":["d","e","f"]}'
ended "Conductor: branches join" c1 0 many
start c2 conductor-fork-join '{"files":["g"]}'
ended "and it is decided by what they gave" c2 0 few

start z1 zeebe-payment '{"card":"z"}'
waits "Zeebe: a message is awaited" z1 payment-received
check "it comes" 0 '' flow signal z1 payment-received '{"cents":12000}'
ended "and the gateway goes by it" z1 0 'with insurance'
start z2 zeebe-payment '{"card":"z"}'
check "one that cannot be paid" 0 '' \
    flow signal z2 payment-received '{"cents":1200000}'
ended "goes the way of the error" z2 0 refused

start s1 step_functions '{"items":[{"busy":0},{"busy":0}]}'
ended "Step Functions: a state machine as it is" s1 0 '2 parcels'
start s2 step_functions '{"items":[]}'
ended "and its failure" s2 1 NothingSent
check_end
