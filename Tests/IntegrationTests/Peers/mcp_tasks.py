"""The official Python SDK with the extension for tasks, as its users write one, against the functions of Tests/Fixtures/conformance/jobs.

    mcp_tasks.py PACKAGES MODE URL TOKEN

MODE is auto, legacy or 2026-07-28. Sessions know no tasks: there the same calls wait, and what must be a task is refused.
"""
import asyncio
import sys
from typing import Any, Literal

sys.path.insert(0, sys.argv[1])
import httpx2  # noqa: E402
import mcp_types as types  # noqa: E402
from mcp import Client, MCPError  # noqa: E402
from mcp.client.extension import ClaimContext, ClientExtension, ResultClaim  # noqa: E402
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

MODE, URL, TOKEN = sys.argv[2:5]
EXTENSION = "io.modelcontextprotocol/tasks"
done, states, asked = [], [], []


class Task(types.Result):
    """What a call comes to that became a task."""

    result_type: Literal["task"]
    task_id: str
    status: str
    created_at: str
    last_updated_at: str
    ttl_ms: int
    poll_interval_ms: int


class TaskParams(types.RequestParams):
    task_id: str


class UpdateParams(TaskParams):
    input_responses: dict[str, Any]


class GetTask(types.Request[TaskParams, Literal["tasks/get"]]):
    method: Literal["tasks/get"] = "tasks/get"
    params: TaskParams
    name_param = "taskId"


class UpdateTask(types.Request[UpdateParams, Literal["tasks/update"]]):
    method: Literal["tasks/update"] = "tasks/update"
    params: UpdateParams
    name_param = "taskId"


class TaskNow(types.Result):
    """What `tasks/get` says."""

    result_type: Literal["complete"]
    task_id: str
    status: Literal["working", "input_required", "completed", "failed", "cancelled"]
    status_message: str | None = None
    result: types.CallToolResult | None = None
    error: dict[str, Any] | None = None
    input_requests: dict[str, Any] | None = None


class Tasks(ClientExtension):
    """Waits for a task until it is over, and answers what it asks."""

    identifier = EXTENSION

    def claims(self):
        return [ResultClaim(result_type="task", model=Task, resolve=self.resolve)]

    async def resolve(self, task: Task, context: ClaimContext) -> types.CallToolResult:
        states.append(task.status)
        while True:
            now = await context.session.send_request(GetTask(params=TaskParams(task_id=task.task_id)), TaskNow)
            states.append(now.status)
            if now.status == "completed":
                return now.result
            if now.status == "failed":
                raise MCPError(now.error["code"], now.error["message"])
            if now.status == "cancelled":
                raise MCPError(-1, "the task was cancelled")
            if now.status == "input_required":
                answers = {name: answer(name, request) for name, request in now.input_requests.items()}
                await context.session.send_request(
                    UpdateTask(params=UpdateParams(task_id=task.task_id, input_responses=answers)), types.EmptyResult)
            await asyncio.sleep(min(task.poll_interval_ms / 1000, 0.2))


def answer(name, request):
    asked.append(name)
    wanted = request["params"]["requestedSchema"]["properties"]
    content = {"name": "Ada", "confirm": True, "approve": True}
    return {"action": "accept", "content": {key: content[key] for key in wanted}}


async def elicit(context, params):
    asked.append("elicitation/create")
    return types.ElicitResult(action="accept", content={"name": "Ada"} if "name" in params.requested_schema["properties"] else {
        "confirm": True})


def expect(good, what, detail=""):
    if not good:
        raise AssertionError(f"{what}: {str(detail)[:1000]}")
    done.append(what)


def text(result):
    return "".join(getattr(part, "text", "") for part in result.content)


async def failure(call):
    try:
        return await call
    except MCPError as error:
        return error


async def main():
    http = httpx2.AsyncClient(timeout=60, headers={"Authorization": f"Bearer {TOKEN}"})
    transport = streamable_http_client(URL, http_client=http)
    async with Client(transport, mode=MODE, extensions=[Tasks()], elicitation_callback=elicit) as client:
        tasks = MODE != "legacy"
        result = await client.call_tool("slow_compute", {"seconds": 1})
        expect(result.structured_content == {"computed": True}, "a call that may be a task", result)
        expect((states[:1] == ["working"] and states[-1:] == ["completed"]) == tasks and bool(states) == tasks, "its states", states)
        result = await client.call_tool("greet", {"name": "Ada"})
        expect(text(result) == "Hello, Ada!", "a call that is none", result)
        result = await failure(client.call_tool("failing_job", {}))
        if tasks:
            expect(result.is_error and "meant to" in text(result), "an error of the tool is its result", result)
        else:
            expect(isinstance(result, MCPError), "what must be a task is refused", result)
        result = await failure(client.call_tool("protocol_error_job", {}))
        expect(isinstance(result, MCPError) if tasks else result.is_error, "an error of the server is none", result)
        asked.clear()
        result = await client.call_tool("confirm_delete", {"filename": "a.txt"})
        expect(text(result) == "deleted a.txt" and asked == (["confirm"] if tasks else ["elicitation/create"]),
               "a task asks as one", (result, asked))
        if tasks:
            asked.clear()
            states.clear()
            result = await client.call_tool("test_tool_with_task", {})
            expect(text(result) == "Hello, Ada!" and asked == ["elicitation/create"] and states[-1] == "completed",
                   "what is asked before there is a task", (result, asked, states))
    print(f"{len(done)} expectations hold")


asyncio.run(main())
