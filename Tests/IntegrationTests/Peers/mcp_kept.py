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
TASKS = {"extensions": {f"{META}tasks": {}}}
ELICIT = {"elicitation": {}}

# What the extension for tasks says of its messages, as a schema of ours.
TASK = {"taskId": {"type": "string", "minLength": 20}, "status": {"type": "string"}, "statusMessage": {"type": "string"},
        "createdAt": {"type": "string", "pattern": "^[0-9-]{10}T[0-9:.]+Z$"},
        "lastUpdatedAt": {"type": "string", "pattern": "^[0-9-]{10}T[0-9:.]+Z$"},
        "ttlMs": {"type": "integer", "minimum": 1, "maximum": 7 * 86_400_000},
        "pollIntervalMs": {"type": "integer", "minimum": 1}, "_meta": {"type": "object"}}
BASIC = ["taskId", "status", "createdAt", "lastUpdatedAt", "ttlMs", "pollIntervalMs"]


def state(name, more=None):
    return {"properties": {**TASK, "resultType": {"const": "complete"}, "status": {"const": name}, **(more or {})},
            "required": BASIC + list(more or {}), "additionalProperties": False}


CONTENT = {"type": "object", "required": ["resultType", "content", "isError"],
           "properties": {"resultType": {"const": "complete"}, "content": {"type": "array"}, "isError": {"type": "boolean"}}}
DETAILED = {"type": "object", "oneOf": [
    state("working"), state("cancelled"), state("completed", {"result": CONTENT}),
    state("failed", {"error": {"type": "object", "required": ["code", "message"], "additionalProperties": False,
                               "properties": {"code": {"type": "integer"}, "message": {"type": "string"}}}}),
    state("input_required", {"inputRequests": {"type": "object", "minProperties": 1, "additionalProperties": {
        "type": "object", "required": ["method", "params"], "additionalProperties": False,
        "properties": {"method": {"enum": ["elicitation/create", "sampling/createMessage", "roots/list"]},
                       "params": {"type": "object"}}}}})]}
DONE = {"type": "object", "properties": {"resultType": {"const": "complete"}, "_meta": {"type": "object"}},
        "required": ["resultType"], "additionalProperties": False}
CREATED = {"type": "object", "properties": {**TASK, "resultType": {"const": "task"}}, "required": BASIC + ["resultType"],
           "additionalProperties": False}
SCHEMAS = {"tasks/get": DETAILED, "tasks/update": DONE, "tasks/cancel": DONE, "tools/call": CREATED}


def validate(message, method):
    if method == "tools/call" and message.get("resultType") != "task":
        return
    import jsonschema

    for error in jsonschema.Draft202012Validator(SCHEMAS[method]).iter_errors(message):
        raise AssertionError(f"{method} does not fit the schema: {error.message[:300]}: {message}")


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
        for name in ("name", "uri", "taskId"):
            if name in params:
                head.setdefault("Mcp-Name", params[name])
        body = {"jsonrpc": "2.0", "id": self.next, "method": method, "params": params}
        response = await self.client.post(self.url, content=json.dumps(body), headers=head)
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            messages = [json.loads(line[5:]) for line in response.text.splitlines() if line.startswith("data:")]
        else:
            messages = [response.json()]
        self.status = response.status_code
        if method in SCHEMAS and "result" in messages[-1]:
            validate(messages[-1]["result"], method)
        return messages

    async def listen(self, notifications, on_message, capabilities=None):
        """Reads a stream until `on_message` says that it is enough."""
        meta = {f"{META}protocolVersion": "2026-07-28", f"{META}clientCapabilities": capabilities or {}}
        body = {"jsonrpc": "2.0", "id": "listen", "method": "subscriptions/listen",
                "params": {"notifications": notifications, "_meta": meta}}
        head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "subscriptions/listen"}
        async with self.client.stream("POST", self.url, content=json.dumps(body), headers=head) as response:
            if not response.headers.get("content-type", "").startswith("text/event-stream"):
                return json.loads(await response.aread())
            async for line in response.aiter_lines():
                if line.startswith("data:") and await on_message(json.loads(line[5:])):
                    return None

    async def task(self, name, arguments=None, **more):
        """Begins a task."""
        return result(await self.call(name, arguments, capabilities={**TASKS, **ELICIT}, **more))

    async def get(self, id):
        return result(await self.ask("tasks/get", {"taskId": id}, capabilities=TASKS))

    async def until(self, id, *states):
        """The task once it is in one of those states."""
        for _ in range(600):
            task = await self.get(id)
            if task.get("status") in states:
                return task
            await asyncio.sleep(0.1)
        raise AssertionError(f"not {states}: {task}")

    async def end(self, id):
        return await self.until(id, "completed", "failed", "cancelled")

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


