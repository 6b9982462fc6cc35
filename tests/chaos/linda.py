"""Is the tuple space linearizable while its daemons are killed?

    linda.py BUILD/bin DSN SECONDS SEED
    linda.py --bite

Clients write, read, take, swap and count over HTTP, many at once in one small
space after the other (with its namespace, apart from it, or spread by a
field), and repeat what was not answered under its key; daemons
are killed with -9 meanwhile (two of them, and stopped and resumed as well,
when the store can be shared). Each space's history is then searched for an
order of its calls that the model of a space explains (Wing and Gong). At the
end, and alone with --bite, histories with a known fault are checked, which
must be refused. Exit code 0, or 1 with what was found."""
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

CLIENTS, CALLS, KEYS = 5, 24, 2  # at once; per space; kinds of tuples
FOREVER = 1 << 62
PATIENCE = 40  # seconds until a call has to be answered

# -- the model and the search ------------------------------------------------


def model(state, call):
    """The state after `call`, or None when it cannot have been answered so.

    A state is the space's tuples (key, n), the oldest first."""
    kind, key, answer = call["kind"], call["key"], call["answer"]
    if kind == "write":
        return state + ((key, call["n"]),)
    if kind == "all":
        if "apart" in call:  # in order of age for each key only
            state_now = sorted(state, key=lambda t: t[0])
            answer = sorted(answer, key=lambda t: t[0])
            return state if state_now == answer else None
        return state if [n for _, n in state] == answer else None
    at = [i for i, t in enumerate(state) if t[0] == key and
          call.get("old") in (None, t[1])]
    if kind == "count":
        return state if answer == len(at) else None
    if kind == "swap":
        if answer != bool(at) and answer is not None:
            return None
        return state if not at else \
            state[:at[0]] + ((key, call["n"]),) + state[at[0] + 1:]
    found = state[at[0]][1] if at else None
    if call["end"] != FOREVER and found != answer:
        return None
    if kind == "read" or found is None:
        return state
    return state[:at[0]] + state[at[0] + 1:]


def linearizable(history):
    """Does an order explain it? Calls that overlap may be in any order; one
    that was never answered may have happened, at any time since."""
    calls = sorted(history, key=lambda call: call["begin"])
    answered = sum(1 << i for i, call in enumerate(calls)
                   if call["end"] != FOREVER)
    seen, stack = set(), [(0, ())]
    while stack:
        done, state = stack.pop()
        if done & answered == answered:
            return True
        if (done, state) in seen:
            continue
        seen.add((done, state))
        first_end = min(call["end"] for i, call in enumerate(calls)
                        if not done >> i & 1)
        for i, call in enumerate(calls):
            if call["begin"] > first_end:
                break
            if done >> i & 1:
                continue
            after = model(state, call)
            if after == state and call["end"] != FOREVER:
                # It changes nothing: if it fits here, it need not be later.
                stack.append((done | 1 << i, state))
                break
            if after is not None:
                stack.append((done | 1 << i, after))
    return False


# -- histories with a fault --------------------------------------------------


def made(*rows):
    """Calls one after the other: (kind, n or expected answer[, more])."""
    calls = []
    for i, (kind, value, *more) in enumerate(rows):
        call = {"kind": kind, "key": 0, "begin": 2 * i, "end": 2 * i + 1,
                "answer": value}
        if kind in ("write", "swap"):
            call["n"] = value
            call["answer"] = True
        call.update(*more)
        calls.append(call)
    return calls


DOCTORED = {
    "a tuple that two took": made(
        ("write", 1), ("take", 1), ("take", 1)),
    "a tuple that was lost": made(
        ("write", 1), ("take", None)),
    "a tuple that is read after it was taken": made(
        ("write", 1), ("take", 1), ("read", 1)),
    "a tuple that is read before it is written": made(
        ("read", 1), ("write", 1)),
    "a tuple that nobody wrote": made(
        ("write", 1), ("take", 2)),
    "a younger tuple that comes first": made(
        ("write", 1), ("write", 2), ("take", 2)),
    "a swap that happened twice": made(
        ("write", 1), ("swap", 2, {"old": 1}), ("swap", 3, {"old": 1})),
    "a write that was carried out twice": made(
        ("write", 1), ("count", 2)),
    "a taken tuple that is back after a crash": made(
        ("write", 1), ("take", 1), ("all", [1])),
}
SOUND = {
    "calls one after the other": made(
        ("write", 1), ("write", 2), ("read", 1), ("take", 1),
        ("swap", 3, {"old": 2}), ("count", 1), ("all", [3])),
    "a take that overlaps the write": made(
        ("take", 1, {"end": 9}), ("write", 1)),
    "a write that was never answered and happened": made(
        ("write", 1, {"end": FOREVER}), ("take", 1)),
    "a write that was never answered and did not happen": made(
        ("write", 1, {"end": FOREVER}), ("all", [])),
}


