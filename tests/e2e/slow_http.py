#!/usr/bin/env python3
"""An HTTP server that answers late: slow_http.py PORT_FILE SECONDS

GET /slow/NAME is answered after SECONDS with {"name", "at_once"}: how many
requests were under way. GET /count/NAME says at once how often NAME was
asked for."""
import collections
import http.server
import json
import os
import sys
import threading
import time

counts = collections.Counter()
lock = threading.Lock()
under_way = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        global under_way
        _, kind, name = self.path.split("/")
        if kind == "slow":
            with lock:
                counts[name] += 1
                under_way += 1
            time.sleep(float(sys.argv[2]))
            with lock:
                body = {"name": name, "at_once": under_way}
                under_way -= 1
        else:
            body = {"count": counts[name]}
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Late", sys.argv[2])
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


server = Server(("127.0.0.1", 0), Handler)
with open(sys.argv[1] + ".new", "w") as file:
    file.write(str(server.server_port))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
