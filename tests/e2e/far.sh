#!/bin/bash
# What processes do with those of another worker by name: ask its supervisors,
# link and monitor, also when it is killed: far.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
e2e_module party

# do_it WHO WHAT WHOM [ID [TEXT [NODE]]]
do_it()
{
    ask "$1" "{\"do\":\"$2\",\"whom\":\"$3\",\"id\":\"${4:-}\",\"text\":\"${5:-}\",\"node\":\"${6:-}\"}"
}
children() { do_it near sup_which off@worker-2 | grep -qE "\"$1\""; }
wrote() # wrote SENTENCE WHO PATTERN
{
    until_true "$1" 20 bash -c "curl -sS -m 5 --data '{\"do\":\"log\"}' \
        '$suite_url/api/v1/actors/default/default/$2?invocation=call' |
        grep -qE '$3'"
}

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/far.yaml
until_true "the tree runs on both workers" 20 children kid:yes
until_true "one process there" 20 says there '{"do":"circle"}' end

# -- requests to a supervisor on the other worker ---------------------------------
check "children are counted" 0 '"status":0,"active":1' \
    do_it near sup_count off@worker-2
check "one is started, of a behaviour of this module" 0 \
    '"status":0.*"ref":"<' do_it near sup_start off@worker-2 new
check "it is listed" 0 '"children":"kid:yes new:yes"' \
    do_it near sup_which off@worker-2
check "it runs there" 0 'node +worker-2' "$plex" actor inspect new
check "and answers" 0 '"status":0,"answer":"pong"' \
    do_it near ask new@worker-2 '' hey
check "its id is taken" 0 '"status":-3' do_it near sup_start off@worker-2 new
check "a running child is not deleted" 0 '"status":-4' \
    do_it near sup_delete off@worker-2 new
check "it is terminated" 0 '"status":0' do_it near sup_stop off@worker-2 new
check "and does not run" 0 '"children":"kid:yes new:no"' \
    do_it near sup_which off@worker-2
check "it is started again" 0 '"status":0.*"ref":"<' \
    do_it near sup_again off@worker-2 new
check "terminated" 0 '"status":0' do_it near sup_stop off@worker-2 new
check "and deleted" 0 '"status":0' do_it near sup_delete off@worker-2 new
check "who is not there is not found" 0 '"status":-2' \
    do_it near sup_stop off@worker-2 new
check "a child that does not start is not added" 0 '"status":-16' \
    do_it near sup_start off@worker-2 new no
check "a child of a supervisor there may run here" 0 '"status":0' \
    do_it near sup_start off@worker-2 back '' worker-1
check "it does" 0 'node +worker-1' "$plex" actor inspect back
check "it ends" 0 '"status":0' do_it near sup_stop off@worker-2 back
check "the other way round" 0 '"status":3' do_it there sup_which far@worker-1
check "no supervisor of that name" 0 '"status":-2' \
    do_it near sup_count nobody@worker-2
check "no supervisor" 0 '"status":-1' do_it near sup_count kid@worker-2
check "no worker" 0 '"status":-7' do_it near sup_count off@worker-9
check "a request may be given a time" 0 '"status":-8' ask near \
    '{"do":"sup_start","whom":"off@worker-2","id":"slow","text":"slow","within":100}'

until_true "and is done all the same" 20 children 'kid:yes back:no slow:yes'

# -- groups -------------------------------------------------------------------------
table() { PLEXSPACES_OUTPUT=table "$plex" process-group "$@"; }
members() { [ "$(table members pair | grep -cE "worker-[12]")" = "$1" ]; }
check "one of this worker joins" 0 '^name +near$' table join pair near
check "and one of the other" 0 '^node +worker-2$' table join pair kid
until_true "both workers know of both" 20 members 2
check "a message goes to both" 0 '^worker-2 +1 +0$' table publish pair hey

# -- links and monitors by name -----------------------------------------------------
do_it near monitor kid@worker-2 >"$work/out"
do_it near link kid@worker-2 >"$work/out"
do_it near ask kid@worker-2 '' hey >"$work/out" # both are there
"$plex" actor exit kid --reason tired >"$work/out"
wrote "DOWN of who has the name comes with its reason" near '^down tired'
wrote "so does EXIT" near '^exit tired'
do_it near monitor nobody@worker-2 >"$work/out"
wrote "DOWN noproc: nobody of that name is there" near '^down noproc'
do_it near link nobody@worker-2 >"$work/out"
wrote "EXIT noproc" near '^exit noproc'
do_it near monitor kid@worker-9 >"$work/out"
wrote "DOWN noconnection: no such worker" near '^down noconnection'
do_it there monitor near@worker-1 >"$work/out"
do_it there ask near@worker-1 '' hey >"$work/out"
"$plex" actor exit near --reason kill >"$work/out"
wrote "the other way round" there '^down killed'

# -- the worker is killed -----------------------------------------------------------
until_true "near is back" 20 says near '{"do":"circle"}' end
do_it near monitor there@worker-2 >"$work/out"
do_it near link there@worker-2 >"$work/out"
ask near '{"do":"sup_start","whom":"off@worker-2","id":"late","text":"late"}' \
    >"$work/waits" &
waits=$!
until_true "a request waits for the other worker" 20 \
    bash -c "'$plex' actor inspect late | grep -q worker-2"
kill -9 "$(suite_daemon worker-2)"
wait $waits
check "who waits for a supervisor hears that it was lost" 0 '"status":-7' \
    cat "$work/waits"
wrote "DOWN noconnection" near '^down noconnection'
wrote "EXIT noconnection" near '^exit noconnection'
until_true "when it is back its supervisors can be asked again" 40 \
    children kid:yes
check_end
