#!/bin/bash
# Actors that share work through the tuple space, on one worker and on three:
# linda.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
bin=$(cd "$build/bin" && pwd) || exit 1
. tests/lib/suite.sh
. tests/lib/check.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-linda.XXXXXX") || exit 1
trap 'suite_stop; rm -rf "$work"' EXIT
plex=$bin/plexspaces
mkdir "$work/modules"
cp "$build"/modules/*.so "$work/modules/"
cc -shared -fPIC -I sdk/c/include -o "$work/modules/tuples.so" \
    tests/e2e/modules/tuples.c || exit 1

ask() # ACTOR JSON
{
    curl -sS -m 30 -H 'Content-Type: application/json' --data "$2" \
        "$suite_url/api/v1/actors/default/default/$1?invocation=call"
}

for workers in 1 3; do
    suite_start "$work/data$workers" --workers $workers \
        --modules "$work/modules" || exit 1
    export PLEXSPACES_SERVER=$suite_url
    suite_deploy examples/linda/app.yaml
    for job in queue matrix search sort heat; do
        check "$job on $workers is as computed alone" 0 '"ok":true' \
            ask "linda/$job" "{\"job\":\"$job\",\"hands\":3}"
    done
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
