#!/bin/bash
# Runs that wait, on real daemons that are killed with -9 meanwhile:
# tests/chaos/runs.py on SQLite and, where PLEX_TEST_PG names one, Postgres,
# which is killed as well.
#
#   runs.sh BUILD TRANSFERS EFFECTS [SEED]
set -u
cd "$(dirname "$0")/../.."
bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
transfers=${2:-10000}
effects=${3:-1000}
seed=${4:-$((SRANDOM % 1000000))}
. tests/lib/suite.sh
echo "runs: seed $seed (runs.sh $1 $transfers $effects $seed repeats the choices)"
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-runs.XXXXXX") || exit 1
trap 'suite_stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

once() # NAME [dev options...]
{
    local name=$1
    shift
    suite_start "$work/$name" --processes --workers 2 "$@" || exit 1
    suite_deploy examples/bank/app.yaml || exit 1
    suite_deploy deploy/workflows.yaml || exit 1
    echo "runs: on $name"
    if ! python3 tests/chaos/runs.py "$suite_url" "$suite_data/run" \
        "$transfers" "$effects" "$seed"; then
        tail -n 40 "$suite_data/dev.log"
        exit 1
    fi
    suite_stop
}

[ -n "${RUNS_ONLY_PG:-}" ] || once sqlite
if [ -n "${PLEX_TEST_PG:-}" ]; then
    dsn=$(scripts/test-postgres.sh newdb "runs_$$") || exit 1
    PLEX_CHAOS_PG=${PLEX_TEST_PG_DIR:+1} once postgres --store "$dsn" \
        --journals 2
else
    echo "SKIP: Postgres: PLEX_TEST_PG is not set"
fi
