#!/bin/bash
# Facets around processes of a tree on two workers: process_facets.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh

ask() # TYPE [JSON]
{
    curl -s -i -m 20 -H 'Content-Type: application/json' -d "${2:-{\}}" \
        "$suite_url/api/v1/actors/default/default/$1?invocation=call" |
        tr -d '\r'
}
until_says() # PATTERN COMMAND...: at most 20 s
{
    local pattern=$1 out end=$((SECONDS + 20))
    shift
    while out=$("$@" 2>&1); ! grep -qE -e "$pattern" <<<"$out"; do
        [ $SECONDS -lt $end ] || { echo "$out"; return 1; }
        sleep 0.05
    done
    echo "$out"
}
refused() # FACET CONFIG
{
    printf 'name: bad\nversion: 1.0.0\nactor_types:\n- name: x\n  module: facets\n  behaviour: quote\n  facets: [{type: %s, config: {%s}}]\n' \
        "$1" "$2" >"$work/bad.yaml"
    "$plex" application deploy "$work/bad.yaml"
}
ref_of() { "$plex" actor inspect "$1" | awk '$1 == "process" { print $2 }'; }

cat >"$work/app.yaml" <<'YAML'
name: around
version: 1.0.0
actor_types:
  - name: limited
    module: facets
    behaviour: quote
    facets:
      - {type: rate_limit, config: {refill_rate: "1", burst_size: "2"}}
      - {type: metrics, config: {namespace: shop}}
  - name: softened
    module: facets
    behaviour: quote
    facets:
      - type: retry
        config: {max_attempts: "2", backoff: 10ms}
      - type: fallback
        config: {reply: '{"runs":"unknown"}', errors: "soft*"}
      - {type: facets/stamp, config: {mark: tested}}
  - name: ticker
    module: facets
    behaviour: ticker
    facets:
      - {type: timer, config: {timers: "beat=50ms"}}
      - {type: event_emitter, config: {on: "news.world", topics: "news.*"}}
  - name: outside
    module: facets
    behaviour: outside
    facets:
      - {type: key_value, config: {prefix: proc/}}
  - name: plain
    module: facets
    behaviour: quote
supervisor:
  intensity: 100
  children:
    - {id: limited, type: limited, name: limited, node: worker-2}
    - {id: softened, type: softened, name: softened}
    - {id: ticker, type: ticker, name: ticker, node: worker-2}
    - {id: outside, type: outside, name: outside}
    - {id: plain, type: plain, name: plain}
    - id: Inner
      supervisor:
        children:
          - id: own
            module: facets
            behaviour: quote
            name: own
            node: worker-2
            facets:
              - {type: rate_limit, config: {refill_rate: 1, burst_size: 1}}
              - {type: timer, config: {timers: [{id: beat, interval_ms: 60000}]}}
YAML

cat >"$work/both.yaml" <<'YAML'
name: both
version: 1.0.0
actor_types:
  - {name: some, module: facets, behaviour: quote}
supervisor:
  children:
    - {id: a, type: some, facets: [{type: logging}]}
YAML
suite_start "$work/data" --processes --workers 2 --modules "$build/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url

check "durability is not for processes" 1 'facet durability is for virtual actors' \
    refused durability ''
check "an unknown facet names the nearest, with its place" 100 \
    'bad.yaml:7:12: .*nearest is "logging"' refused loging 'level: info'
check "an unknown key too" 100 'bad.yaml:7:37: .*nearest is "level"' \
    refused logging 'levl: info'
check "a tree with facets is deployed" 0 running \
    "$plex" application deploy "$work/app.yaml"
check "its processes run" 0 'HTTP/1.1 200' until_says 'HTTP/1.1 200' ask plain
check "those on the other worker, too" 0 'HTTP/1.1 200' \
    until_says 'HTTP/1.1 200' ask ticker

check "who asks finds what stands around one" 0 'rate_limit +950' \
    until_says rate_limit "$plex" actor facets limited
