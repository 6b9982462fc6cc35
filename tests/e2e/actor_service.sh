#!/bin/bash
# ActorService as its users know it: actor_service.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
e2e_module postbox

# api VERB PATH [JSON]: the status behind the answer
api()
{
    curl -sS -m 20 -X "$1" -w ' %{http_code}' \
        ${3:+-H 'Content-Type: application/json' --data "$3"} \
        "$suite_url/api/v1/$2" | tr -d '\n'
}
lone() { "$plex" actor spawn clerk "$1" --node "worker-$2" >/dev/null; }
send() { api POST "actors/$1/messages" "$2"; } # send RECEIVER JSON
last_is() # last_is RECEIVER REGEX
{
    send "$1" '{"message":{"json":{"action":"last"}},"wait_for_response":true}' |
        grep -qE "$2"
}

suite_start "$work/data" --workers 2 --modules "$work/modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/postbox.yaml
until_true "its processes run" 20 "$plex" actor inspect far

# -- messages -------------------------------------------------------------------
for who in box%2Fann kept%2Fann clerk@worker-1 far@worker-2; do
    check "$who answers a message that is waited for" 0 \
        '"response":\{"status":200,.*"kind":1,"type":"greet","sender":"me","colour":"red".*"len":7.*200$' \
        send "$who" '{"message":{"message_type":"greet","sender_id":"me",
            "headers":{"x-colour":"red"},"json":{"a":1}},"wait_for_response":true}'
    check "an answer of $who keeps its status, type and headers" 0 \
        '"status":404,"contentType":"text/plain","payload":"bm90aGluZw==","headers":\{"[Xx]-[Ww]hy":"because"\}.* 200$' \
        send "$who" '{"message":{"json":{"action":"text"}},"wait_for_response":true}'
    check "a failure of $who is one" 0 'asked to fail.*ACTOR_FAILED.* 500$' \
        send "$who" '{"message":{"json":{"action":"fail"}},"wait_for_response":true}'
    until_true "$who is back" 10 last_is "$who" '"status":200'
    check "$who is told something" 0 '^\{"messageId":"m-1"\} 202$' \
        send "$who" '{"message":{"id":"m-1","payload":"AAEC","uri_path":"/x",
            "uri_method":"PUT"}}'
    until_true "and has it" 10 last_is "$who" \
        '"kind":2,.*"method":"PUT","path":"/x","content":"application/octet-stream","len":3'
    check "$who gets an info" 0 ' 202$' \
        send "$who" '{"message":{"message_type":"info","json":null}}'
    until_true "as one" 10 last_is "$who" '"kind":3,"type":"info".*"len":4'
done
check "a path of child ids names a process" 0 '"kind":1' api POST \
    processes/post%2Fclerk/messages \
    '{"message":{"json":{}},"wait_for_response":true}'
check "so does a name alone" 0 '"priority":2.* 200$' api POST \
    processes/clerk/messages \
    '{"message":{"json":{},"priority":60},"wait_for_response":true}'
count() { send default%2Fkept%2Ftwice "$1"; }
same='{"message":{"idempotency_key":"once","json":{"n":1}},"wait_for_response":true}'
check "a message with a key" 0 ' 200$' count "$same"
check "is handled once" 0 'Idempotency-Replayed: true' curl -sS -i -m 10 \
    --data "$same" -H 'Content-Type: application/json' \
    "$suite_url/api/v1/actors/default%2Fkept%2Ftwice/messages"
check "another under that key is none" 0 'IDEMPOTENCY_KEY_REUSED.* 422$' count \
    '{"message":{"idempotency_key":"once","json":{"n":2}},"wait_for_response":true}'
check "who waits, waits for so long" 0 'DEADLINE_EXCEEDED.*"outcome_unknown":true.* 504$' \
    send clerk@worker-1 '{"message":{"json":{"action":"sleep"}},
        "wait_for_response":true,"timeout_ms":50}'

while IFS='|' read -r what who body code text; do
    check "$what" 0 "$text.* $code\$" send "$who" "$body"
