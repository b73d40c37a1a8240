"""A server of the official Python SDK over HTTP: mcp_sdk_server.py PACKAGES PORT"""
import sys

sys.path.insert(0, sys.argv[1])
from mcp.server import MCPServer  # noqa: E402

server = MCPServer("sums")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def fail(why: str) -> str:
    """Fails."""
    raise ValueError(why)


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
