"""The official Python SDK as a client of prompts, resources and completion.

    mcp_offers.py PACKAGES MODE URL TOKEN PREFIX

PREFIX stands before the names of prompts. Prints a line of JSON: what is listed and what each says, names without the prefix.
"""
import asyncio
import json
import sys

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402
import mcp_types as types  # noqa: E402
from mcp import Client, MCPError  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

MODE, URL, TOKEN, PREFIX = sys.argv[2:6]


def plain(value):
    return value.model_dump(mode="json", by_alias=True, exclude_none=True)


async def main():
    headers = {"Authorization": f"Bearer {TOKEN}"} if TOKEN else {}
    http = httpx2.AsyncClient(timeout=60, headers=headers)
    told = {}
    async with Client(streamable_http_client(URL, http_client=http), mode=MODE) as client:
        prompts = [plain(prompt) for prompt in (await client.list_prompts()).prompts]
        for prompt in prompts:
            prompt["name"] = prompt["name"].removeprefix(PREFIX)
        told["prompts"] = prompts
        told["resources"] = [plain(resource) for resource in (await client.list_resources()).resources]
        told["templates"] = [plain(template) for template in (await client.list_resource_templates()).resource_templates]
        got = await client.get_prompt(PREFIX + "welcome", {"who": "Ada"})
        told["welcome"] = [plain(message) for message in got.messages]
        for uri in ("note://today", "note://monday/morning"):
            told[uri] = [plain(content) for content in (await client.read_resource(uri)).contents]
        for name, ref in (("prompt", types.PromptReference(type="ref/prompt", name=PREFIX + "welcome")),
                          ("template", types.ResourceTemplateReference(type="ref/resource", uri="note://{day}/{part}"))):
            answer = await client.complete(ref, {"name": "who" if name == "prompt" else "day", "value": "x"})
            told["complete " + name] = answer.completion.values
        try:
            await client.read_resource("note://nothing")
            told["nothing"] = "read"
        except MCPError:
            # With which code is said by the revision: -32002 in those before 2026-07-28, which not every server keeps.
            told["nothing"] = "refused"
    print(json.dumps(told))


asyncio.run(main())
