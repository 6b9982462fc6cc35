#!/bin/bash
# Timers and reminders from outside, on real daemons that are killed:
# timers.sh BUILD
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
timer()
{
    "$plex" timer "$@"
}
reminder()
{
    "$plex" reminder "$@"
}
http() # METHOD PATH [BODY] [HEADER]: the body, then the status
{
    curl -s -m 20 -X "$1" ${3:+-d "$3"} ${4:+-H "$4"} -w '\n%{http_code}\n' \
        "$suite_url/api/v1/actors/$2"
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
log()
{
    echo "default%2Fdefault%2Flog%2F$1"
}

suite_start "$work/data" --processes --workers 2 --modules "$build/modules" ||
    exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/orders/app.yaml || exit 1
check "a namespace that has no timers says so" 0 'ACTOR_TYPE_NOT_FOUND' \
    http POST "$(log a)/timers" '{"timer_name":"t","delay":"1s"}'
"$plex" workflow enable >/dev/null || exit 1

check "a timer that ends after eight times" 0 '"is_active":true.*' \
    http POST "$(log tick)/timers" \
    '{"timer_name":"tick","interval_ms":300,"max_occurrences":8,"method":"add"}'
check "the same again is nothing new" 0 '^200$' \
    http POST "$(log tick)/timers" \
    '{"timer_name":"tick","interval_ms":300,"max_occurrences":8,"method":"add"}'
check "another one under its name is refused" 0 '^409$' \
    http POST "$(log tick)/timers" '{"timer_name":"tick","interval":"1s"}'
until_true "it begins" 20 says '"count": ?[1-8]\b' \
    "$plex" actor call log/tick '{"action":"get"}'
kill_workers
until_true "after kill -9 of all workers it goes on" 20 says \
    '"is_active": false' timer get log/tick tick
fired=$(timer get log/tick tick | sed -n 's/.*"fire_count": \([0-9]*\).*/\1/p')
check "to the eighth" 0 '^8$' echo "$fired"
until_true "each came once" 20 counted tick 8
check "it has ended, and is shown" 0 '"next_fire_time_ms": 0' \
    timer get log/tick tick
check "its name can be had again" 0 '"fire_count": 0' \
    timer register log/tick tick --delay 1h
check "a timer and a reminder may have one name" 0 '"reminder_name": "tick"' \
    reminder register log/tick tick --every 1h --data '{"a":[1]}'
check "both are listed, apart" 0 'tick +yes +0 +20' timer list log/tick
check "the reminder too" 0 'tick +yes +0 +20' reminder list log/tick
check "with what was registered" 0 '"callback_data":\{"a":\[1\]\}' \
    http GET "$(log tick)/reminders/tick"

at=$(date -u -d '+3 seconds' +%Y-%m-%dT%H:%M:%SZ)
check "something is due once" 0 '"is_active": true' \
    reminder register log/once o --at "$at" --method add
kill_workers
until_true "it comes, also after kill -9" 20 counted once 1
now=$(date +%s) due=$(date -d "$at" +%s)
check "never early" 0 '' [ "$now" -ge "$due" ]
check "in the past is now" 0 '' \
    timer register log/late l --at 2020-01-01T00:00:00Z --method add
until_true "and once" 20 counted late 1
check "at once and again" 0 '' timer register log/soon s --delay 0s \
    --every 1h --method add
until_true "the first does not wait" 20 counted soon 1
check "a cron expression in a time zone" 0 'T0[67]:30:00' \
    reminder register log/cron c --cron '30 8 * * MON-FRI' \
    --time-zone Europe/Berlin
check "another takes its place" 0 'T0[78]:30:00' \
    reminder register log/cron c --cron '30 9 * * MON-FRI' \
    --time-zone Europe/Berlin --replace

check "one is cancelled" 0 '' timer unregister log/tick tick
check "it is gone" 1 'does not exist' timer get log/tick tick
check "and cancelled once" 1 'does not exist' timer unregister log/tick tick
check "the reminder of its name is not" 0 '"is_active": true' \
    reminder get log/tick tick
key='Idempotency-Key: "k1"'
check "under a key it is registered" 0 '^200$' http POST "$(log key)/timers" \
    '{"timer_name":"k","delay":"1h"}' "$key"
check "and cancelled meanwhile" 0 '' timer unregister log/key k
check "the same request has its first answer" 0 '"timer_name":"k"' \
    http POST "$(log key)/timers" '{"timer_name":"k","delay":"1h"}' "$key"
check "and makes nothing" 1 'does not exist' timer get log/key k
check "another one under that key is refused" 0 '^422$' \
    http POST "$(log key)/timers" '{"timer_name":"k","delay":"2h"}' "$key"

check "another tenant's actor is not to be had" 0 'TENANT_FORBIDDEN' \
    http GET 'other%2Fdefault%2Flog%2Fa/timers'
for bad in '{"timer_name":"t"}:one of cron and interval' \
    '{"timer_name":"t","interval":"soon"}:no duration' \
    '{"timer_name":"t","interval_ms":1}:below 10 ms' \
    '{"timer_name":"t","interval":"1s","cron":"* * * * *"}:one of cron and' \
    '{"timer_name":"t","cron":"* * * * x"}:weekday' \
    '{"timer_name":"t","cron":"* * * * *","time_zone":"Mars/North"}:time_zone' \
    '{"timer_name":"t","first_fire_time":"tomorrow"}:no time' \
    '{"timer_name":"t","delay":"1h","end_at":"2020-01-01T00:00:00Z"}:never be due' \
    '{"timer_name":"a/b","delay":"1h"}:timer_name must be' \
    '{"delay":"1h"}:timer_name must be' \
    '{"timer_name":"t","delay":"1h","max_occurrences":-1}:negative' \
    '{"timer_name":"t","perod":"1h"}:perod'; do
    check "refused: ${bad%:*}" 0 "${bad##*:}" \
        http POST "$(log a)/timers" "${bad%:*}"
done

suite_deploy examples/reminder/app.yaml || exit 1
check "an actor asks to be reminded" 0 watered "$plex" actor call plant/fern \
    '{"action":"pot","every_ms":200}'
until_true "that is listed with the others" 20 \
    says 'water +yes' reminder list plant/fern
check_end
