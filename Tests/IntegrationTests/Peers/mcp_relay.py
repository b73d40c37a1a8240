"""The official Python SDK as a client of tools that ask it and tell how far they are.

    mcp_relay.py PACKAGES MODE URL TOKEN PREFIX ANSWER

MODE is auto, legacy or 2026-07-28; TOKEN may be empty; PREFIX stands before the names of the tools. ANSWER is accept, decline, or mute for a
client that cannot be asked. Prints a line of JSON: what each call came to, what was asked, what was told.
"""
import asyncio
import json
import sys

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402
import mcp_types as types  # noqa: E402
from mcp import Client, MCPError  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

MODE, URL, TOKEN, PREFIX, ANSWER = sys.argv[2:7]
asked, told = [], []


async def elicit(context, params):
    # Revisions write a schema's title or leave it out; what is asked for is the same.
    schema = params.requested_schema
    asked.append([params.message, schema["properties"], schema.get("required")])
    if ANSWER == "decline":
        return types.ElicitResult(action="decline")
    wanted = params.requested_schema["properties"]
    content = {"name": "Ada", "size": 7}
    return types.ElicitResult(action="accept", content={key: content[key] for key in wanted})


async def sample(context, params):
    asked.append([message.content.text for message in params.messages])
    return types.CreateMessageResult(role="assistant", content=types.TextContent(type="text", text="footless"), model="m")


async def progress(done, total, message):
    told.append([done, total, message])


async def main():
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    http = httpx2.AsyncClient(timeout=60, headers=headers)
    more = {} if ANSWER == "mute" else {"elicitation_callback": elicit, "sampling_callback": sample}
    calls = {}
    async with Client(streamable_http_client(URL, http_client=http), mode=MODE, **more) as client:
        for tool, arguments in (("order", {"what": "soup"}), ("muse", {}), ("steps", {})):
            try:
                result = await client.call_tool(PREFIX + tool, arguments, progress_callback=progress)
            except MCPError as error:
                calls[tool] = {"problem": error.error.code}
                continue
            text = "".join(getattr(part, "text", "") for part in result.content)
            calls[tool] = {"error": bool(result.is_error), "text": text, "structured": result.structured_content}
    print(json.dumps({"calls": calls, "asked": asked, "told": told}))


asyncio.run(main())
