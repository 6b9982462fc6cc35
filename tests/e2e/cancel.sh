#!/bin/bash
# Cancelling goes down the tree of calls, and each undoes what it did:
# cancel.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
mkdir "$work/modules"
cc -shared -fPIC -I sdk/c/include -o "$work/modules/tree.so" \
    tests/e2e/modules/tree.c || exit 1

why_is() # ACTOR FIELD PATTERN
{
    "$plex" why "$1" --output json | python3 -c '
import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2" |
        grep -qE -e "$3"
}
notes() # FILE TEXT: its lines in any order
{
    [ "$(sort "$1" 2>/dev/null | tr '\n' ',')" = "$2" ]
}
kill_workers()
{
    kill -9 "$(suite_daemon worker-1)" "$(suite_daemon worker-2)"
}

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
"$plex" workflow enable >/dev/null || exit 1
suite_deploy tests/e2e/modules/tree.yaml

"$plex" actor cast tree/a "{\"file\":\"$work/notes1\",\"to\":\"b,c\"}" >/dev/null
until_true "a calls b, b calls c, which waits" 30 \
    why_is tree/c waitsFor '^signal go'
check "a is cancelled" 0 accepted "$plex" run cancel tree/a
until_true "all three have undone what they did, once" 30 notes "$work/notes1" \
    'do a,do b,do c,undo a,undo b,undo c,'
until_true "and c waits no more" 30 why_is tree/c is '^(idle|not in memory)$'

"$plex" actor cast tree/d "{\"file\":\"$work/notes2\",\"to\":\"e,f\"}" >/dev/null
until_true "another tree waits" 30 why_is tree/f waitsFor '^signal go'
check "it is cancelled and all workers are killed at once" 0 accepted \
    bash -c "'$plex' run cancel tree/d && kill -9 $(suite_daemon worker-1) \
        $(suite_daemon worker-2)"
until_true "all three have undone what they did" 30 bash -c \
    "sort -u '$work/notes2' | tr '\n' ',' |
        grep -q '^do d,do e,do f,undo d,undo e,undo f,$'"

"$plex" actor cast tree/h "{\"file\":\"$work/notes3\",\"to\":\"\"}" >/dev/null
until_true "h waits, for a caller of its own" 30 \
    why_is tree/h waitsFor '^signal go'
"$plex" actor cast tree/g "{\"file\":\"$work/notes4\",\"to\":\"h\"}" >/dev/null
until_true "a call waits behind that" 30 why_is tree/g waitsFor '^call tree/h'
check "its caller is cancelled" 0 accepted "$plex" run cancel tree/g
until_true "and ends" 30 notes "$work/notes4" 'do g,undo g,'
check "h works on for the other" 0 'signal go' "$plex" why tree/h
check "which is left to end" 0 accepted "$plex" run signal tree/h go
until_true "the call that came after is cancelled when it begins" 30 \
    notes "$work/notes4" 'do g,do h,undo g,undo h,'
check "the other's work is done and stays" 0 '^do h$' cat "$work/notes3"

cat >"$work/flow.yaml" <<EOF
id: calls-tree
steps:
  - {id: call, actor: tree/w, method: run, timeout: 1h,
     input: {file: "$work/notes5", to: "x"}}
EOF
"$plex" workflow deploy "$work/flow.yaml" >/dev/null || exit 1
"$plex" workflow start calls-tree '{}' --id wf >/dev/null
until_true "a workflow's step calls w, w calls x, which waits" 30 \
    why_is tree/x waitsFor '^signal go'
"$plex" workflow cancel wf enough >/dev/null
until_true "cancelling the workflow undoes both" 30 notes "$work/notes5" \
    'do w,do x,undo w,undo x,'
check "the workflow is cancelled" 1 CANCELLED \
    "$plex" workflow wait wf --timeout-s 10
check_end
