#!/bin/bash
# Processes and virtual actors: messages, calls, links, monitors and exits both
# ways, on one worker and between two: refs.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
mkdir "$work/modules"
cc -shared -fPIC -I sdk/c/include -o "$work/modules/party.so" \
    tests/e2e/modules/party.c || exit 1

tell() # ACTOR JSON
{
    curl -sS -m 5 -H 'Content-Type: application/json' --data "$2" \
        "$suite_url/api/v1/actors/default/default/$1?invocation=call"
}
log() { tell "$1" '{"do":"log"}'; }
has() { log "$1" | grep -qE "$2"; }
wrote() # SENTENCE WHO PATTERN
{
    until_true "$1" 20 has "$2" "$3"
}
active() { "$plex" actor exists "$1" --output json | grep -q '"active": *true'; }
asleep() { ! active "$1"; }

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
suite_spread || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/party.yaml
for name in one two frail; do
    until_true "process $name runs" 20 curl -fsS -m 5 \
        "$suite_url/api/v1/actors/default/default/$name?do=log"
done

# Two keys for each: chance puts them on both workers.
for to in box/a box/b safe/a; do
    for from in one two; do
        tell $from '{"do":"send","whom":"'$to'","text":"hello '$from'"}' >/dev/null
        wrote "plex_send of $from comes to $to as handle_info" $to \
            "^info 5 hello $from"
        tell $from '{"do":"cast","whom":"'$to'","text":"cast by '$from'"}' >/dev/null
        wrote "plex_cast_ref comes as handle_cast, with its tag" $to \
            "^cast 6 cast by $from"
        check "plex_ask gets the answer" 0 '"status":0,"answer":"pong"' \
            tell $from '{"do":"ask","whom":"'$to'","text":"hey"}'
        tell $from '{"do":"send","whom":"'$to'","text":"ping"}' >/dev/null
        wrote "it answers to who sent" $from '^info 8 pong to you'
    done
done

# Actors to processes, and to each other.
for from in box/c box/d; do
    tell $from '{"do":"send","whom":"two@worker-2","text":"from '$from'"}' >/dev/null
    wrote "an actor sends to a process" two "^info 5 from $from"
    check "and asks it" 0 '"status":0,"answer":"pong"' \
        tell $from '{"do":"ask","whom":"two@worker-2","text":"hey"}'
    tell $from '{"do":"callref","whom":"one@worker-1","text":"hey"}' >/dev/null
    wrote "the outcome of plex_call_ref is a turn: handle_reply" $from \
        '^reply 9 status 0 pong'
    tell $from '{"do":"later"}' >/dev/null
    wrote "so is a timer of plex_send_after" $from '^timer 77'
    check "actors ask each other" 0 '"status":0,"answer":"pong"' \
        tell $from '{"do":"ask","whom":"box/other","text":"hey"}'
done
check "plex_ask in a durable turn is refused" 0 '"status":-19' \
    tell safe/a '{"do":"ask","whom":"one@worker-1","text":"hey"}'
check "so is a request to a supervisor" 0 '"status":-19' \
    tell safe/a '{"do":"sup_count","whom":"party@worker-1"}'
check "which other actors may make" 0 '"status":0,"active":3' \
    tell box/a '{"do":"sup_count","whom":"party@worker-1"}'
until_true "and the log says what to use" 20 \
    grep -rqE 'not recorded, so a replay .* use plex_call_wait' "$work/data"

# Calls in a circle, by plex_ask. The one that closes it fails, at once.
check "of two" 0 'calls in a circle: box/u -> box/v -> box/u, which waits' \
    timeout 3 curl -sS -H 'Content-Type: application/json' \
    --data '{"do":"circle","next":"box/v","then":"box/u"}' \
    "$suite_url/api/v1/actors/default/default/box/u?invocation=call"
check "of one" 0 'calls in a circle: box/w -> box/w, which waits' \
    timeout 3 curl -sS -H 'Content-Type: application/json' \
    --data '{"do":"circle","next":"box/w"}' \
    "$suite_url/api/v1/actors/default/default/box/w?invocation=call"
check "a chain that is none goes through" 0 '"end":true' \
    tell box/u '{"do":"circle","next":"box/v","then":"box/w"}'

# Monitors and links.
for key in m n; do
    tell one '{"do":"monitor","whom":"box/'$key'"}' >/dev/null
    until_true "monitoring an actor activates it" 20 active box/$key
    tell box/$key '{"do":"send","whom":"one@worker-1","text":"box/'$key' is up"}' >/dev/null
    wrote "it is there" one "box/$key is up"
    before=$(log one | grep -c '^down')
    "$plex" actor deactivate box/$key >/dev/null
    wrote "DOWN comes when it leaves memory: normal" one '^down normal'
done
tell one '{"do":"monitor","whom":"nobody/x"}' >/dev/null
wrote "an actor of an unknown type: DOWN noproc" one '^down noproc'

for key in p q; do
    tell box/$key '{"do":"monitor","whom":"frail@worker-1"}' >/dev/null
    tell frail '{"do":"send","whom":"box/'$key'","text":"link"}' >/dev/null
    wrote "it is asked for a link" box/$key '^info 5 link'
done
"$plex" actor exit frail --reason crash >/dev/null
for key in p q; do
    wrote "DOWN of a process is a turn of the actor" box/$key '^down crash'
    wrote "and so is EXIT, as it traps exits" box/$key '^exit crash'
done

tell frailbox/x '{"do":"log"}' >/dev/null
tell one '{"do":"link","whom":"frailbox/x"}' >/dev/null
tell one '{"do":"ask","whom":"frailbox/x"}' >/dev/null # the link is there
tell two '{"do":"exit","whom":"frailbox/x","text":"because"}' >/dev/null
wrote "an exit signal ends an activation that does not trap it; who is linked hears why" \
    one '^exit because'
until_true "it leaves memory" 20 asleep frailbox/x
tell two '{"do":"exit","whom":"box/a","text":"please"}' >/dev/null
wrote "one that traps it gets a message" box/a '^exit please'

# What happened, as events.
"$plex" events --type activated,deactivated --name-pattern 'box/m' \
    --output json >"$work/events"
check "the stream tells of activations" 0 '"type": *"activated"' \
    cat "$work/events"
check "and of their ends, with the reason" 0 '"reason": *"normal"' \
    grep '"deactivated"' "$work/events"
check_end
