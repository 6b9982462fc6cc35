#!/bin/bash
# `plexspaces dev --processes` supervises real daemons: dev.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh


restarted()
{
    local now
    now=$(suite_daemon "$1")
    [ -n "$now" ] && [ "$now" != "$2" ]
}

suite_start "$work/data" --processes --workers 2 || exit 1
export PLEXSPACES_SERVER=$suite_url
for name in registry placement journal gateway worker-1 worker-2 tuplespace \
    channel-broker; do
    check "$name has a pid file of a plex daemon" 0 '/plex-' \
        readlink "/proc/$(suite_daemon $name)/exe"
done
suite_deploy examples/counter/app.yaml
check "a call is answered" 0 '"count":1' \
    "$plex" actor call counter/a '{"action":"increment"}'
for name in worker-2 journal registry placement gateway; do
    old=$(suite_daemon $name)
    kill -9 "$old"
    until_true "$name is started again" 10 restarted $name "$old"
done
until_true "and the suite answers" 10 \
    "$plex" actor call counter/a '{"action":"increment"}'
until_true "and is healthy" 10 "$plex" health
check "the restart is logged" 0 'worker-2 was killed by signal 9' \
    grep worker-2 "$work/data/dev.log"

daemons=$(cat "$work"/data/run/*.pid)
if suite_stop; then
    ok "dev ends with 0 on SIGTERM"
else
    not_ok "dev ends with 0 on SIGTERM" "$?"
fi
for pid in $daemons; do
    if [ -d "/proc/$pid" ]; then
        not_ok "no daemon is left behind" "process $pid"
    fi
done
check "the pid files are gone" 0 '^0$' bash -c \
    "ls '$work/data/run' | grep -c 'pid$' || true"

suite_start "$work/data" --processes || exit 1
daemons=$(cat "$work"/data/run/*.pid)
kill -9 "$suite_pid"
wait "$suite_pid" 2>/dev/null
suite_pid=
suite_start "$work/data" --processes || exit 1
ok "a dev that was killed can be started again at once"
gone()
{
    local pid
    for pid in $daemons; do
        [ ! -d "/proc/$pid" ] || return 1
    done
}
until_true "and its daemons are gone" 10 gone
suite_stop

long=$work/$(printf 'x%.0s' $(seq 1 120))
suite_start "$long" --processes || exit 1
check "a long path gets a short folder for its sockets" 0 'too long a path' \
    cat "$long/dev.log"
suite_stop

port=$(free_port)
python3 -c "import socket, time
s = socket.socket()
s.bind(('127.0.0.1', $port))
s.listen()
print('bound', flush=True)
time.sleep(60)" >"$work/bound" &
holder=$!
until_true "a port is held" 10 grep -q bound "$work/bound"
check "a port in use is said and ends dev" 111 "gateway exited with 111" \
    "$plex" dev --data "$work/port" --processes --http "127.0.0.1:$port"
check "also in one process" 111 "gateway" \
    "$plex" dev --data "$work/port" --http "127.0.0.1:$port"
kill "$holder"
wait "$holder" 2>/dev/null
check "an open address is refused" 100 "loopback|allow_open" \
    "$plex" dev --data "$work/port" --http "0.0.0.0:$port"
check_end
