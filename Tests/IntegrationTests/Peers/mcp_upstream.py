"""An MCP server for tests of upstreams, over TLS: mcp_upstream.py PORT CERTIFICATE TOOLS RECORD

PORT 0 takes any and prints it. The list of tools is read from the file TOOLS for each request; every request is added to RECORD, head and body.
At the path /slow no list is given as long as there is a file TOOLS.hold.
"""
import http.server
import json
import os
import ssl
import sys
import time

PORT, CERTIFICATE, TOOLS, RECORD = sys.argv[1:5]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        message = json.loads(raw)
        # The length of a credential alone, as a server would that keeps no secrets in its log.
        head = {name.lower(): value for name, value in self.headers.items()}
        credential = head.pop("authorization", "")
        with open(RECORD, "a") as record:
            record.write(json.dumps({"path": self.path, "head": head, "credential": len(credential), "body": message}) + "\n")
        method = message["method"]
        if method == "server/discover":
            self.answer(message, {"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
        elif method == "tools/list":
            while self.path.endswith("/slow") and os.path.exists(TOOLS + ".hold"):
                time.sleep(0.05)
            with open(TOOLS) as file:
                tools = json.load(file)
            # Two pages.
            start = int(message["params"].get("cursor", "0"))
            page = {"resultType": "complete", "tools": tools[start:start + 1]}
            if start + 1 < len(tools):
                page["nextCursor"] = str(start + 1)
            self.answer(message, page)
        elif method != "tools/call":
            self.answer(message, None, {"code": -32601, "message": "there is no such method"})
        elif message["params"]["name"] == "slow":
            self.stream(message)
        elif message["params"]["arguments"].get("text") == "announce":
            self.announce(message)
        elif message["params"]["arguments"].get("text") == "ask" and "inputResponses" not in message["params"]:
            self.ask(message, credential.removeprefix("Bearer "))
        elif message["params"]["name"] == "liar":
            self.answer(message, {"resultType": "complete", "content": [], "structuredContent": {"sum": "no number"}})
        else:
            text = json.dumps(message["params"]["arguments"], sort_keys=True)
            self.answer(message, {"resultType": "complete", "content": [{"type": "text", "text": text}]})

    def ask(self, message, credential):
        """Asks with the credential that it was sent, plain and written with escapes."""
        escaped = "".join(f"\\u{ord(letter):04x}" for letter in credential)
        schema = {"type": "object", "properties": {"name": {"type": "string", "description": f"beside {credential}", "default": "ESCAPED"}}}
        params = {"mode": "form", "message": f"is {credential} yours?", "requestedSchema": schema}
        page = {"mode": "url", "message": "go there", "url": f"https://example.com/?key={credential}", "elicitationId": "one"}
        asked = {"who": {"method": "elicitation/create", "params": params}, "page": {"method": "elicitation/create", "params": page}}
        result = {"resultType": "input_required", "inputRequests": asked, "requestState": f"state with {credential}"}
        self.answer(message, result, replaced=("ESCAPED", escaped))

    def answer(self, message, result, error=None, replaced=("", "")):
        said = {"error": error} if error else {"result": result}
        text = json.dumps({"jsonrpc": "2.0", "id": message["id"], **said})
        raw = (text.replace(*replaced) if replaced[0] else text).encode()
        self.send_response(404 if error else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def announce(self, message):
        """Says that its list is another one, then answers."""
        said = [{"jsonrpc": "2.0", "method": "notifications/tools/list_changed"},
                {"jsonrpc": "2.0", "id": message["id"], "result": {"resultType": "complete", "content": []}}]
        raw = "".join(f"data: {json.dumps(each)}\n\n" for each in said).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def stream(self, message):
        """Progress, then nothing until the caller has left; that is recorded."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        token = message["params"]["_meta"]["progressToken"]
        note = {"jsonrpc": "2.0", "method": "notifications/progress",
                "params": {"progressToken": token, "progress": 1, "total": 2, "message": "half of it"}}
        try:
            self.wfile.write(f"data: {json.dumps(note)}\n\n".encode())
            for _ in range(600):
                self.wfile.write(b":\n\n")
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            with open(RECORD, "a") as record:
                record.write('{"left": true}\n')
        self.close_connection = True

    def log_message(self, *words):
        pass


class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass


server = Server(("127.0.0.1", int(PORT)), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERTIFICATE)
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
server.serve_forever()