async def tasks():
    """The life of a task, in the words of the public suite."""
    agent, other = Agent(TOKEN), Agent(OTHER)
    found = result(await agent.ask("server/discover"))
    expect(f"{META}tasks" in found["capabilities"]["extensions"], "the extension is told", found)
    # tasks-capability-negotiation
    plain = result(await agent.call("slow_compute", {"seconds": 0}))
    expect(plain["resultType"] == "complete" and plain["structuredContent"] == {"computed": True}, "no task unasked", plain)
    one = await agent.call("greet", {"name": "Ada"}, capabilities=TASKS)
    expect(result(one)["content"][0]["text"] == "Hello, Ada!", "a tool that becomes no task", one)
    for method in ("tasks/get", "tasks/update", "tasks/cancel"):
        answer = await agent.ask(method, {"taskId": "x"})
        expect((agent.status, code(answer)) == (400, -32021) and answer[-1]["error"]["data"] == {
            "requiredCapabilities": TASKS}, f"{method} needs the capability", answer)
        expect(code(await agent.ask(method, {"taskId": "x"}, capabilities=TASKS)) == -32602, f"{method} of no task")
        expect(code(await agent.ask(method, {}, capabilities=TASKS)) == -32602, f"{method} without an id")
    # tasks-required-task-error
    answer = await agent.call("failing_job")
    expect((agent.status, code(answer)) == (400, -32021), "a tool that must be a task", answer)
    # tasks-lifecycle, tasks-wire-fields
    made = await agent.task("slow_compute", {"seconds": 1})
    expect(made["resultType"] == "task" and made["status"] == "working", "a task", made)
    expect((await agent.get(made["taskId"]))["taskId"] == made["taskId"], "is there at once")
    ended = await agent.end(made["taskId"])
    expect(ended["status"] == "completed" and ended["result"]["structuredContent"] == {"computed": True}, "ends", ended)
    expect(ended["createdAt"] == made["createdAt"] and ended["lastUpdatedAt"] >= made["createdAt"], "its times", ended)
    failed = await agent.end((await agent.task("failing_job"))["taskId"])
    expect(failed["status"] == "completed" and failed["result"]["isError"], "an error of the tool is its result", failed)
    failed = await agent.end((await agent.task("protocol_error_job"))["taskId"])
    expect(failed["status"] == "failed", "an error of the server is none", failed)
    # tasks-request-headers, tasks-dispatch-and-envelope
    answer = await agent.ask("tasks/get", {"taskId": made["taskId"]}, capabilities=TASKS, headers={"Mcp-Name": "other"})
    expect((agent.status, code(answer)) == (400, -32020), "the header must be the id", answer)
    for method in ("tasks/list", "tasks/result"):
        answer = await agent.ask(method, {"taskId": made["taskId"]}, capabilities=TASKS)
        expect((agent.status, code(answer)) == (404, -32601), f"{method} is not known", answer)
    # Whose it is.
    expect(code(await other.ask("tasks/get", {"taskId": made["taskId"]}, capabilities=TASKS)) == -32602, "somebody else's")
    expect(code(await other.ask("tasks/cancel", {"taskId": made["taskId"]}, capabilities=TASKS)) == -32602, "cancelled by nobody else")
    changed = made["taskId"][:-1] + ("0" if made["taskId"][-1] != "0" else "1")
    expect(code(await agent.ask("tasks/get", {"taskId": changed}, capabilities=TASKS)) == -32602, "an id that was changed")
    # Cancelled: one that runs and heeds nothing, and one that is over.
    stubborn = (await agent.task("stubborn"))["taskId"]
    for _ in range(300):
        if "seconds" in (await agent.get(stubborn)).get("statusMessage", "seconds"):
            break
    expect(result(await agent.ask("tasks/cancel", {"taskId": stubborn}, capabilities=TASKS))["resultType"] == "complete", "cancels")
    expect((await agent.end(stubborn))["status"] == "cancelled", "is cancelled")
    for id in (stubborn, made["taskId"]):
        answer = result(await agent.ask("tasks/cancel", {"taskId": id}, capabilities=TASKS))
        expect(answer["resultType"] == "complete", "cancelling what is over changes nothing", answer)
    expect((await agent.get(made["taskId"]))["status"] == "completed", "still")
    # A key makes one task.
    both = [await agent.task("draw_later", {"seconds": 1}, key="task") for _ in range(2)]
    expect(both[0]["taskId"] == both[1]["taskId"], "a key makes one task", both)
    # tasks-status-notifications
    listened = (await agent.task("slow_compute", {"seconds": 3}))["taskId"]
    heard = []

    async def hear(message):
        heard.append(message)
        return message.get("params", {}).get("status") == "completed"

    await asyncio.wait_for(agent.listen({"taskIds": [listened, stubborn, "none"]}, hear, TASKS), 60)
    expect(heard[0]["params"]["notifications"] == {"taskIds": [listened, stubborn]}, "what is listened to", heard[0])
    for message in heard[1:]:
        expect(message["method"] == "notifications/tasks" and message["params"]["_meta"][f"{META}subscriptionId"] == "listen",
               "news of a task", message)
        validate({**message["params"], "resultType": "complete"}, "tasks/get")
    expect({m["params"]["status"] for m in heard[1:]} == {"working", "completed", "cancelled"}, "its states", heard)
    answer = await agent.listen({"taskIds": [listened]}, hear)
    expect(answer["error"]["code"] == -32021, "listening needs the capability", answer)
    return {"done": made["taskId"], "result": ended}


