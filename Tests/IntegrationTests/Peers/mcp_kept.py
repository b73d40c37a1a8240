"""Calls that last, against a server with the functions of Tests/Fixtures/tasks.

    mcp_kept.py PACKAGES PHASE URL TOKEN OTHER [WHAT]

PHASE names what is looked at, OTHER is the token of another caller, WHAT what an earlier phase printed as its last line. Prints that line
and `N expectations hold`.
"""
import asyncio
import json
import sys

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402

PHASE, URL, TOKEN, OTHER = sys.argv[2:6]
GIVEN = json.loads(sys.argv[6]) if len(sys.argv) > 6 else {}
META = "io.modelcontextprotocol/"
KEY = "apus.dev/idempotencyKey"
held = []


def expect(good, what, detail=""):
    if not good:
        raise AssertionError(f"{what}: {str(detail)[:1500]}")
    held.append(what)


class Agent:
    def __init__(self, token, url=URL):
        self.url = url
        self.client = httpx2.AsyncClient(
            timeout=90, headers={"Authorization": f"Bearer {token}"}, limits=httpx2.Limits(max_connections=200))
        self.next = 0

    async def ask(self, method, params=None, capabilities=None, meta=None, headers=None):
        self.next += 1
        params = {**(params or {}), "_meta": {
            f"{META}protocolVersion": "2026-07-28", f"{META}clientCapabilities": capabilities or {}, **(meta or {})}}
        head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, **(headers or {})}
        for name in ("name", "uri"):
            if name in params:
                head["Mcp-Name"] = params[name]
        body = {"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}
        response = await self.client.post(self.url, content=json.dumps(body), headers=head)
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            messages = [json.loads(line[5:]) for line in response.text.splitlines() if line.startswith("data:")]
        else:
            messages = [response.json()]
        return messages

    async def call(self, name, arguments=None, key=None, **more):
        meta = {**more.pop("meta", {}), **({KEY: key} if key else {})}
        return (await self.ask("tools/call", {"name": name, "arguments": arguments or {}}, meta=meta, **more))


def result(messages):
    return messages[-1].get("result", {})


def code(messages):
    return messages[-1].get("error", {}).get("code")


async def keys():
    agent, other = Agent(TOKEN), Agent(OTHER)
    many = await asyncio.gather(*(agent.call("draw", {"seconds": 1, "name": "a"}, key="k-1") for _ in range(100)))
    results = {json.dumps(result(one), sort_keys=True) for one in many}
    expect(len(results) == 1, "a hundred at once get one result", results)
    first = result(many[0])
    expect(first["isError"] is False and first["structuredContent"]["caller"], "the result", first)
    ran = first["structuredContent"]["invocation"]
    expect(first["_meta"]["dev.apus/invocation"] == ran, "the function knows its invocation", first)
    again = await agent.call("draw", {"name": "a", "seconds": 1}, key="k-1")
    expect(result(again) == first, "another order of arguments is the same call", again)
    again = await agent.call("draw", {"seconds": 1, "name": "a"}, headers={"Idempotency-Key": "k-1"})
    expect(result(again) == first, "the header names it too", again)
    expect(code(await agent.call("draw", {"seconds": 2}, key="k-1")) == -32602, "other arguments are refused")
    expect(code(await agent.call("draw", {}, key="k-2", headers={"Idempotency-Key": "k-3"})) == -32602, "two keys")
    for wrong in (7, "a b", "x" * 256):
        expect(code(await agent.call("draw", {}, meta={KEY: wrong})) == -32602, "a key that is none", wrong)
    others = result(await other.call("draw", {"seconds": 1, "name": "a"}, key="k-1"))
    expect(others["structuredContent"]["number"] != first["structuredContent"]["number"], "a key belongs to its caller")
    plain = [result(await agent.call("draw"))["structuredContent"]["number"] for _ in range(2)]
    expect(plain[0] != plain[1], "without a key each call runs")
    failed = [result(await agent.call("fail", key="k-4")) for _ in range(2)]
    expect(failed[0]["isError"] and failed[0] == failed[1], "a failure is what it came to, after one attempt", failed)
    large = result(await agent.call("large", key="k-5"))
    expect(large == result(await agent.call("large", key="k-5")), "a large result is the same too", large)
    link = next(part["uri"] for part in large["content"] if part["type"] == "resource_link")
    read = result(await agent.ask("resources/read", {"uri": f"{link}?lines=1-1"}))
    expect(read["contents"][0]["text"].strip() in large["content"][0]["text"], "its link can be read", read)
    expect(code(await other.ask("resources/read", {"uri": link})) == -32602, "by nobody else")
    said = await agent.call("steps", key="k-6", meta={"progressToken": "p"})
    done = [m["params"]["progress"] for m in said if m.get("method") == "notifications/progress"]
    expect(done and done == sorted(set(done)), "progress is told", said)
    return {"first": first, "large": large, "link": link}


async def kept():
    agent = Agent(TOKEN)
    expect(result(await agent.call("draw", {"seconds": 1, "name": "a"}, key="k-1")) == GIVEN["first"], "after a restart")
    expect(result(await agent.call("large", key="k-5")) == GIVEN["large"], "a large result after a restart")
    read = result(await agent.ask("resources/read", {"uri": GIVEN["link"]}))
    expect("line" in read["contents"][0]["text"], "its link after a restart", read)
    return {}


async def begin():
    """Calls that the end of the server cuts off."""
    agent = Agent(TOKEN)
    print("begun", flush=True)
    try:
        await agent.call("draw", {"seconds": 6}, key="cut")
    except httpx2.HTTPError:
        return {}
    raise AssertionError("the server answered")


async def resume():
    agent = Agent(TOKEN)
    both = await asyncio.gather(*(agent.call("draw", {"seconds": 6}, key="cut") for _ in range(2)))
    expect(result(both[0])["isError"] is False and result(both[0]) == result(both[1]), "a call goes on", both)
    return {"invocation": result(both[0])["_meta"]["dev.apus/invocation"]}


last = asyncio.run(globals()[PHASE]())
print(json.dumps(last))
print(f"{len(held)} expectations hold")
