"""The official Python SDK as a client, against a server with the fixtures of Tests/Fixtures/conformance.

    mcp_sdk.py PACKAGES MODE URL TOKEN          over HTTP
    mcp_sdk.py PACKAGES MODE stdio COMMAND...   through `apus mcp --stdio`

MODE is auto, legacy or 2026-07-28. The same body passes in each.
"""
import asyncio
import sys
import time

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402
import mcp_types as types  # noqa: E402
from mcp import Client, MCPError, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

MODE = sys.argv[2]
done = []


def expect(good, what, detail=""):
    if not good:
        raise AssertionError(f"{what}: {detail}")
    done.append(what)


async def elicit(context, params):
    content = {"name": "Ada", "username": "ada", "email": "ada@example.com", "ok": True, "color": "blue"}
    wanted = getattr(params, "requested_schema", None) or {}
    names = (wanted.get("properties") if isinstance(wanted, dict) else None) or {}
    return types.ElicitResult(action="accept", content={key: content[key] for key in names if key in content})


async def sample(context, params):
    return types.CreateMessageResult(role="assistant", model="m", content=types.TextContent(type="text", text="Paris"))


async def roots(context):
    return types.ListRootsResult(roots=[types.Root(uri="file:///work", name="work")])


def text(result):
    return "".join(getattr(part, "text", "") for part in result.content)


async def body(client):
    tools = {tool.name for tool in (await client.list_tools()).tools}
    expect({"test_simple_text", "add", "slow"} <= tools, "tools are listed", tools)
    result = await client.call_tool("test_simple_text", {})
    expect(text(result) == "This is a simple text response for testing.", "a tool is called", result)
    result = await client.call_tool("add", {"a": 2, "b": 3})
    expect(result.structured_content == {"sum": 5}, "structured content", result)
    result = await client.call_tool("add", {"a": "x"})
    expect(result.is_error and "/a" in text(result), "bad arguments are told to the model", result)
    for kind in ("image", "audio"):
        result = await client.call_tool(f"test_{kind}_content", {})
        expect(result.content[0].type == kind, kind, result)
    result = await client.call_tool("test_error_handling", {})
    expect(result.is_error, "an error of a tool", result)
    try:
        await client.call_tool("no_such_tool", {})
        expect(False, "an unknown tool")
    except MCPError as error:
        expect("no_such_tool" in str(error), "an unknown tool", error)
    said = []

    async def progress(done, total, message):
        said.append((done, total))

    await client.call_tool("test_tool_with_progress", {}, progress_callback=progress)
    expect(said == [(0, 100), (50, 100), (100, 100)], "progress", said)
    prompt = await client.get_prompt("test_prompt_with_arguments", {"arg1": "a", "arg2": "b"})
    expect("arg1='a'" in prompt.messages[0].content.text, "a prompt", prompt)
    read = await client.read_resource("test://template/7/data")
    expect('"7"' in read.contents[0].text, "a resource", read)
    result = await client.call_tool("test_input_required_result_elicitation", {})
    expect(text(result) == "Hello, Ada!", "a question to a person", result)
    result = await client.call_tool("test_input_required_result_multi_round", {})
    expect("Ada" in text(result) and "blue" in text(result), "two rounds", result)
    result = await client.call_tool("test_sampling", {"prompt": "capital?"})
    expect("Paris" in text(result), "a question to the model", result)
    result = await client.call_tool("test_input_required_result_list_roots", {})
    expect("file:///work" in text(result), "roots", result)
    start = time.monotonic()
    try:
        async with asyncio.timeout(0.8):
            result = await client.call_tool("slow", {"seconds": 30})
        expect(False, f"a call is cancelled ({MODE}, {time.monotonic() - start})", result)
    except TimeoutError:
        expect(time.monotonic() - start < 10, "a call is cancelled")
    result = await client.call_tool("test_simple_text", {})
    expect(text(result), "the connection goes on")


async def main():
    if sys.argv[3] == "stdio":
        target = StdioServerParameters(command=sys.argv[4], args=sys.argv[5:], env=dict(__import__("os").environ))
        transport = stdio_client(target)
    else:
        http = httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {sys.argv[4]}"})
        transport = streamable_http_client(sys.argv[3], http_client=http)
    async with Client(transport, mode=MODE, elicitation_callback=elicit, sampling_callback=sample,
                      list_roots_callback=roots) as client:
        await body(client)
        print(f"{MODE}: {client.protocol_version}, {len(done)} expectations hold")


asyncio.run(main())