done <<'END'
a message is needed|box%2Fann|{}|400|with a message
it has no unknown fields|box%2Fann|{"message":{"colour":1}}|400|colour
priority has an end|box%2Fann|{"message":{"priority":101}}|400|priority is at most 100
so has a life|box%2Fann|{"message":{"ttl_ms":86400001}}|400|ttl_ms is at most 86400000
and waiting|box%2Fann|{"message":{},"timeout_ms":3600001}|400|timeout_ms is at most 3600000
credentials are no headers of messages|box%2Fann|{"message":{"headers":{"authorization":"x"}}}|400|header .*authorization
nothing answers an info|box%2Fann|{"message":{"message_type":"info"},"wait_for_response":true}|400|nothing answers
bytes are base64|box%2Fann|{"message":{"payload":"?"}}|400|payload
bytes or JSON|box%2Fann|{"message":{"payload":"","json":1}}|400|not both
two receivers are one too many|box%2Fann|{"message":{"receiver_id":"box/bob"}}|400|names
the tenant is the caller's|other%2Fdefault%2Fbox%2Fann|{"message":{}}|403|TENANT_FORBIDDEN
no such type|nobody%2Fann|{"message":{}}|404|ACTOR_TYPE_NOT_FOUND
no such process|nobody@worker-1|{"message":{}}|404|PROCESS_NOT_FOUND
no such worker|clerk@worker-9|{"message":{}}|404|PROCESS_NOT_FOUND
END
check "a name that nobody has" 0 'PROCESS_NOT_FOUND.* 404$' api POST \
    processes/nobody/messages '{"message":{}}'

# -- made by request ------------------------------------------------------------
spawn() { api POST actors/spawn "$1"; }
check "a process of a type is started" 0 \
    '"actorRef":"temp@worker-1","process":"<.*>","nodeId":"worker-1".* 200$' \
    spawn '{"actor_type":"clerk","actor_id":"temp"}'
check "it takes messages" 0 '"type":"hi".* 200$' send temp@worker-1 \
    '{"message":{"message_type":"hi"},"wait_for_response":true}'
check "under the root of its application" 0 'temp +temporary' \
    "$plex" supervisor which post
check "the name is taken then" 0 'EXISTS.* 409$' \
    spawn '{"actor_type":"clerk","actor_id":"temp"}'
check "one on another worker, under a name that is made" 0 \
    '"actorRef":"01[0-9A-Z]+@worker-2".*"nodeId":"worker-2".* 200$' \
    spawn '{"actor_type":"clerk","node_id":"worker-2"}'
check "one where its supervisor is told to place it" 0 ' 200$' spawn \
    '{"actor_type":"clerk","actor_id":"placed","placement":{"cpu_cores":0.1}}'
check "one that is to be restarted" 0 ' 200$' spawn \
    '{"actor_type":"clerk","actor_id":"firm","restart":"permanent"}'
old=$(ref_of firm)
"$plex" actor exit firm --reason crash >/dev/null
until_true "is" 10 moved firm "$old"
"$plex" actor exit temp --reason crash >/dev/null
until_true "another is not, and is forgotten" 10 bash -c \
    "! '$plex' supervisor which post | grep -q '^temp '"
check "a supervisor is named" 0 'not a supervisor.* 404$' \
    spawn '{"actor_type":"clerk","supervisor":"clerk"}'
check "which is there" 0 'PROCESS_NOT_FOUND.* 404$' \
    spawn '{"actor_type":"clerk","supervisor":"nobody"}'
create() { api POST actors "$1"; }
check "a virtual actor is created" 0 \
    '"actorId":"default/default/box/new","state":"ACTOR_STATE_ACTIVE".*"actorRef":"default/default/box/new".* 200$' \
    create '{"actor_type":"box","actor_id":"new"}'
check "with a state" 0 'ACTOR_STATE_ACTIVE.* 200$' create \
    '{"actor_type":"kept","actor_id":"new","initial_state_text":"hello"}'
check "which it has" 0 '"stateText":"hello"' \
    api GET actors/default%2Fdefault%2Fkept%2Fnew/at
check "and keeps" 0 'EXISTS.* 409$' create \
    '{"actor_type":"kept","actor_id":"new","initial_state_text":"bye"}'
check "a process, too" 0 '"actorRef":"made@worker-1".* 200$' \
    create '{"actor_type":"clerk","actor_id":"made"}'
check "the command sends" 0 '"type": *"x"' "$plex" actor send far \
    '{"a":1}' --wait --type x
