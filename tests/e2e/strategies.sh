#!/bin/bash
# Each way of choosing a worker, from a manifest, over two workers that differ:
# strategies.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh
. tests/lib/placing.sh

suite_start "$work/data" --workers 1 --processes || exit 1
export PLEXSPACES_SERVER=$suite_url
registry=$("$plex" node list --output json | python3 -c '
import json, sys
print(next(n["url"] for n in json.load(sys.stdin) if n["kind"] == "registry"))')

# The first child waits for the worker that comes last, so all workers are
# there when the others are placed, one by one.
child() # ID PLACEMENT
{
    cat <<YAML
    - id: $1
      name: $1
      module: chat_room
      behaviour: guest
      args: {nick: $1}
      placement: $2
YAML
}
farm='labels: {kind: farm}'
amount='cpu_cores: 1, memory_bytes: 1073741824'
{
    printf 'name: plan\nversion: 1.0.0\nsupervisor:\n  intensity: 10\n  children:\n'
    child gate '{labels: {gate: open}}'
    child fits "{$farm, $amount, strategy: best_fit, marks: {tier: cache}}"
    child spread-1 "{$farm, $amount, strategy: spread}"
    child spread-2 "{$farm, $amount, strategy: spread}"
    child spread-3 "{$farm, $amount, strategy: spread}"
    child local '{strategy: prefer_local}'
    child not-local "{$farm, strategy: prefer_local}"
    child near-mark "{strategy: spread, affinity: [{mark: tier, value: cache}]}"
    child near-actor '{affinity: [{actor: plan/spread-1}]}'
    child apart "{$farm, affinity: [{apart: true, actor: plan/spread-1}, {mark: tier, value: cache}]}"
    child rather "{$farm, $amount, preferred_nodes: [nobody, big]}"
    child avoids "{$farm, $amount, avoided_nodes: [small]}"
    for i in $(seq 1 24); do
        child "random-$i" "{$farm, strategy: random}"
    done
} >"$work/app.yaml"
check "it is deployed" 0 'plan' "$plex" application deploy "$work/app.yaml"
worker big --labels kind=farm --cpu-cores 8 --memory-bytes 8589934592
worker small --labels kind=farm --cpu-cores 4 --memory-bytes 4294967296
until_true "the larger worker is there" 20 has_reserved big 0
until_true "the smaller one is" 20 has_reserved small 0
worker key --labels gate=open --cpu-cores 1
runs_somewhere() { [ -n "$(of "$1")" ]; }
until_true "all are, and the last child runs" 20 runs_somewhere random-24

on() # WORKER CHILD
{
    check "$2 is on $1" 0 "^$1\$" of "$2"
}
on small fits      # it is the fuller one with it
on big spread-1    # nobody is there
on big spread-2    # as many, and more is free
on small spread-3  # fewer are there
on "$(of plan)" local # where the supervisor is
on small near-mark # where the mark is
on big near-actor  # where the actor is
on small apart     # both rules hold
on big rather      # the one that can be had of those it would rather have
on big avoids
check "who would be local and cannot is where it fits" 0 '^(big|small)$' of not-local
for i in $(seq 1 24); do of "random-$i"; done | sort -u >"$work/random"
check "random is on all that fit, and on no other" 0 '^big small $' \
    tr '\n' ' ' <"$work/random"
check "what they need is reserved" 0 '^4000$' reserved big
check "on both" 0 '^2000$' reserved small
check_end