def bite():
    bad = ["the checker accepts " + name for name, history
           in DOCTORED.items() if linearizable(history)]
    bad += ["the checker refuses " + name for name, history
            in SOUND.items() if not linearizable(history)]
    return bad


def doctor(history, rand):
    """A recorded history with one answer changed, or None."""
    takes = [c for c in history if c["kind"] == "take" and
             c["answer"] is not None]
    if len(takes) < 2:
        return None
    victim, other = rand.sample(takes, 2)
    return [dict(c, answer=other["answer"]) if c is victim else c
            for c in history]


# -- daemons -----------------------------------------------------------------


class Daemons:
    def __init__(self, binaries, dsn):
        self.bin, self.dsn = binaries, dsn
        self.work = tempfile.mkdtemp(prefix="plex-linda.")
        if dsn == "sqlite:":
            self.dsn = "sqlite:" + os.path.join(self.work, "tuples.db")
        self.log = open(os.path.join(self.work, "log"), "ab")
        self.processes = {}
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.spaces = ["tuplespace-0"]
        if not dsn.startswith("sqlite:"):
            self.spaces.append("tuplespace-1")
        self.start("registry", "--store-dsn", "mem:")
        for name in self.spaces:
            self.start_space(name)
        self.start("gateway", "--http-addr", "127.0.0.1:%d" % self.port)

    def start(self, name, *options):
        def url(of):
            return "ipc://" + os.path.join(self.work, of)
        self.processes[name] = subprocess.Popen(
            [os.path.join(self.bin, "plex-" + name.split("-")[0]), "--node",
             name, "--listen-url", url(name), "--registry-url",
             url("registry"), "--admin-addr", "", "--log-level", "warn",
             *options], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log)

    def start_space(self, name):
        self.start(name, "--store-dsn", self.dsn)

    def kill(self, name):
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes[name].wait()
        self.start_space(name)

    def stop(self):
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.log.close()
        shutil.rmtree(self.work)


# -- clients -----------------------------------------------------------------