async def many():
    """Tasks that the end of the server cuts off."""
    agent = Agent(TOKEN)
    made = await asyncio.gather(*(agent.task("draw_later", {"seconds": 2}) for _ in range(100)))
    return {"tasks": [one["taskId"] for one in made]}


async def ended():
    agent = Agent(TOKEN)
    expect(len(GIVEN["tasks"]) == 100, "a hundred tasks")
    for id in GIVEN["tasks"]:
        task = await agent.end(id)
        expect(task["status"] == "completed" and task["result"]["structuredContent"]["number"], "a task ends", task)
        expect(await agent.get(id) == task, "once", task)
    return {}


async def mix():
    """A task of each end, which the end of the server cuts off."""
    agent = Agent(TOKEN)
    made = {}
    for name, arguments in (("draw_later", {"seconds": 1}), ("draw_later", {"seconds": 0}), ("failing_job", {}),
                            ("protocol_error_job", {}), ("stubborn", {}), ("confirm_delete", {"filename": "a.txt"})):
        task = await agent.task(name, arguments)
        made[task["taskId"]] = name
        if name == "stubborn":
            done = result(await agent.ask("tasks/cancel", {"taskId": task["taskId"]}, capabilities=TASKS))
            expect(done["resultType"] == "complete", "what is to be cancelled", done)
    return {"tasks": made}


async def mixed():
    """Each task of whichever end reaches it, once, however often the server ended."""
    agent = Agent(TOKEN)
    numbers = []
    for id, name in GIVEN["tasks"].items():
        if name == "confirm_delete":
            await agent.until(id, "input_required")
            await update(agent, id, confirm=accept(confirm=True))
        task = await agent.end(id)
        wanted = {"protocol_error_job": "failed", "stubborn": "cancelled"}.get(name, "completed")
        expect(task["status"] == wanted, f"{name} ends as {wanted}", task)
        if wanted == "completed":
            expect(task["result"]["isError"] == (name == "failing_job"), f"the result of {name}", task)
        if name == "draw_later":
            numbers.append(task["result"]["structuredContent"]["number"])
        expect(await agent.get(id) == task, "once", task)
    expect(len(set(numbers)) == len(numbers), "each has a result of its own", numbers)
    return {}


async def cache():
    """Results that answer the same call again."""
    agent, other = Agent(TOKEN), Agent(OTHER)

    async def number(who, name, arguments=None, **more):
        return result(await who.call(name, arguments, **more))["structuredContent"]["number"]

    first = await number(agent, "look", {"name": "a", "seconds": 0})
    expect(await number(agent, "look", {"seconds": 0, "name": "a"}) == first, "the same call is answered from the cache")
    expect(await number(agent, "look", {"name": "b"}) != first, "another call is run")
    expect(await number(other, "look", {"name": "a", "seconds": 0}) != first, "never across callers")
    expect(await number(agent, "look", {"name": "a", "seconds": 0}, key="fresh") != first, "a key is another promise")
    shared = await number(agent, "look_shared")
    expect(await number(other, "look_shared") == shared, "unless the manifest says so")
    return {}


