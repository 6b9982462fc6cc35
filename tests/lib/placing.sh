# For tests that place processes: workers of one's own, and where things run.
# Wants $bin, $work, and the array `workers`, whose pids are ended by the test.
plex=$bin/plexspaces

until_true() # SENTENCE COMMAND...: within 20 s
{
    local sentence=$1 try
    shift
    for try in $(seq 1 400); do
        if "$@" >"$work/until" 2>&1; then
            ok "$sentence"
            return
        fi
        sleep 0.05
    done
    not_ok "$sentence" "$*" "$(tail -5 "$work/until")"
}
worker() # NAME OPTION...: one more, beside the suite's own
{
    local name=$1
    shift
    "$bin/plex-worker" --node "$name" --registry-url "$registry" \
        --listen-url "ipc://$work/$name.sock" --admin-addr 127.0.0.1:0 \
        --module-dir "${modules:-$bin/../modules}" "$@" 2>"$work/$name.log" &
    workers[$name]=$!
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
