# What tests of whole programs begin with: `. tests/lib/e2e.sh` in the
# repository's folder, with the build folder as $1. Sets bin, plex and work (a
# folder of its own); at the end stops the suite and whom e2e_also names.

bin=$(cd "${1:?build folder}/bin" && pwd) || exit 1
. tests/lib/suite.sh
. tests/lib/check.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-e2e.XXXXXX") || exit 1
plex=$bin/plexspaces
e2e_others=

e2e_also() { e2e_others="$e2e_others $1"; } # a pid
e2e_alone() # those end
{
    local pid
    for pid in $e2e_others; do
        kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null
    done
    e2e_others=
}
e2e_stop()
{
    e2e_alone
    suite_stop
    rm -rf "$work"
}
trap e2e_stop EXIT

# until_true SENTENCE SECONDS COMMAND...: it succeeds in that time.
until_true()
{
    local sentence=$1 left=$(($2 * 20))
    shift 2
    while ! "$@" >"$work/until" 2>&1; do
        left=$((left - 1))
        if [ $left -le 0 ]; then
            not_ok "$sentence" "$*" "$(tail -5 "$work/until")"
            return 1
        fi
        sleep 0.05
    done
    ok "$sentence"
}

# e2e_module NAME: tests/e2e/modules/NAME.c, loaded with
# --modules "$work/modules".
e2e_module()
{
    mkdir -p "$work/modules"
    cc -std=c17 -Wall -Wextra -Werror -shared -fPIC -I sdk/c/include \
        -o "$work/modules/$1.so" "tests/e2e/modules/$1.c" || exit 1
}

ask() # ask WHO JSON: a call
{
    curl -sS -m 30 -H 'Content-Type: application/json' --data "$2" \
        "$suite_url/api/v1/actors/default/default/$1?invocation=call"
}
says() { ask "$1" "$2" | grep -qE "$3"; } # says WHO JSON REGEX

# Processes: the ref of one, whether it is another than that, and whether
# "$work/events" has a line like that (e2e_events begins it).
ref_of() { "$plex" actor inspect "$1" | awk '$1 == "process" { print $2 }'; }
moved() # moved WHO REF: it runs, and is another one
{
    local now
    now=$(ref_of "$1")
    [ -n "$now" ] && [ "$now" != "$2" ]
}
seen() { grep -qE "$1" "$work/events"; }
e2e_events()
{
    "$plex" events --follow --output json >"$work/events" \
        2>"$work/events.err" &
    e2e_also $!
}