def accept(**content):
    return {"action": "accept", "content": content}


async def update(agent, id, **answers):
    return result(await agent.ask("tasks/update", {"taskId": id, "inputResponses": answers}, capabilities=TASKS))


async def asking():
    """Questions of calls that last: tasks-mrtr-input, and calls with a key."""
    agent, other = Agent(TOKEN), Agent(OTHER)
    id = (await agent.task("confirm_delete", {"filename": "a.txt"}))["taskId"]
    asked = await agent.until(id, "input_required")
    expect(asked["inputRequests"]["confirm"]["method"] == "elicitation/create", "a task asks", asked)
    expect(code(await other.ask("tasks/update", {"taskId": id, "inputResponses": {"confirm": accept(confirm=True)}},
                                capabilities=TASKS)) == -32602, "nobody else answers")
    expect((await update(agent, id, unknown=accept()))["resultType"] == "complete", "what is not asked is passed over")
    expect((await agent.get(id))["status"] == "input_required", "and changes nothing")
    await update(agent, id, confirm=accept(confirm=True))
    ended = await agent.end(id)
    expect(ended["result"]["content"][0]["text"] == "deleted a.txt", "goes on with the answer", ended)
    await update(agent, id, confirm=accept(confirm=False))
    expect(await agent.get(id) == ended, "an answer that comes late changes nothing")
    id = (await agent.task("multi_input"))["taskId"]
    asked = await agent.until(id, "input_required")
    expect(set(asked["inputRequests"]) == {"first", "second"}, "two at once", asked)
    await update(agent, id, first=accept(name="Ada"))
    asked = await agent.get(id)
    expect(asked["status"] == "input_required" and set(asked["inputRequests"]) == {"second"}, "answered ones vanish", asked)
    await update(agent, id, second=accept(name="Bob"))
    ended = await agent.end(id)
    expect(ended["result"]["content"][0]["text"] == "Ada and Bob", "both answers", ended)
    id = (await agent.task("confirm_delete", {"filename": "b.txt"}))["taskId"]
    await agent.until(id, "input_required")
    await agent.ask("tasks/cancel", {"taskId": id}, capabilities=TASKS)
    expect((await agent.end(id))["status"] == "cancelled", "cancelled while it asks")
    # A client that cannot be asked.
    id = result(await agent.call("confirm_delete", {"filename": "c.txt"}, capabilities=TASKS))["taskId"]
    ended = await agent.end(id)
    expect(ended["result"]["isError"] and "elicitation" in ended["result"]["content"][0]["text"], "nobody to ask", ended)
    # A call with a key asks as any other does, and is one call all the same.
    first = result(await agent.call("two_rounds", key="ask", capabilities=ELICIT))
    expect(first["resultType"] == "input_required" and set(first["inputRequests"]) == {"first"}, "a call with a key asks", first)
    again = result(await agent.call("two_rounds", key="ask", capabilities=ELICIT))
    expect(again["inputRequests"] == first["inputRequests"], "and asks again", again)

    async def answer(**answers):
        params = {"name": "two_rounds", "arguments": {}, "inputResponses": answers}
        return result(await agent.ask("tools/call", params, capabilities=ELICIT, meta={KEY: "ask"}))

    second = await answer(first=accept(name="Ada"))
    expect(set(second["inputRequests"]) == {"second"}, "then the next", second)
    ended = await answer(second=accept(name="Bob"))
    expect(ended["content"][0]["text"].startswith("Ada and Bob"), "and ends", ended)
    expect(result(await agent.call("two_rounds", key="ask")) == ended, "once")
    id = (await agent.task("multi_input"))["taskId"]
    await agent.until(id, "input_required")
    return {"id": id}


async def asked():
    """A question that the end of the server came upon."""
    agent = Agent(TOKEN)
    task = await agent.get(GIVEN["id"])
    expect(task["status"] == "input_required" and set(task["inputRequests"]) == {"first", "second"}, "still asks", task)
    await update(agent, GIVEN["id"], first=accept(name="Ada"), second=accept(name="Bob"))
    ended = await agent.end(GIVEN["id"])
    expect(ended["result"]["content"][0]["text"] == "Ada and Bob", "goes on with the answers", ended)
    return {}


