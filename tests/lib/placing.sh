# For tests that place processes, after e2e.sh: workers of one's own, whose pids
# are in the array `workers`, and where things run.
declare -A workers

worker() # NAME OPTION...: one more, beside the suite's own
{
    local name=$1
    shift
    "$bin/plex-worker" --node "$name" --registry-url "$registry" \
        --listen-url "ipc://$work/$name.sock" --admin-addr 127.0.0.1:0 \
        --module-dir "${modules:-$bin/../modules}" "$@" 2>"$work/$name.log" &
    workers[$name]=$!
    e2e_also $!
}
of() { "$plex" actor inspect "$1" | awk '$1 == "node" { print $2 }'; }
runs_on() { [ "$(of "$1")" = "$2" ]; }
reserved() # WORKER: thousandths of a core
{
    curl -sS "$suite_url/api/v1/scheduling/nodes/$1/capacity" | python3 -c '
import json, sys
print(json.load(sys.stdin)["capacity"]["reserved"].get("cpuMillis", 0))'
}
has_reserved() { [ "$(reserved "$1")" = "$2" ]; }
