#!/bin/bash
# docs/operations.md on standard output, from the option tables: what --help of
# each program in the folder BIN says. `make docs` writes the file; a test
# checks that it is up to date.
set -eu
bin=${1:?folder of the programs}

section() # TITLE COMMAND...
{
    local text
    printf '\n## %s\n\n```\n' "$1"
    shift
    text=$("$@" --help)
    printf '%s\n```\n' "$text"
}

cat <<'TEXT'
# Operating the suite

<!-- Written by `make docs` from the option tables. Do not edit. -->

Every daemon takes its options from the command line (`--drain-ms 5000`), else
from the environment (`PLEXSPACES_JOURNAL_DRAIN_MS=5000`), else the default.
`--check` loads and checks them and exits; `--help` prints what follows here.

- **Ready**: `/readyz` on the admin address answers 200, and a newline is
  written to the descriptor that `PLEXSPACES_NOTIFY_FD` names.
- **Admin HTTP** (`admin_addr`): `/healthz`, `/readyz`, `/startupz`, `/metrics`
  (Prometheus).
- **Stop**: SIGTERM drains for at most `drain_ms`, then exits 0; a second one
  ends at once.
- **Exit codes**: 0 done, 100 mend the configuration, 111 try again later.
- **Logs**: one JSON object a line on standard error.
- **Order**: daemons may start in any order; each becomes ready when those it
  needs are there.
TEXT
section "plexspaces dev" "$bin/plexspaces" dev
for service in registry placement journal worker gateway tuplespace \
    channel-broker; do
    section "plex-$service" "$bin/plex-$service"
done