async def versions():
    """A call that asks goes on with the version that asked."""
    agent = Agent(TOKEN)
    seen = set()
    for number in range(60):
        if number >= 8 and len(seen) == 2:
            break
        first = result(await agent.call("which", capabilities=ELICIT))
        version = next(iter(first["inputRequests"]))
        params = {"name": "which", "arguments": {}, "requestState": first["requestState"],
                  "inputResponses": {version: accept(name="Ada")}}
        ended = await agent.ask("tools/call", params, capabilities=ELICIT)
        expect(result(ended).get("structuredContent") == {"version": version, "name": "Ada"}, "it goes on where it began", ended)
        seen.add(version)
        other = "12"["21".index(version)]
        state = first["requestState"].replace(f"{version}.", f"{other}.", 1)
        expect(code(await agent.ask("tools/call", {**params, "requestState": state}, capabilities=ELICIT)) == -32602, "nowhere else")
    expect(seen == {"1", "2"}, "both are called", seen)
    return {}


async def late():
    """What takes longer than its manifest says is killed, and its caller told whether it may try again."""
    agent = Agent(TOKEN)
    for name, words in (("late", "look before you call it again"), ("late_reader", "can be called again")):
        plain = result(await agent.call(name))
        waited = await agent.end((await agent.task(name))["taskId"])
        for answer in (plain, waited["result"]):
            text = answer["content"][0]["text"]
            expect(answer["isError"] and "timed out" in text and words in text, f"{name} timed out", answer)
        expect(waited["status"] == "completed", "which is what the task came to", waited)
        for _ in range(300):
            busy = [one for one in (await http("GET", "/v1/instances"))["items"]
                    if one["function"].endswith(name.replace("_", "-")) and one.get("inFlight")]
            if not busy:
                break
            await asyncio.sleep(0.1)
        expect(not busy, "its sandbox is killed, though it heeds nothing", busy)
    return {}


async def bounds():
    """What a task may ask, and a stream may listen to, at the bound and above it."""
    agent = Agent(TOKEN)
    id = (await agent.task("endless"))["taskId"]
    for number in range(32):
        for _ in range(600):
            task = await agent.until(id, "input_required", "completed", "failed")
            if set(task.get("inputRequests", ())) != {f"q{number - 1}"}:
                break
            await asyncio.sleep(0.05)
        expect(set(task.get("inputRequests", ())) == {f"q{number}"}, f"round {number}", task)
        await update(agent, id, **{f"q{number}": accept(name="Ada")})
    ended = await agent.end(id)
    expect(ended["result"]["isError"] and "more than 32 times" in said(ended), "rounds are bounded", ended)
    ended = await agent.end((await agent.task("wordy"))["taskId"])
    expect(ended["status"] == "completed" and "at most 65536" in said(ended), "questions are bounded", ended)
    id = (await agent.task("multi_input"))["taskId"]
    await agent.until(id, "input_required")
    for name in ("first", "second"):
        await update(agent, id, **{name: accept(name="x" * (100 << 10))})
    ended = await agent.end(id)
    expect(ended["status"] == "completed" and "131072" in said(ended), "answers together are bounded", ended)
    for before, honoured in ((63, True), (64, False)):
        heard = []

        async def hear(message):
            heard.append(message)
            return True

        await asyncio.wait_for(agent.listen({"taskIds": ["none"] + [f"none-{n}" for n in range(1, before)] + [id]}, hear, TASKS), 60)
        expect(("taskIds" in heard[0]["params"]["notifications"]) == honoured, "tasks of a stream are bounded", heard)
    return {}


APPROVAL = "apus-approval"


async def http(method, path, token=TOKEN, body=None):
    """The interface that people decide over, and that says what runs."""
    async with httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {token}"}) as client:
        response = await client.request(method, URL.split("/mcp")[0] + path, content=json.dumps(body) if body else None,
                                        headers={"Content-Type": "application/json"} if body else {})
        return response.json()


async def nothing_runs(function, id=None):
    workers = [one for one in (await http("GET", "/v1/instances"))["items"] if one["function"].endswith(function)]
    expect(not workers, f"no worker is started for {function}", workers)
    if id:
        row = await http("GET", f"/v1/invocations/{id[:32]}")
        expect(row["state"] == "waiting" and row["attempts"] == 0, "nothing of it has begun", row)


