#!/bin/bash
# Facets that a manifest declares, at work in a real suite: facets.sh BUILD
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
. tests/lib/suite.sh
. tests/lib/check.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-facets.XXXXXX") || exit 1
trap 'suite_stop; rm -rf "$work"' EXIT
plex=$bin/plexspaces

suite_start "$work/data" --log-level info || exit 1
export PLEXSPACES_SERVER=$suite_url

# ask TYPE/KEY [JSON], get TYPE/KEY: status line, headers and body.
ask()
{
    curl -s -i -m 20 -H 'Content-Type: application/json' -d "${2:-{\}}" \
        "$suite_url/api/v1/actors/default/default/$1?invocation=call" |
        tr -d '\r'
}
get()
{
    curl -s -i -m 20 "$suite_url/api/v1/actors/default/default/$1" | tr -d '\r'
}
# until PATTERN COMMAND...: at most 10 s.
until_says()
{
    local pattern=$1 out end=$((SECONDS + 10))
    shift
    while out=$("$@"); ! grep -qE -e "$pattern" <<<"$out"; do
        [ $SECONDS -lt $end ] || { echo "$out"; return 1; }
        sleep 0.02
    done
    echo "$out"
}
refused()
{
    printf 'name: bad\nversion: 1.0.0\nactor_types:\n- name: x\n' \
        >"$work/bad.yaml"
    printf '  module: facets\n  behaviour: quote\n  virtual: true\n' \
        >>"$work/bad.yaml"
    printf '  facets: [{type: %s, config: {%s}}]\n' "$1" "$2" \
        >>"$work/bad.yaml"
    "$plex" application deploy "$work/bad.yaml"
}

check "an unknown facet names the nearest" 100 'nearest is "logging"' \
    refused loging 'level: info'
check "an unknown key too" 100 'nearest is "level"' refused logging 'levl: info'
check "and a value its range" 100 'it must be 1 to 1000000' \
    refused rate_limit 'refill_rate: "0"'
check "the example is deployed" 0 'running' \
    "$plex" application deploy examples/facets/app.yaml

check "caching asks the handler once" 0 '"runs":1' get cached/a
check "and answers by itself then" 0 '"runs":1' get cached/a
check "a write empties it" 0 '"runs":2' ask cached/a
check "so the handler is asked again" 0 '"runs":3' get cached/a
check "metrics count by type" 0 \
    'shop_actor_messages_total.*cached.*(ok).* [1-9]' \
    until_says 'shop_actor_messages_total' "$plex" metrics worker-1
check "logging writes a line" 0 'cached/a GET from outside: 200' \
    until_says 'cached/a GET' cat "$work/data/dev.log"

ask limited/a >/dev/null
ask limited/a >/dev/null
check "rate_limit answers 429" 0 'HTTP/1.1 429' ask limited/a
check "for each actor of its own" 0 'HTTP/1.1 200' ask limited/b
ask limited/c >/dev/null; ask limited/c >/dev/null
check "and says when to come again" 0 '^Retry-After: [0-9]+$' ask limited/c

ask breaking/a '{"fail":"no"}' >/dev/null
check "circuit_breaker lets failures through at first" 0 'HTTP/1.1 500' \
    ask breaking/a '{"fail":"no"}'
check "and opens then" 0 'HTTP/1.1 503' ask breaking/a

check "fallback hides what it is for" 0 '"runs":"unknown"' \
    ask softened/a '{"fail":"soft x"}'
check "and nothing else" 0 '"detail":"hard"' ask softened/b '{"fail":"hard"}'
check "a failed attempt leaves no state" 0 '"runs":1' ask softened/a
check "a module's own facet takes part" 0 '^X-Stamp: tested$' ask softened/a

ask ticker/a >/dev/null; ask ticker/b >/dev/null
check "a declared timer fires" 0 '"ticks":[3-9]' \
    until_says '"ticks":[3-9]' ask ticker/a
check "an event is emitted" 0 'HTTP/1.1 200' ask ticker/a '{"emit":"news.world"}'
check "and comes to whoever is on its topic" 0 '"events":1,"last":"news.world"' \
    until_says '"events":1' ask ticker/b
check "topics that are not allowed are refused" 0 'no such topic' \
    ask ticker/a '{"emit":"secrets"}'

ask traced/a >/dev/null
check "tracing exports a span" 0 '"name":"traced POST"' \
    until_says traceId cat "$work/data/dev.out"

check "keys are put with the facet's prefix" 0 '"status":0' \
    ask outside/a '{"op":"put","key":"a","value":"v1"}'
check "and got without" 0 '^v1$' ask outside/a '{"op":"get","key":"a"}'
check "others see them" 0 '^v1$' "$plex" kv get shop/a
check "numbers count" 0 '"number":1' ask outside/a '{"op":"count","key":"n"}'
check "lists are without the prefix" 0 '^n$' ask outside/b '{"op":"list","key":""}'
check "what is not there is not found" 0 '"status":-2' \
    ask outside/a '{"op":"get","key":"nope"}'
url=$suite_url/api/v1/keyvalue/shop%2Fa
check "http_client asks others" 0 '"key":"shop/a"' \
    ask outside/a "{\"op\":\"http\",\"key\":\"$url\"}"
check "only those it may" 0 '"status":-5' \
    ask outside/a '{"op":"http","key":"http://localhost/"}'
check "and says when nobody is there" 0 '"status":-7' \
    ask outside/a '{"op":"http","key":"http://127.0.0.1:1/"}'
if suite_stop; then
    ok "it ends in good order"
else
    not_ok "it ends in good order" "$(tail -5 "$work/data/dev.log")"
fi
check_end
