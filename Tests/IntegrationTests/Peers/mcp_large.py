"""Large results, read with the official SDK: mcp_large.py PACKAGES URL TOKEN OTHER PID

Calls the tools of LargeResultTests and reads what they link to. PID is the server's process: its memory is looked at before and after. Prints
`N expectations hold`.
"""
import asyncio
import base64
import hashlib
import json
import sys

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402
from mcp import Client  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

URL, TOKEN, OTHER, PID = sys.argv[2:6]
SIZE = 50 << 20
MIB = 1 << 20
held = []


def expect(good, what, detail=""):
    if not good:
        raise AssertionError(f"{what}: {str(detail)[:1500]}")
    held.append(what)


def memory(name):
    with open(f"/proc/{PID}/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(name))


def client(token):
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=120)
    return Client(streamable_http_client(URL, http_client=http))


def link(result):
    expect(not result.is_error, "the call succeeds", result)
    return next(block for block in result.content if block.type == "resource_link")


async def read(agent, uri):
    part = (await agent.read_resource(uri)).contents[0]
    return part.text.encode() if hasattr(part, "text") else base64.b64decode(part.blob)


async def refused(agent, uri):
    try:
        await agent.read_resource(uri)
    except Exception:
        return True
    return False


async def main():
    line = b"0123456789abcdef0123456789abcde\n"
    async with client(TOKEN) as agent, client(OTHER) as other:
        # What the first call of anything takes is not the result's.
        await read(agent, str(link(await agent.call_tool("much", {"bytes": 2 * MIB, "text": True})).uri))
        await read(agent, str(link(await agent.call_tool("much", {"bytes": 2 * MIB})).uri))
        before, peak = memory("VmRSS"), memory("VmHWM")
        text = await agent.call_tool("much", {"bytes": SIZE, "text": True})
        data = await agent.call_tool("much", {"bytes": SIZE})
        for result, kind in ((text, "text/plain"), (data, "application/octet-stream")):
            found = link(result)
            expect(found.size == SIZE and found.mime_type == kind, "the link says what it is", found)
            uri = str(found.uri)
            expect(await read(agent, f"{uri}?bytes=0-0") == b"0", "the first byte")
            expect(await read(agent, f"{uri}?bytes={SIZE - 1}-{SIZE - 1}") == b"\n", "the last byte")
            expect(await read(agent, f"{uri}?bytes={SIZE - 2}-{SIZE + 9}") == b"e\n", "beyond the last byte")
            middle = await read(agent, f"{uri}?bytes=262140-262150")
            expect(middle == (line * 8193)[262140:262151], "across", middle)
            count = SIZE // len(line)
            expect(await read(agent, f"{uri}?lines=1-2") == line * 2, "the first lines")
            expect(await read(agent, f"{uri}?lines={count}-{count}") == line, "the last line")
            expect(await refused(other, uri), "another caller reads nothing")
        shown = next(block.text for block in text.content if block.type == "text")
        expect("It begins:\n0123456789abcdef" in shown and shown.rstrip().endswith("bcde"), "its ends are shown", shown[:200])
        expect(len(shown) < 8_192, "and no more", len(shown))
        # All of it, from one part to the next.
        uri, hashed, parts = str(link(text).uri), hashlib.sha256(), 0
        start = uri
        while uri:
            answer = await agent.read_resource(uri)
            hashed.update(answer.contents[0].text.encode())
            uri = (answer.meta or {}).get("dev.apus/next")
            parts += 1
        expect(hashed.digest() == hashlib.sha256(line * (SIZE // len(line))).digest() and parts == SIZE // (256 << 10), "it is whole", parts)
        expect(text.meta["dev.apus/sha256"] == hashed.hexdigest(), "and is what was said", text.meta)
        grown, highest = memory("VmRSS") - before, memory("VmHWM") - peak
        print(f"two results of {SIZE >> 20} MiB: memory {grown / MIB:+.1f} MiB, its peak {highest / MIB:+.1f} MiB")
        expect(grown <= 16 * MIB and highest <= 16 * MIB, "the server's memory does not grow with it", (grown, highest))
        # Whatever a function gives it as: JSON, parts of a generator, from another runtime.
        before, peak = memory("VmRSS"), memory("VmHWM")
        some = 20 * MIB
        listed = link(await agent.call_tool("listed", {"bytes": some}))
        expect(listed.size > some and listed.mime_type == "application/json", "JSON is kept as JSON", listed)
        end = await read(agent, f"{listed.uri}?bytes={listed.size - 40}-{listed.size}")
        expect(end.endswith(b'"key":"***"}') or end.endswith(b'"key": "***"}'), "and masked", end)
        start_of = await read(agent, f"{listed.uri}?bytes=0-60")
        expect(b"bcde\\n0123" in start_of, "strings are as JSON writes them", start_of)
        yields = link(await agent.call_tool("yields", {"bytes": some}))
        expect(yields.size == some and await read(agent, f"{yields.uri}?bytes={some - 33}-{some}") == b"\n" + line, "parts are one", yields)
        rows = link(await agent.call_tool("rows", {"bytes": some}))
        last = await read(agent, f"{rows.uri}?lines={some // 1024}-{some // 1024}")
        row = json.loads(last)
        expect(row["number"] == some // 1024 - 1 and row["key"] == "***", "rows are lines of JSON", last)
        few = await agent.call_tool("few-yields", {"bytes": some})
        expect(few.is_error and "result_too_large" in few.content[0].text, "parts have the tool's bound", few)
        for tool, letter in (("node", b"y"), ("exec", b"\n")):
            other_runtime = link(await agent.call_tool(tool, {"bytes": some}))
            expect(other_runtime.size == some, f"of {tool}", other_runtime)
            expect(await read(agent, f"{other_runtime.uri}?bytes={some - 1}-{some}") == letter, f"it is what {tool} said")
        grown, highest = memory("VmRSS") - before, memory("VmHWM") - peak
        print(f"six results of {some >> 20} MiB: memory {grown / MIB:+.1f} MiB, its peak {highest / MIB:+.1f} MiB")
        expect(grown <= 16 * MIB and highest <= 16 * MIB, "the server's memory does not grow with these either", (grown, highest))
        over = await agent.call_tool("much", {"bytes": (64 << 20) + 1})
        expect(over.is_error and "67108864" in over.content[0].text, "over the bound it fails", over)
        bounded = await agent.call_tool("bounded", {"bytes": 3 * MIB})
        expect(bounded.is_error and "resultLimit" in bounded.content[0].text, "over the tool's own it fails", bounded)
        secret = await agent.call_tool("tells", {"bytes": 2 * MIB})
        uri = str(link(secret).uri)
        kept = await read(agent, f"{uri}?bytes=0-200000")
        expect(b"s3cret" not in kept and kept.count(b"***") > 1_000, "no secret is kept", kept[:200])
        brief = str(link(await agent.call_tool("brief", {"bytes": 2 * MIB})).uri)
        for _ in range(300):
            if await refused(agent, brief):
                break
            await asyncio.sleep(0.1)
        expect(await refused(agent, brief), "it is gone after its time")
        expect(await read(agent, f"{start}?bytes=0-0") == b"0", "and others are not")
    print(f"{len(held)} expectations hold")


asyncio.run(main())