def said(task):
    return "".join(part.get("text", "") for part in task.get("result", {}).get("content", ()))


async def asked_about(agent, what):
    """A task that its caller's person is asked about."""
    made = await agent.task("wipe_later", {"what": what})
    expect(made["resultType"] == "task", "a task at once", made)
    task = await agent.until(made["taskId"], "input_required")
    expect(set(task["inputRequests"]) == {APPROVAL}, "whether it may begin", task)
    question = task["inputRequests"][APPROVAL]
    expect(question["method"] == "elicitation/create" and "wipe_later" in question["params"]["message"]
           and what in question["params"]["message"], "what it is about", question)
    return made["taskId"]


async def decided_elsewhere(agent, name, what, **more):
    """A task that somebody else decides about."""
    made = result(await agent.call(name, {"what": what}, **{"capabilities": {**TASKS, **ELICIT}, **more}))
    expect(made.get("resultType") == "task", "a task at once", made)
    task = await agent.get(made["taskId"])
    for _ in range(300):
        if "approval" in task.get("statusMessage", ""):
            break
        await asyncio.sleep(0.1)
        task = await agent.get(made["taskId"])
    expect(task["status"] == "working" and "apus approvals accept" in task["statusMessage"], "it says what it waits for", task)
    waiting = [one for one in (await http("GET", "/v1/approvals?state=waiting"))["items"] if one["id"] in task["statusMessage"]]
    expect(len(waiting) == 1 and waiting[0]["arguments"] == {"what": what}, "which is there", waiting)
    return made["taskId"], waiting[0]["id"]