ask limited >/dev/null; ask limited >/dev/null; ask limited >/dev/null
check "rate_limit answers in its place" 0 'HTTP/1.1 429' ask limited
check "metrics count by type" 0 'shop_actor_messages_total.*limited' \
    until_says 'shop_actor_messages_total' "$plex" metrics worker-2

check "a child without a type has facets, too" 0 'rate_limit +950' \
    until_says rate_limit "$plex" actor facets own
check "as a type that is named after it" 0 'around-inner-own' \
    "$plex" application status around --output json
ask around-inner-own >/dev/null
check "which work" 0 'HTTP/1.1 429' ask around-inner-own
check "but not one of a type" 1 'leave out facets, or type' \
    "$plex" application deploy "$work/both.yaml"

before=$(ref_of softened)
check "fallback hides what it is for" 0 '"runs":"unknown"' \
    ask softened '{"fail":"soft x"}'
check "a module's own facet takes part" 0 '^X-Stamp: tested$' ask softened
check "so that is no crash" 0 "^$before\$" ref_of softened
check "what it is not for is one" 0 'hard' ask softened '{"fail":"hard"}'
check "after which it is started again, with its facets" 0 'facets/stamp' \
    until_says 'facets/stamp' "$plex" actor facets softened
check "a declared timer fires" 0 '"ticks":[3-9]' \
    until_says '"ticks":[3-9]' ask ticker
check "an event is emitted" 0 'HTTP/1.1 200' ask ticker '{"emit":"news.world"}'
check "and heard" 0 '"last":"news.world"' until_says '"events":1' ask ticker
check "keys are put" 0 '"status":0' ask outside '{"op":"put","key":"a","value":"v1"}'
check "with the prefix" 0 '^v1$' "$plex" kv get proc/a

# -- while it runs --------------------------------------------------------------
check "one without facets has none" 0 '^\[\]$' \
    "$plex" actor facets plain --output json
check "one is attached" 0 'caching' "$plex" actor attach-facet plain caching \
    '{"ttl":"1h","methods":"POST"}' --priority 160
runs=$(ask plain | grep -o '"runs":[0-9]*')
check "and at work: the handler is not asked again" 0 "$runs" ask plain
check "twice is refused" 1 'attached already' \
    "$plex" actor attach-facet plain caching
check "so is a wrong key" 1 'nearest is "level"' \
    "$plex" actor attach-facet plain logging '{"levl":"info"}'
check "and what means nothing on a process" 1 "belongs into the type's manifest" \
    "$plex" actor attach-facet plain virtual_actor
check "a supervisor takes none" 1 'facets stand around callbacks' \
    "$plex" actor attach-facet around logging
check "over REST it is listed with its priority" 0 '"priority":160' \
    curl -s "$suite_url/api/v1/processes/plain/facets"
check "one on the other worker gets one, too" 0 logging \
    "$plex" actor attach-facet ticker logging
check "it is detached" 0 '^\[\]$' \
    "$plex" actor detach-facet plain caching --output json
check "so the handler is asked again" 0 '"runs":' ask plain
check "once only" 1 'is not attached' "$plex" actor detach-facet plain caching
check "a breaker is attached" 0 circuit_breaker \
    "$plex" actor attach-facet plain circuit_breaker
check "and tripped" 0 '^open$' \
    "$plex" actor invoke-facet plain circuit_breaker trip
check "no call comes to the process" 0 'HTTP/1.1 503' ask plain
check "which is an event of it" 0 'plain.*circuit_breaker: closed -> open' \
    until_says 'closed -> open' "$plex" events --output json --type facet
check "over REST it is reset" 0 '"result":"closed"' \
    curl -s -H 'Content-Type: application/json' --data '{"op":"reset"}' \
    "$suite_url/api/v1/processes/plain/facets/circuit_breaker:invoke"
check "and calls come again" 0 '"runs":' ask plain
check "nobody is not found" 1 PROCESS_NOT_FOUND "$plex" actor facets nobody

if suite_stop; then
    ok "it ends in good order"
else
    not_ok "it ends in good order" "$(tail -5 "$work/data/dev.log")"
fi
check_end
