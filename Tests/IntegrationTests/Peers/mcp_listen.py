"""Prints what a stream of changes says, line by line: mcp_listen.py URL TOKEN"""
import json
import sys
import urllib.request

URL, TOKEN = sys.argv[1:3]
META = "io.modelcontextprotocol/"
body = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
    "notifications": {"toolsListChanged": True, "promptsListChanged": True, "resourcesListChanged": True},
    "_meta": {META + "protocolVersion": "2026-07-28", META + "clientCapabilities": {}}}}
request = urllib.request.Request(URL, json.dumps(body).encode(), {
    "Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"})
with urllib.request.urlopen(request) as stream:
    for line in stream:
        print(line.decode().rstrip())
