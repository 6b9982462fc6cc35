#!/bin/bash
# What is stored is sealed, inputs of turns too, and can be shredded:
# sealed.sh BUILD
set -u
cd "$(dirname "$0")/../.."
build=${1:?build folder}
. tests/lib/e2e.sh

secret=the-word-is-swordfish
stored() # nothing of it may be in the clear in any file of the journal
{
    grep -lac "$secret" "$work"/data/journal.db* && return 1
    return 0
}
history()
{
    "$plex" actor history cart/spy --output json
}

echo "1 $(printf '%064d' 7)" >"$work/keys"
chmod 600 "$work/keys"
export PLEXSPACES_JOURNAL_MASTER_KEY_FILE=$work/keys
suite_start "$work/data" --processes --modules "$build/modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/cart/app.yaml || exit 1
check "somebody buys something" 0 "$secret" "$plex" actor call cart/spy \
    "{\"action\":\"add\",\"sku\":\"$secret\"}"
check "its record has the input" 0 "\"sku\": ?\"$secret\"" history
check "the journal's files have not" 0 '^$' stored
check "another tenant cannot be shredded" 1 TENANT_FORBIDDEN \
    "$plex" journal shred acme
check "the tenant is" 0 '^1 keys destroyed$' "$plex" journal shred default
check "its inputs cannot be read any more" 1 'has been destroyed' history
check "nor its state" 1 'has been destroyed' "$plex" actor at cart/spy
suite_stop # and it stays so
suite_start "$work/data" --processes --modules "$build/modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
check "after a restart they are gone" 1 'has been destroyed' history
check "the chain of hashes still holds" 0 '' "$plex" journal verify
check "who comes later has a key of its own" 0 '"sku":"pen"' \
    "$plex" actor call cart/later '{"action":"add","sku":"pen"}'
check "nothing is in the clear" 0 '^$' stored
suite_stop

unset PLEXSPACES_JOURNAL_MASTER_KEY_FILE
suite_start "$work/open" --modules "$build/modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
check "what is not sealed cannot be shredded" 1 'UNSUPPORTED|not sealed|sealed' \
    "$plex" journal shred default
check_end
