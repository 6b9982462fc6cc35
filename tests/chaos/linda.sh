#!/bin/bash
# Is the tuple space linearizable while its daemons are killed with -9?
# tests/chaos/linda.py on SQLite and, where PLEX_TEST_PG and PLEX_TEST_REDIS
# name them, on two daemons over Postgres and Redis.
#
#   linda.sh BUILD SECONDS [SEED]
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
seconds=${2:-60}
seed=${3:-$((SRANDOM % 1000000))}
echo "linda: seed $seed (linda.sh $1 $seconds $seed repeats the choices)"

once() # NAME DSN
{
    echo "linda: on $1"
    python3 tests/chaos/linda.py "$bin" "$2" "$seconds" "$seed" || exit 1
}

once sqlite sqlite:
if [ -n "${PLEX_TEST_PG:-}" ]; then
    dsn=$(scripts/test-postgres.sh newdb "linda_$$") || exit 1
    once postgres "$dsn"
else
    echo "SKIP: Postgres: PLEX_TEST_PG is not set"
fi
if [ -n "${PLEX_TEST_REDIS:-}" ]; then
    once redis "$PLEX_TEST_REDIS"
else
    echo "SKIP: Redis: PLEX_TEST_REDIS is not set"
fi
