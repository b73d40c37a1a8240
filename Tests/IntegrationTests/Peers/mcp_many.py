"""An agent of 2026-07-28 in front of several servers that take turns, and may be killed at any moment.

    mcp_many.py PACKAGES TOKEN COUNT FILE [KIND]

Makes COUNT calls of five kinds, or of one of them, several at once: lists, calls, questions, tasks, asking_tasks. Each request goes to the next server; one
whose connection breaks goes to the one after it. FILE holds their addresses, a line each, as somebody in front of them would know them: a server
that comes back listens elsewhere. Prints `at N` now and then, a line for whatever else goes wrong, and at the end
`N calls, R requests, S sent again, E errors`.
"""
import asyncio
import json
import sys

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402

TOKEN, COUNT, FILE = sys.argv[2], int(sys.argv[3]), sys.argv[4]
KIND = sys.argv[5] if len(sys.argv) > 5 else None
META = "io.modelcontextprotocol/"
TASKS = {"extensions": {f"{META}tasks": {}}}
AT_ONCE = 6
# Long enough for the other servers to take over what a killed one had begun.
PATIENCE_SECONDS = 90


class Wrong(Exception):
    """The protocol was not kept."""


class Agent:
    def __init__(self):
        self.client = httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {TOKEN}"})
        self.turn = 0
        self.requests = 0
        self.again = 0
        self.done = 0
        self.errors = 0

    async def ask(self, method, params=None, capabilities=None):
        params = {**(params or {}), "_meta": {
            f"{META}protocolVersion": "2026-07-28", f"{META}clientCapabilities": capabilities or {}}}
        head = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method}
        for name in ("name", "uri", "taskId"):
            if name in params:
                head["Mcp-Name"] = params[name]
        self.requests += 1
        id = f"r{self.requests}"
        body = json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
        for attempt in range(400):
            with open(FILE) as file:
                urls = file.read().split()
            url = urls[self.turn % len(urls)]
            self.turn += 1
            try:
                response = await self.client.post(url, content=body, headers=head)
                break
            except httpx2.TransportError:
                # A server that is gone: the only thing that may go wrong.
                self.again += 1
                await asyncio.sleep(0.05 if attempt > 1 else 0)
        else:
            raise Wrong("no server answers")
        if response.headers.get("content-type", "").startswith("text/event-stream"):
            lines = [line for line in response.text.splitlines() if line.startswith("data:")]
            if not lines or "id" not in json.loads(lines[-1][5:]):
                # Its connection broke after the head.
                self.again += 1
                return await self.ask(method, {k: v for k, v in params.items() if k != "_meta"}, capabilities)
            answer = json.loads(lines[-1][5:])
        else:
            answer = response.json()
        if response.status_code != 200 or answer.get("id") != id or "result" not in answer:
            raise Wrong(f"{method} at {url}: {response.status_code} {json.dumps(answer)[:500]}")
        if answer["result"].get("isError"):
            raise Wrong(f"{method} at {url}: {json.dumps(answer['result'])[:500]}")
        return answer["result"]

    # MARK: kinds of calls

    async def lists(self, number):
        names = [tool["name"] for tool in (await self.ask("tools/list"))["tools"]]
        check({"answer", "ask", "later"} <= set(names), names)

    async def calls(self, number):
        result = await self.ask("tools/call", {"name": "answer", "arguments": {}})
        check("id" in result["structuredContent"], result)

    async def questions(self, number):
        call = {"name": "ask", "arguments": {}}
        asked = await self.ask("tools/call", call, {"elicitation": {}})
        check(asked["resultType"] == "input_required", asked)
        (key, _), = asked["inputRequests"].items()
        result = await self.ask("tools/call", {
            **call, "requestState": asked["requestState"],
            "inputResponses": {key: {"action": "accept", "content": {"name": f"Ada {number}"}}}}, {"elicitation": {}})
        check(result["content"][0]["text"] == f"Hello, Ada {number}!", result)

    async def until(self, id, *states, pause=0.2):
        for _ in range(int(PATIENCE_SECONDS / max(pause, 0.01))):
            task = await self.ask("tasks/get", {"taskId": id}, TASKS)
            check(task["taskId"] == id, task)
            if task["status"] in states:
                return task
            await asyncio.sleep(pause)
        raise Wrong(f"the task is not {states}: {task}")

    async def tasks(self, number):
        made = await self.ask("tools/call", {"name": "later", "arguments": {"value": number, "seconds": 0.2}}, TASKS)
        check(made["resultType"] == "task", made)
        ended = await self.until(made["taskId"], "completed", "failed", "cancelled")
        check(ended["status"] == "completed" and ended["result"]["structuredContent"] == {"given": number}, ended)

    async def asking_tasks(self, number):
        can = {**TASKS, "elicitation": {}}
        made = await self.ask("tools/call", {"name": "ask_later", "arguments": {}}, can)
        check(made["resultType"] == "task", made)
        # At once: the next server may not have heard of the question yet.
        asked = await self.until(made["taskId"], "input_required", "completed", "failed", "cancelled", pause=0)
        check(asked["status"] == "input_required", asked)
        (key, _), = asked["inputRequests"].items()
        await self.ask("tasks/update", {
            "taskId": made["taskId"],
            "inputResponses": {key: {"action": "accept", "content": {"name": f"Bob {number}"}}}}, TASKS)
        ended = await self.until(made["taskId"], "completed", "failed", "cancelled")
        check(ended["status"] == "completed" and ended["result"]["content"][0]["text"] == f"Hello, Bob {number}!", ended)

    async def work(self, numbers):
        kinds = (self.lists, self.calls, self.questions, self.tasks, self.calls, self.asking_tasks)
        if KIND:
            kinds = (getattr(self, KIND),)
        for number in numbers:
            kind = kinds[number % len(kinds)]
            try:
                await kind(number)
            except (Wrong, KeyError, ValueError) as error:
                self.errors += 1
                print(f"{kind.__name__} {number}: {type(error).__name__} {error}", flush=True)
            self.done += 1
            if self.done % max(1, COUNT // 20) == 0:
                print(f"at {self.done}", flush=True)


def check(good, what):
    if not good:
        raise Wrong(json.dumps(what)[:500])


async def main():
    agent = Agent()
    numbers = iter(range(COUNT))
    await asyncio.gather(*(agent.work(numbers) for _ in range(AT_ONCE)))
    print(f"{agent.done} calls, {agent.requests} requests, {agent.again} sent again, {agent.errors} errors", flush=True)
    return 1 if agent.errors else 0


sys.exit(asyncio.run(main()))
