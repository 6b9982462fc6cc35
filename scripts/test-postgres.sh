#!/bin/bash
# A private Postgres 15 for tests: own folder, free port, loopback, fsync on.
#
#   eval "$(scripts/test-postgres.sh start)"   sets PLEX_TEST_PG, a DSN, and
#                                              PLEX_TEST_PG_DIR
#   scripts/test-postgres.sh newdb NAME        an empty database; prints its DSN
#   scripts/test-postgres.sh stop              stops PLEX_TEST_PG_DIR's server
#   scripts/test-postgres.sh pause | resume    stops it, starts it again with
#                                              the same data and port
#   scripts/test-postgres.sh crash             kill -9 of every process of it;
#                                              resume starts it again
#   scripts/test-postgres.sh freeze | thaw     it answers nothing until thawed
#   scripts/test-postgres.sh archive           keep its log, and a copy of its
#                                              files as they are now
#   scripts/test-postgres.sh rewind TIME       back to what it had then
#   scripts/test-postgres.sh run COMMAND...    all of it around one command
#
# Where no Postgres is installed, `run` runs the command without PLEX_TEST_PG:
# tests that want it then print SKIP.
set -u

fail()
{
    echo "test-postgres.sh: $*" >&2
    exit 1
}

find_bin()
{
    local dir
    for dir in /usr/lib/postgresql/*/bin; do
        [ -x "$dir/initdb" ] && bin=$dir
    done
    [ -n "${bin:-}" ]
}

# Postgres refuses to run as root.
as_postgres()
{
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && runuser -u postgres -- "$@")
    else
        "$@"
    fi
}

try_port()
{
    port=$((20000 + RANDOM % 10000))
    as_postgres "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 30 -s \
        -o "-p $port -k $dir -c listen_addresses=127.0.0.1" \
        -o "-c max_connections=200 -c fsync=on -c synchronous_commit=on" \
        start >&2
}

start()
{
    local try
    find_bin || fail "Postgres is not installed (scripts/setup.sh --test)"
    dir=$(mktemp -d "${TMPDIR:-/tmp}/plex-pg.XXXXXX") || fail "no folder"
    [ "$(id -u)" -ne 0 ] || chown postgres "$dir"
    as_postgres "$bin/initdb" -D "$dir/data" -U plex -A trust -E UTF8 \
        --locale=C --no-instructions >"$dir.init" 2>&1 ||
        { cat "$dir.init" >&2; fail "initdb failed"; }
    rm -f "$dir.init"
    for try in 1 2 3 4 5; do
        if try_port; then
            as_postgres "$bin/createdb" -h "$dir" -p "$port" -U plex plex ||
                fail "createdb failed"
            echo "export PLEX_TEST_PG=postgres://plex@127.0.0.1:$port/plex"
            echo "export PLEX_TEST_PG_DIR=$dir"
            return 0
        fi
    done
    cat "$dir/log" >&2
    rm -rf "$dir"
    fail "Postgres did not start"
}

stop()
{
    find_bin || exit 0
    dir=${PLEX_TEST_PG_DIR:?set by start}
    as_postgres "$bin/pg_ctl" -D "$dir/data" -m immediate -w -s stop >&2
    rm -rf "$dir"
}

pause()
{
    find_bin || fail "Postgres is not installed"
    as_postgres "$bin/pg_ctl" -D "${PLEX_TEST_PG_DIR:?set by start}/data" \
        -m immediate -w -s stop >&2
}

# pg_ctl keeps the options of the last start.
resume()
{
    find_bin || fail "Postgres is not installed"
    dir=${PLEX_TEST_PG_DIR:?set by start}
    as_postgres "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 30 -s \
        restart >&2 2>/dev/null
}

# The postmaster first: it must not notice that a child died and restart it.
crash()
{
    local main children
    main=$(head -n 1 "${PLEX_TEST_PG_DIR:?set by start}/data/postmaster.pid") ||
        fail "Postgres does not run"
    children=$(cat "/proc/$main/task/$main/children" 2>/dev/null)
    # shellcheck disable=SC2086
    kill -9 "$main" $children 2>/dev/null
    while kill -0 "$main" 2>/dev/null; do
        sleep 0.01
    done
}

# Its connections hang, as those of a store that is overloaded do.
children()
{
    local main
    main=$(head -n 1 "${PLEX_TEST_PG_DIR:?set by start}/data/postmaster.pid") ||
        fail "Postgres does not run"
    cat "/proc/$main/task/$main/children"
}
freeze()
{
    # shellcheck disable=SC2046
    kill -STOP $(children)
}
thaw()
{
    # shellcheck disable=SC2046
    kill -CONT $(children)
}

sql()
{
    as_postgres "$bin/psql" -h "$PLEX_TEST_PG_DIR" -p "$port" -U plex -qAt \
        -v ON_ERROR_STOP=1 plex -c "$1"
}

# What docs/journal.md tells whoever operates Postgres.
archive()
{
    local base=${PLEX_TEST_PG:?set by start}
    find_bin || fail "Postgres is not installed"
    dir=${PLEX_TEST_PG_DIR:?set by start}
    port=${base##*:}
    port=${port%%/*}
    as_postgres mkdir "$dir/archive" || fail "no folder for the log"
    sql "ALTER SYSTEM SET archive_mode = 'on'" &&
        sql "ALTER SYSTEM SET archive_command = 'test ! -f $dir/archive/%f && cp %p $dir/archive/%f'" ||
        fail "archiving cannot be switched on"
    resume || fail "Postgres does not start with archiving"
    as_postgres "$bin/pg_basebackup" -h "$dir" -p "$port" -U plex \
        -D "$dir/base" -X none --checkpoint=fast --no-manifest >&2 \
        2>/dev/null || fail "no copy of its files could be made"
}

rewind()
{
    find_bin || fail "Postgres is not installed"
    dir=${PLEX_TEST_PG_DIR:?set by start}
    # Stopping archives the rest of the log.
    as_postgres "$bin/pg_ctl" -D "$dir/data" -m fast -w -s stop >&2 ||
        fail "Postgres does not stop"
    as_postgres mv "$dir/data" "$dir/lost" &&
        as_postgres cp -a "$dir/base" "$dir/data" &&
        as_postgres cp "$dir/lost/postmaster.opts" "$dir/data/" &&
        as_postgres touch "$dir/data/recovery.signal" ||
        fail "its files cannot be put back"
    as_postgres tee -a "$dir/data/postgresql.auto.conf" >/dev/null <<END
restore_command = 'cp $dir/archive/%f %p'
recovery_target_time = '$1'
recovery_target_action = 'promote'
archive_mode = 'off'
END
    resume || { tail -n 20 "$dir/log" >&2; fail "Postgres does not recover"; }
}

newdb()
{
    local base=${PLEX_TEST_PG:?set by start}
    local port=${base##*:}
    find_bin || fail "Postgres is not installed"
    as_postgres "$bin/createdb" -h "$PLEX_TEST_PG_DIR" -p "${port%%/*}" \
        -U plex "$1" || fail "createdb $1 failed"
    echo "${base%/*}/$1"
}

run()
{
    local status
    if ! find_bin; then
        echo "test-postgres.sh: no Postgres installed, going on without" >&2
        exec "$@"
    fi
    if [ -n "${PLEX_TEST_PG:-}" ]; then
        exec "$@"
    fi
    local settings
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
crash) crash ;;
freeze) freeze ;;
thaw) thaw ;;
archive) archive ;;
rewind) rewind "${1:?a time}" ;;
newdb) newdb "${1:?name of the database}" ;;
run) run "$@" ;;
*) fail "usage: start | stop | pause | resume | crash | freeze | thaw | archive | rewind TIME | newdb NAME | run COMMAND..." ;;
esac
