#!/bin/bash
# Event streams: appended from outside, replayed by pages: streams.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
suite_start "$work/data" --processes || exit 1
export PLEXSPACES_SERVER=$suite_url
check "a namespace gets event streams" 0 'has event streams' \
    "$plex" journal enable

actor=$suite_url/api/v1/actors/default%2Fdefault%2Forder%2F17
journal=$suite_url/api/v1/journal
post() # URL JSON [curl options...]
{
    local url=$1 body=$2
    shift 2
    curl -sS -m 20 -H 'Content-Type: application/json' -d "$body" "$@" "$url"
}
replay() { curl -sS -m 20 "$journal/default%2Fdefault%2Forder%2F17/events/replay?$1"; }
# field FILTER: of the JSON on stdin, a Python expression over `r`
field() { python3 -c "import json, sys; r = json.load(sys.stdin); print($1)"; }

check "an event is appended" 0 '"first_sequence":1,"last_sequence":1' \
    post "$journal/events/append" '{"actor_id":"default/default/order/17",
        "event_type":"opened","data":{"by":"anna"},"expected_sequence":0}'
check "several are, together" 0 '"first_sequence":2,"last_sequence":3' \
    post "$actor/events" '{"expected_sequence":1,"events":[
        {"event_type":"item_added","data":{"sku":"a"},"event_id":"e1"},
        {"event_type":"item_added","data":{"sku":"b"},"metadata":{"x":1}}]}'
check "who expects another sequence is told which it is" 0 \
    '"status":409.*"SEQUENCE_CONFLICT".*last event is number 3, expected was 1' \
    post "$actor/events" '{"expected_sequence":1,"events":[
        {"event_type":"closed"}]}'
check "an append without one goes behind" 0 '"last_sequence":4' \
    post "$journal/append" '{"actor_id":"default/default/order/17",
        "entry":{"event_type":"paid"}}'
check "a batch is whole or not at all" 0 '"status":400.*event_type must be' \
    post "$journal/append-batch" '{"actor_id":"default/default/order/17",
        "entries":[{"event_type":"closed"},{"data":1}]}'
check "the same key appends once" 0 '"first_sequence":5,"last_sequence":5' \
    post "$actor/events" '{"events":[{"event_type":"sent"}]}' \
    -H 'Idempotency-Key: "k1"'
kill -9 "$(suite_daemon worker-1)" "$(suite_daemon journal)"
check "also when worker and journal died meanwhile" 0 \
    '"first_sequence":5,"last_sequence":5' post "$actor/events" \
    '{"events":[{"event_type":"sent"}]}' -H 'Idempotency-Key: "k1"' \
    --retry 40 --retry-all-errors --retry-delay 0 --retry-max-time 20 -f
check "what a message was is recorded" 0 '"last_sequence":6' \
    post "$actor/journal/messages/received" '{"message_id":"m1",
        "sender_id":"shop","payload":{"a":1}}'
check "and a promise that is resolved" 0 '"last_sequence":7' \
    post "$actor/journal/promises/p1/resolve" '{"result":true}'
check "all is replayed in order" 0 \
    "^opened item_added item_added paid sent message_received promise_resolved$" \
    bash -c "$(declare -f replay field); journal=$journal; replay '' |
    field '\" \".join(e[\"event_type\"] for e in r[\"events\"])'"
check "with what was said" 0 \
    '"data": ?\{"sku": ?"a"\}.*"event_id": ?"e1".*"metadata": ?\{"x": ?1\}' \
    replay ''
check "and what a record was of" 0 \
    '"data": ?\{"result": ?true, ?"promise_id": ?"p1"\}' replay from_sequence=7
pages() # all sequences, two at a time
{
    local token= page
    while :; do
        page=$(replay "page_size=2&from_sequence=2&page_token=$token")
        field '" ".join(str(e["sequence"]) for e in r["events"])' <<<"$page"
        token=$(field 'r.get("next_page_token", "")' <<<"$page")
        [ -n "$token" ] || return 0
    done
}
check "by pages, from a sequence on" 0 '^2 3 4 5 6 7$' \
    bash -c "$(declare -f replay field pages); journal=$journal
        echo \$(pages)"
check "a snapshot of the stream is kept" 0 '"snapshot_sequence":4' \
    post "$actor/snapshots" '{"sequence":4,"data":{"items":2}}'
check "none is of an event that is not there" 0 '"status":409' \
    post "$actor/snapshots" '{"sequence":40,"data":{}}'
check "the stream has both" 0 \
    '"sequence":7.*"snapshot_sequence":4,"snapshot":\{"items":2\}' \
    curl -sS "$actor/stream"
check "the next event goes behind" 0 '"first_sequence":8,"last_sequence":8' \
    post "$actor/events" '{"expected_sequence":7,"events":[
        {"event_type":"closed"}]}'
check "and leaves the snapshot" 0 '"sequence":8.*"snapshot":\{"items":2\}' \
    curl -sS "$actor/stream"
check "an unknown page is refused" 0 '"status":400' replay page_token=x
check "what is there is added up" 0 '^[0-9]+ turns of 1 actors, [0-9]+ bytes' \
    "$plex" journal stats event-stream/order.17
check "of the whole tenant, too" 0 '"turns": [0-9]+' \
    "$plex" journal stats --output json
check "turns whose ids are remembered stay when it is truncated" 0 \
    '^turns 1 to [0-9]+ are there' "$plex" journal truncate \
    event-stream/order.17 2
check "the newest turn stays" 1 'the newest turn stays' \
    "$plex" journal truncate event-stream/order.17 999
check "there is nothing of a stranger" 0 '"status":404' curl -sS -X DELETE \
    "$journal/default%2Fdefault%2Forder%2F99/truncate?sequence=1"
check "the chain of the stream holds" 0 '' "$plex" journal verify \
    event-stream/order.17

# -- somebody changes the database ----------------------------------------------
suite_stop
check "an event is changed behind the journal's back" 0 '' python3 -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
turn = db.execute("SELECT t.id, t.record FROM journal_turn t JOIN journal_actor"
                  " a ON a.id = t.actor WHERE a.name LIKE ? ORDER BY t.id"
                  " LIMIT 1 OFFSET 1", ("%/event-stream/%",)).fetchone()
db.execute("UPDATE journal_turn SET record = ? WHERE id = ?",
           (turn[1].replace(b"sku", b"SKU"), turn[0]))
db.commit()' "$work/data/journal.db"
suite_start "$work/data" --processes || exit 1
export PLEXSPACES_SERVER=$suite_url
check "the chain tells which one" 1 \
    'broken: .*event-stream/order.17, turn 2: .*checksum' "$plex" journal verify
check_end
