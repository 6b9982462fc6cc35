"""The tuple space over HTTP while its daemon is killed: tuplespace.py URL FILE [N]

Producers write numbered jobs, consumers take them, movers carry tokens from
one space to the other in transactions; everything is retried under its key.
There is work until FILE exists. With N, jobs and tokens are spread over N
namespaces, which several daemons may share, and the jobs of every second one
over all shards. At the end each job was taken by exactly one consumer, and as
many tokens are there as at the beginning. Says what was wrong and exits 1.
"""
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request

URL = sys.argv[1] + "/api/v1/tuplespace"
ENOUGH = sys.argv[2]
N = int(sys.argv[3]) if len(sys.argv) > 3 else 1
PRODUCERS, JOBS, CONSUMERS, MOVERS, MOVES, TOKENS = 2, 100, 3, 2, 60, 5
PATIENCE = 80  # seconds
RUN = time.time_ns() // 1000000  # a store may have been used before
wrong = []
taken = []
written = {}
guard = threading.Lock()
producing = PRODUCERS
end = time.monotonic() + PATIENCE


def call(path, body, key=None, quiet=(), n=0):
    """The answer, or None for a refusal; tries again while nobody answers."""
    headers = {"Content-Type": "application/json"}
    body = {"namespace": f"r{RUN}-{n % N}", **body}
    if key:
        headers["Idempotency-Key"] = f'"{key}"'
    while time.monotonic() < end:
        request = urllib.request.Request(URL + path, method="POST",
                                         data=json.dumps(body).encode(),
                                         headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read()
            if error.code in quiet:
                return None
            if error.code not in (409, 429, 503, 504):
                wrong.append(f"{path} {body}: {error.code} {text}")
                return None
        except OSError:
            pass
        time.sleep(0.02)
    wrong.append(f"{path}: no answer in {PATIENCE} s")
    return None


def produce(me):
    global producing
    i = 0
    while not wrong and (i < JOBS or not os.path.exists(ENOUGH)):
        call("/tuples", {"space": "jobs", "tuples": [["job", me, i]]},
             key=f"w-{me}-{i}", n=i)
        i += 1
    written[me] = i
    with guard:
        producing -= 1


def consume(me):
    n = empty = 0
    while not wrong:
        with guard:
            last = producing == 0
        n += 1
        answer = call("/take", {"space": "jobs", "max_results": 4,
                                "template": ["job", {"type": "int64"},
                                             {"type": "int64"}],
                                "timeout_ms": 0 if n % N % 2 else 200 // N},
                      key=f"t-{me}-{n}",
                      n=n)
        if answer is None:
            return
        with guard:
            taken.extend(tuple(t["fields"][1:]) for t in answer["tuples"])
        empty = 0 if answer["tuples"] or not last else empty + 1
        if empty == N:
            return


def move(me):
    """A transaction that a restart aborted has not moved anything."""
    for i in range(MOVES):
        key = f"{me}-{i}"
        source, to = ("a", "b") if (me + i) % 2 else ("b", "a")
        begun = call("/transactions", {"timeout_ms": 60000}, key=f"b-{key}",
                     n=i)
        if begun is None:
            return
        tx = {"transaction_id": begun["transaction_id"]}
        gone = (404, 409)
        got = call("/take", {"space": source, "template": ["token",
                                                           {"any": True}],
                             **tx}, quiet=gone, n=i)
        if got and got["tuples"]:
            if call("/tuples", {"space": to,
                                "tuples": [got["tuples"][0]["fields"]], **tx},
                    quiet=gone, n=i) is None:
                continue
        call(f"/transactions/{tx['transaction_id']}/commit", {}, quiet=gone,
             n=i)


def main():
    # Every second namespace has its jobs in all shards.
    for i in range(1, N, 2):
        call("/spaces", {"space": "jobs", "options": {"partition_field": 2}},
             n=i)
    for i in range(TOKENS):
        call("/tuples", {"space": "a", "tuples": [["token", i]]},
             key=f"token-{i}", n=i)
    threads = [threading.Thread(target=run, args=(i,))
               for run, n in ((produce, PRODUCERS), (consume, CONSUMERS),
                              (move, MOVERS)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want = {(p, i) for p in range(PRODUCERS) for i in range(written[p])}
    if len(taken) != len(set(taken)):
        wrong.append(f"{len(taken) - len(set(taken))} jobs were taken twice")
    if set(taken) != want:
        wrong.append(f"{len(want - set(taken))} jobs were lost, "
                     f"{len(set(taken) - want)} appeared")
    tokens = []
    for space, n in ((s, n) for s in ("a", "b") for n in range(N)):
        answer = call("/read", {"space": space, "template": [],
                                "max_results": 100}, n=n)
        tokens += [t["fields"][1] for t in answer["tuples"]] if answer else []
    if sorted(tokens) != list(range(TOKENS)):
        wrong.append(f"tokens {sorted(tokens)} of {TOKENS}")
    for text in wrong[:10]:
        print(text)
    print(f"{len(taken)} jobs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
