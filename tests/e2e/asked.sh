#!/bin/bash
# Runs that are asked while they wait, queries and updates, on daemons that are
# killed: asked.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
e2e_module asked

why_is() # ACTOR FIELD PATTERN
{
    "$plex" why "$1" --output json | python3 -c '
import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2" |
        grep -qE -e "$3"
}
kill_workers()
{
    kill -9 "$(suite_daemon worker-1)" "$(suite_daemon worker-2)"
}
lines() # FILE TEXT
{
    [ "$(tr '\n' ' ' <"$1" 2>/dev/null)" = "$2" ]
}
records() # how many turns it has
{
    "$plex" actor history asked/a --output json |
        python3 -c 'import json, sys; print(max(int(t["sequence"]) for t in json.load(sys.stdin)))'
}

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/asked.yaml
url=$suite_url/api/v1/runs/default%2Fdefault%2Fasked%2Fa

check "nobody is asked before it runs" 1 'journal has none' \
    "$plex" run query asked/a votes
"$plex" actor cast asked/a "{\"file\":\"$work/votes\"}" >/dev/null
until_true "a run waits" 20 why_is asked/a waitsFor '^signal end'
check "a query is answered from where it waits" 0 '"votes":0' \
    "$plex" run query asked/a votes
check "one that it does not have names those it has" 1 \
    'no query "vote"; it has votes, meddle' "$plex" run query asked/a vote
check "one that would change something fails" 1 'only look' \
    "$plex" run query asked/a meddle
check "an update is carried out, with its effect" 0 '"votes":1' \
    "$plex" run update asked/a vote '{"who":"ann"}' --idempotency-key k1
check "the same again is answered" 0 '"votes":1' \
    "$plex" run update asked/a vote '{"who":"ann"}' --idempotency-key k1
check "another one under its key is refused" 1 'used by another request' \
    "$plex" run update asked/a vote '{"who":"bob"}' --idempotency-key k1
check "its check refuses with a problem" 1 'who votes' \
    "$plex" run update asked/a vote '{}'
check "or with a reason" 1 'nobody has no vote' \
    "$plex" run update asked/a vote '{"who":"nobody"}'
check "one that it does not have names those it has" 1 \
    'no update "votes"; it has vote, rename' "$plex" run update asked/a votes
check "one without a wait is answered" 0 '"last":"renamed 1"' \
    "$plex" run update asked/a rename null --idempotency-key k2
check "a query sees what updates have done" 0 '"votes":1,"last":"renamed 1"' \
    "$plex" run query asked/a votes
check "nothing was done twice or refused and done" 0 '^ann$' cat "$work/votes"
check "there is no other way to wait for it" 1 'completed and accepted' \
    "$plex" run update asked/a rename --wait-for ever

check "one that takes its time is accepted" 0 '"status":"accepted"' \
    "$plex" run update asked/a vote '{"who":"cy","ms":1500}' \
    --wait-for accepted --idempotency-key k3
check "while it is under way the run answers queries" 0 '"last":"cy"' \
    "$plex" run query asked/a votes
kill_workers
until_true "after kill -9 it is done once" 20 lines "$work/votes" "ann cy "
until_true "who asks for its answer gets it" 20 bash -c "'$plex' run update \
    asked/a vote '{\"who\":\"cy\",\"ms\":1500}' --idempotency-key k3 |
    grep -q '\"votes\":2'"
check "and what was done before is there" 0 '"votes":2,"last":"cy"' \
    "$plex" run query asked/a votes
check "an answer from before the kill is there, too" 0 '"last":"renamed 1"' \
    "$plex" run update asked/a rename null --idempotency-key k2
until_true "the run leaves memory" 20 bash -c "'$plex' actor list |
    grep -q 'asked/a' && exit 1; exit 0"
before=$(records)
check "a query brings it back" 0 '"votes":2' "$plex" run query asked/a votes
check "and writes nothing" 0 "^$before\$" records
check "its journal is exported" 0 . \
    "$plex" actor export asked/a "$work/a.bin"
check "and each turn runs again as it ran" 0 ' 0 differ, 0 skipped' \
    "$plex" replay "$work/a.bin" --module "$work/modules/asked.so"

cc -shared -fPIC -DWITHOUT_RENAME -I sdk/c/include \
    -o "$work/modules/asked.so" tests/e2e/modules/asked.c || exit 1
kill_workers
until_true "code that no longer has an update parks its run" 20 \
    why_is asked/a waitsFor 'recorded as update "rename", which the code does'
check "a parked run takes no updates" 1 'is parked' \
    "$plex" run update asked/a vote '{"who":"eve"}'
check "but answers queries" 0 '"votes":1' "$plex" run query asked/a votes
e2e_module asked
kill_workers
until_true "with the old code it is resumed" 20 "$plex" run resume asked/a
until_true "and waits as before" 20 why_is asked/a waitsFor '^signal end'
check "all votes are there" 0 '"votes":2,"last":"cy"' \
    "$plex" run query asked/a votes
check "it ends" 0 accepted "$plex" run signal asked/a end
until_true "with two votes" 20 why_is asked/a is '^(idle|not in memory)$'
check "then it takes no updates" 1 'nothing of this actor waits' \
    "$plex" run update asked/a vote '{"who":"dan"}'
before=$(records)
check "but still answers queries" 0 '"votes":2,"last":"cy"' \
    "$plex" run query asked/a votes
check "one that it did not have names those it had" 1 \
    'no query "vote"; it has votes' "$plex" run query asked/a vote
check "one that would change something fails" 1 'only look' \
    "$plex" run query asked/a meddle
until_true "the actor leaves memory" 20 bash -c "'$plex' actor list |
    grep -q 'asked/a' && exit 1; exit 0"
check "its last run answers all the same" 0 '"votes":2,"last":"cy"' \
    "$plex" run query asked/a votes
check "which are not written" 0 "^$before\$" records
cc -shared -fPIC -DLONGER -I sdk/c/include -o "$work/modules/asked.so" \
    tests/e2e/modules/asked.c || exit 1
kill_workers
until_true "code that the run does not fit says so" 20 bash -c "
    '$plex' run query asked/a votes 2>&1 |
        grep -q 'cannot be gone through again: .*sleep'"
check "nothing was done twice" 0 '^ann cy $' \
    bash -c "tr '\n' ' ' <'$work/votes'"
check_end
