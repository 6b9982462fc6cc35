# Assertions of shell tests: source it, make checks, end with check_end.
# Each check says in a sentence what must hold.

check_failed=0
check_count=0

ok()
{
    check_count=$((check_count + 1))
    echo "ok   $1"
}

not_ok()
{
    check_count=$((check_count + 1))
    check_failed=$((check_failed + 1))
    echo "FAIL $1"
    shift
    printf '     %s\n' "$@"
}

# check SENTENCE EXIT PATTERN COMMAND...: the exit code, and an extended
# regular expression that output (both streams) must match.
check()
{
    local sentence=$1 want=$2 pattern=$3 out status
    shift 3
    out=$("$@" 2>&1)
    status=$?
    if [ "$status" -ne "$want" ]; then
        not_ok "$sentence" "exit $status instead of $want: $*" "$out"
    elif ! grep -qE -e "$pattern" <<<"$out"; then
        not_ok "$sentence" "nothing matches $pattern: $*" "$out"
    else
        ok "$sentence"
    fi
}

check_end()
{
    echo "$check_count checks, $check_failed failed"
    [ $check_failed -eq 0 ]
}