check "without waiting" 0 '"messageId": *"m-2"' "$plex" actor send kept/ann \
    --id m-2
check "the command spawns" 0 '^ben@worker-2$' "$plex" actor spawn clerk ben \
    --node worker-2
check "and creates" 0 '^default/default/kept/ben$' "$plex" actor create kept \
    ben --state hello
while IFS='|' read -r what how body code text; do
    check "$what" 0 "$text.* $code\$" "$how" "$body"
done <<'END'
what is not durable is given no state|create|{"actor_type":"box","actor_id":"a","initial_state_text":"x"}|409|not durable
nor is a process|create|{"actor_type":"clerk","initial_state_text":"x"}|400|of args
virtual actors are not spawned|spawn|{"actor_type":"box","actor_id":"a"}|409|virtual
nor what is not deployed|spawn|{"actor_type":"nothing"}|404|ACTOR_TYPE_NOT_FOUND
names are plain|spawn|{"actor_type":"clerk","actor_id":"a@b"}|400|actor_id
restarts have their words|spawn|{"actor_type":"clerk","restart":"often"}|400|restart
keys have their length|create|{"actor_type":"box","actor_id":"a/b"}|400|key
END

# -- how they are -------------------------------------------------------------------
goa() { api POST actors/get-or-activate "{\"actor_id\":\"default/default/box/$1\"}"; }
check "an actor is activated" 0 '"wasActivated":true,"actorRef":"default/default/box/goa".* 200$' goa goa
check "once" 0 '"wasActivated":false.* 200$' goa goa
times() # when it was activated and used, from now, and its idle timeout
{
    api GET "actors/default%2Fdefault%2Fbox%2F$1" | python3 -c '
import json, sys, time
actor = json.loads(sys.stdin.read().rsplit(" ", 1)[0])["actor"]
now = time.time() * 1000
print(*[-60000 < int(actor[field]) - now < 5000
        for field in ("lastActivatedMs", "lastAccessedMs")],
      actor["idleTimeoutMs"], actor["isActivating"], actor["mailboxLength"])'
}
check "it knows since when it is in memory, and when it was used" 0 \
    '^True True 300000 False 0$' times goa
check "actors of one state are listed" 0 'box/goa +active' \
    "$plex" actor list --type box --state active
check "of another one, and of another worker" 0 '^0 0$' bash -c \
    "echo \$('$plex' actor list --state activating --output json | grep -c box) \
        \$('$plex' actor list --node worker-9 --output json | grep -c box)"
check "states have their names" 1 'state' "$plex" actor list --state asleep
check "a process is healthy" 0 '"health":"healthy"' api GET processes/far
# -- deleting ------------------------------------------------------------------------
lone gone 1
check "a process is deleted" 0 '^\{\} 200$' api DELETE actors/gone@worker-1
no_gone() { ! "$plex" actor inspect gone; }
until_true "and ends" 10 no_gone
check "once" 0 'PROCESS_NOT_FOUND.* 404$' api DELETE actors/gone@worker-1
check "an actor that is not durable leaves memory" 0 '^\{\} 200$' api DELETE \
    actors/default%2Fdefault%2Fbox%2Fgoa
left() { "$plex" actor exists box/goa; [ $? = 1 ]; }
until_true "and is not there any more" 10 left
check "one that is durable has no state any more" 0 '"state":"".* 200$' \
    api DELETE actors/default%2Fdefault%2Fkept%2Fann

# -- links and monitors -----------------------------------------------------------
links_of() { "$plex" actor inspect "$1" | awk '$1 == "links" { print $2 }'; }
has_links() { [ "$(links_of "$1")" = "$2" ]; }
lone eve 1
lone sam 2
check "two processes on two workers are linked" 0 '^\{\} 200$' api POST \
    actors/eve@worker-1/links '{"linked_actor_id":"sam@worker-2"}'
until_true "one has a link more than to its supervisor" 10 has_links eve 2
until_true "so has the other" 10 has_links sam 2
check "and unlinked" 0 ' 200$' api DELETE \
    actors/eve@worker-1/links/sam@worker-2
