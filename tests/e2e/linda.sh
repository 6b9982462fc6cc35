#!/bin/bash
# Actors that share work through the tuple space, on one worker and on three:
# linda.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh
mkdir "$work/modules"
cp "$build"/modules/*.so "$work/modules/"
cc -shared -fPIC -I sdk/c/include -o "$work/modules/tuples.so" \
    tests/e2e/modules/tuples.c || exit 1

ask() # ACTOR JSON
{
    curl -sS -m 30 -H 'Content-Type: application/json' --data "$2" \
        "$suite_url/api/v1/actors/default/default/$1?invocation=call"
}

settled() # every worker has shards, and so actors
{
    "$plex" node list --output json | python3 -c 'import json, sys
nodes = [n for n in json.load(sys.stdin) if "worker" in n["nodeId"]]
full = 0 if len(nodes) == 1 else 4096
sys.exit(any(int(n.get("shards", 0)) in (0, full) for n in nodes))'
}

for workers in 1 3; do
    suite_start "$work/data$workers" --workers $workers \
        --modules "$work/modules" || exit 1
    export PLEXSPACES_SERVER=$suite_url
    for try in $(seq 1 200); do settled 2>/dev/null && break; sleep 0.05; done
    check "all of $workers have shards" 0 '^' settled
    for example in linda mpi generals dining_tuples; do
        suite_deploy examples/$example/app.yaml
    done
    for job in queue matrix search sort heat; do
        check "$job on $workers is as computed alone" 0 '"ok":true' \
            ask "linda/$job" "{\"job\":\"$job\",\"hands\":3}"
    done
    check "matrix and vector on $workers, bit by bit" 0 \
        '"ok":true,"job":"matvec","ranks":4' \
        ask mpi/m '{"job":"matvec","ranks":4}'
    check "the ocean on $workers, bit by bit" 0 \
        '"ok":true,"job":"ocean","ranks":3' \
        ask mpi/o '{"job":"ocean","ranks":3}'
    check "generals without traitors on $workers" 0 \
        '"ok":true,"agree":true,"obeyed":true,"decisions":"111"' \
        ask generals/a '{"generals":4,"rounds":1,"order":1}'
    check "four generals, one of whom is a traitor" 0 \
        '"ok":true,"agree":true,"obeyed":true' \
        ask generals/b '{"generals":4,"rounds":1,"traitors":"2","order":1}'
    check "four generals, and the commander is the traitor" 0 \
        '"ok":true,"agree":true' \
        ask generals/c '{"generals":4,"rounds":1,"traitors":"0","order":1}'
    check "seven generals, two traitors, one commands" 0 \
        '"ok":true,"agree":true' \
        ask generals/d '{"generals":7,"rounds":2,"traitors":"03","order":1}'
    check "three generals cannot stand one traitor" 0 \
        '"ok":true,"agree":true,"obeyed":false' \
        ask generals/e '{"generals":3,"rounds":1,"traitors":"1","order":1}'
    check "philosophers dine on $workers" 0 \
        '^{"ok":true,"meals":20,"wrong":0,"forks":5,"tickets":4}$' \
        ask dining/a '{"seats":5,"meals":4}'
    check "another job is refused" 0 'job is queue, matrix' \
        ask linda/x '{"job":"dance"}'
    suite_deploy tests/e2e/modules/tuples.yaml
    check "every operation does what it says on $workers" 0 '^{"line":0}$' \
        ask tuples/a '{}'
    check "a step of a durable run takes a tuple on $workers" 0 \
        '^{"tuples":\[{"id":"[0-9]+","fields":\["once",7\]}\]' \
        ask once/a '{}'
    suite_stop || exit 1
done
check_end
