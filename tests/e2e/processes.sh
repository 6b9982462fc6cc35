#!/bin/bash
# Supervision trees over two real workers: processes.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh

in_the_room() { ask alice '{"action":"who"}' | grep -q "in_the_room\":$1}"; }
# The types of alice's or bob's events so far, in order.
history_of()
{
    python3 - "$work/events" "$1" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    event = json.loads(line)
    if event["child"] == sys.argv[2]:
        print(event["type"], event["reason"] or "-", event["count"])
PY
}

suite_start "$work/data" --workers 2 --processes || exit 1
export PLEXSPACES_SERVER=$suite_url

# -- what may not be deployed ---------------------------------------------------
printf 'name: x\nversion: 1.0.0\nsupervisor:\n  children:\n    - {id: a, modul: m}\n' \
    >"$work/bad.yaml"
check "an unknown key of a child is named with its place" 100 \
    'bad.yaml:5:15: unknown key modul' "$plex" application deploy "$work/bad.yaml"
printf 'name: x\nversion: 1.0.0\nsupervisor:\n  children:\n    - {id: a, module: m}\n    - {id: a, module: m}\n' \
    >"$work/bad.yaml"
check "two children of one id are refused" 1 'two children with the id "a"' \
    "$plex" application deploy "$work/bad.yaml"
printf 'name: x\nversion: 1.0.0\nsupervisor: &s\n  children:\n    - {id: a, supervisor: *s}\n' \
    >"$work/bad.yaml"
check "a tree in itself is refused" 100 'nested too deeply' \
    "$plex" application deploy "$work/bad.yaml"

# -- a tree on two workers ------------------------------------------------------
check "the chat room is deployed" 0 'alice' \
    "$plex" application deploy examples/chat_room/app.yaml
until_true "its processes run" 20 in_the_room 2
check "the tree shows the child on the other worker" 0 \
    'bob  bob  idle  on worker-2' "$plex" actor tree
check "a child is found by its path" 0 'behaviour +supervisor' \
    "$plex" actor inspect chat/far
check "who is not there is not found" 1 'PROCESS_NOT_FOUND' \
    "$plex" actor inspect nobody
e2e_events
until_true "the events so far are told" 10 seen '"child":"bob"'

ask alice '{"action":"say","text":"hello"}' >"$work/said"
check "what is said is heard by both" 0 'heard_by":2' cat "$work/said"
check "also on the other worker" 0 'alice: hello' ask bob '{"action":"read"}'
check "a problem of the handler is its answer" 0 'action is say' \
    ask bob '{"action":"dance"}'

check "the counter is deployed" 0 'counter' \
    "$plex" application deploy examples/counter/app.yaml
check "a process asks a virtual actor" 0 '^\{"count":1\}$' \
    ask alice '{"action":"visit"}'
check "from another worker, too" 0 '^\{"count":2\}$' \
    ask bob '{"action":"visit"}'

# -- crashes ----------------------------------------------------------------------
old=$(ref_of alice)
check "a handler that fails is an answer" 0 '"code":"ACTOR_FAILED"' \
    ask alice '{"action":"crash"}'
until_true "and a crash: the process is another one" 10 moved alice "$old"
old=$(ref_of alice)
check "an exit signal is sent" 0 'sent "crash"' \
    "$plex" actor exit alice --reason crash
until_true "whom it hit is restarted" 10 moved alice "$old"
check "restarts are counted" 0 'alice +permanent +no +no +2' \
    "$plex" supervisor which chat
old=$(ref_of bob)
check "one on the other worker is killed" 0 'sent "kill"' \
    "$plex" actor exit bob --reason kill
until_true "and restarted there" 10 moved bob "$old"
until_true "its restart is told" 10 seen '"type":"restarted".*"name":"bob"'
history_of alice >"$work/alice"
check "events come in the order in which things happened" 0 \
    '^started - 0 stopped asked to crash 0 restarted - 1 stopped crash 0 restarted - 2 $' \
    bash -c "tr '\n' ' ' <'$work/alice'"
