#!/bin/bash
# eval: actors whose replies become tuples, while workers are killed:
# evals.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
mkdir "$work/modules"
cc -Wall -Wextra -Werror -Wno-missing-field-initializers -shared -fPIC \
    -I sdk/c/include -o "$work/modules/evals.so" tests/e2e/modules/evals.c ||
    exit 1

suite_start "$work/data" --processes --workers 2 --modules "$work/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy tests/e2e/modules/evals.yaml
url=$suite_url/api/v1/tuplespace/eval
post() # JSON [CURL OPTIONS]
{
    local json=$1
    shift
    curl -sS -m 20 "$@" --json "$json" "$url"
}
eval_() { "$plex" tuplespace eval "$@"; }
ends() # ID PATTERN: within 10 s
{
    local try out
    for try in $(seq 1 200); do
        out=$(curl -sS "$url/$1")
        grep -q '"state":"running"' <<<"$out" || break
        sleep 0.05
    done
    echo "$out"
}

check "without being enabled it says so" 0 'ACTOR_TYPE_NOT_FOUND' \
    post '{"space":"e","actor_type":"odd"}'
check "it is enabled" 0 '^' "$plex" tuplespace enable
check "what an actor replies becomes a tuple" 0 '^one$' \
    eval_ e odd/me '{}' --request-id one --wait-ms 10000
check "it is there" 0 '^\["key", "me"\]$' "$plex" tuplespace take e '[?, ?]'
check "without a key the actor is the eval's own" 0 '^two$' \
    eval_ e odd --request-id two --wait-ms 10000
check "and has its name" 0 '^\["key", "two"\]$' "$plex" tuplespace take e '[?, ?]'
same='{"space":"e","actor_type":"slow","message":{"n":5}}'
check "an Idempotency-Key names it" 0 '"state":"running"' \
    post "$same" -H 'Idempotency-Key: "k5"'
check "which may be sent again" 0 '"eval_id"' \
    post "$same" -H 'Idempotency-Key: "k5"'
check "and is one tuple" 0 '^\["slow", 5\]$' \
    "$plex" tuplespace take e '["slow", 5]' --wait-ms 10000
check "not two" 0 '^0$' "$plex" tuplespace count e '["slow", 5]'
check "the same id for something else is refused" 0 '"status":409' \
    post '{"space":"e","actor_type":"slow","eval_id":"one"}'
check "an id that nobody gave out is not known" 0 '"status":404' \
    curl -sS "$url/nobody"

# -- bad input ------------------------------------------------------------------
check "a space has a name" 0 '"status":400.*space' post '{"actor_type":"odd"}'
check "a type has a name" 0 '"status":400.*type' post '{"space":"e"}'
check "a key has no slash" 0 '"status":400.*key' \
    post '{"space":"e","actor_type":"odd","actor_key":"a/b"}'
check "nobody waits for ever" 0 '"status":400.*timeout_ms' \
    post '{"space":"e","actor_type":"odd","timeout_ms":3600001}'
check "nor not at all" 0 '"status":400.*timeout_ms' \
    post '{"space":"e","actor_type":"odd","timeout_ms":-1}'
check "no tuple lives longer than 30 days" 0 '"status":400.*ttl_ms' \
    post '{"space":"e","actor_type":"odd","ttl_ms":2592000001}'
check "other fields are named" 0 'messag is not a field' \
    post '{"space":"e","actor_type":"odd","messag":1}'
check "what is no JSON is refused" 2 'is no JSON' eval_ e odd '{no'
for case in 'fail:the actor failed' 'refuse:it refuses' \
    'text:no JSON list' 'object:the tuple space refused it'; do
    check "an eval that comes to nothing says why: ${case%%:*}" 1 "${case#*:}" \
        eval_ e odd "{\"how\":\"${case%%:*}\"}" --wait-ms 10000
done
post '{"space":"e","actor_type":"slow","message":{"ms":5000},"timeout_ms":200,
    "eval_id":"late"}' >/dev/null
check "an actor that is too slow is not waited for" 0 'did not answer in time' \
    ends late
check "nothing of these became a tuple" 0 '^0$' "$plex" tuplespace count e

# -- exactly one tuple, whoever dies ---------------------------------------------
for n in $(seq 1 16); do
    post "{\"space\":\"x\",\"actor_type\":\"slow\",\"eval_id\":\"x$n\",
        \"message\":{\"n\":$n,\"ms\":$((n * 200))}}" >/dev/null
done
for worker in worker-1 worker-2 worker-1 worker-2; do
    pid=$(suite_daemon $worker)
    kill -9 "$pid"
    for try in $(seq 1 200); do # until it has another one
        next=$(suite_daemon $worker)
        [ -n "$next" ] && [ "$next" != "$pid" ] && break
        sleep 0.02
    done
done
for n in $(seq 1 16); do ends "x$n"; done >"$work/ends"
check "all have come to their end" 0 '^16$' grep -c '"state":"done"' "$work/ends"
check "each is a tuple" 0 '^16$' "$plex" tuplespace count x
single() # every number once
{
    "$plex" tuplespace read x '["slow", ?]' --max 100 | sort -u | wc -l
}
check "and only one" 0 '^16$' single
suite_stop || exit 1
check_end
