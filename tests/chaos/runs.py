"""Runs that wait, on real daemons that are killed with -9 meanwhile.

    runs.py URL RUN_FOLDER TRANSFERS EFFECTS SEED

Money moves between accounts by transfers (examples/bank), and a server of our
own counts what actors ask of it (behaviour workflow-http). At the end the
money is what it was, each transfer was answered once, and no effect was
carried out after its result had been recorded. Exit code 0, or 1 with what
was found. With PLEX_CHAOS_PG set the private Postgres of
scripts/test-postgres.sh is killed and started again, too."""
import http.client
import http.server
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse

url, folder, transfers, effects, seed = sys.argv[1:6]
transfers, effects = int(transfers), int(effects)
rand = random.Random(int(seed))
host = urllib.parse.urlparse(url).netloc
ACCOUNTS, START = 20, 1000
VICTIMS = ["worker-1", "worker-2", "worker-1", "worker-2", "journal",
           "gateway", "placement"]
if os.path.exists(os.path.join(folder, "journal-1.pid")):
    VICTIMS.remove("journal")
    VICTIMS += ["journal-1", "journal-2"]
PAUSE = (0.3, 1.5)
if os.environ.get("RUNS_VICTIMS"):  # only these, and often
    VICTIMS = os.environ["RUNS_VICTIMS"].split()
    PAUSE = (0.05, 0.3)
run = "%08x" % rand.getrandbits(32)
problems = []
stop = threading.Event()


def post(path, body, key, patience=120):
    """Ask until there is an answer; the key makes that safe."""
    deadline = time.monotonic() + patience
    last = "nothing was tried"
    while time.monotonic() < deadline:
        try:
            conn = http.client.HTTPConnection(host, timeout=35)
            conn.request("POST", path, json.dumps(body), {
                "Content-Type": "application/json", "Idempotency-Key": key})
            reply = conn.getresponse()
            text = reply.read().decode()
            conn.close()
            if reply.status < 500 and reply.status != 429 and \
                    "IN_FLIGHT" not in text:
                return reply.status, text
            last = "%d %s" % (reply.status, text)
        except (OSError, http.client.HTTPException) as e:
            last = repr(e)
        time.sleep(0.05)
    problems.append("no answer to %s in %d s: %s" % (path, patience, last))
    return 0, ""


def actor(kind, key, body, idempotency):
    return post("/api/v1/actors/default/default/%s/%s?invocation=call" %
                (kind, urllib.parse.quote(key, safe="")), body, idempotency)


# -- the outside world ---------------------------------------------------------

counts = {}
lock = threading.Lock()


class Counter(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with lock:
            counts[self.path] = counts.get(self.path, 0) + 1
            body = json.dumps({"number": counts[self.path]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Outside(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # a client that was killed


outside = Outside(("127.0.0.1", 0), Counter)
threading.Thread(target=outside.serve_forever, daemon=True).start()

# -- the killer ------------------------------------------------------------------


def pid_of(name):
    try:
        with open(os.path.join(folder, name + ".pid")) as f:
            return int(f.read())
    except (OSError, ValueError):
        return 0


kills = 0
crashes = 0  # of the database


def database_crash():
    global crashes
    subprocess.run(["scripts/test-postgres.sh", "crash"], check=False)
    crashes += 1
    stop.wait(rand.uniform(0, 1))
    if subprocess.run(["scripts/test-postgres.sh", "resume"],
                      check=False).returncode != 0:
        problems.append("Postgres does not start again")


def killer():
    global kills
    if os.environ.get("PLEX_CHAOS_PG"):
        VICTIMS.append("postgres")
        database_crash()  # once for sure
    while not stop.wait(rand.uniform(*PAUSE)):
        victim = rand.choice(VICTIMS)
        if victim == "postgres":
            database_crash()
            continue
        pid = pid_of(victim)
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
                kills += 1
            except ProcessLookupError:
                pass


# -- the work ----------------------------------------------------------------------


def transfer(i):
    a, b = rand.sample(range(ACCOUNTS), 2)
    status, text = actor("transfer", "%s-%d" % (run, i), {
        "from": "%s-%d" % (run, a), "to": "%s-%d" % (run, b),
        "amount": rand.randint(1, 50)}, "%s-t%d" % (run, i))
    if status not in (200, 409):
        problems.append("transfer %d: %d %s" % (i, status, text))


def effect(i):
    path = "/%s/%d" % (run, i)
    status, text = actor("workflow-http", "%s-%d" % (run, i), {
        "action": "request", "method": "POST",
        "url": "http://127.0.0.1:%d%s" % (outside.server_port, path)},
        "%s-e%d" % (run, i))
    if status != 200:
        problems.append("effect %d: %d %s" % (i, status, text))
        return
    recorded[path] = json.loads(text)["body"]["number"]


recorded = {}
todo = [(transfer, i) for i in range(transfers)] + \
       [(effect, i) for i in range(effects)]
rand.shuffle(todo)


def work():
    while True:
        with lock:
            if not todo:
                return
            what, i = todo.pop()
        what(i)


for i in range(ACCOUNTS):
    status, text = actor("account", "%s-%d" % (run, i),
                         {"action": "deposit", "amount": START},
                         "%s-d%d" % (run, i))
    if status != 200:
        sys.exit("an account could not be opened: %d %s" % (status, text))
began = time.monotonic()
workers = [threading.Thread(target=work) for _ in range(16)]
killing = threading.Thread(target=killer, daemon=True)
killing.start()
for w in workers:
    w.start()
for w in workers:
    w.join()
stop.set()
killing.join()  # the database may have to come up first
seconds = time.monotonic() - began
# Every effect whose result is recorded was seen; more calls after that one
# would be executions of a recorded effect.
time.sleep(1)
again = sum(n - 1 for n in counts.values())
for path, number in recorded.items():
    if counts.get(path) != number:
        problems.append("effect %s: recorded number %d, carried out %s times" %
                        (path, number, counts.get(path)))
total = 0
for i in range(ACCOUNTS):
    status, text = actor("account", "%s-%d" % (run, i), {"action": "get"},
                         "%s-g%d" % (run, i))
    total += json.loads(text)["balance"] if status == 200 else 0
if total != ACCOUNTS * START:
    problems.append("the accounts hold %d, put in were %d" %
                    (total, ACCOUNTS * START))
print("runs: %d transfers, %d effects, %d kills, %d crashes of the database, "
      "%.1f s; %d effects ran again before they were recorded; total %d" %
      (transfers, effects, kills, crashes, seconds, again, total))
for p in problems[:20]:
    print("runs: " + p)
sys.exit(1 if problems else 0)
