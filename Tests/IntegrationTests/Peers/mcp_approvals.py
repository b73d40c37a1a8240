"""The official Python SDK as the client of somebody who is asked whether a call may begin.

    mcp_approvals.py PACKAGES MODE URL TOKEN ANSWER TOOL ARGUMENTS

MODE is auto, legacy or 2026-07-28; ANSWER is accept, empty, decline, cancel, or mute for a client that cannot ask anybody.
Prints a line of JSON: what the call came to, and what was asked.
"""
import asyncio
import json
import sys

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402
import mcp_types as types  # noqa: E402
from mcp import Client, MCPError  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

MODE, URL, TOKEN, ANSWER, TOOL, ARGUMENTS = sys.argv[2:8]
asked = []


async def elicit(context, params):
    asked.append(params.message)
    if ANSWER in ("decline", "cancel"):
        return types.ElicitResult(action=ANSWER)
    wanted = params.requested_schema["properties"] if isinstance(params.requested_schema, dict) else {}
    content = {} if ANSWER == "empty" else {"approve": True, "name": "Ada"}
    return types.ElicitResult(action="accept", content={key: content[key] for key in wanted if key in content})


async def main():
    http = httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {TOKEN}"})
    transport = streamable_http_client(URL, http_client=http)
    more = {} if ANSWER == "mute" else {"elicitation_callback": elicit}
    async with Client(transport, mode=MODE, **more) as client:
        try:
            result = await client.call_tool(TOOL, json.loads(ARGUMENTS))
        except MCPError as error:
            return print(json.dumps({"problem": str(error), "asked": asked}))
        text = "".join(getattr(part, "text", "") for part in result.content)
        print(json.dumps({"error": bool(result.is_error), "text": text, "asked": asked, "meta": result.meta}))


asyncio.run(main())
