"""Requests that no HTTP client would send: raw_http.py URL CASE.

Each case is a list of what must hold, checked over plain sockets, and prints
one line per check as tests/lib/check.sh does. Exit 1 when one failed.
"""
import json
import re
import socket
import sys
from urllib.parse import urlsplit

url = urlsplit(sys.argv[1])
failed = 0
ACTOR = "/api/v1/actors/default/default/counter/raw"


def check(sentence, held, detail=""):
    global failed
    print(("ok   " if held else "FAIL ") + sentence, flush=True)
    if not held:
        failed += 1
        print("     " + repr(detail)[:600])


def send(data, half=False, until=None, wait=10):
    """What comes back until the server closes, `until` is in it, or `wait`
    seconds passed."""
    with socket.create_connection((url.hostname, url.port)) as sock:
        sock.settimeout(wait)
        answer = b""
        try:
            sock.sendall(data)
            if half:
                sock.shutdown(socket.SHUT_WR)
            while True:
                part = sock.recv(65536)
                if not part:
                    return answer
                answer += part
                if until is not None and until in answer:
                    return answer
        except socket.timeout:
            return answer + b"<still open>"
        except OSError:
            return answer


def request(method, target, headers=(), body=b"", close=True):
    lines = [f"{method} {target} HTTP/1.1", "Host: localhost", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def status_of(answer):
    found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
    return int(found[1]) if found else 0


def problem(sentence, status, pattern, data, allow=None):
    """The answer is a problem+json of that status, its detail matches."""
    answer = send(data)
    head, _, body = answer.partition(b"\r\n\r\n")
    held = status_of(answer) == status
    try:
        held = held and b"application/problem+json" in head.lower()
        said = json.loads(body)
        held = (held and said["status"] == status and bool(said["code"])
                and bool(said["title"]) and said["title"] != "Error"
                and bool(re.search(pattern, said["detail"])))
    except (ValueError, KeyError):
        held = False
    if allow is not None:
        held = held and f"Allow: {allow}".encode() in head
    check(sentence, held, answer[:500])


def alive(sentence):
    answer = send(request("GET", ACTOR + "?action=get"))
    check(sentence, status_of(answer) == 200, answer)


JSON = ("Content-Type: application/json",)
BASE = "/api/v1/actors/"


def names():
    """Paths and names."""
    get = "?action=get"
    for sentence, path, status, pattern in (
        ("a NUL in a key", "default/default/counter/a%00b", 400, "NUL"),
        ("a control byte in a key", "default/default/counter/a%01", 400,
         "0x01 at position 2"),
        ("DEL in a key", "default/default/counter/%7f", 400, "0x7f"),
        ("a slash in a key", "default/default/counter/a%2Fb", 400, "'/'"),
        ("bad UTF-8 in a key", "default/default/counter/%ff%fe", 400,
         "not UTF-8 at byte 1"),
        ("an overlong UTF-8 form in a key", "default/default/counter/%c0%af",
         400, "not UTF-8"),
        ("a surrogate in a key", "default/default/counter/%ed%a0%80", 400,
         "not UTF-8"),
        ("a bad escape", "default/default/counter/a%zz", 400,
         "percent-encoding at byte 2"),
        ("a cut escape", "default/default/counter/a%4", 400,
         "percent-encoding"),
        ("a long key", "default/default/counter/" + "k" * 256, 400,
         "256 bytes long, at most 255"),
        ("an empty type", "default/default//a", 400, "actor type"),
        ("an empty namespace", "default//counter/a", 400, "namespace"),
        ("an empty tenant", "/default/counter/a", 400, "tenant"),
        ("an upper-case type", "default/default/Counter/a", 400,
         "0x43 at position 1.*lower-case"),
        ("a blank in a type", "default/default/coun%20ter/a", 400,
         "0x20 at position 5"),
        ("a long type", "default/default/" + "t" * 200 + "/a", 400,
         "200 bytes long, at most"),
        ("an odd namespace", "default/de_fault/counter/a", 400,
         "namespace.*0x5f.*lower-case"),
        ("dots instead of a name", "default/../counter/a", 400,
         "namespace.*0x2e"),
        ("another tenant", "other/default/counter/a", 403,
         'tenant "other".*"default"'),
        ("an unknown type", "default/default/nosuch/a", 404, "not deployed"),
        ("an unknown namespace", "default/elsewhere/counter/a", 404,
         "not deployed in default/elsewhere"),
        ("no key", "default/default/counter", 400, "name the actor"),
        ("a NUL in the subpath", "default/default/counter/a/b%00", 400,
         "subpath.*NUL"),
    ):
        problem(f"{sentence} is {status}", status, pattern,
                request("GET", BASE + path + get))
    problem("raw bytes that are not UTF-8 in a path are 400", 400, "UTF-8",
            request("GET", BASE + "default/default/counter/\xff\xfe" + get))
    problem("a path of 5000 bytes is 414", 414, "4096",
            request("GET", BASE + "default/default/counter/a/" + "p" * 5000))
    for sentence, query, pattern in (
        ("a bad key in the query", "?key=a%2Fb&action=get", "'/'"),
        ("a parameter twice", "?key=a&key=b", '"key" is given twice'),
        ("a NUL in the query", "?key=a&action=%00", "NUL"),
        ("bad UTF-8 in the query", "?key=a&action=%ff", "UTF-8"),
        ("an unknown invocation", "?key=a&invocation=maybe",
         'call and cast are known'),
        ("a delay for a call", "?key=a&delay=10s", "invocation=cast"),
    ):
        problem(f"{sentence} is 400", 400, pattern,
                request("GET", BASE + "default/default/counter" + query))
    for delay in ("-1s", "ten", "1.5s", "99999h", "10", "%00",
                  "99999999999999999999s"):
        problem(f"delay={delay} is 400", 400, "delay|NUL",
                request("POST", ACTOR + "?delay=" + delay, JSON, b"{}"))


def routes():
    """Routes, methods, REST input."""
    apps = "/api/v1/applications"
    call = ACTOR + "?invocation=call"
    problem("an unknown path is 404", 404, "/api/v1/actors/",
            request("GET", "/nope"))
    problem("an unknown REST path is 404", 404, "nothing is served",
            request("GET", "/api/v1/nope"))
    problem("PATCH of an actor is 405 with Allow", 405, "GET, POST",
            request("PATCH", ACTOR), "GET, POST, PUT, DELETE")
    problem("an invented method is 405 with Allow", 405, "GET, HEAD",
            request("BREW", "/api/v1/nodes"), "GET, HEAD")
    problem("DELETE of the nodes is 405 with Allow", 405, "GET, HEAD",
            request("DELETE", "/api/v1/nodes"), "GET, HEAD")
    problem("POST of an invocation is 405 with Allow", 405, "GET",
            request("POST", "/api/v1/invocations/x"), "GET")
    problem("an invocation's bad id is 400", 400, "26 characters",
            request("GET", "/api/v1/invocations/zzz"))
    problem("an unknown invocation is 404", 404, ".",
            request("GET", "/api/v1/invocations/01M822SAXPYR7RPQC4FPJD1K71"))
    for size, pattern in (("abc", '"abc", it must be a whole number'),
                          ("-1", "whole number"), ("1001", "at most 1000"),
                          ("99999999999999999999", "whole number")):
        problem(f"page_size={size} is 400", 400, pattern,
                request("GET", "/api/v1/actors?page_size=" + size))
    problem("a made-up page_token is 400", 400, "page_token",
            request("GET", "/api/v1/actors?page_token=!!"))
    problem("an unknown parameter is 400", 400, "bogus",
            request("GET", "/api/v1/nodes?bogus=1"))
    problem("a body that is not called JSON is 415", 415, "application/json",
            request("POST", apps, ("Content-Type: text/plain",), b"{}"))
    for sentence, body, pattern in (
        ("cut JSON", b'{"action":', "not JSON|JSON.*(line|byte)"),
        ("a bomb of 100000 brackets", b"[" * 100000, "deep|nest|depth"),
        ("bad UTF-8 in JSON", b'{"action":"\xff"}', "UTF-8|JSON"),
        ("a lone surrogate in JSON", b'{"action":"\\ud800"}', "JSON"),
        ("two JSON values", b"{} {}", "JSON"),
        ("a NUL in JSON", b'{"a":"\0"}', "JSON"),
        ("NaN", b'{"action":NaN}', "JSON"),
    ):
        problem(f"{sentence} for an actor is 400", 400, pattern,
                request("POST", call, JSON, body))
        problem(f"{sentence} for REST is 400", 400, pattern + "|bogus|field",
                request("POST", apps, JSON, body))
    for sentence, body, pattern in (
        ("an unknown field", b'{"application":{"bogus":1}}',
         "bogus"),
        ("a wrong type", b'{"application":{"name":7}}', "name"),
        ("an array for an object", b'{"application":[]}', "application"),
        ("a negative number", b'{"application":{"name":"x","actorTypes":'
         b'[{"name":"a","mailboxMax":-1}]}}', "mailbox_max"),
        ("a huge number", b'{"application":{"name":"x","actorTypes":'
         b'[{"name":"a","mailboxMax":1e99}]}}', "mailbox_max"),
        ("an empty message", b"{}", "application|name"),
        ("an application without types", b'{"application":{"name":"x",'
         b'"version":"1.0.0"}}', "actor_types"),
        ("a bad name", b'{"application":{"name":"X y","version":"1.0.0",'
         b'"actorTypes":[{"name":"a","module":"m"}]}}', "name"),
        ("a type twice", b'{"application":{"name":"x","version":"1.0.0",'
         b'"actorTypes":[{"name":"a","module":"m"},'
         b'{"name":"a","module":"m"}]}}', '"a"'),
        ("a module with a path", b'{"application":{"name":"x","version":'
         b'"1.0.0","actorTypes":[{"name":"a","module":"../../tmp/evil"}]}}',
         "module"),
    ):
        problem(f"{sentence} in a deployment is 400", 400, pattern,
                request("POST", apps, JSON, body))
    problem("the actor's refusal is its own", 400, "increment or get",
            request("POST", call, JSON, b'{"action":"dance"}'))


def headers():
    """Headers of a call."""
    get = ACTOR + "?action=get"
    for header, pattern in (
        ("Idempotency-Key:", "1 to 255 visible"),
        ("Idempotency-Key: " + "k" * 256, "1 to 255 visible"),
        ("Idempotency-Key: a\tb", "visible ASCII"),
        ("Idempotency-Key: \xe9", "visible ASCII"),
        ('Idempotency-Key: "open', "quoted"),
        ("Idempotency-Key: a\r\nIdempotency-Key: b", "given twice"),
        ("Prefer: wait=soon", "whole seconds"),
        ("Prefer: wait=-1", "whole seconds"),
        ("X-Request-Deadline-Ms: soon", "1 to 3600000"),
        ("X-Request-Deadline-Ms: 0", "1 to 3600000"),
        ("X-Request-Deadline-Ms: -5", "1 to 3600000"),
        ("X-Request-Deadline-Ms: 3600001", "1 to 3600000"),
        ("X-Request-Deadline-Ms: 99999999999999999999", "1 to 3600000"),
        ("X-Odd: \xff", "UTF-8"),
        ("Content-Type: \xff", "UTF-8"),
    ):
        shown = header[:40].encode("ascii", "backslashreplace").decode()
        problem(f"{shown!r} is 400", 400, pattern,
                request("GET", get, (header,)))
    problem("200 headers for the actor are 431", 431, "headers",
            request("GET", get, [f"X-H{i}: v" for i in range(200)]))
    for trace in ("00-zz", "00-" + "0" * 32 + "-" + "1" * 16 + "-01",
                  "ff-" + "a" * 32 + "-" + "b" * 16 + "-01", "\xff"):
        answer = send(request("GET", get, ("traceparent: " + trace,)))
        check("a malformed traceparent is as good as none",
              status_of(answer) == 200, answer)
    answer = send(request("GET", get, ("X-Request-Deadline-Ms: 1",)))
    check("a deadline of 1 ms is answered 200 or 504",
          status_of(answer) in (200, 504), answer)


def keys():
    """Idempotency keys used again."""
    call = ACTOR + "?invocation=call"
    body = b'{"action":"increment","amount":1}'
    key = ("Idempotency-Key: raw-1",) + JSON
    first = send(request("POST", call, key, body))
    check("a keyed call is answered", status_of(first) == 200, first)
    again = send(request("POST", call, key, body))
    check("the same again is replayed",
          b"Idempotency-Replayed: true" in again and
          again.rsplit(b"\r\n")[-1] == first.rsplit(b"\r\n")[-1], again)
    problem("with another body it is 422", 422, "another request|different",
            request("POST", call, key, b'{"action":"increment"}'))
    problem("with another method it is 422", 422, "another request|different",
            request("PUT", call, key, body))
    problem("with another query it is 422", 422, "another request|different",
            request("POST", call + "&x=1", key, body))


def garbage():
    """Bytes that are not HTTP."""
    get = request("GET", ACTOR + "?action=get")
    open_get = request("GET", ACTOR + "?action=get", close=False)
    for sentence, data in (
        ("a TLS hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" +
         bytes(range(200))),
        ("a request line of one word", b"HELLO\r\n\r\n"),
        ("HTTP/9.9", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n"),
        ("HTTP/2 without upgrade", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("a header without colon", b"GET / HTTP/1.1\r\nHost x\r\n\r\n"),
        ("no Host", b"GET / HTTP/1.1\r\n\r\n"),
        ("a negative length", b"POST " + ACTOR.encode() + b" HTTP/1.1\r\n"
         b"Host: localhost\r\nContent-Length: -2\r\n\r\n{}"),
        ("a length past 64 bits", b"POST " + ACTOR.encode() + b" HTTP/1.1\r\n"
         b"Host: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n{}"),
        ("a length of 10 GiB", b"POST " + ACTOR.encode() + b" HTTP/1.1\r\n"
         b"Host: localhost\r\nContent-Length: 10737418240\r\n\r\n{}"),
        ("a bad chunk", b"POST " + ACTOR.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
         b"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
        ("headers of 64 KiB", request("GET", ACTOR, ["X-Big: " + "x" * 65536])),
        ("a name of 64 KiB", request("GET", ACTOR, ["x" * 65536 + ": 1"])),
        ("a target of 64 KiB", request("GET", "/" + "x" * 65536)),
    ):
        answer = send(data, half=True, wait=5)
        check(f"{sentence} is refused or closed",
              status_of(answer) in (0, 400, 404, 405, 411, 413, 414, 431,
                                    501, 505)
              and b"<still open>" not in answer, answer)
    start = b"POST " + ACTOR.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
    hidden = b"GET /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for sentence, lengths in (
        ("two lengths", b"Content-Length: 2\r\nContent-Length: 7\r\n"),
        ("a length and chunks",
         b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
    ):
        answer = send(start + lengths + b"\r\n0\r\n\r\n" + hidden)
        check(f"{sentence} are 400 and hide no further request",
              status_of(answer) == 400 and answer.count(b"HTTP/1.1") == 1
              and b"one Content-Length" in answer
              and b"<still open>" not in answer, answer)
    post = request("POST", ACTOR + "?invocation=call", JSON,
                   b'{"action":"increment","amount":1000}')
    for data in [get[:cut] for cut in (1, 10, 40, len(get) - 2)] + [post[:-5]]:
        with socket.create_connection((url.hostname, url.port)) as sock:
            sock.sendall(data)
    alive("clients that go in the middle of a request do no harm")
    answer = send(open_get * 3 + get)
    check("four pipelined requests get four answers",
          answer.count(b"HTTP/1.1 200") == 4, answer)
    answer = send(open_get + b"\x00\xffgarbage\r\n\r\n", until=b'"count"')
    check("garbage behind a request does not spoil its answer",
          answer.startswith(b"HTTP/1.1 200"), answer)
    # A crowd that connects, says half a word and stays.
    crowd = [socket.create_connection((url.hostname, url.port))
             for _ in range(200)]
    for i, sock in enumerate(crowd):
        sock.sendall((b"GET /api", bytes(4096), b"\r\n" * 500)[i % 3])
    alive("200 clients that stall do not keep others from being served")
    for sock in crowd:
        sock.close()
    problem("a body over the limit is 413", 413, "at most 5242880",
            request("POST", ACTOR, JSON, b" " * 5242881))
    answer = send(b"POST " + ACTOR.encode() + b" HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Type: application/json\r\nConnection: close\r\n"
                  b"Transfer-Encoding: chunked\r\n\r\n" +
                  (b"10000\r\n" + b" " * 65536 + b"\r\n") * 81 +
                  b"0\r\n\r\n")
    check("a chunked body over the limit is 413", status_of(answer) == 413,
          answer)
    answer = send(request("GET", ACTOR + "?action=get"))
    check("nothing of all that was counted", answer.endswith(b'{"count":1}'),
          answer)


{"names": names, "routes": routes, "headers": headers, "keys": keys,
 "garbage": garbage}[sys.argv[2]]()
alive("the suite still answers")
sys.exit(1 if failed else 0)