async def approving():
    """Tasks that begin once somebody agrees."""
    agent, other, judge = Agent(TOKEN), Agent(OTHER), GIVEN["judge"]
    for answer, end, words in ((accept(approve=True), False, "wiped"), (accept(approve=False), True, "declined"),
                               (accept(), True, "declined"), ({"action": "decline"}, True, "declined"),
                               ({"action": "cancel"}, True, "did not answer")):
        id = await asked_about(agent, f"disk {words}")
        if words == "wiped":
            await nothing_runs("wipe-later", id)
        expect(code(await other.ask("tasks/update", {"taskId": id, "inputResponses": {APPROVAL: accept(approve=True)}},
                                    capabilities=TASKS)) == -32602, "nobody else answers")
        await update(agent, id, **{APPROVAL: {"action": "perhaps"}})
        expect((await agent.get(id))["status"] == "input_required", "what says neither is asked again")
        expect((await update(agent, id, **{APPROVAL: answer}))["resultType"] == "complete", "it is answered")
        task = await agent.end(id)
        expect(task["status"] == "completed" and task["result"]["isError"] == end and words in said(task), "and ends so", task)
        await update(agent, id, **{APPROVAL: accept(approve=True)})
        expect(await agent.get(id) == task, "once")
    id = await asked_about(agent, "cancelled")
    await agent.ask("tasks/cancel", {"taskId": id}, capabilities=TASKS)
    expect((await agent.end(id))["status"] == "cancelled", "cancelled while it waits")
    # One key is one task, which is asked about once.
    both = [await agent.task("wipe_later", {"what": "key"}, key="approve") for _ in range(2)]
    expect(both[0]["taskId"] == both[1]["taskId"], "a key makes one task", both)
    await agent.until(both[0]["taskId"], "input_required")
    await update(agent, both[0]["taskId"], **{APPROVAL: accept(approve=True)})
    ended = await agent.end(both[0]["taskId"])
    again = await agent.task("wipe_later", {"what": "key"}, key="approve")
    expect(again["taskId"] == both[0]["taskId"] and again["status"] == "completed", "after its end too", again)
    # The same call of a client that waits for it lets the task begin, which is that call.
    held = (await agent.task("wipe_later", {"what": "both"}, key="both"))["taskId"]
    await agent.until(held, "input_required")
    question = result(await agent.call("wipe_later", {"what": "both"}, key="both", capabilities=ELICIT))
    expect(set(question["inputRequests"]) == {APPROVAL}, "whoever waits is asked with the call", question)
    params = {"name": "wipe_later", "arguments": {"what": "both"}, "requestState": question["requestState"],
              "inputResponses": {APPROVAL: accept(approve=True)}}
    waited = result(await agent.ask("tools/call", params, capabilities=ELICIT, meta={KEY: "both"}))
    expect(waited["content"][0]["text"].startswith("wiped both"), "and gets the result", waited)
    expect(said(await agent.end(held)) == waited["content"][0]["text"], "which is that of the task")
    # What its function asks is asked after that.
    made = (await agent.task("careful_greet"))["taskId"]
    expect(set((await agent.until(made, "input_required"))["inputRequests"]) == {APPROVAL}, "first whether it may begin")
    await update(agent, made, **{APPROVAL: accept(approve=True)})
    for name, value in (("first", "Ada"), ("second", "Bob")):
        for _ in range(300):
            task = await agent.until(made, "input_required")
            if set(task["inputRequests"]) == {name}:
                break
            await asyncio.sleep(0.1)
        expect(set(task["inputRequests"]) == {name}, f"then what it asks: {name}", task)
        await update(agent, made, **{name: accept(name=value)})
    ended = await agent.end(made)
    expect(said(ended).startswith("Ada and Bob"), "with all answers", ended)
    # Somebody else decides.
    await nothing_runs("pay-later")
    id, approval = await decided_elsewhere(agent, "pay_later", "rent")
    await nothing_runs("pay-later", id)
    await update(agent, id, **{APPROVAL: accept(approve=True)})
    expect((await agent.get(id))["status"] == "working", "what its caller says counts for nothing")
    await nothing_runs("pay-later", id)
    again = await agent.task("pay_later", {"what": "rent"})
    expect(again["taskId"] == id, "the same call is the same task", again)
    expect((await http("POST", f"/v1/approvals/{approval}/accept", TOKEN)).get("code") == "forbidden", "never who asked")
    await http("POST", f"/v1/approvals/{approval}/accept", judge)
    ended = await agent.end(id)
    expect(said(ended).startswith("wiped rent"), "it goes on once somebody accepted", ended)
    for _ in range(300):
        if (await http("GET", f"/v1/approvals/{approval}"))["state"] == "consumed":
            break
        await asyncio.sleep(0.1)
    expect((await http("GET", f"/v1/approvals/{approval}"))["state"] == "consumed", "which is used up")
    id, approval = await decided_elsewhere(agent, "pay_later", "rent")
    expect(id != again["taskId"], "the next one waits anew")
    await http("POST", f"/v1/approvals/{approval}/decline", judge, {"reason": "too much"})
    ended = await agent.end(id)
    expect(ended["status"] == "completed" and ended["result"]["isError"] and "declined by judge: too much" in said(ended),
           "declined with its reason", ended)
    answer = result(await agent.call("pay_later", {"what": "rent"}, capabilities=TASKS))
    expect(answer.get("isError") and "declined" in answer["content"][0]["text"], "what was declined is no task", answer)
    # A client that cannot be asked.
    id, approval = await decided_elsewhere(agent, "wipe_later", "mute", capabilities=TASKS)
    await http("POST", f"/v1/approvals/{approval}/accept", judge)
    expect(said(await agent.end(id)).startswith("wiped mute"), "somebody else may let it begin")
    # Through the end of the server.
    first = await asked_about(agent, "kept")
    second, approval = await decided_elsewhere(agent, "pay_later", "kept")
    third, another = await decided_elsewhere(agent, "pay_later", "kept too")
    await http("POST", f"/v1/approvals/{another}/accept", judge)
    return {"judge": judge, "first": first, "second": second, "approval": approval, "third": third}


async def approved():
    agent, judge = Agent(TOKEN), GIVEN["judge"]
    expect(said(await agent.end(GIVEN["third"])).startswith("wiped kept too"), "what was accepted goes on")
    task = await agent.get(GIVEN["first"])
    expect(task["status"] == "input_required" and set(task["inputRequests"]) == {APPROVAL}, "still asks", task)
    await update(agent, GIVEN["first"], **{APPROVAL: accept(approve=True)})
    expect(said(await agent.end(GIVEN["first"])).startswith("wiped kept"), "and begins")
    expect((await agent.get(GIVEN["second"]))["status"] == "working", "still waits")
    await http("POST", f"/v1/approvals/{GIVEN['approval']}/accept", judge)
    expect(said(await agent.end(GIVEN["second"])).startswith("wiped kept"), "and begins")
    return {}


last = asyncio.run(globals()[PHASE]())
print(json.dumps(last))
print(f"{len(held)} expectations hold")
