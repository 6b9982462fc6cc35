"""Counters over HTTP that fail as told: fake_gateway.py FAULT

Prints its port. FAULT: none, shaky (drops connections before and after
applying, answers 503), forgets (shaky, without remembering keys), loses (one
increment in a hundred is acknowledged and not applied)."""
import asyncio
import random
import sys

fault = sys.argv[1]
shaky = fault in ("shaky", "forgets")
counts, answers = {}, {}
rng = random.Random(1)


def increment(path, key):
    if key in answers and fault != "forgets":
        return answers[key]
    if not (fault == "loses" and rng.random() < 0.01):
        counts[path] = counts.get(path, 0) + 1
    if key:
        answers[key] = counts.get(path, 0)
    return counts.get(path, 0)


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, target = head[0].split()[:2]
            fields = {name.lower(): value.strip() for name, value in
                      (line.split(":", 1) for line in head[1:] if ":" in line)}
            await reader.readexactly(int(fields.get("content-length", 0)))
            path = target.split("?")[0]
            status = "200 OK"
            if method == "GET":
                count = counts.get(path, 0)
            else:
                if shaky and rng.random() < 0.01:
                    break
                count = increment(path, fields.get("idempotency-key"))
                if shaky and rng.random() < 0.01:
                    break
                if shaky and rng.random() < 0.01:
                    status = "503 Service Unavailable"
            body = '{"count":%d}' % count
            writer.write(("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s" %
                          (status, len(body), body)).encode())
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
