#!/bin/bash
# The rules of docs/style.md that a script can check. Prints each offence as
# file:line and exits 1 when there is any.
set -u
cd "$(dirname "$0")/.."
export LC_ALL=C
offences=0

report() # report TEXT < places
{
    local place
    while IFS= read -r place; do
        echo "$place: $1"
        offences=$((offences + 1))
    done
}

mapfile -t sources < <(git ls-files '*.c' '*.h')
if [ ${#sources[@]} -eq 0 ]; then
    echo "check.sh: git lists no sources here; it wants a clone" >&2
    exit 1
fi

foreign_includes()
{
    local own
    for own in services/*; do
        grep -nE '#include "services/' "$own"/*.[ch] 2>/dev/null |
            grep -vE "#include \"$own/" |
            grep -vE '/(client|service)\.h"'
    done | cut -d: -f1,2
}

long_files()
{
    local file lines max
    for file in "${sources[@]}"; do
        lines=$(wc -l < "$file")
        max=700
        [[ $file == *.h ]] && max=300
        [ "$lines" -le "$max" ] || echo "$file:$lines"
    done
}

# Const tables may be long; they end with "};" and are not functions.
long_functions()
{
    awk 'FNR == 1 { start = 0 }
        /^{$/ { start = FNR }
        /^}$/ && start {
            if (FNR - start - 1 > 70) print FILENAME ":" start
            start = 0
        }' "${sources[@]}"
}

report "common/ names no service" < <(
    grep -nE '#include "(services|cli|sdk|tests)/' common/*.[ch] |
        cut -d: -f1,2)
report "only client.h of another service may be included" < <(foreign_includes)
report "only wire.c and client.c include *.pb-c.h" < <(
    git ls-files 'services/*.[ch]' 'cli/*.[ch]' | xargs -r grep -nE 'pb-c\.h"' |
        grep -vE '^services/[^/]*/(wire|client|rest|routes)[a-z_]*\.[ch]:' |
        cut -d: -f1,2)
report "unfinished business belongs in an issue" < <(
    printf '%s\n' "${sources[@]}" |
        xargs -r grep -nE '\b(TODO|FIXME|XXX|HACK)\b' | cut -d: -f1,2)
report "longer than 700 lines (300 for a header)" < <(long_files)
report "function of more than 70 lines" < <(long_functions)
if command -v clang-format >/dev/null; then
    report "not clang-formatted" < <(
        clang-format --dry-run "${sources[@]}" 2>&1 |
            sed -n 's/: warning: code should be clang-formatted.*//p' |
            cut -d: -f1 | sort -u)
else
    echo "SKIP: format check: clang-format is not installed"
fi

if [ "$offences" -gt 0 ]; then
    echo "check.sh: $offences offences" >&2
    exit 1
fi
echo "check.sh: clean"
