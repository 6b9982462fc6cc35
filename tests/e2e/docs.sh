#!/bin/bash
# What is written down agrees with the programs: docs.sh BUILD
set -u
cd "$(dirname "$0")/../.."
bin=${1:?build folder}/bin
. tests/lib/check.sh
check "docs/operations.md is what make docs writes" 0 '^' bash -c \
    "scripts/gen-operations.sh '$bin' | diff docs/operations.md -"
undocumented()
{
    local line missing=0
    while read -r line; do
        grep -qF "$line" docs/cli.md || { echo "missing: $line"; missing=1; }
    done < <("$bin/plexspaces" help |
        sed -n 's/^  \(plexspaces [a-z ]*[a-z]\).*/\1/p')
    return $missing
}
check "docs/cli.md names every command" 0 '^' undocumented
check_end
