"""What ../README.md asks for, with the first generation of the Python SDK: legacy only."""

import argparse
import json
import socket
from pathlib import Path

import anyio
import uvicorn
from mcp.server.fastmcp import Context, FastMCP
from mcp.types import Completion, PromptReference, SamplingMessage, TextContent, ToolAnnotations
from pydantic import BaseModel

parser = argparse.ArgumentParser()
parser.add_argument("--transport", default="stdio")
parser.add_argument("--scheme", required=True)
parser.add_argument("--marks", required=True, type=Path)
options = parser.parse_args()
server = FastMCP("python-1", log_level="ERROR")


class Sum(BaseModel):
    sum: float


class Form(BaseModel):
    color: str


@server.tool(annotations=ToolAnnotations(readOnlyHint=True), structured_output=False)
def echo(text: str) -> str:
    """Gives the text back."""
    return text


@server.tool()
def add(a: float, b: float) -> Sum:
    """Adds two numbers; structured output."""
    return Sum(sum=a + b)


@server.tool(structured_output=False)
def fail() -> str:
    """Fails as a tool does."""
    raise ValueError("failed as asked")


@server.tool(structured_output=False)
async def slow(ms: float, steps: int, ctx: Context) -> str:
    """Takes its time, with progress."""
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps)
        await anyio.sleep(ms / steps / 1000)
    return f"done after {steps} steps"


@server.tool(structured_output=False)
async def wait_for_cancel(label: str, ctx: Context) -> str:
    """Ends only when it is cancelled."""
    await ctx.report_progress(1, 2)
    try:
        await anyio.sleep_forever()
    finally:
        (options.marks / label).touch()


@server.tool(structured_output=False)
async def was_cancelled(label: str) -> str:
    """Answers as soon as the call of that label was cancelled."""
    while not (options.marks / label).exists():
        await anyio.sleep(0.02)
    return "cancelled"


@server.tool(structured_output=False)
async def log_lines(label: str, ctx: Context) -> str:
    """Logs one line of every level."""
    for level in ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"):
        await ctx.log(level, f"{label} {level}")
    return "logged"


@server.tool(structured_output=False)
async def ask_form(label: str, ctx: Context) -> str:
    """Asks, and gives the answer back as JSON."""
    answer = await ctx.elicit(label, Form)
    data = getattr(answer, "data", None)
    return json.dumps({"action": answer.action, "content": data and data.model_dump()})


@server.tool(structured_output=False)
async def ask_sampling(label: str, ctx: Context) -> str:
    """Asks, and gives the answer back as JSON."""
    message = SamplingMessage(role="user", content=TextContent(type="text", text=label))
    answer = await ctx.session.create_message([message], max_tokens=10, related_request_id=ctx.request_id)
    return answer.model_dump_json(by_alias=True, exclude_none=True)


@server.tool(structured_output=False)
async def ask_roots(label: str, ctx: Context) -> str:
    """Asks, and gives the answer back as JSON."""
    return (await ctx.session.list_roots()).model_dump_json(by_alias=True, exclude_none=True)


@server.resource(f"{options.scheme}://text", name="text", mime_type="text/plain")
def text() -> str:
    return "a text"


@server.resource(f"{options.scheme}://bytes", name="bytes", mime_type="application/octet-stream")
def every_byte() -> bytes:
    return bytes(range(256))


@server.resource(f"{options.scheme}://item/{{id}}", name="item", mime_type="text/plain")
def item(id: str) -> str:
    return f"item {id}"


@server.prompt()
def plain() -> str:
    return "Say something."


@server.prompt()
def greet(who: str, language: str = "english") -> str:
    return f"Greet {who} in {language}."


@server.completion()
async def complete(ref, argument, context):
    known = context.arguments if context and context.arguments else {}
    if isinstance(ref, PromptReference):
        values = ["estonian"] if known.get("who") == "Ants" else ["english", "estonian", "french", "german"]
    else:
        values = ["1", "2", "10"]
    return Completion(values=[value for value in values if value.startswith(argument.value)])


if options.transport == "stdio":
    server.run("stdio")
else:
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error")).run(sockets=[listener])
