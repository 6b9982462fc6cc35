#!/bin/bash
# Wrong options, manifests, modules, names and ports: bad_config.sh BUILD
set -u
cd "$(dirname "$0")/../.."
. tests/lib/e2e.sh

# -- options of the daemons -----------------------------------------------------
for service in registry placement journal tuplespace channel-broker worker \
    gateway; do
    daemon=$bin/plex-$service
    check "plex-$service --check accepts its defaults" 0 '^$' \
        bash -c "cd '$work' && '$daemon' --check && echo"
    while IFS='|' read -r options pattern; do
        check "plex-$service $options is refused" 100 "$pattern" \
            timeout 5 "$daemon" --check $options
    done <<'TABLE'
--lisen-url tcp://127.0.0.1:1|unknown option .*lisen_url.*nearest is .*listen_url
--node|option node has no value
--node Upper|option node has byte 0x55 at position 1
--drain-ms soon|drain_ms is .*soon.*whole number from 0 to 3600000
--drain-ms -1|drain_ms is .*whole number
--drain-ms 99999999999999999999|drain_ms is .*whole number
--log-level loud|loud.*error, warn, info or debug
--listen-url http://x|listen_url is .*http://x.*tcp://HOST:PORT
--listen-url tcp://127.0.0.1:99999|listen_url is .*port from 0 to 65535
--registry-url here|registry_url is .*here.*tcp://HOST:PORT
--admin-addr nope|admin_addr is .*nope.*HOST:PORT
stray|unexpected argument .*stray
TABLE
done
check "an unknown store is refused" 100 'mysql.*mem:, sqlite:PATH or postgres' \
    "$bin/plex-journal" --check --store-dsn mysql://x
check "a wrong value in the environment is refused" 100 \
    'PLEXSPACES_JOURNAL_DRAIN_MS is .*whole number' \
    env PLEXSPACES_JOURNAL_DRAIN_MS=x "$bin/plex-journal" --check

# -- dev and the command ----------------------------------------------------------
for options in '--bogus' '--workers 0' '--workers abc' '--http nope' \
    '--data /proc/x' '--store bogus' "--modules $work/none"; do
    check "dev $options is refused" 100 '^error: .*(bogus|workers|http|/proc/x|none)' \
        timeout 5 "$plex" dev --data "$work/other" $options
done
check "help of an unknown command is an error" 2 'unknown command nod' \
    "$plex" help nod
check "without a command the help is shown" 2 'plexspaces actor call' "$plex"
check "an area tells about its commands" 0 'plexspaces tuplespace take SPACE' \
    "$plex" tuplespace --help
check "an area without a command lists them" 2 'known are: list status' \
    "$plex" node
check "errors are JSON with --output json" 0 '^111 service unavailable$' \
    bash -c "'$plex' node list --output json --server http://127.0.0.1:1 2>&1 |
    python3 -c 'import json, sys
error = json.load(sys.stdin)[\"error\"]
print(error[\"exit\"], error[\"status\"])'"
check "the completion works in bash" 0 '^list status capacity drain$' bash -c \
    "source <('$plex' completion bash) && COMP_WORDS=(plexspaces node '') &&
    COMP_CWORD=2 && _plexspaces && echo \${COMPREPLY[@]}"

# -- manifests ----------------------------------------------------------------------
manifest() # SENTENCE PATTERN TEXT
{
    printf -- "$3" >"$work/app.yaml"
    check "$1" 100 "app.yaml:$2" "$plex" application deploy \
        "$work/app.yaml" --server http://127.0.0.1:1
}
head='name: x\nversion: 1.0.0\nactor_types:\n'
manifest "an unknown key" '2:1: unknown key bogus; known are name' \
    'name: x\nbogus: 1\n'
manifest "a key twice" '2:1: a second name' 'name: x\nname: y\n'
manifest "no YAML" '2:1: not YAML' 'name: [1\n'
manifest "bytes that are not UTF-8" '1:1: not YAML.*UTF-8' '\201\202\203'
manifest "nothing" '1:1: the file is empty' ''
manifest "a list" '1:1: .*must be a mapping' '- 1\n'
manifest "types that are no list" '3:14: .*must be a list' \
    'name: x\nversion: 1.0.0\nactor_types: 7\n'
manifest "a wrong truth" '4:33: .*"maybe", it must be true or false' \
    "$head- {name: a, module: m, durable: maybe}\n"
manifest "a negative number" '4:37: .*"-4", it must be a whole number' \
    "$head- {name: a, module: m, mailbox_max: -4}\n"
check "a manifest that is a folder" 100 'directory' \
    "$plex" application deploy /tmp

# -- a running suite -------------------------------------------------------------------
mkdir "$work/modules"
cp "$bin/../modules/counter.so" "$work/modules/"
printf 'not a library' >"$work/modules/broken.so"
ln -s /lib/x86_64-linux-gnu/libz.so.1 "$work/modules/strange.so"
abi=$bin/../tests/unit/worker/modules/other_abi.so
if [ -e "$abi" ]; then
    cp "$abi" "$work/modules/foreign.so"
else
    echo "SKIP: other_abi.so of the unit tests is not built"
    cp "$work/modules/broken.so" "$work/modules/foreign.so"
fi
suite_start "$work/data" --processes --modules "$work/modules" || exit 1
export PLEXSPACES_SERVER=$suite_url
suite_deploy examples/counter/app.yaml
while read -r module pattern; do
    printf "name: $module\nversion: 1.0.0\nactor_types:\n- {name: $module, module: $module, virtual: true}\n" \
        >"$work/app.yaml"
    "$plex" application deploy "$work/app.yaml" >"$work/out" 2>&1 ||
        not_ok "$module is deployed" "$(cat "$work/out")"
    # The catalogue is on its way to the gateway.
    for try in $(seq 50); do
        "$plex" actor call "$module/a" >"$work/out" 2>&1
        grep -q TYPE_NOT_FOUND "$work/out" || break
    done
    check "module $module is explained to the caller" 0 "$pattern" \
        cat "$work/out"
done <<'TABLE'
missing no file missing.so in the module folder
broken broken.*could not be loaded
strange strange.*leads out of the module folder
foreign ABI 4|could not be loaded
TABLE
for path in ../counter /etc/passwd a/b .; do
    printf "name: esc\nversion: 1.0.0\nactor_types:\n- {name: esc, module: $path}\n" \
        >"$work/app.yaml"
    check "module $path is refused" 1 \
        'module .*must be a file name without folder' \
        "$plex" application deploy "$work/app.yaml"
done
registry=$("$plex" node status registry --output json |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["url"])')
check "a second worker-1 ends with 111 and says who has the name" 111 \
    'worker-1.* is already running: worker at ipc:.*another name' timeout 20 "$bin/plex-worker" --node worker-1 \
    --listen-url tcp://127.0.0.1:0 --admin-addr 127.0.0.1:0 \
    --registry-url "$registry" --module-dir "$work/modules"
check "the first worker-1 goes on" 0 '"count":1' \
    "$plex" actor call counter/a '{"action":"increment"}'
check "a port in use is named" 111 "${suite_url#http://}.*in use" timeout 5 \
    "$bin/plex-gateway" --http-addr "${suite_url#http://}" \
    --registry-url "$registry" --admin-addr 127.0.0.1:0
check_end