class Run:
    def __init__(self, daemons, seconds, seed):
        self.daemons, self.seed = daemons, seed
        self.end = time.monotonic() + seconds
        self.guard = threading.Lock()
        self.number = 0  # of the next call; CALLS of them make a space
        self.histories = {}
        self.wrong = []
        self.kills = self.repeats = 0
        self.name = "l%d" % (time.time_ns() // 1000000)
        self.over = threading.Event()
        self.making, self.made = threading.Lock(), set()

    def make(self, conn, space):
        """A third of the spaces is placed apart from the others, another third
        by the value of the field that each call names."""
        options = ({}, {"own_shard": True}, {"partition_field": 1})[space % 3]
        with self.making:
            if space not in self.made:
                self.ask(conn, "/spaces",
                         {**self.place(space), "options": options}, None)
                self.made.add(space)

    def ask(self, conn, path, body, key, patience=PATIENCE):
        """(begin of the last attempt, answer); None when none came."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = '"%s"' % key
        until = time.monotonic() + patience
        while time.monotonic() < until:
            begin = time.monotonic_ns()
            try:
                conn.request("POST", "/api/v1/tuplespace" + path,
                             json.dumps(body), headers)
                reply = conn.getresponse()
                text = reply.read()
                if reply.status == 200:
                    return begin, json.loads(text)
                if reply.status not in (409, 429, 500, 502, 503, 504):
                    self.wrong.append("%s %s: %d %s" %
                                      (path, body, reply.status, text))
                    return begin, None
            except (OSError, http.client.HTTPException):
                conn.close()
            with self.guard:
                self.repeats += 1
            time.sleep(0.02)
        return time.monotonic_ns(), None

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.daemons.port,
                                          timeout=5)

    def place(self, space):
        return {"namespace": "%s-%d" % (self.name, space % 16),
                "space": "s%d" % space}

    def record(self, conn, rand, space, number):
        """One call, made and put into its space's history."""
        key, n = rand.randrange(KEYS), number
        kind = rand.choices(("write", "read", "take", "swap", "count"),
                            (8, 4, 6, 4, 1))[0]
        call = {"kind": kind, "key": key, "begin": time.monotonic_ns(),
                "end": FOREVER, "answer": None}
        body = self.place(space)
        template = ["v", key, {"any": True}]
        with self.guard:
            known = [c["n"] for c in self.histories.setdefault(space, [])
                     if "n" in c and c["key"] == key]
            self.histories[space].append(call)
            if kind in ("write", "swap"):
                call["n"] = n
            if kind == "swap" and known and rand.random() < 0.6:
                call["old"] = rand.choice(known)
                template[2] = call["old"]
        path = {"write": "/tuples", "swap": "/compare-and-swap"}.get(
            kind, "/" + kind)
        if kind == "write":
            body["tuples"] = [["v", key, n]]
        else:
            body["template"] = template
        if kind == "swap":
            body["tuple"] = ["v", key, n]
        if kind == "take" and rand.random() < 0.5:
            body["timeout_ms"] = rand.randrange(1, 200)
        changes = kind in ("write", "take", "swap")
        word = "%s-%d" % (self.name, number) if changes else None
        begin, answer = self.ask(conn, path, body, word)
        if answer is None:
            return
        if not changes:
            call["begin"] = begin  # earlier attempts left nothing behind
        call["answer"] = self.meaning(kind, answer)
        call["end"] = time.monotonic_ns()
        if changes and rand.random() < 0.1:
            _, again = self.ask(conn, path, body, word)
            if again is not None and \
                    self.meaning(kind, again) != call["answer"]:
                self.wrong.append("%s %s: first %s, repeated under its key "
                                  "%s" % (path, body, answer, again))

    @staticmethod
    def meaning(kind, answer):
        if kind == "write":
            return True
        if kind == "swap":
            return answer["swapped"]
        if kind == "count":
            return int(answer["count"])
        return answer["tuples"][0]["fields"][2] if answer["tuples"] else None

    def client(self, me):
        rand = random.Random(self.seed * 100 + me)
        conn = self.connect()
        while time.monotonic() < self.end and not self.wrong:
            with self.guard:
                number = self.number
                self.number += 1
            self.make(conn, number // CALLS)
            self.record(conn, rand, number // CALLS, number)

    def killer(self):
        rand = random.Random(self.seed)
        names = self.daemons.spaces
        while not self.over.wait(rand.uniform(0.3, 1.2)):
            name = rand.choice(names)
            if self.kills and len(names) > 1 and rand.random() < 0.4:
                other = self.daemons.processes[name]
                other.send_signal(signal.SIGSTOP)
                self.over.wait(rand.uniform(0.1, 2.5))
                other.send_signal(signal.SIGCONT)
            else:
                self.daemons.kill(name)
                self.kills += 1

    def last_look(self):
        """What each space holds at the end ends its history."""
        conn = self.connect()
        for space, history in self.histories.items():
            begin, answer = self.ask(conn, "/read", {
                **self.place(space), "template": [], "max_results": 1000},
                None)
            if answer is None:
                self.wrong.append("space %d cannot be read at the end" % space)
                return
            if answer.get("cursor", "0") != "0":
                self.wrong.append("space %d is answered in part: %s" %
                                  (space, answer))
                return
            last = {"kind": "all", "key": None, "begin": begin,
                    "end": time.monotonic_ns(),
                    "answer": [t["fields"][2] for t in answer["tuples"]]}
            if space % 3 == 2:
                last["apart"] = True
                last["answer"] = [(t["fields"][1], t["fields"][2])
                                  for t in answer["tuples"]]
            history.append(last)

    def go(self):
        conn = self.connect()
        if self.ask(conn, "/count", {**self.place(0), "template": []}, None,
                    15)[1] is None:
            return ["the tuple space does not answer at all"]
        threads = [threading.Thread(target=self.client, args=(i,))
                   for i in range(CLIENTS)]
        killer = threading.Thread(target=self.killer)
        for thread in threads + [killer]:
            thread.start()
        for thread in threads:
            thread.join()
        self.over.set()
        killer.join()
        self.last_look()
        return self.wrong + self.judge()

    def judge(self):
        rand = random.Random(self.seed)
        bad, missed, doctored = [], 0, 0
        for space, history in sorted(self.histories.items()):
            if not linearizable(history):
                bad.append("space %d has no order of its calls:" % space)
                bad += ["    " + str(c) for c in
                        sorted(history, key=lambda c: c["begin"])]
                continue
            changed = doctor(history, rand)
            if changed is not None and doctored < 5:
                doctored += 1
                missed += linearizable(changed)
        print("linda: %d calls in %d spaces, %d repeated, %d kills; %d of %d "
              "doctored histories refused" %
              (self.number, len(self.histories), self.repeats, self.kills,
               doctored - missed, doctored))
        if missed:
            bad.append("%d doctored histories were accepted" % missed)
        if self.kills == 0:
            bad.append("nothing was killed")
        return bad


def main():
    wrong = bite()
    if sys.argv[1:] == ["--bite"]:
        print("linda: %d histories with a fault, %d sound ones" %
              (len(DOCTORED), len(SOUND)))
    elif not wrong:
        binaries, dsn, seconds, seed = sys.argv[1:5]
        daemons = Daemons(binaries, dsn)
        try:
            wrong = Run(daemons, float(seconds), int(seed)).go()
        finally:
            if wrong:
                daemons.log.flush()
                with open(daemons.log.name, errors="replace") as log:
                    print("".join(log.readlines()[-20:]))
            daemons.stop()
    for text in wrong[:60]:
        print("linda: " + text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
