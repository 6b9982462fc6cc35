#!/bin/bash
# Turns of real daemons, exported and run again with their code: replay.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh

module() # FOLDER [cc options...]
{
    local folder=$1
    shift
    mkdir -p "$work/$folder"
    cc -Werror -shared -fPIC -I sdk/c/include -o "$work/$folder/dice.so" "$@" \
        tests/e2e/modules/dice.c || exit 1
}
module modules
module loaded -DLOADED
module eager -DEAGER
module broken -DBROKEN


why() # PATTERN
{
    "$plex" why dice/t | grep -qE -e "$1"
}

suite_start "$work/data" --processes --modules "$work/modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/dice.yaml

for player in ada bob; do
    curl -sS -X POST -H "X-Player: $player" -H 'Authorization: Bearer secret' \
        -H 'Content-Type: application/json' -d '{"action":"roll"}' \
        "$suite_url/api/v1/actors/default/default/dice/t" >/dev/null
done
check "an effect is carried out" 0 '"noted":true' \
    "$plex" actor call dice/t "{\"action\":\"note\",\"file\":\"$work/notes\"}"
check "a turn may fail" 1 'no such game' \
    "$plex" actor call dice/t '{"action":"poker"}' --idempotency-key poker
"$plex" actor cast dice/t "{\"action\":\"tour\",\"file\":\"$work/notes\"}" \
    >/dev/null
until_true "a run waits" 20 why 'waits for.*signal go'
kill -9 "$(suite_daemon worker-1)"
until_true "also after its worker has died" 20 why 'waits for.*signal go'
"$plex" run signal dice/t go 7 >/dev/null
until_true "and ends" 20 why 'idle'
until_true "another roll" 20 "$plex" actor call dice/t '{"action":"roll"}'
check "all was done once" 0 '^3$' grep -c noted "$work/notes"

check "the past has what the turns got" 0 '"action": "poker"' \
    "$plex" actor history dice/t --output json
check "but nobody's credentials" 1 '' \
    grep -q secret <("$plex" actor history dice/t --output json)
logs() # how many turns have the whole log of a run
{
    "$plex" actor history dice/t --output json | python3 -c 'import json, sys
print(sum("run" in t["state"] for t in json.load(sys.stdin)
          if isinstance(t.get("state"), dict)))'
}
check "only the first stretch of a run writes its whole log" 0 '^1$' logs
check "the journal is exported" 0 '^9 turns' \
    "$plex" actor export dice/t "$work/t.bin"
suite_stop

replay() # FOLDER [options...]
{
    local folder=$1
    shift
    "$plex" replay "$work/t.bin" --module "$work/$folder/dice.so" \
        --server http://127.0.0.1:1 "$@"
}
check "the same code does the same in each turn" 0 \
    '^9 turns: 9 do the same, 0 differ, 0 skipped' replay modules
check "nothing was carried out again" 0 '^3$' grep -c noted "$work/notes"
check "the headers that the code looked at are there" 0 '"who": "bob"' \
    replay modules
check "code that throws other dice differs, and both sides are named" 1 \
    'differs: the reply: recorded .*"dice":\[[1-6],.*now .*"dice":\[7,7\]' \
    replay loaded
check "what it did not touch is the same" 1 '"verdict": "same"' \
    replay loaded --output json
check "code that asks for a timer more" 1 \
    'differs: command 2: recorded none, now set timer more' replay eager
check "code whose run goes another way" 1 \
    'differs: (step|command) .*recorded .*now ' replay eager
check "code that crashes in one turn goes on behind it" 1 \
    '^9 turns: 8 do the same, 1 differ' replay broken
check "and says so" 1 'run +crashes: the code ends the process' replay broken
steps()
{
    printf 'n\nn\np\nq\n' | replay loaded --step 2>/dev/null |
        grep -oE '^(turn [0-9]|  run +[a-z]+)' | tr -s ' ' | tr '\n' ';'
}
check "stepping forwards and backwards" 0 \
    '^turn 1; run differs;turn 2; run differs;turn 3; run same;turn 2; run differs;' \
    steps
check "no such module" 100 'No such file' replay none
check "not its behaviour" 100 'has no behaviour' \
    "$plex" replay "$work/t.bin" --module "$work/modules/dice.so" \
    --behaviour chess
check_end
