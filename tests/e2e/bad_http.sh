#!/bin/bash
# Bad input over HTTP against a real suite: bad_http.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh

suite_start "$work/data" --workers 2 || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/counter/app.yaml
"$plex" actor call counter/raw '{"action":"get"}' >/dev/null

for part in names routes headers keys garbage; do
    out=$(python3 tests/e2e/raw_http.py "$suite_url" $part)
    if [ $? -eq 0 ]; then
        ok "$part: $(grep -c '^ok' <<<"$out") checks over raw sockets"
    else
        not_ok "$part over raw sockets" "$out"
    fi
done

# 2100 actors over two workers: three pages, the first two of 1000.
suite_spread || exit 1 # actors that are not durable go when their shard moves
"$bin/plex-load" --url "$suite_url" --connections 32 --keys 2100 \
    --mode get --type counter-volatile --prefix many --requests 30000 \
    --duration 20 >"$work/load.out" 2>&1 ||
    not_ok "many actors are called" "$(cat "$work/load.out")"
"$plex" actor list --type counter-volatile --output json >"$work/list" 2>&1
check "a long list of actors is complete, in order and without doubles" 0 \
    '^2100 2100$' python3 -c 'import json, sys
ids = [a["actorId"] for a in json.load(open(sys.argv[1]))]
assert ids == sorted(ids)
print(len(ids), len(set(ids)))' "$work/list"
check "a page of 1000 is allowed" 0 '^1000 True$' bash -c \
    "curl -s '$suite_url/api/v1/actors?page_size=1000' | python3 -c 'import json, sys
answer = json.load(sys.stdin)
print(len(answer[\"actors\"]), answer[\"nextPageToken\"] != \"\")'"
check "the memory of each daemon is known" 0 '^[1-9]' bash -c \
    "$plex node list --output json | python3 -c 'import json, sys
print(min(int(node[\"residentBytes\"]) for node in json.load(sys.stdin)))'"
check "dev is still the process that was started" 0 '^$' \
    bash -c "kill -0 $suite_pid && echo"
check_end
