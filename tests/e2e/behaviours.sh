#!/bin/bash
# The examples of behaviours, in one suite: behaviours.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
deploy() { check "$1 is deployed" 0 '' "$plex" application deploy "examples/$1/app.yaml"; }

suite_start "$work/data" || exit 1
export PLEXSPACES_SERVER=$suite_url

# -- ping-pong ------------------------------------------------------------------
deploy ping_pong
until_true "ping and pong are there" 20 says ping '{"rounds":1}' '"rounds":1'
check "they play 20,000 rounds" 0 '"rounds":20000,"us":[0-9]' \
    ask ping '{"rounds":20000}'
check "a wrong number of rounds is refused" 0 'rounds is a number' \
    ask ping '{"rounds":0}'

# -- a tree of supervision ------------------------------------------------------
e2e_events
deploy supervision_tree
until_true "the shop is open" 20 says records '{}' '"count":0'
until_true "its events are told" 10 seen '"child":"cleaner"'
check "the till counts" 0 '"count":3' ask till '{"action":"add","n":3}'
check "the books count" 0 '"count":2' ask books '{"action":"add","n":2}'
records=$(ref_of records) till=$(ref_of till)
ask books '{"action":"crash"}' >"$work/crash"
until_true "one_for_all: the records go with the books" 10 moved records "$records"
until_true "they begin anew" 10 says books '{}' '"count":0'
check "but the till did not notice" 0 "$till" "$plex" actor inspect till
check "and knows what it counted" 0 '"count":3' ask till '{}'
records=$(ref_of records)
check "the till gets a signal" 0 'sent' "$plex" actor exit till --reason crash
until_true "rest_for_one: the shelves go with the till" 10 moved records "$records"
until_true "the till begins anew" 10 says till '{}' '"count":0'
until_true "the cleaner ended normally and stays away" 10 \
    grep -q 'cleaner.*stopped.*normal\|"child":"cleaner".*"reason":"normal"' "$work/events"
for i in 1 2 3; do
    old=$(ref_of books)
    "$plex" actor exit books --reason crash >"$work/exit" 2>&1
    until_true "crash $i of the books: they come back" 10 moved books "$old"
done
until_true "three in ten seconds are too many: the shelves gave up" 10 \
    seen '"type":"gave_up"'
until_true "and the shop started them anew" 10 says records '{}' '"count":0'

# -- timers -----------------------------------------------------------------------
deploy timers
until_true "the clock is there" 20 says clock '{}' '"ticks":0'
check "it starts" 0 '"ms":10' ask clock '{"action":"start","ms":10}'
until_true "it ticks" 10 says clock '{}' '"ticks":[1-9][0-9]'
ask clock '{"action":"stop"}' >"$work/stopped"
check "stopped, it does not tick any more" 0 "$(cat "$work/stopped")" \
    ask clock '{}'
until_true "the light becomes green" 10 says light '{}' '"state":"green"'
until_true "and yellow" 10 says light '{}' '"state":"yellow"'
until_true "and red" 10 says light '{}' '"state":"red"'

# -- process groups -----------------------------------------------------------------
deploy process_groups
until_true "the editor is there" 20 says editor '{"topic":"none","text":"x"}' '"readers":0'
check "news have two readers" 0 '"readers":2' \
    ask editor '{"topic":"news","text":"rain"}'
check "sport has two" 0 '"readers":2' \
    ask editor '{"topic":"sport","text":"one to nil"}'
until_true "who reads both reads both" 10 says reader2 '{}' '\["rain","one to nil"\]'
check "who reads one reads one" 0 '\["one to nil"\]' ask reader3 '{}'
check "the archivist saw two join" 0 '"joined":2,"left":0' ask archivist '{}'
check "a reader is killed" 0 'sent' "$plex" actor exit reader1 --reason kill
until_true "it left, and came back" 10 says archivist '{}' '"joined":3,"left":1'
until_true "news have two readers again" 10 \
    says editor '{"topic":"news","text":"sun"}' '"readers":2'
table() { PLEXSPACES_OUTPUT=table "$plex" process-group "$@"; }
check "groups are listed" 0 '^news +2$' table list
check "from a prefix on" 0 '^sport +2$' table list sp
check "a member is named" 0 'worker.* reader3 +1$' table members sport
check "a process can be made to join" 0 'joined +2$' table join sport reader3
check "twice in it is one member" 0 'reader3 +2$' table members sport
check "who publishes hears how many get it" 0 '^worker[-0-9]* +2 +0$' \
    table publish sport 'two to nil'
until_true "they get it, once" 10 \
    says reader3 '{}' '\["one to nil","two to nil"\]'
check "it has to leave as often" 0 'joined +1$' table leave sport reader3
check "which it is then" 0 'joined +0$' table leave sport reader3
check "who is not in it cannot leave" 1 'not in group "sport"' \
    table leave sport reader3
check "who does not run cannot join" 1 'no worker has a process "nobody"' \
    table join sport nobody
check "a group needs a name" 1 'INVALID|must have 1 to 255' \
    table join "$(printf 'g%.0s' {1..256})" reader3
check "nobody hears nothing" 0 '^NODE' table publish chess 'e2 e4'
check "groups are of a namespace" 0 '^GROUP +MEMBERS$' \
    table list --namespace other

# -- dining philosophers ---------------------------------------------------------------
all_ate() # all_ate N: everyone has had that many meals
{
    ask table '{}' | python3 -c 'import json, sys
sys.exit(min(json.load(sys.stdin)["meals"]) < int(sys.argv[1]))' "$1"
}
deploy dining_philosophers
until_true "everyone eats" 20 all_ate 5
for i in 0 2 4; do
    check "philosopher $i crashes" 0 'sent' \
        "$plex" actor exit "philosopher$i" --reason crash
done
meals=$(ask table '{}' | tr -dc '0-9,' | tr , '\n' | sort -n | tail -1)
until_true "no fork stays taken: everyone goes on eating" 20 all_ate $((meals + 5))
check_end
