#!/bin/bash
# A private Redis for tests: own folder, free port, loopback, every write
# flushed (appendfsync always).
#
#   eval "$(scripts/test-redis.sh start)"   sets PLEX_TEST_REDIS, a DSN, and
#                                           PLEX_TEST_REDIS_DIR
#   scripts/test-redis.sh stop              stops PLEX_TEST_REDIS_DIR's server
#   scripts/test-redis.sh pause | resume    kills it, starts it again with the
#                                           same data and port
#   scripts/test-redis.sh run COMMAND...    all of it around one command
#
# Where no Redis is installed, `run` runs the command without PLEX_TEST_REDIS:
# tests that want it then print SKIP.
set -u

fail()
{
    echo "test-redis.sh: $*" >&2
    exit 1
}

answers()
{
    redis-cli -h 127.0.0.1 -p "$1" ping 2>/dev/null | grep -q PONG
}

# serve PORT: in the folder $dir; true once it answers, with its own process.
serve()
{
    local try pid
    redis-server --port "$1" --bind 127.0.0.1 --dir "$dir" --daemonize yes \
        --pidfile "$dir/pid" --logfile "$dir/log" --save "" \
        --appendonly yes --appendfsync always >/dev/null || return 1
    for try in $(seq 100); do
        pid=$(cat "$dir/pid" 2>/dev/null)
        if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && answers "$1"; then
            echo "$1" >"$dir/port"
            return 0
        fi
        sleep 0.05
    done
    return 1
}

start()
{
    local try port
    command -v redis-server >/dev/null ||
        fail "Redis is not installed (scripts/setup.sh --test)"
    dir=$(mktemp -d "${TMPDIR:-/tmp}/plex-redis.XXXXXX") || fail "no folder"
    for try in 1 2 3 4 5; do
        port=$((30000 + RANDOM % 2000))
        if ! answers "$port" && serve "$port"; then
            echo "export PLEX_TEST_REDIS=redis://127.0.0.1:$port"
            echo "export PLEX_TEST_REDIS_DIR=$dir"
            return 0
        fi
    done
    cat "$dir/log" >&2
    rm -rf "$dir"
    fail "Redis did not start"
}

pause()
{
    local pid
    dir=${PLEX_TEST_REDIS_DIR:?set by start}
    pid=$(cat "$dir/pid") || return 0
    kill -9 "$pid" 2>/dev/null
    while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
    rm -f "$dir/pid"
}

resume()
{
    dir=${PLEX_TEST_REDIS_DIR:?set by start}
    serve "$(cat "$dir/port")" || fail "Redis did not start again"
}

stop()
{
    [ -n "${PLEX_TEST_REDIS_DIR:-}" ] || exit 0
    pause 2>/dev/null
    rm -rf "$PLEX_TEST_REDIS_DIR"
}

run()
{
    local settings status
    if ! command -v redis-server >/dev/null; then
        echo "test-redis.sh: no Redis installed, going on without" >&2
        exec "$@"
    fi
    [ -z "${PLEX_TEST_REDIS:-}" ] || exec "$@"
    settings=$(start) || exit 1
    eval "$settings"
    trap stop EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 143' TERM
    "$@"
    status=$?
    return $status
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
start) start ;;
stop) stop ;;
pause) pause ;;
resume) resume ;;
run) run "$@" ;;
*) fail "usage: start | stop | pause | resume | run COMMAND..." ;;
esac
