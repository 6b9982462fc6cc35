#!/bin/bash
# Calls between two Erlang nodes: far.sh FOLDER(of far.beam) CALLS RUNS
# Without epmd: the one node listens where the other one looks. CPU is that of
# the calling node.
set -u
folder=${1:?folder}
port=$(python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])')
common=(-noshell -pa "$folder" -setcookie "bench$$" -start_epmd false
    -erl_epmd_port "$port" -kernel inet_dist_use_interface '{127,0,0,1}')
coproc server { erl "${common[@]}" -sname echo@localhost -s far serve; }
pid=$server_PID
trap 'kill "$pid" 2>/dev/null' EXIT
read -r -t 20 line <&"${server[0]}" && [ "$line" = ready ] || exit 1
exec {hold}>&"${server[1]}" # its input is open as long as we are here
erl "${common[@]}" -sname bench@localhost -dist_listen false \
    -s far main "$2" "$3"