until_true "one has a link less" 10 has_links eve 1
until_true "so has the other then" 10 has_links sam 1
"$plex" actor link eve sam
eve=$(ref_of eve)
sam=$(ref_of sam)
watch() # watch PROCESS MS
{
    local process=${1//</%3C}
    api GET "processes/${process//>/%3E}/monitor?wait_ms=$2"
}
check "a process that lives is waited for" 0 "\"process\":\"$sam\",\"down\":false.* 200\$" \
    watch sam 10
ends_both() # which who watches hears, if it has begun to by then
{
    local watching
    if ! "$plex" actor inspect eve >/dev/null 2>&1; then
        lone eve 1
        lone sam 2
        "$plex" actor link eve sam
    fi
    eve=$(ref_of eve)
    watch "$(ref_of sam)" 20000 >"$work/down" &
    watching=$!
    "$plex" actor exit eve --reason crash
    wait "$watching"
    cat "$work/down"
    grep -q '"down":true,"reason":"crash"' "$work/down"
}
until_true "the end of one is the end of the other" 20 ends_both
check "how it ended is known afterwards" 0 '"down":true,"reason":"crash".* 200$' \
    watch "$eve" 0
lone ada 1
"$plex" actor monitor "$(ref_of ada)" >"$work/down" &
watching=$!
check "the command unlinks nobody" 1 'PROCESS_NOT_FOUND' \
    "$plex" actor unlink ada nobody
"$plex" actor exit ada --reason shutdown >"$work/out"
wait "$watching"
check "the command tells the end" 0 '^shutdown$' cat "$work/down"
check "who is not there is linked to nobody" 0 'PROCESS_NOT_FOUND.* 404$' api \
    POST actors/far@worker-2/links '{"linked_actor_id":"nobody"}'
check "nor is one to itself" 0 'both names are.* 400$' api \
    POST actors/far@worker-2/links '{"linked_actor_id":"far"}'
check "waiting has an end" 0 'wait_ms is at most.* 400$' watch far 30001

# -- statistics of supervisors ------------------------------------------------------
for reason in out-of-eggs out-of-eggs crash; do
    old=$(ref_of firm)
    "$plex" actor exit firm --reason "$reason" >"$work/out"
    until_true "firm is another one after $reason" 10 moved firm "$old"
done
stats() { api GET "supervisors/post:stats?history_limit=2"; }
stats_say() { stats | grep -qE '"out-of-eggs":"2"'; }
until_true "failures are counted by their reason" 10 stats_say
check "restarts have their history" 0 \
    '"restartHistory":\[\{"wallMs":"[0-9]+","child":"firm","count":"[0-9]+"\},\{[^}]*"child":"firm"[^}]*\}\]' \
    stats
check "who is no supervisor has none" 0 'not a supervisor.* 404$' \
    api GET supervisors/far:stats
check "history has an end" 0 'history_limit is 10001.* 400$' \
    api GET 'supervisors/post:stats?history_limit=10001'
check "the command tells them" 0 'out-of-eggs +2' "$plex" supervisor stats post

# -- events -----------------------------------------------------------------------
count_events() { "$plex" events --output json "$@" | wc -l; }
told() { [ "$(count_events "$@")" -gt 0 ]; }
until_true "failures are told from other ends" 10 told --type failed \
    --actor-pattern '^(eve|sam)$'
check "with all tags" 0 '^0$' count_events --type failed \
    --tags namespace=default,behaviour=box
check "of workers that match" 0 '^0$' count_events --node-pattern '^worker-[3-9]$'
check "what is no expression is refused" 1 'no regular expression' \
    "$plex" events --actor-pattern '('
check "nor are there others events" 1 'no events of type "ended"' \
    "$plex" events --type ended
curl -sN -m 20 "$suite_url/api/v1/events/stream?type=started&actor_id_pattern=^stream&buffer_size=1&drop_policy=drop_oldest" >"$work/stream" &
e2e_also $!
streaming() { lone "stream-$RANDOM" 1 && grep -q '^event: started' "$work/stream"; }
until_true "a stream tells what matches" 15 streaming
check "and has a policy of its own" 0 'drop_policy is.* 400$' \
    api GET 'events/stream?drop_policy=forget'
check "and a size" 0 'buffer_size must be.* 400$' \
    api GET 'events/stream?buffer_size=100001'
e2e_alone

suite_stop
check "the suite has stopped" 0 '^0$' echo $?
check_end
