#!/bin/bash
# Records of 1 KiB, on SQLite and Postgres: journal_append.sh BUILD [SECONDS]
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
seconds=${2:-3}
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-append.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
uptime
echo "SQLite"
"$bin/bench_journal_append" "sqlite:$work/j.db" "$seconds" || exit 1
if [ -n "${PLEX_TEST_PG:-}" ]; then
    dsn=$(scripts/test-postgres.sh newdb "append_$$") || exit 1
    echo "Postgres"
    "$bin/bench_journal_append" "$dsn" "$seconds" || exit 1
else
    echo "SKIP: Postgres: PLEX_TEST_PG is not set"
fi
uptime