old=$(ref_of alice)
check "the exit signal normal" 0 'sent' "$plex" actor exit alice --reason normal
check "is ignored by who does not trap exits" 0 "$old" \
    "$plex" actor inspect alice

# -- operating a supervisor --------------------------------------------------------
check "children are counted" 0 'active +2' "$plex" supervisor count chat
check "a worker is no supervisor" 1 'not a supervisor' \
    "$plex" supervisor count alice
check "its plan is told" 0 'strategy +one_for_one' \
    "$plex" supervisor plan chat
check "it is changed while it runs" 0 'intensity +9' \
    "$plex" supervisor plan chat --strategy rest_for_one --intensity 9
check "and is what it says" 0 '"strategy": ?"rest_for_one"' \
    "$plex" supervisor plan chat --output json
check "the rest of it stays" 0 '"periodMs": ?5000' \
    "$plex" supervisor plan chat --output json
check "0 is a number, too" 0 'back-off from +0' \
    "$plex" supervisor plan chat --strategy one_for_one --backoff-initial-ms 0
check "a plan that makes no sense is refused" 1 'strategy "worst" is unknown' \
    "$plex" supervisor plan chat --strategy worst
check "so is what a supervisor cannot become" 1 'stays what it is' \
    "$plex" supervisor plan chat --strategy simple_one_for_one
check "and what is no number" 100 'not a number' \
    "$plex" supervisor plan chat --intensity many
check "an empty change is none" 0 'nothing to change' \
    curl -sS -m 30 -H 'Content-Type: application/json' --data '{}' \
    "$suite_url/api/v1/supervisors/chat:plan"
check "a running child is not deleted" 1 'CONFLICT' \
    "$plex" supervisor delete-child chat alice
check "a child is terminated" 0 'done' \
    "$plex" supervisor terminate-child chat alice
check "its type has no instance any more" 0 'NO_LIVE_INSTANCE' \
    ask alice '{"action":"who"}'
check "it is started again" 0 '^<' "$plex" supervisor restart-child chat alice
check "a child is added" 0 '^<' "$plex" supervisor start-child chat eve \
    chat_room --behaviour guest --name eve --args '{"nick":"eve"}'
until_true "and joins the others" 10 in_the_room 3
check "it is declared anew" 0 'done' "$plex" supervisor change-child chat eve \
    chat_room --behaviour guest --name eve --args '{"nick":"eve"}' \
    --restart temporary --shutdown 2s
check "which counts while its process runs" 0 'eve +temporary' \
    "$plex" supervisor which chat
check "and goes on" 0 'in_the_room":3' ask alice '{"action":"who"}'
check "one that is not there is not" 1 'NOT_FOUND' "$plex" supervisor \
    change-child chat nobody chat_room --behaviour guest
check "an id is not taken twice" 1 'EXISTS' "$plex" supervisor start-child \
    chat eve chat_room --behaviour guest --args '{"nick":"eve"}'
check "a child that does not start is not added" 1 'did not start' \
    "$plex" supervisor start-child chat mute chat_room --behaviour guest
check "the added one is terminated" 0 'done' \
    "$plex" supervisor terminate-child chat eve
check "and forgotten, as it is temporary now" 1 'NOT_FOUND' \
    "$plex" supervisor delete-child chat eve

# -- giving up ---------------------------------------------------------------------
for _ in 1 2 3 4; do
    old=$(ref_of bob)
    "$plex" actor exit bob --reason crash >"$work/out" 2>&1
    until_true "bob is another one" 10 moved bob "$old"
done
until_true "too many restarts: its supervisor gives up" 10 \
    seen '"type":"gave_up"'
until_true "and is restarted by the one above" 10 \
    seen '"type":"restarted".*"supervisor":"chat".*"child":"far"'
until_true "with its children" 10 in_the_room 2

# -- instances under a supervisor of another worker ---------------------------------
cat >"$work/away.yaml" <<'YAML'
name: away
version: 1.0.0
actor_types:
  - {name: carl, module: chat_room, behaviour: guest}
supervisor:
  children:
    - id: there
      node: worker-2
      supervisor:
        children:
          - {id: carl, type: carl, name: carl, args: {nick: carl}}
