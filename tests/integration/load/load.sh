#!/bin/bash
# The ledger of plex-load passes what is right and catches what is wrong:
# load.sh BUILD
set -u
cd "$(dirname "$0")/../../.."
bin=${1:?build folder}/bin
. tests/lib/check.sh
fake=

against() # FAULT OPTIONS...: plex-load against a fake with that fault
{
    local fault=$1 port status
    shift
    coproc FAKE { exec python3 tests/integration/load/fake_gateway.py "$fault"; }
    fake=$FAKE_PID
    read -r port <&"${FAKE[0]}"
    "$bin/plex-load" --url "http://127.0.0.1:$port" --connections 16 --keys 20 \
        --requests 3000 --duration 30 --retry-ms 1 "$@"
    status=$?
    kill "$fake"
    wait "$fake" 2>/dev/null
    return $status
}

check "a good server passes" 0 '^3000 acknowledged, 0 lost, 0 twice' \
    against none --keyed --ledger
check "failed attempts are retried with their key" 0 \
    '^3000 acknowledged, 0 lost, 0 twice' against shaky --keyed --ledger
check "without keys they are counted as unknown" 0 \
    '0 lost, 0 twice, [1-9][0-9]* unknown' against shaky --ledger
check "increments applied twice are caught" 1 \
    '^3000 acknowledged, 0 lost, [1-9]' against forgets --keyed --ledger
check "acknowledged increments that are lost are caught" 1 \
    '^3000 acknowledged, [1-9]' against loses --keyed --ledger
check "a wrong option names the nearest" 2 'nearest is "keys"' \
    "$bin/plex-load" --keyz 5
check "no server at all is a failure" 1 '0 answers' \
    "$bin/plex-load" --url http://127.0.0.1:1 --duration 1 --connections 2
check_end
