"""A client that accepts a call and waits for it until it is killed: mcp_leave.py URL TOKEN TOOL ARGUMENTS STATE"""
import json
import sys
import urllib.request

URL, TOKEN, TOOL, ARGUMENTS, STATE = sys.argv[1:6]
META = "io.modelcontextprotocol/"
body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
    "name": TOOL, "arguments": json.loads(ARGUMENTS), "requestState": STATE,
    "inputResponses": {"apus-approval": {"action": "accept", "content": {"approve": True}}},
    "_meta": {f"{META}protocolVersion": "2026-07-28", f"{META}clientCapabilities": {"elicitation": {}}}}}
head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "Authorization": f"Bearer {TOKEN}",
        "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": TOOL}
print(urllib.request.urlopen(urllib.request.Request(URL, json.dumps(body, separators=(",", ":")).encode(), head)).read().decode())
