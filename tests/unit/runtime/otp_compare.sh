#!/bin/sh
# The model of supervision against OTP's own supervisor: otp_compare.sh BUILD
# FIRST..LAST (seeds). Restarts are never forgotten here, and there are no other
# nodes; the rest is the same as in plex-sim-actors.
set -eu
cd "$(dirname "$0")"
build=${1:?build folder}
if ! command -v erlc >/dev/null; then
    echo "SKIP: erlc is not installed (scripts/setup.sh --bench)"
    exit 0
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/plex-otp.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$build/bin/plex-sim-actors" --dump --steps 25 --seeds "${2:-1..5}" >"$work/terms"
erlc -o "$work" otp_compare.erl
cd "$work"
erl +S 1 -noshell -run otp_compare main terms
