"""Keys and locks over HTTP while their registry is killed: keep.py URL

Clients increment one number under request ids of their own, and take turns in
a lock around a register that refuses older tokens. Says what was wrong and
exits 1.
"""
import json
import sys
import threading
import time
import urllib.error
import urllib.request

URL = sys.argv[1] + "/api/v1"
CLIENTS, ROUNDS, PATIENCE = 4, 40, 60
wrong = []
register = {"token": 0, "owner": None}
guard = threading.Lock()
end = time.monotonic() + PATIENCE


def call(method, path, body=None, quiet=(404, 409)):
    """The answer, or None for a refusal; tries again while it is not there."""
    while time.monotonic() < end:
        request = urllib.request.Request(
            URL + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code in quiet:
                return None
            if error.code not in (429, 503, 504):
                wrong.append(f"{method} {path}: {error.code} {error.read()}")
                return None
        except OSError:
            pass
        time.sleep(0.02)
    wrong.append(f"{method} {path}: no answer in time")
    return None


def increments(client):
    for i in range(ROUNDS * 3):
        call("POST", "/keyvalue/n:increment",
             {"requestId": f"c{client}-{i}", "delta": 1})


def enter(token, owner):
    """The protected thing: a newer token shuts older ones out."""
    with guard:
        if token < register["token"]:
            return
        if token > register["token"]:
            register.update(token=token, owner=owner)
        elif register["owner"] != owner:
            wrong.append(f"token {token} for {owner} and {register['owner']}")


def locks(client):
    name, done = f"c{client}", 0
    while done < ROUNDS and time.monotonic() < end:
        got = call("POST", "/locks/l:acquire",
                   {"holder": name, "leaseMs": 5000, "waitMs": 5000})
        if got is None:
            continue
        lock = got["lock"]
        enter(int(lock["token"]), name)
        call("POST", "/locks/l:release",
             {"holder": name, "version": lock["version"]})
        done += 1
    if done < ROUNDS:
        wrong.append(f"{name} got the lock {done} times only")


def main():
    threads = [threading.Thread(target=what, args=(i,))
               for i in range(CLIENTS) for what in (increments, locks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    entry = call("GET", "/keyvalue/n?as_text=true")
    want = str(CLIENTS * ROUNDS * 3)
    if not wrong and (entry is None or entry["entry"]["text"] != want):
        wrong.append(f"the number is {entry}, it should be {want}")
    for line in wrong[:20]:
        print(line)
    print(f"{CLIENTS} clients, last token {register['token']}")
    sys.exit(1 if wrong else 0)


main()
