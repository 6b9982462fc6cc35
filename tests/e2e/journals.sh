#!/bin/bash
# Several journals on one Postgres, which die and hang: journals.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
if [ -z "${PLEX_TEST_PG:-}" ]; then
    echo "SKIP: no Postgres in PLEX_TEST_PG"
    exit 0
fi
dsn=$(scripts/test-postgres.sh newdb "journals_$$") || exit 1
suite_start "$work/data" --processes --workers 2 --journals 2 --store "$dsn" \
    --log-level info || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/counter/app.yaml
suite_deploy examples/bank/app.yaml

# journal NAME DSN: one that nobody starts again when it dies.
journal()
{
    "$bin/plex-journal" --node "$1" --store-dsn "$2" --admin-addr 127.0.0.1:0 \
        --listen-url "ipc://$work/$1.sock" --backup-folder "" \
        --registry-url "ipc://$suite_data/run/registry.sock" \
        --log-level error 2>>"$work/$1.log" &
    e2e_also $!
    pid=$!
}
node() { "$plex" node status "$1"; }                           # NAME
is() { node "$1" | grep -qE "$2"; }                         # NAME REGEX
shared_by() # the journals that both workers use now
{
    [ "$(grep '"worker.journals"' "$suite_data/dev.log" | tail -2 |
        grep -c "are now: $1\"")" = 2 ]
}
commits() # NAME: how many
{
    local addr
    addr=$(node "$1" | awk '$1 == "admin" { print $2 }')
    curl -fsS "http://$addr/metrics" |
        awk '$1 == "plexspaces_journal_commits_total" { print $2 }'
}
writes() # NAME; the load may be over on a slow machine
{
    local i
    for i in 1 2 3 4; do
        ask "counter/w$RANDOM" '{"action":"increment"}' >/dev/null
    done
    [ "$(commits "$1")" -gt 5 ]
}

until_true "the workers share two journals" 10 shared_by "journal-1, journal-2"
"$bin/plex-load" --url "$suite_url" --connections 16 --keys 200 --duration 4 \
    --keyed --ledger --settle-s 30 --prefix j >"$work/load.out" 2>&1 &
load=$!
journal journal-3 "$dsn"
until_true "a third joins under load" 10 \
    shared_by "journal-1, journal-2, journal-3"
for name in journal-1 journal-2 journal-3; do
    until_true "$name writes its part" 10 writes $name
done
kill -KILL $pid
wait $pid 2>/dev/null
until_true "it dies, and the others have its shards" 10 \
    shared_by "journal-1, journal-2"
stopped=$(suite_daemon journal-1)
kill -STOP "$stopped"
until_true "one that hangs has no shards any more" 10 shared_by "journal-2"
check "calls go on without it" 0 '"count":[0-9]+' "$plex" actor call \
    counter/alone '{"action":"increment"}'
kill -CONT "$stopped"
until_true "it has its part again when it goes on" 10 \
    shared_by "journal-1, journal-2"
if wait $load; then
    ok "every acknowledged call is there exactly once"
else
    not_ok "every acknowledged call is there exactly once" \
        "$(cat "$work/load.out")"
fi

# -- money, while journals die ---------------------------------------------------
export RUNS_VICTIMS="journal-1 journal-2"
check "no money is lost or made while journals die" 0 ' [1-9][0-9]* kills' \
    python3 tests/chaos/runs.py "$suite_url" "$suite_data/run" 600 0 7

# -- one with another store ------------------------------------------------------
journal a-journal "sqlite:$work/other.db"
until_true "a journal that keeps another store is not used" 10 \
    is a-journal 'journal-[12] is in use and does not share this store'
check "and the others are" 0 '"count":[0-9]+' "$plex" actor call \
    counter/alone '{"action":"increment"}'
kill $pid
wait $pid

# -- none ------------------------------------------------------------------------
both() # journals are running, and announced
{
    one=$(suite_daemon journal-1)
    two=$(suite_daemon journal-2)
    [ -n "$one" ] && [ -n "$two" ] && is journal-1 'status +ready' &&
        is journal-2 'status +ready'
}
until_true "both journals are there again" 10 both
kill -STOP "$one" "$two"
ask counter/stuck '{"action":"increment"}' >"$work/stuck" 2>&1 &
asking=$!
until_true "why names the journal that it waits for" 10 \
    bash -c "'$plex' why counter/stuck | grep -q 'waits for journal journal-'"
kill -CONT "$one" "$two"
wait $asking
check "then it goes on" 0 '"count":1\}' cat "$work/stuck"
check "the chains hold" 0 '' "$plex" journal verify
check "several journals want a store that can be shared" 100 \
    'several can share only' "$plex" dev --data "$work/none" --journals 2
check_end
