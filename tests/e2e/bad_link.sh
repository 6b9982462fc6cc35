#!/bin/bash
# Broken frames to every daemon of a suite under load: bad_link.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh

suite_start "$work/data" --processes --workers 2 || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/counter/app.yaml
before=$(cat "$work"/data/run/*.pid | tr "\n" " ")
urls=$("$plex" node list --output json | python3 -c 'import json, sys
print(*(node["url"] for node in json.load(sys.stdin)))')
check "every daemon tells its link" 0 '^8$' wc -w <<<"$urls"

"$bin/plex-load" --url "$suite_url" --connections 16 --keys 100 --duration 4 \
    --keyed --ledger --prefix link >"$work/load.out" 2>&1 &
load=$!
check "broken frames are sent to all" 0 'sent to .*worker-2' \
    python3 tests/e2e/raw_link.py $urls
check "and again while the load goes on" 0 'sent to .*worker-2' \
    python3 tests/e2e/raw_link.py $urls
if wait $load; then
    ok "every acknowledged call of the load is there exactly once"
else
    not_ok "every acknowledged call of the load is there exactly once" \
        "$(cat "$work/load.out")"
fi
check "no daemon died" 0 "^$before\$" bash -c \
    "cat '$work'/data/run/*.pid | tr '\\n' ' '"
check "no daemon stopped being ready" 0 '^health +healthy' \
    "$plex" health --wait-s 5
check "broken frames are logged" 0 "link-frame-bad.*frame dropped" grep frame-bad \
    "$work/data/dev.log"
check "the log is not flooded" 0 '^[0-9]{1,4}$' grep -c . "$work/data/dev.log"
check "a call is answered" 0 '"count":' \
    "$plex" actor call counter/a '{"action":"increment"}'
check_end
