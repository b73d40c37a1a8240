"""A server of the official Python SDK over HTTP: mcp_sdk_server.py PACKAGES PORT"""
import asyncio
import sys
from typing import Annotated

sys.path.insert(0, sys.argv[1])
import mcp_types as types  # noqa: E402
from mcp.server import MCPServer  # noqa: E402
from mcp.server.mcpserver.context import Context  # noqa: E402
from mcp.server.mcpserver.resolve import Elicit, Resolve, Sample  # noqa: E402
from pydantic import BaseModel  # noqa: E402

server = MCPServer("sums")


@server.tool()
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


@server.tool()
def fail(why: str) -> str:
    """Fails."""
    raise ValueError(why)


class Name(BaseModel):
    name: str


class Size(BaseModel):
    size: int


async def ask_name() -> Elicit[Name]:
    return Elicit("Who are you?", Name)


async def ask_size(name: Annotated[Name, Resolve(ask_name)]) -> Elicit[Size]:
    return Elicit(f"How large, {name.name}?", Size)


async def ask_model() -> Sample:
    return Sample([types.SamplingMessage(role="user", content=types.TextContent(type="text", text="Say a word."))], max_tokens=10)


@server.tool()
async def order(what: str, name: Annotated[Name, Resolve(ask_name)], size: Annotated[Size, Resolve(ask_size)]) -> str:
    """Asks two things, one after the other."""
    return f"{what} of size {size.size} for {name.name}"


@server.tool()
async def muse(said: Annotated[types.CreateMessageResult, Resolve(ask_model)]) -> str:
    """Asks the model of whoever calls."""
    return f"it said: {said.content.text}"


@server.prompt()
def welcome(who: str) -> str:
    """Welcomes somebody."""
    return f"Say welcome to {who}."


@server.resource("note://today", mime_type="text/plain")
def today() -> str:
    """What is to be done today."""
    return "Feed the swifts."


@server.resource("note://{day}/{part}", mime_type="text/plain")
def note(day: str, part: str) -> str:
    """The note of a day."""
    return f"{part} of {day}"


@server.completion()
async def complete(ref, argument, context):
    name = getattr(ref, "name", None) or getattr(ref, "uri", "")
    return types.Completion(values=[f"{name}:{argument.name}:{argument.value}1", f"{argument.value}2"])


@server.tool()
async def steps(ctx: Context) -> str:
    """Tells how far it is."""
    for done in (1, 2, 3):
        await ctx.report_progress(done, 3, f"step {done}")
        # As fast as they are all passed on.
        await asyncio.sleep(0.2)
    return "done"


server.run(transport="streamable-http", host="127.0.0.1", port=int(sys.argv[2]))
