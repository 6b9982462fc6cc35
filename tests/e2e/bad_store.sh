#!/bin/bash
# Stores that are full, gone or corrupt: bad_store.sh BUILD
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
. tests/lib/suite.sh
. tests/lib/check.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-e2e.XXXXXX") || exit 1
finish()
{
    suite_stop
    [ -z "${PLEX_TEST_PG_DIR:-}" ] || scripts/test-postgres.sh stop
    rm -rf "$work"
}
trap finish EXIT
plex=$bin/plexspaces

call() # NAME -> prints STATUS BODY
{
    curl -s -m 10 -w '\n%{http_code}' -H 'Content-Type: application/json' \
        -H 'X-Request-Deadline-Ms: 1000' -d '{"action":"increment"}' \
        "$suite_url/api/v1/actors/default/default/counter/$1?invocation=call"
}

until_call() # SENTENCE PATTERN: within 15 s
{
    local end=$((SECONDS + 15)) out
    while [ $SECONDS -lt $end ]; do
        out=$(call a | tr '\n' ' ')
        if grep -qE -e "$2" <<<"$out"; then
            ok "$1"
            return
        fi
    done
    not_ok "$1" "$out"
}

# -- full ---------------------------------------------------------------------
PLEXSPACES_JOURNAL_PAGES_MAX=64 suite_start "$work/full" --processes || exit 1
suite_deploy examples/counter/app.yaml
fill() # until a call is refused
{
    local try
    for try in $(seq 1 100); do
        "$bin/plex-load" --url "$suite_url" --keys 500 --connections 16 \
            --requests 300 --duration 1 --settle-s 1 --timeout-ms 200 \
            >"$work/load.out" 2>&1
        call full >"$work/out"
        grep -q '"status":5' "$work/out" && break
    done
}
fill
check "a full store is answered 503 with its reason" 0 \
    '"status":503.*disk is full' cat "$work/out"
check "a full store says what to do in the log" 0 'full' \
    grep -i journal "$work/full/dev.log"
check "what needs no store goes on" 0 '^\{"count":1\}$' "$plex" actor call \
    counter-volatile/a '{"action":"increment"}' --server "$suite_url"
suite_stop
suite_start "$work/full" --processes || exit 1
until_call "with room again it goes on" '"count":[0-9]+. 200'
suite_stop

# -- corrupt ------------------------------------------------------------------
for service in journal registry placement tuplespace channel-broker; do
    head -c 65536 /dev/urandom >"$work/$service.db"
    check "a corrupt file of $service is named, code 100" 100 \
        "$work/$service.db.*(not a database|corrupt)" timeout 10 \
        "$bin/plex-$service" --store-dsn "sqlite:$work/$service.db" \
        --listen-url tcp://127.0.0.1:0 --admin-addr 127.0.0.1:0 \
        --registry-url tcp://127.0.0.1:1
    check "a folder that is not there is named, by $service" 111 \
        "$work/none/x.db" timeout 10 \
        "$bin/plex-$service" --store-dsn "sqlite:$work/none/x.db" \
        --listen-url tcp://127.0.0.1:0 --admin-addr 127.0.0.1:0 \
        --registry-url tcp://127.0.0.1:1
done

# -- gone ---------------------------------------------------------------------
if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    echo "SKIP: no Postgres installed, it cannot be stopped under a suite"
    check_end
    exit
fi
eval "$(scripts/test-postgres.sh start)"
suite_start "$work/pg" --processes --store "$PLEX_TEST_PG" || exit 1
suite_deploy examples/counter/app.yaml
before=$(cat "$work"/pg/run/*.pid | tr '\n' ' ')
"$bin/plex-load" --url "$suite_url" --connections 8 --keys 50 --duration 6 \
    --keyed --ledger --settle-s 20 --prefix pg >"$work/load.out" 2>&1 &
load=$!
until_call "the suite on Postgres answers" '"count":[0-9]+. 200'
scripts/test-postgres.sh pause || not_ok "Postgres is stopped"
until_call "with Postgres gone calls are answered 503 or 504" ' 50[34]$'
check "an actor nobody has called is refused as unavailable" 0 \
    '"status":50[34]' bash -c "$(declare -f call); suite_url=$suite_url call b"
scripts/test-postgres.sh resume || not_ok "Postgres is started again"
until_call "it goes on when Postgres is back" '"count":[0-9]+. 200'
scripts/test-postgres.sh freeze || not_ok "Postgres hangs"
until_call "a store that answers nothing keeps no caller waiting" ' 50[34]$'
scripts/test-postgres.sh thaw || not_ok "Postgres goes on"
until_call "it goes on when the store answers again" '"count":[0-9]+. 200'
if wait $load; then
    ok "every acknowledged call is there exactly once"
else
    not_ok "every acknowledged call is there exactly once" \
        "$(cat "$work/load.out")"
fi
check "no daemon had to be started again" 0 "^$before\$" bash -c \
    "cat '$work'/pg/run/*.pid | tr '\\n' ' '"
check "the loss is logged" 0 'server closed|terminat|refused|connect' \
    grep -E '"level":"(warn|error)"' "$work/pg/dev.log"
check_end
