#!/bin/bash
# Processes that are given whole HTTP requests and answer them with all that
# HTTP has, on the gateway's first worker and another one: web.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
e2e_module web

at=api/v1/actors/default/default
http() # http PATH [curl options...]: status line, headers and body
{
    local path=$1
    shift
    curl -sS -i -m 10 "$@" "$suite_url/$at/$path"
}

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
suite_deploy tests/e2e/modules/web.yaml
until_true "the processes run" 20 bash -c \
    "curl -fsS -m 5 '$suite_url/$at/site' && curl -fsS -m 5 '$suite_url/$at/there'"
for who in site there; do
    check "$who sees method, path and query of a GET" 0 \
        "\"method\":\"GET\",\"path\":\"/$at/$who/k/a/b\",\"subpath\":\"a/b\",\"query\":\"x=1&y=%20\"" \
        http "$who/k/a/b?x=1&y=%20"
    check "$who sees type, headers and body of a POST" 0 \
        '"type":"text/x-note","colour":"red","secret":false,"body":"hello"' \
        http "$who/k/note?invocation=call" -H 'Content-Type: text/x-note' \
        -H 'X-Colour: red' -H 'Authorization: Basic eDp5' --data-binary hello
    check "PUT, too" 0 '"method":"PUT"' \
        http "$who/k/note?invocation=call" -X PUT --data '"x"'
    http "$who/k/teapot" >"$work/out"
    check "$who answers with a status of its own" 0 '^HTTP/1.1 418' \
        cat "$work/out"
    check "a type of its own" 0 '^[Cc]ontent-[Tt]ype: image/svg\+xml' \
        cat "$work/out"
    check "and headers" 0 '^1 1$' bash -c \
        "echo \$(grep -ci '^x-pot: tea' '$work/out') \$(grep -ci '^cache-control: no-store' '$work/out')"
    check "with the body" 0 '<svg/>' cat "$work/out"
    http "$who/k/later" >"$work/out"
    check "$who answers later" 0 '^HTTP/1.1 203' cat "$work/out"
    check "with headers" 0 '^[Xx]-[Ll]ate: yes' cat "$work/out"
done
check "a request is forwarded whole" 0 \
    '"method":"POST".*"subpath":"there".*"type":"text/x-note","colour":"blue".*"body":"hi"' \
    http 'site/k/there?invocation=call' -H 'Content-Type: text/x-note' \
    -H 'X-Colour: blue' --data-binary hi
check "a header that HTTP does not have is a failure" 0 '"code":"ACTOR_FAILED"' \
    http site/k/wrong
check_end
