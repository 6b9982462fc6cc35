"""Broken frames to a daemon's link: raw_link.py URL...

Speaks the transport's own framing (docs/wire.md: a length of 4 bytes on
ipc://, scalability protocols on tcp://), so that what follows is delivered as
a frame, and also sends bytes that are not even that.
"""
import os
import random
import socket
import struct
import sys

PUSH = b"\0SP\0" + struct.pack(">HH", 0x50, 0)
FRAME_MAX = 17 << 20
rng = random.Random(7)


def connect(url):
    if url.startswith("ipc://"):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(5)
        sock.connect(url[6:])
    else:
        host, port = url[6:].rsplit(":", 1)
        sock = socket.create_connection((host, int(port)), 5)
    return sock


def raw(url, data):
    """Bytes as they are; the daemon may cut us off at any point."""
    sock = connect(url)
    try:
        sock.sendall(data)
    except OSError:
        pass
    sock.close()


def message(url, size):
    if url.startswith("ipc:"):
        return struct.pack(">I", min(size, 2**32 - 1))
    return struct.pack(">Q", size)


def frames(url, bodies):
    sock = connect(url)
    try:
        if not url.startswith("ipc:"):
            sock.sendall(PUSH)
            sock.recv(8, socket.MSG_WAITALL)
        for body in bodies:
            sock.sendall(message(url, len(body)) + body)
    except OSError as err:
        print("cut off by", url, "at", len(body), "bytes:", err)
    sock.close()


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def frame(*envelopes, version=1, sender=b"inproc://nobody"):
    return (number(1, version) + text(2, sender) + number(3, 7) +
            b"".join(text(5, e) for e in envelopes))


def request(method, payload, **fields):
    return (number(1, fields.get("id", 1)) + number(2, fields.get("kind", 1)) +
            number(3, method) + number(4, fields.get("timeout", 1000)) +
            text(7, payload) + fields.get("more", b""))


def bomb(depth):
    """A message in a message in a message."""
    out = b""
    for _ in range(depth):
        out = text(1, out)
        if len(out) > 1 << 20:
            break
    return out


def bodies():
    good = frame(request(1, b""))
    yield b"\0"
    yield b"\xff" * 1000
    for version in (0, 2, 4294967295):
        yield frame(request(1, b""), version=version)
    yield frame(request(1, b""), sender=b"")
    yield frame(request(1, b""), sender=b"http://127.0.0.1:1/")
    yield frame(request(1, b""), sender=b"inproc://" + b"x" * 5000)
    yield frame(request(1, b""), sender=b"ipc:///\0\xff")
    yield text(5, request(1, b"")) + good  # an envelope before the head
    yield frame(bomb(5000))
    for method in (*range(12), 1003, 4294967295):
        for payload in (b"", b"\xff\xff", bomb(1000), b"\x0a\xff\xff\xff\x7f",
                        os.urandom(200), text(1, b"\xff\xfe")):
            for kind in (1, 4):
                yield frame(request(method, payload, kind=kind))
    yield frame(request(1, b"", kind=0), request(1, b"", kind=99))
    yield frame(request(1, b"", timeout=0))
    yield frame(request(1, b"", timeout=2**64 - 1))
    yield frame(request(1, b"", more=text(8, text(1, b"\0" * 300))))
    yield frame(request(1, b"", more=text(8, text(6, b"short"))))
    yield frame(*[number(1, i) + number(2, 2) for i in range(2000)])
    yield frame(*[number(1, i) + number(2, 3) for i in range(2000)])
    for _ in range(300):  # cut and bent
        bent = bytearray(frame(request(rng.randrange(12), os.urandom(40))))
        for _ in range(rng.randrange(4)):
            bent[rng.randrange(len(bent))] = rng.randrange(256)
        yield bytes(bent[:rng.randrange(1, len(bent) + 1)])


for url in sys.argv[1:]:
    frames(url, bodies())
    frames(url, [b""])
    frames(url, [bytes(FRAME_MAX)])
    frames(url, [bytes(FRAME_MAX + 1)])
    raw(url, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    raw(url, b"\x16\x03\x01" + os.urandom(300))
    raw(url, b"\0SP\0" + struct.pack(">HH", 0x30, 0))  # not a PUSH
    raw(url, PUSH[:5])
    hello = b"" if url.startswith("ipc:") else PUSH
    raw(url, hello + message(url, 2**63) + b"x" * 1000)
    raw(url, hello + message(url, 1000) + b"half")
    raw(url, os.urandom(100000))
    print("sent to", url)
