#!/bin/bash
# A journal of N turns on Postgres (10 GB are about 15 million) and, with
# BIG_SQLITE=1, on SQLite: journal_big.sh BUILD N
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
turns=${2:-5000000}
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-big.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
uptime
df -h "$work" | tail -n 1
if [ -n "${PLEX_TEST_PG:-}" ]; then
    dsn=$(scripts/test-postgres.sh newdb "big_$$") || exit 1
    echo "Postgres"
    "$bin/bench_journal_big" "$dsn" "$turns" || exit 1
else
    echo "SKIP: Postgres: PLEX_TEST_PG is not set"
fi
if [ -n "${BIG_SQLITE:-}" ]; then
    echo "SQLite"
    "$bin/bench_journal_big" "sqlite:$work/big.db" "$turns" || exit 1
fi
uptime
