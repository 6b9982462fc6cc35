#!/bin/bash
# One actor and the next timer among N turns that COPY wrote into a Postgres of
# its own, beside a million: journal_copy.sh BUILD N. 100 million take 35 GB.
# "First time" follows after the files have left the machine's cache.
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
turns=${2:-100000000}
settings=$(scripts/test-postgres.sh start) || exit 1
eval "$settings"
trap 'scripts/test-postgres.sh stop' EXIT
trap 'exit 130' INT TERM
psql -q "$PLEX_TEST_PG" -c "ALTER SYSTEM SET wal_level = minimal" \
    -c "ALTER SYSTEM SET max_wal_senders = 0" \
    -c "ALTER SYSTEM SET max_wal_size = '2GB'" \
    -c "ALTER SYSTEM SET shared_buffers = '2GB'" \
    -c "ALTER SYSTEM SET autovacuum = off" || exit 1
scripts/test-postgres.sh pause
scripts/test-postgres.sh resume

measure() # TURNS
{
    local dsn file
    uptime
    dsn=$(scripts/test-postgres.sh newdb "n$1") || exit 1
    "$bin/bench_journal_big" "$dsn" "$1" copy || exit 1
    du -sh "$PLEX_TEST_PG_DIR" | cut -f1
    scripts/test-postgres.sh pause
    find "$PLEX_TEST_PG_DIR/data/base" -type f | while read -r file; do
        dd if="$file" iflag=nocache count=0 status=none
    done
    scripts/test-postgres.sh resume
    uptime
    "$bin/bench_journal_big" "$dsn" "$1" read || exit 1
}

measure 1000000
measure "$turns"
uptime
