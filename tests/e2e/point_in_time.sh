#!/bin/bash
# The suite on a Postgres that is put back to an earlier moment, as
# docs/journal.md says: point_in_time.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh
if ! ls /usr/lib/postgresql/*/bin/pg_basebackup >/dev/null 2>&1; then
    echo "SKIP: no Postgres installed"
    exit 0
fi
trap 'e2e_stop; scripts/test-postgres.sh stop' EXIT
trap 'exit 130' INT TERM
eval "$(scripts/test-postgres.sh start)"
export PLEX_TEST_PG PLEX_TEST_PG_DIR

says() # PATTERN COMMAND...
{
    local pattern=$1
    shift
    "$@" 2>&1 | grep -qE -e "$pattern"
}
start()
{
    suite_start "$work/$1" --processes --workers 2 \
        --modules "$build/modules" --store "$PLEX_TEST_PG" || exit 1
    export PLEXSPACES_SERVER=$suite_url
}

start before
suite_deploy examples/bank/app.yaml
suite_deploy examples/approval/app.yaml
"$plex" actor call account/alice '{"action":"deposit","amount":100}' >/dev/null
check "the log is archived, and the files are copied beside the running suite" \
    0 '' scripts/test-postgres.sh archive
until_true "money is moved" 20 says '"status":"done"' "$plex" actor call \
    transfer/t1 '{"from":"alice","to":"bob","amount":30}'
"$plex" actor cast expense/e1 '{"patience_ms":3600000}' >/dev/null
until_true "a run waits for a person" 20 says '^waits for +promise' \
    "$plex" why expense/e1
moment=$(date -u '+%Y-%m-%d %H:%M:%S.%6N+00')
sleep 0.1
until_true "then comes a mistake" 20 says '"status":"done"' "$plex" actor call \
    transfer/t2 '{"from":"alice","to":"bob","amount":60}'
check "and the person decides" 0 '' "$plex" promise resolve "$("$plex" why \
    expense/e1 --output json | python3 -c 'import json, sys
print(json.load(sys.stdin)["waitsFor"].split()[1])')" '{"by":"me"}'
until_true "so the run ends" 20 says '^is +(idle|not in memory)' "$plex" why expense/e1
check "Postgres is put back to the moment before the mistake" 0 '' \
    scripts/test-postgres.sh rewind "$moment"
# The suite was not stopped: to it the store has lost what it had confirmed.
until_true "a suite that was left running goes on from what is there" 20 \
    says '"balance": ?71\b' "$plex" actor call account/alice \
    '{"action":"deposit","amount":1}' --idempotency-key after-the-loss
until_true "and says so" 20 grep -q 'commits-lost.*account/alice' \
    "$work/before/dev.log"
suite_stop

start after
until_true "the money is where it was" 20 says '"balance": ?71\b' \
    "$plex" actor call account/alice '{"action":"get"}'
until_true "the chains of hashes hold" 20 "$plex" journal verify
until_true "the run waits again" 20 says '^waits for +promise' \
    "$plex" why expense/e1
check "the person decides again" 0 '' "$plex" promise resolve "$("$plex" why \
    expense/e1 --output json | python3 -c 'import json, sys
print(json.load(sys.stdin)["waitsFor"].split()[1])')" '{"by":"me"}'
until_true "and the run ends" 20 says '^is +(idle|not in memory)' "$plex" why expense/e1
check "work goes on" 0 '"status":"done"' "$plex" actor call transfer/t2 \
    '{"from":"alice","to":"bob","amount":5}'
check "from there" 0 '"balance":66' "$plex" actor call account/alice \
    '{"action":"get"}'
check_end
