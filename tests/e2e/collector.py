#!/usr/bin/env python3
"""Takes spans over HTTP: collector.py FILE. Prints its port; FILE gets a line
for each request: its path, the service, name and status of each span."""
import http.server
import json
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        line = [self.path]
        if isinstance(body, list):
            line.append(body[0]["localEndpoint"]["serviceName"])
            line += [span["name"] for span in body]
        else:
            for resource in body["resourceSpans"]:
                line += [a["value"]["stringValue"]
                         for a in resource["resource"]["attributes"]]
                for scope in resource["scopeSpans"]:
                    for span in scope["spans"]:
                        line += [span["name"], str(span["status"]["code"])]
        with open(sys.argv[1], "a") as out:
            print(*line, file=out, flush=True)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