YAML
check "a supervisor on another worker than the root" 0 'carl' \
    "$plex" application deploy "$work/away.yaml"
carl_reads() { ask carl '{"action":"read"}' | grep -q '"nick":"carl"'; }
until_true "its instances get calls from outside" 10 carl_reads
check "it is the other worker that has them" 0 'node +worker-2' \
    "$plex" actor inspect carl
there=$("$plex" actor inspect carl --output json |
    python3 -c 'import json,sys; print(json.load(sys.stdin)["supervisor"])')
check "without instances there is none" 0 'done' \
    "$plex" supervisor terminate-child "$there" carl
check "on any worker" 0 'NO_LIVE_INSTANCE' ask carl '{"action":"read"}'
check "with one there is" 0 '^<' "$plex" supervisor restart-child "$there" carl
check "which answers at once" 0 '"nick":"carl"' ask carl '{"action":"read"}'
check "it is undeployed" 0 '' "$plex" application undeploy away

# -- names and streams ---------------------------------------------------------------
check "the same name on two workers" 0 '^<' "$plex" supervisor start-child \
    chat one chat_room --behaviour guest --name twin --args '{"nick":"one"}'
check "is taken by nobody on the other one" 0 '^<' "$plex" supervisor \
    start-child chat/far two chat_room --behaviour guest --name twin \
    --args '{"nick":"two"}' --node worker-2
twice() { "$plex" actor inspect twin 2>&1 | grep -q NAME_AMBIGUOUS; }
until_true "and has to be said with its worker" 10 twice
check "so it is found" 0 'node +worker-2' "$plex" actor inspect twin@worker-2
curl -sN --max-time 3 "$suite_url/api/v1/events/stream?type=stopped" \
    >"$work/stream" &
stream=$!
sleep 0.5 # for the stream to be there: what was before is not told
check "both are terminated" 0 'done' "$plex" supervisor terminate-child chat one
check "also the other one" 0 'done' \
    "$plex" supervisor terminate-child chat/far two
wait "$stream"
check "a stream of events tells it" 0 '^2$' grep -c '^event: stopped' \
    "$work/stream"

# -- the loss of a worker ----------------------------------------------------------
kill -9 "$(suite_daemon worker-2)"
until_true "children on a lost worker end with noconnection" 20 \
    seen '"type":"stopped".*"name":"bob".*"reason":"noconnection"'
until_true "they run again when it is back" 40 in_the_room 2
old=$(ref_of alice)
kill -9 "$(suite_daemon worker-1)"
until_true "the tree of a lost worker is run anew" 40 moved alice "$old"
until_true "with all its children" 40 in_the_room 2

# -- the loss of the registry ---------------------------------------------------------
gone() { ! "$plex" actor inspect chat; }
kill -STOP "$(suite_daemon registry)"
until_true "who cannot renew its lease stops its trees" 20 gone
kill -CONT "$(suite_daemon registry)"
until_true "and runs them again when it can" 20 in_the_room 2

# -- draining -------------------------------------------------------------------------
where_root() { "$plex" actor inspect chat | awk '$1 == "node" { print $2 }'; }
root=$(where_root)
other=worker-$((3 - ${root#worker-}))
curl -sS -X POST "$suite_url/api/v1/nodes/$root:drain" >"$work/out"
on_other() { [ "$(where_root)" = "$other" ] && in_the_room 2; }
until_true "a drained worker gives its trees away" 20 on_other

# -- the application --------------------------------------------------------------
check "the application is stopped" 0 'stopped' "$plex" application stop chat
until_true "its processes are stopped" 20 gone
until_true "in the reverse order of their start" 10 bash -c \
    "[[ \$('$plex' events --type stopped | awk '/reason: shutdown/ { print \$3 }' |
        tail -n 4 | tr '\n' ' ') == *'bob far alice '* ]]"
check "the application is started" 0 'running' "$plex" application start chat
until_true "its processes run again" 20 in_the_room 2
check "the application is undeployed" 0 '' "$plex" application undeploy chat
until_true "its processes are gone" 20 gone
e2e_alone
suite_stop
check "the suite has stopped" 0 '^0$' echo $?
check_end
