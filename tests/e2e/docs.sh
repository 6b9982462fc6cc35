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
# Every block of C on a page is a module that compiles.
compiles() # compiles PAGE
{
    local folder status=0 file
    folder=$(mktemp -d "${TMPDIR:-/tmp}/plex-docs.XXXXXX") || return 1
    awk -v folder="$folder" '/^```c$/ { n++; inside = 1; next }
        /^```$/ { inside = 0 }
        inside { print > (folder "/" n ".c") }' "$1"
    for file in "$folder"/*.c; do
        cc -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror \
            -Wno-missing-field-initializers -Isdk/c/include \
            -fsyntax-only "$file" || status=1
    done
    rm -rf "$folder"
    return $status
}
for page in actors supervision; do
    check "the code in docs/$page.md compiles" 0 '^' compiles docs/$page.md
done
check_end
