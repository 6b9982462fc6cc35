#!/bin/bash
# Facets that a manifest declares, at work in a real suite: facets.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh

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
check "which is an event of the actor" 0 \
    'breaking/a.*circuit_breaker: closed -> open' \
    until_says 'closed -> open' "$plex" events --output json --type facet
breaker() { "$plex" actor invoke-facet breaking/a circuit_breaker "$1"; }
check "its state can be asked for" 0 '^open$' breaker state
check "an operator closes it" 0 '^closed$' breaker reset
check "then it lets calls in" 0 'HTTP/1.1 200' ask breaking/a
check "and trips it" 0 '^open$' breaker trip
check "then it does not" 0 'HTTP/1.1 503' ask breaking/a
check "disabled it lets all in" 0 '^disabled$' breaker disable
check "whatever comes of it" 0 'HTTP/1.1 500' ask breaking/a '{"fail":"no"}'
check "nothing else is asked from outside" 1 'cannot be asked for "wreck"' \
    breaker wreck
check "who has none cannot be asked" 1 'circuit_breaker is not attached' \
    "$plex" actor invoke-facet limited/b circuit_breaker state

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
# -- files, collectors ---------------------------------------------------------
ask audited/a >/dev/null
check "logging writes a file" 0 '"level":"info","actor":"default/default/audited/a"' \
    until_says audited cat "$work/data/logs/worker-1/audit.log"
: >"$work/port"
: >"$work/spans"
python3 tests/e2e/collector.py "$work/spans" >"$work/port" &
collector=$!
e2e_also $collector
until_says '[0-9]' cat "$work/port" >/dev/null
port=$(cat "$work/port")
cat >"$work/spans.yaml" <<YAML
name: spans
version: 1.0.0
actor_types:
  - name: otlp
    module: facets
    behaviour: quote
    virtual: true
    facets:
      - {type: tracing, config: {sampler: always, exporter: otlp, service_name: shop, endpoint: "http://127.0.0.1:$port/v1/traces"}}
  - name: zipkin
    module: facets
    behaviour: quote
    virtual: true
    facets:
      - {type: tracing, config: {sampler: always, exporter: zipkin, endpoint: "http://127.0.0.1:$port/api/v2/spans"}}
YAML
check "types whose spans go to collectors" 0 running \
    "$plex" application deploy "$work/spans.yaml"
until_says 'HTTP/1.1 200' ask otlp/a >/dev/null
ask otlp/b >/dev/null
ask otlp/a '{"fail":"no"}' >/dev/null
until_says 'HTTP/1.1 200' ask zipkin/a >/dev/null
collected() { grep -oE '^/v1/traces shop|otlp POST [12]' "$work/spans" | sort | uniq -c | xargs; }
check "a collector gets them by OTLP" 0 \
    '^[123] /v1/traces shop 2 otlp POST 1 1 otlp POST 2$' \
    until_says '2 otlp POST 1 1 otlp POST 2' collected
check "and as Zipkin has them" 0 '^/api/v2/spans plexspaces zipkin POST$' \
    until_says zipkin cat "$work/spans"
kill $collector
check "what was exported is counted" 0 'spans_total.*exported.* [1-9]' \
    until_says 'exported.* [1-9]' "$plex" metrics worker-1
ask otlp/a >/dev/null
check "what nobody takes is counted, too" 0 'spans_total.*failed.* 1' \
    until_says 'failed.* 1' "$plex" metrics worker-1

# -- while they run ------------------------------------------------------------
check "one without facets has none" 0 '^\[\]$' \
    "$plex" actor facets bare/a --output json
check "one is attached" 0 'caching +160' "$plex" actor attach-facet bare/a caching \
    '{"ttl":"1h","methods":"POST"}' --priority 160
runs=$(ask bare/a | grep -o '"runs":[0-9]*')
check "and at work: the handler is not asked again" 0 "$runs" ask bare/a
check "around that actor only" 0 '"runs":1' ask bare/b
check "twice is refused" 1 'attached already' \
    "$plex" actor attach-facet bare/a caching
check "so is a wrong key" 1 'nearest is "level"' \
    "$plex" actor attach-facet bare/a logging '{"levl":"info"}'
check "and what is the type's" 1 "belongs into the type's manifest" \
    "$plex" actor attach-facet bare/a durability
check "over REST they are listed with their priority" 0 '"priority":160' \
    curl -s "$suite_url/api/v1/actors/default%2Fdefault%2Fbare%2Fa/facets"
check "code attaches one" 0 '"status":0' ask bare/b '{"attach":"logging"}'
check "once" 0 '"status":-3' ask bare/b '{"attach":"logging"}'
check "which is seen from outside" 0 'logging +900' "$plex" actor facets bare/b
check "a facet of its module can be attached, too" 0 facets/stamp \
    "$plex" actor attach-facet bare/b facets/stamp '{"mark":"late"}'
check "and works" 0 '^X-Stamp: late$' ask bare/b
check "one is detached" 0 '^\[\]$' \
    "$plex" actor detach-facet bare/a caching --output json
check "once only" 1 'is not attached' "$plex" actor detach-facet bare/a caching
"$plex" actor deactivate bare/b >/dev/null
check "they end with the activation" 0 '^\[\]$' \
    "$plex" actor facets bare/b --output json
check "what a type declares can be taken away from an actor" 0 '^\[\]$' \
    "$plex" actor detach-facet limited/z rate_limit --output json
ask bare/x >/dev/null
check "all actors of a type get one" 0 'caching +140 +\{"methods":"POST"\}' \
    "$plex" application attach-facet facets bare caching '{"methods":"POST"}' \
    --priority 140
check "also those in memory" 0 'caching +140' \
    until_says caching "$plex" actor facets bare/x
check "and those that come" 0 'caching +140' "$plex" actor facets bare/y
check "twice is refused" 1 'repeats "caching"' \
    "$plex" application attach-facet facets bare caching
check "the type says what its actors carry" 0 'caching +140' \
    "$plex" application facets facets bare
check "it is taken away from all" 0 '^\[\]$' \
    "$plex" application detach-facet facets bare caching --output json
check "once only" 1 'declares no facet caching' \
    "$plex" application detach-facet facets bare caching
check "a durable actor gets a timer" 0 'timer +50' \
    "$plex" actor attach-facet kept/a timer '{"timers":"beat=50ms"}'
check "which fires" 0 '"ticks":[2-9]' until_says '"ticks":[2-9]' ask kept/a

ask pushed/a >/dev/null
if suite_stop; then
    ok "it ends in good order"
else
    not_ok "it ends in good order" "$(tail -5 "$work/data/dev.log")"
fi
check "metrics of an actor that ends are not lost" 0 \
    '"metrics":"shop","type":"pushed","actor":"default/default/pushed/a","ok":1' \
    cat "$work/data/dev.out"
check_end
