#!/bin/bash
# The past of actors from the command line: timetravel.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh
mkdir "$work/modules" "$work/new"
cp "$build"/modules/*.so "$work/modules/"


waits()
{
    "$plex" why "$1" | grep -q 'waits for.*promise'
}

# Module FROM of examples as new/approval.so, after a sed.
build_new() # SED
{
    sed "$1" examples/approval/approval.c >"$work/approval.c" &&
        cc -shared -fPIC -I sdk/c/include -o "$work/new/approval.so" \
            "$work/approval.c"
}

suite_start "$work/data" --modules "$work/modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/bank/app.yaml
suite_deploy examples/approval/app.yaml
for amount in 100 20 3; do
    "$plex" actor call account/alice \
        "{\"action\":\"deposit\",\"amount\":$amount}" >/dev/null
done
"$plex" actor cast expense/e1 '{"patience_ms":60000}' >/dev/null
until_true "an expense waits" 20 waits expense/e1

check "history has the replies of the turns" 0 '3 .*\{"balance":123\}' \
    "$plex" actor history account/alice
check "from a turn on, so many" 0 'more: --from 3' \
    "$plex" actor history account/alice --from 2 --limit 1
check "an actor that was never seen has no turns" 0 '^TURN' \
    "$plex" actor history account/nobody
check "the state after the first turn" 0 'after turn 1 of 3' \
    "$plex" actor at account/alice --sequence 1
check "is its own: 100 as 8 bytes" 0 '"base64": "ZAAAAAAAAAA="' \
    "$plex" actor at account/alice --sequence 1
check "the state now" 0 '"base64": "ewAAAAAAAAA="' \
    "$plex" actor at account/alice
check "a turn that is not there yet" 1 'NOT_FOUND' \
    "$plex" actor at account/alice --sequence 9
check "the state at a time before the first turn" 0 'null' \
    "$plex" actor at account/alice --time 2020-01-01T00:00:00Z
check "that is no time" 100 'must be ms since 1970' \
    "$plex" actor at account/alice --time yesterday
check "two turns differ" 0 '^\+ /base64: "ewAAAAAAAAA="' \
    "$plex" actor diff account/alice 1 3
check "a turn does not differ from itself" 0 'no difference' \
    "$plex" actor diff account/alice 2 2
check "a run that waits is shown as its steps" 0 '"kind": "promise"' \
    "$plex" actor at expense/e1
check "another tenant's actors are not shown" 1 'TENANT_FORBIDDEN' \
    "$plex" actor history other/default/account/alice
check "that is no name" 100 'is not of the form' "$plex" actor history alice
check "over HTTP too, also by the names of the original's services" 0 \
    '"replyText":"\{\\"balance\\":123\}"' curl -sS \
    "$suite_url/api/v1/journal/default%2Fdefault%2Faccount%2Falice/replay?from_sequence=3"
check "and the newest snapshot" 0 '"stateSequence":"3"' curl -sS \
    "$suite_url/api/v1/actors/default%2Fdefault%2Faccount%2Falice/snapshots/latest"

check "the chain holds, of one actor" 0 '^3 turns of 1 actors, 0 broken' \
    "$plex" journal verify account/alice
check "and of all" 0 '^[0-9]+ turns of [0-9]+ actors, 0 broken' \
    "$plex" journal verify

check "an actor is exported" 0 '^3 turns' \
    "$plex" actor export account/alice "$work/alice.bin"
check "not one that was never seen" 1 'has no turns' \
    "$plex" actor export account/nobody "$work/nobody.bin"
check "the file is gone through without a server" 0 'turn 2 of 3' \
    "$plex" replay "$work/alice.bin" --server http://127.0.0.1:1
steps()
{
    printf 'n\nn\nn\np\nx\n1\nq\n' | "$plex" replay "$work/alice.bin" --step \
        2>/dev/null | grep -oE '^(turn [0-9]|that is.*|n, p.*)' | tr '\n' ';'
}
check "forwards and backwards" 0 \
    '^turn 1;turn 2;turn 3;that is after the last turn;turn 2;n, p, a number or q;turn 1;$' \
    steps
check "as JSON" 0 '"balance": 120' \
    "$plex" replay "$work/alice.bin" --output json
head -c 300 "$work/alice.bin" >"$work/cut.bin"
check "a file that is cut off is refused" 1 'error: ' \
    "$plex" replay "$work/cut.bin"

build_new '' || not_ok "the example compiles" ""
check "the same code fits the run" 0 'expense/e1 +fits +promise' \
    "$plex" upgrade check --module "$work/new/approval.so"
build_new 's/promise = plex_start/(void)plex_durable_sleep(ctx, 5); promise = plex_start/'
check "code that asks for something else first does not" 1 \
    'diverges .*step 0 is recorded as promise' \
    "$plex" upgrade check --module "$work/new/approval.so"
build_new 's/promise = plex_start/__builtin_trap(); promise = plex_start/'
check "nor does code that crashes" 1 'diverges .*the new code crashes' \
    "$plex" upgrade check --module "$work/new/approval.so"
build_new 's/promise = plex_start/if (msg != NULL) return 0; promise = plex_start/'
check "nor does code that leaves out what is recorded" 1 \
    'diverges .*step 0 is recorded as promise .* and now the code returns' \
    "$plex" upgrade check --module "$work/new/approval.so"
check "a module that has no runs" 0 '^0 runs, 0 would diverge' \
    "$plex" upgrade check --module "$work/modules/bank.so"
check "no such module" 100 'No such file' \
    "$plex" upgrade check --module "$work/none.so"

check "a backup is made" 0 '^monday ' "$plex" backup create monday
check "and listed" 0 '^monday .*sqlite' "$plex" backup list
check "not over a journal with turns" 1 'CONFLICT' \
    "$plex" backup restore monday
check "one that is not there" 1 'error: ' "$plex" backup restore tuesday
suite_stop
mkdir "$work/data2"
cp -r "$work/data/backups" "$work/data2/"
suite_start "$work/data2" --modules "$work/modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
check "into an empty journal it is restored" 0 '^restored' \
    "$plex" backup restore monday
check "and the past is there" 0 '3 .*\{"balance":123\}' \
    "$plex" actor history account/alice
check_end
