# Shell functions to run the suite in tests: source it after setting `bin`.
# Every suite is started by suite_start and ended by suite_stop, by its pid.

suite_pid=
suite_data=
suite_url=

free_port()
{
    python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# suite_start DATA [dev options...]: returns when it is ready, with suite_url
# set. A suite_port set before is used, else a free one.
suite_start()
{
    suite_data=$1
    shift
    local port=${suite_port:-$(free_port)} waited=0
    mkdir -p "$suite_data"
    suite_url=http://127.0.0.1:$port
    : >"$suite_data/dev.out" # what an earlier one said must not count
    "$bin/plexspaces" dev --data "$suite_data" --http "127.0.0.1:$port" "$@" \
        >>"$suite_data/dev.out" 2>>"$suite_data/dev.log" &
    suite_pid=$!
    while ! grep -q '^plexspaces .* is ready' "$suite_data/dev.out"; do
        if ! kill -0 "$suite_pid" 2>/dev/null || [ $waited -gt 3000 ]; then
            echo "the suite did not start:" >&2
            cat "$suite_data/dev.out" "$suite_data/dev.log" >&2
            suite_stop
            return 1
        fi
        sleep 0.01
        waited=$((waited + 1))
    done
}

# SIGTERM, and the exit code of dev.
suite_stop()
{
    local status=0
    [ -n "$suite_pid" ] || return 0
    kill -TERM "$suite_pid" 2>/dev/null
    wait "$suite_pid" || status=$?
    suite_pid=
    return $status
}

# Until the shards are spread: the first worker gets all of them, and those who
# come later their share about 2 s after (placement's settle_ms). Actors that
# are not durable go when their shard moves.
suite_spread()
{
    local waited=0
    while ! curl -fsS "$suite_url/api/v1/nodes" | python3 -c '
import json, sys
shares = [int(n.get("shards", 0)) for n in json.load(sys.stdin)["nodes"]
          if n["kind"] == "worker"]
sys.exit(max(shares) - min(shares) > 1)'; do
        if [ $waited -gt 200 ]; then
            echo "the shards are not spread after 20 s" >&2
            return 1
        fi
        sleep 0.1
        waited=$((waited + 1))
    done
}

suite_deploy()
{
    "$bin/plexspaces" application deploy "$1" --server "$suite_url" >/dev/null
}

# suite_daemon worker-1: its pid, or nothing.
suite_daemon()
{
    cat "$suite_data/run/$1.pid" 2>/dev/null
}
