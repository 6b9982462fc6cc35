"""The tuple space over HTTP while its daemon is killed: tuplespace.py URL

Producers write numbered jobs, consumers take them, movers carry tokens from
one space to the other in transactions; everything is retried under its key.
At the end each job was taken by exactly one consumer, and as many tokens are
there as at the beginning. Says what was wrong and exits 1.
"""
import json
import sys
import threading
import time
import urllib.error
import urllib.request

URL = sys.argv[1] + "/api/v1/tuplespace"
PRODUCERS, JOBS, CONSUMERS, MOVERS, MOVES, TOKENS = 2, 400, 3, 2, 60, 5
PATIENCE = 80
wrong = []
taken = []
guard = threading.Lock()
producing = PRODUCERS
end = time.monotonic() + PATIENCE


def call(path, body, key=None, quiet=()):
    """The answer, or None for a refusal; tries again while nobody answers."""
    headers = {"Content-Type": "application/json"}
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
    for i in range(JOBS):
        call("/tuples", {"space": "jobs", "tuples": [["job", me, i]]},
             key=f"w-{me}-{i}")
    with guard:
        producing -= 1


def consume(me):
    n = 0
    while not wrong:
        with guard:
            last = producing == 0
        n += 1
        answer = call("/take", {"space": "jobs", "max_results": 4,
                                "template": ["job", {"type": "int64"},
                                             {"type": "int64"}],
                                "timeout_ms": 200}, key=f"t-{me}-{n}")
        if answer is None:
            return
        with guard:
            taken.extend(tuple(t["fields"][1:]) for t in answer["tuples"])
        if last and not answer["tuples"]:
            return


def move(me):
    """A transaction that a restart aborted has not moved anything."""
    for i in range(MOVES):
        key = f"{me}-{i}"
        source, to = ("a", "b") if (me + i) % 2 else ("b", "a")
        begun = call("/transactions", {"timeout_ms": 60000}, key=f"b-{key}")
        if begun is None:
            return
        tx = {"transaction_id": begun["transaction_id"]}
        gone = (404, 409)
        got = call("/take", {"space": source, "template": ["token",
                                                           {"any": True}],
                             **tx}, quiet=gone)
        if got and got["tuples"]:
            if call("/tuples", {"space": to,
                                "tuples": [got["tuples"][0]["fields"]], **tx},
                    quiet=gone) is None:
                continue
        call(f"/transactions/{tx['transaction_id']}/commit", {}, quiet=gone)


def main():
    for i in range(TOKENS):
        call("/tuples", {"space": "a", "tuples": [["token", i]]},
             key=f"token-{i}")
    threads = [threading.Thread(target=run, args=(i,))
               for run, n in ((produce, PRODUCERS), (consume, CONSUMERS),
                              (move, MOVERS)) for i in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    want = {(p, i) for p in range(PRODUCERS) for i in range(JOBS)}
    if len(taken) != len(set(taken)):
        wrong.append(f"{len(taken) - len(set(taken))} jobs were taken twice")
    if set(taken) != want:
        wrong.append(f"{len(want - set(taken))} jobs were lost, "
                     f"{len(set(taken) - want)} appeared")
    tokens = []
    for space in ("a", "b"):
        answer = call("/read", {"space": space, "template": [],
                                "max_results": 100})
        tokens += [t["fields"][1] for t in answer["tuples"]] if answer else []
    if sorted(tokens) != list(range(TOKENS)):
        wrong.append(f"tokens {sorted(tokens)} of {TOKENS}")
    for text in wrong[:10]:
        print(text)
    print(f"{len(taken)} jobs")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
