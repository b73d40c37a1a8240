"""An agent without a model: what a model would decide is written down here, one function for each thing that agents do.

    APUS_URL=http://127.0.0.1:8787 AGENT_TOKEN=... python3 agent.py

It uses the official SDK for Python (`mcp`). It prints what it did, and ends with 0 only when each step came out as it should.
"""
import asyncio
import os
import sys
from typing import Any, Literal

import httpx2
import mcp_types as types
from mcp import Client
from mcp.client.extension import ClientExtension, ResultClaim
from mcp.client.streamable_http import streamable_http_client

URL = os.environ.get("APUS_URL", os.environ.get("APUS_SERVER", "http://127.0.0.1:8787")) + "/mcp/shop"
GIVE_UP_SECONDS = 2
asked = []


class Failed(Exception):
    """A step did not come out as it should."""


def check(good, what):
    if not good:
        raise Failed(what)


def text(result):
    return "\n".join(part.text for part in result.content if part.type == "text")


async def use(client, name, progress=None, **arguments):
    """Calls a tool that was found. The server shows three tools only; the others are called through one of them."""
    return await client.call_tool("call_tool", {"name": name, "arguments": arguments}, progress_callback=progress)


async def answer(context, params):
    """What a person would be shown. This one says yes."""
    asked.append(params.message)
    schema = params.requested_schema
    names = (schema if isinstance(schema, dict) else schema.model_dump()).get("properties", {})
    return types.ElicitResult(action="accept", content={name: True for name in names})


class Task(types.Result):
    """What a call comes to that is asked about later."""
    result_type: Literal["task"]
    task_id: str
    poll_interval_ms: int


class TaskState(types.Result):
    result_type: Literal["complete"] = "complete"
    status: str
    status_message: str | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class GetTask(types.Request[dict[str, Any], Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: dict[str, Any]
    name_param = "taskId"


class Tasks(ClientExtension):
    """The SDK knows no tasks of itself: this asks what became of one until it has ended."""
    identifier = "io.modelcontextprotocol/tasks"

    def __init__(self):
        self.said = []

    def claims(self):
        return [ResultClaim(result_type="task", model=Task, resolve=self.resolve)]

    async def resolve(self, task, context):
        self.said.append(task.task_id)
        while True:
            state = await context.session.send_request(GetTask(params={"taskId": task.task_id}), TaskState)
            if state.status_message not in self.said:
                self.said.append(state.status_message)
            if state.status == "completed":
                return types.CallToolResult.model_validate(state.result)
            check(state.status == "working", f"task: {state}")
            await asyncio.sleep(task.poll_interval_ms / 1000)


tasks = Tasks()


async def find(client):
    """Thousands of tools do not fit into a model: it is shown three, and finds the others by what is to be done."""
    shown = [tool.name for tool in (await client.list_tools()).tools]
    check(shown == ["find_tools", "describe_tool", "call_tool"], f"shown: {shown}")
    found = await client.call_tool("find_tools", {"query": "what is the state of an order", "limit": 3})
    first = found.structured_content["tools"][0]
    check(first["name"] == "find_order", f"found: {found.structured_content}")
    described = await client.call_tool("describe_tool", {"names": [first["name"]]})
    needs = described.structured_content["tools"][0]["inputSchema"]["required"]
    print(f"found {first['name']}, which needs {', '.join(needs)}")


async def call(client):
    """Arguments are checked before anything runs, and what is wrong is told so that a model can do better."""
    wrong = await use(client, "find_order", number="seven")
    check(wrong.is_error and "/number" in text(wrong), f"wrong arguments: {wrong}")
    order = (await use(client, "find_order", number=7)).structured_content
    check(order == {"number": 7, "state": "lost", "euros": 70}, f"order: {order}")
    print(f"order {order['number']} is {order['state']}")


async def be_asked(client):
    """The tool asks; no sandbox waits for the answer."""
    refund = await use(client, "refund_order", number=7)
    check(not refund.is_error and len(asked) == 1, f"refund: {refund} {asked}")
    print(f"asked: {asked[0]} {text(refund)}")


async def be_approved(client):
    """The tool does not ask: whoever deployed it wants a person to agree before it runs at all."""
    before = len(asked)
    deleted = await use(client, "delete_order", number=7)
    check(not deleted.is_error and len(asked) == before + 1, f"deletion: {deleted} {asked}")
    check("delete_order" in asked[-1] and "7" in asked[-1], f"the question: {asked[-1]}")
    print(f"asked: {asked[-1]} {text(deleted)}")


async def cancel(client):
    """An agent that leaves a call ends it: its sandbox is killed at once."""
    try:
        await asyncio.wait_for(use(client, "make_report", year=2025, seconds=120), GIVE_UP_SECONDS)
        raise Failed("a report of two minutes came at once")
    except asyncio.TimeoutError:
        print("gave up a report that takes two minutes")


async def wait_long(client):
    """A long call tells how far it is."""
    months = []

    async def progress(done, total, message):
        months.append(message)

    report = await use(client, "make_report", progress, year=2026, seconds=3)
    check(not report.is_error and months and months[-1] == "month 12", f"report: {report} {months}")
    print(f"report {text(report)}")


async def run_task(client):
    """A call that takes longer than anybody waits is a task: it goes on without its client, which asks now and then."""
    counted = await use(client, "count_stock", seconds=3)
    check(not counted.is_error and len(tasks.said) > 1, f"task: {counted} {tasks.said}")
    print(f"a task ended: {text(counted)}")


async def read_much(client):
    """A result that is too much for a model is kept for its caller, and read in parts."""
    journal = await use(client, "read_journal")
    link = next(part for part in journal.content if part.type == "resource_link")
    part = (await client.read_resource(f"{link.uri}?lines=39999-40000")).contents[0].text
    check(part.splitlines()[-1].startswith("40000 "), f"the last lines: {part!r}")
    print(f"journal of {link.size} bytes ends with: {part.splitlines()[-1]}")


async def write_code(client):
    """Forty calls in one, and only their sum comes back."""
    code = """
lost = [order for order in (call("find_order", number=n) for n in range(1, data + 1)) if order["state"] == "lost"]
{"orders": len(lost), "euros": sum(order["euros"] for order in lost)}
"""
    ran = await use(client, "run_code", code=code, data=40)
    check(not ran.is_error, f"script: {text(ran)}")
    result = ran.structured_content
    check(result["calls"] == 40 and result["result"] == {"orders": 5, "euros": 1050}, f"script: {result}")
    print(f"a script made {result['calls']} calls: {result['result']['orders']} orders are lost, worth {result['result']['euros']} euros")


async def main():
    headers = {"Authorization": f"Bearer {os.environ['AGENT_TOKEN']}"}
    http = httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(120))
    async with Client(streamable_http_client(URL, http_client=http), elicitation_callback=answer, extensions=[tasks]) as client:
        for step in (find, call, be_asked, be_approved, cancel, wait_long, run_task, read_much, write_code):
            try:
                await step(client)
            except Failed as failed:
                print(f"agent: {step.__name__}: {failed}", file=sys.stderr)
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
