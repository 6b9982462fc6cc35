#!/bin/bash
# Schedules on real daemons that are killed: schedules.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh

says() # PATTERN COMMAND...
{
    local pattern=$1
    shift
    "$@" 2>&1 | tr -d '\n' | grep -qE -e "$pattern"
}
schedule()
{
    "$plex" schedule "$@"
}
counted() # LOG COUNT
{
    says "\"count\": ?$2\b" "$plex" actor call "log/$1" '{"action":"get"}'
}
kill_workers()
{
    local name
    for name in worker-1 worker-2; do
        kill -9 "$(suite_daemon $name)"
    done
}

suite_start "$work/data" --processes --workers 2 --modules "$build/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
"$plex" workflow enable >/dev/null || exit 1
suite_deploy examples/orders/app.yaml || exit 1
"$plex" workflow deploy examples/cron_report/report.yaml >/dev/null || exit 1

check "an interval of nothing is refused" 1 'every must be 1 ms or more' \
    schedule create never --every 0s --actor log/never --method add
check "one that is to come twice" 0 'twice' schedule create twice \
    --every 1h --actor log/twice --method add --max-occurrences 2
check "has two times ahead" 0 '^2$' bash -c "'$plex' schedule get twice |
    python3 -c 'import json, sys; print(len(json.load(sys.stdin)[\"upcoming\"]))'"
check "an interval that ends after eight times" 0 '"max_occurrences": 8' \
    schedule create tick --every 300ms --actor log/tick --method add \
    --max-occurrences 8
check "the same again is nothing new" 0 '"max_occurrences": 8' \
    schedule create tick --every 300ms --actor log/tick --method add \
    --max-occurrences 8
check "another one under its id is refused" 1 'is another' \
    schedule create tick --every 1s --actor log/tick
until_true "it begins" 20 says '"count": ?[1-8]\b' \
    "$plex" actor call log/tick '{"action":"get"}'
kill_workers
until_true "after kill -9 of all workers it goes on, to the last" 20 \
    counted tick 8
check "and no further" 0 '"upcoming": \[\]' schedule get tick
check "each occurrence has its time" 0 'tick@20[0-9]*-.*Z"' schedule get tick

at=$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ)
check "something is to be done once" 0 '' \
    schedule create once --at "$at" --actor log/once --method add
kill_workers
until_true "it is, also after kill -9" 20 counted once 1
now=$(date +%s) due=$(date -d "$at" +%s)
check "never early" 0 '' [ "$now" -ge "$due" ]
check "in the past is now" 0 '' \
    schedule create late --at 2020-01-01T00:00:00Z --actor log/late --method add
until_true "and once" 20 counted late 1

check "a cron expression in a time zone" 0 'T0[67]:30:00' \
    schedule create report --cron '30 8 * * MON-FRI' \
    --time-zone Europe/Berlin --workflow report --input '{"title":"Sales"}'
check "is triggered by hand" 0 'report@manual-' schedule trigger report
until_true "which starts a run of the workflow" 20 \
    says 'report@manual-.*COMPLETED' "$plex" workflow list --definition report
until_true "whose end the schedule hears of" 20 says '"succeeded"' \
    schedule get report
check "a week is made up for" 0 '"occurrences": 5' \
    schedule backfill report 2026-03-02T00:00:00Z 2026-03-09T00:00:00Z
until_true "by a run for each working day" 20 \
    says 'report@2026-03-06T07:30:00Z.*COMPLETED' \
    "$plex" workflow list --definition report
check "again" 0 '"occurrences": 5' \
    schedule backfill report 2026-03-02T00:00:00Z 2026-03-09T00:00:00Z
until_true "each has run once" 20 says '"running": \[\]' schedule get report
runs()
{
    "$plex" workflow list --definition report --output json |
        python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'
}
check "five and the one by hand" 0 '^6$' runs

check "one that is paused" 0 '"paused": true' schedule pause report holidays
check "why: it is paused, and the command that resumes it" 0 \
    'plexspaces schedule resume report' "$plex" why report
check "why: with the reason" 0 holidays \
    "$plex" why schedule/report
check "says why" 0 'holidays' schedule get report
check "is not due" 0 '"upcoming": \[\]' schedule get report
check "it is resumed" 0 '"paused": false' schedule resume report
check "all are listed" 0 'report +cron 30 8' schedule list
check "one is deleted" 0 '' schedule delete report
check "it is gone" 1 'does not exist' schedule get report
unlisted()
{
    ! schedule list "$1" | grep -q "^$1 "
}
until_true "from the list too" 20 unlisted report

suite_deploy examples/reminder/app.yaml || exit 1
watered() # TIMES or more
{
    "$plex" actor call plant/fern '{"action":"get"}' --output json |
        python3 -c 'import json, sys
sys.exit(json.load(sys.stdin)["watered"] < int(sys.argv[1]))' "$1"
}
check "an actor asks to be reminded" 0 watered "$plex" actor call plant/fern \
    '{"action":"pot","every_ms":200}'
until_true "it is" 20 watered 2
kill_workers
until_true "also after kill -9" 20 watered 5
check "until it cancels" 0 watered "$plex" actor call plant/fern \
    '{"action":"remove"}'
until_true "so the reminder is gone" 20 says 'does not exist' \
    "$plex" reminder get plant/fern water

check "what runs for long" 0 '' schedule create slow --every 200ms \
    --workflow report --input '{"title":"x","slow":"1s"}' --max-occurrences 2
until_true "is not begun a second time meanwhile" 20 says '"skipped": [1-9]' \
    schedule get slow
check "an expression that is wrong is refused" 1 'cron|minute|weekday' \
    schedule create bad --cron '* * * * x' --actor log/bad
check "so is a time zone that nobody knows" 1 'time_zone' \
    schedule create bad --cron '* * * * *' --time-zone Mars/North \
    --actor log/bad
check "and two ways to say when" 1 'one of cron, every and at' \
    schedule create bad --cron '* * * * *' --every 1s --actor log/bad
check "and nothing to do" 1 'workflow.*or actor' \
    schedule create bad --every 1s
check_end
