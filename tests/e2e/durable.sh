#!/bin/bash
# Handlers that wait, on real daemons that are killed: durable.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh
mkdir "$work/modules"
cp "$build"/modules/*.so "$work/modules/"
cc -shared -fPIC -I sdk/c/include -o "$work/modules/flows.so" \
    tests/e2e/modules/flows.c || exit 1


why() # ACTOR FIELD
{
    "$plex" why "$1" --output json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' \
            "$2"
}

why_is() # ACTOR FIELD PATTERN
{
    why "$1" "$2" | grep -qE -e "$3"
}

lines() # FILE TEXT
{
    [ "$(tr '\n' ' ' <"$1" 2>/dev/null)" = "$2" ]
}

kill_worker()
{
    local name
    for name in worker-1 worker-2; do
        kill -9 "$(suite_daemon $name)"
    done
}

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/bank/app.yaml
suite_deploy examples/approval/app.yaml
suite_deploy tests/e2e/modules/flows.yaml

check "money is put in" 0 '"balance":100' \
    "$plex" actor call account/alice '{"action":"deposit","amount":100}'
check "a transfer waits for both accounts" 0 '"status":"done"' \
    "$plex" actor call transfer/t1 '{"from":"alice","to":"bob","amount":30}'
check "and one that is refused says so" 1 'has not enough' \
    "$plex" actor call transfer/t2 '{"from":"alice","to":"bob","amount":300}'
check "what is left" 0 '"balance":70' \
    "$plex" actor call account/alice '{"action":"get"}'

check "a run is accepted" 0 'accepted' \
    "$plex" actor cast twice/k "{\"file\":\"$work/notes\",\"ms\":1500}"
until_true "its first effect is carried out" 20 lines "$work/notes" "a "
until_true "and it says that it sleeps" 20 why_is twice/k waitsFor '^sleep until'
kill_worker
until_true "after kill -9 of all workers it goes on where it was" 20 \
    lines "$work/notes" "a b "
until_true "and ends" 20 why_is twice/k is '^(idle|not in memory)$'

check "an expense waits for a person" 0 'accepted' \
    "$plex" actor cast expense/e1 '{"patience_ms":60000}'
until_true "and says for which promise" 20 \
    why_is expense/e1 waitsFor '^promise default/default/expense/e1~.* or 1'
id=$(why expense/e1 waitsFor | cut -d' ' -f2)
check "why: the promise waits to be kept" 0 'not kept yet' \
    "$plex" why "$id"
check "why: the command that keeps it" 0 "plexspaces promise resolve '$id'" \
    "$plex" why expense/e1
kill_worker
until_true "which is kept, also after kill -9" 20 \
    "$plex" promise resolve "$id" '{"by":"me"}'
until_true "so the run ends" 20 why_is expense/e1 is '^(idle|not in memory)$'
check "why: nobody waits for that promise any more" 0 'it was kept, or' \
    "$plex" why "$id"
check "a promise is kept once" 1 'nothing of this actor waits' \
    "$plex" promise resolve "$id" '{}'
check "that is no promise" 1 'not the id of a promise' \
    "$plex" promise resolve nonsense '{}'

"$plex" actor cast signals/s '{}' >/dev/null
until_true "a run waits for a signal" 20 why_is signals/s waitsFor '^signal go'
check "why: the command that sends it" 0 \
    'plexspaces run signal default/default/signals/s go' "$plex" why signals/s
check "the first comes" 0 accepted "$plex" run signal signals/s go 1
check "another one is kept until it is asked for" 0 accepted \
    "$plex" run signal signals/s go 2
until_true "both were taken" 20 why_is signals/s is '^(idle|not in memory)$'
check "a finished run takes none" 1 'nothing of this actor waits' \
    "$plex" run signal signals/s go 3

"$plex" actor cast twice/p "{\"file\":\"$work/no/notes\"}" >/dev/null
until_true "an effect that goes on failing parks its run" 20 \
    why_is twice/p is parked
check "why: the command that resumes it" 0 \
    'plexspaces run resume default/default/twice/p' "$plex" why twice/p
check "with the reason" 0 'effect "first" failed for good: code 7: the file' \
    "$plex" why twice/p
mkdir "$work/no"
check "once it is mended the run is resumed" 0 accepted \
    "$plex" run resume twice/p
until_true "and goes on" 20 lines "$work/no/notes" "a b "

check "a run whose effect fails is accepted, and tries it again" 0 accepted \
    "$plex" actor cast tries/a \
    "{\"file\":\"$work/tries\",\"attempts\":1000,\"ms\":60000}"
until_true "why: when, and why not yet" 20 why_is tries/a waitsFor \
    '^another attempt of effect "vain" until [0-9]+ ms, after 1: code 9: in vain'
check "why: the command that ends it" 0 \
    'plexspaces run cancel default/default/tries/a' "$plex" why tries/a
check "it is cancelled at once" 0 accepted "$plex" run cancel tries/a
until_true "and ends" 20 why_is tries/a is '^(idle|not in memory)$'
check "after one attempt" 0 '^try$' cat "$work/tries"
"$plex" actor cast tries/b \
    "{\"file\":\"$work/tries.b\",\"attempts\":4,\"ms\":700}" >/dev/null
until_true "another one tries" 20 lines "$work/tries.b" "try try "
kill_worker
until_true "after kill -9 of all workers it is parked" 20 why_is tries/b is parked
check "when all attempts are used up, those before the kill among them" 0 \
    '^try try try try $' bash -c "tr '\n' ' ' <'$work/tries.b'"
until_true "its journal is exported" 20 "$plex" actor export tries/b "$work/b.bin"
check "and each stretch runs again as it ran" 0 ' 0 differ, 0 skipped' "$plex" replay \
    "$work/b.bin" --module "$work/modules/flows.so"
until_true "who resumes it" 20 "$plex" run resume tries/b
until_true "has all attempts anew" 20 lines "$work/tries.b" \
    "try try try try try try try try "
until_true "until they are used up" 20 why_is tries/b is parked

"$plex" actor cast tells/t "{\"file\":\"$work/t\"}" >/dev/null
until_true "a run sends a message and waits" 20 lines "$work/t.1" "a b "
kill_worker
until_true "after kill -9 it waits as before" 20 why_is tells/t waitsFor '^signal go'
check "its signal comes" 0 accepted "$plex" run signal tells/t go 1
until_true "it sends another one" 20 lines "$work/t.2" "a b "
until_true "and has an effect" 20 lines "$work/t" "told "
kill_worker
until_true "after kill -9 it waits again" 20 why_is tells/t waitsFor '^signal go'
check "the signal comes" 0 accepted "$plex" run signal tells/t go 1
until_true "and it ends" 20 why_is tells/t is '^(idle|not in memory)$'
check "each message was sent once, the effect had once" 0 '^a b a b told $' \
    bash -c "sleep 0.3; cat '$work/t.1' '$work/t.2' '$work/t' | tr '\n' ' '"
message=$("$plex" actor cast twice/c "{\"file\":\"$work/c\",\"ms\":60000}" |
    grep -oE '[0-9A-Z]{26}')
until_true "a run that sleeps long" 20 why_is twice/c waitsFor '^sleep'
check "why: the message waits for its run" 0 'run of default/default/twice/c' \
    "$plex" why "$message"
check "no run in memory waits without a reason" 0 '^0$' bash -c "
    for daemon in \$('$plex' node list | tail -n +2 | cut -d' ' -f1); do
        '$plex' metrics \$daemon; done 2>/dev/null |
        awk '/^plexspaces_worker_runs_unexplained/ {n++; sum += \$NF}
            END {print n == 2 ? sum : \"no worker said so\"}'"
check "can be cancelled" 0 accepted "$plex" run cancel twice/c
until_true "and ends" 20 why_is twice/c is '^(idle|not in memory)$'
check "why: the message is answered" 0 'it is answered' "$plex" why "$message"
check "why: an id that nothing has" 1 'an actor is TYPE/KEY' "$plex" why nobody
check "without the rest" 0 '^a$' cat "$work/c"

"$plex" actor call epochs/e "{\"file\":\"$work/e\",\"left\":3}" \
    >"$work/e.reply" 2>&1 &
caller=$!
until_true "a run that will begin anew waits" 20 lines "$work/e" "3 "
check "two signals come at once" 0 accepted "$plex" run signal epochs/e next 10
check "the second is kept" 0 accepted "$plex" run signal epochs/e next 20
until_true "it has begun anew twice" 20 lines "$work/e" "3 2 1 "
kill_worker
until_true "after kill -9 it waits in its third round" 20 \
    why_is epochs/e waitsFor '^signal next'
check "nothing was carried out again" 0 '^3 2 1 $' \
    bash -c "tr '\n' ' ' <'$work/e'"
check "it goes on" 0 accepted "$plex" run signal epochs/e next 30
until_true "to the last round" 20 lines "$work/e" "3 2 1 0 "
check "and ends" 0 accepted "$plex" run signal epochs/e next 40
wait $caller
check "who called at the start has the reply, over the state of all rounds" 0 \
    '"epochs":4,"sum":100' cat "$work/e.reply"

"$plex" actor cast twice/d "{\"file\":\"$work/d\",\"ms\":3000}" >/dev/null
until_true "a run is under way" 20 why_is twice/d waitsFor '^sleep'
cc -shared -fPIC -DNEWER -I sdk/c/include -o "$work/modules/flows.so" \
    tests/e2e/modules/flows.c
kill_worker
until_true "code that no longer fits its record parks it" 20 \
    why_is twice/d is parked
check "and both sides are named" 0 \
    'step 1 is recorded as sleep "sleep", and now the code asks for effect "between"' \
    "$plex" why twice/d
check "nothing was carried out" 0 '^a$' cat "$work/d"
cc -shared -fPIC -DSHORTER -I sdk/c/include -o "$work/modules/flows.so" \
    tests/e2e/modules/flows.c
kill_worker
until_true "code that leaves out what is recorded parks it, too" 20 bash -c "
    '$plex' why twice/d | grep -q 'and now the code returns'"
cc -shared -fPIC -I sdk/c/include -o "$work/modules/flows.so" \
    tests/e2e/modules/flows.c
kill_worker
until_true "with the old code it is parked still" 20 why_is twice/d is parked
until_true "until it is resumed" 20 "$plex" run resume twice/d
until_true "then it goes on where it was" 20 lines "$work/d" "a b "
check_end
