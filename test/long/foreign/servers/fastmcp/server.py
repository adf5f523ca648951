"""What ../README.md asks for, with fastmcp: both eras on one endpoint."""

import argparse
import json
import socket
from pathlib import Path

import anyio
import uvicorn
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from mcp_types import (
    CreateMessageRequest,
    CreateMessageRequestParams,
    ElicitRequest,
    ElicitRequestFormParams,
    InputRequiredResult,
    ListRootsRequest,
    PromptReference,
    SamplingMessage,
    TextContent,
    ToolAnnotations,
)
from pydantic import BaseModel

parser = argparse.ArgumentParser()
parser.add_argument("--transport", default="stdio")
parser.add_argument("--scheme", required=True)
parser.add_argument("--marks", required=True, type=Path)
options = parser.parse_args()
server = FastMCP("fastmcp", version="1.0.0")


class Sum(BaseModel):
    sum: float


FORM = {"type": "object", "properties": {"color": {"type": "string"}}, "required": ["color"]}


@server.tool(annotations=ToolAnnotations(read_only_hint=True), output_schema=None)
def echo(text: str) -> str:
    """Gives the text back."""
    return text


@server.tool
def add(a: float, b: float) -> Sum:
    """Adds two numbers; structured output."""
    return Sum(sum=a + b)


@server.tool(output_schema=None)
def fail() -> str:
    """Fails as a tool does."""
    raise ToolError("failed as asked")


@server.tool(output_schema=None)
async def slow(ms: float, steps: int, ctx: Context) -> str:
    """Takes its time, with progress."""
    for step in range(1, steps + 1):
        await ctx.report_progress(step, steps)
        await anyio.sleep(ms / steps / 1000)
    return f"done after {steps} steps"


@server.tool(output_schema=None)
async def wait_for_cancel(label: str, ctx: Context) -> str:
    """Ends only when it is cancelled."""
    await ctx.report_progress(1, 2)
    try:
        await anyio.sleep_forever()
    finally:
        (options.marks / label).touch()


@server.tool(output_schema=None)
async def was_cancelled(label: str) -> str:
    """Answers as soon as the call of that label was cancelled."""
    while not (options.marks / label).exists():
        await anyio.sleep(0.02)
    return "cancelled"


@server.tool(output_schema=None)
async def log_lines(label: str, ctx: Context) -> str:
    """Logs one line of every level."""
    for level in ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"):
        await ctx.log(f"{label} {level}", level=level)
    return "logged"


def is_modern(ctx: Context) -> bool:
    return ctx.request_context.protocol_version >= "2026-07-28"


def answered(ctx: Context, request) -> InputRequiredResult | str:
    """In the modern era a question is the result, and the answer comes with the next call."""
    answer = (ctx.input_responses or {}).get("answer")
    if answer is None:
        return InputRequiredResult(input_requests={"answer": request})
    return answer.model_dump_json(by_alias=True, exclude_none=True)


@server.tool(output_schema=None)
async def ask_form(label: str, ctx: Context) -> InputRequiredResult | str:
    """Asks, and gives the answer back as JSON."""
    if is_modern(ctx):
        return answered(ctx, ElicitRequest(params=ElicitRequestFormParams(message=label, requested_schema=FORM)))
    answer = await ctx.session.elicit(label, FORM, related_request_id=ctx.request_id)
    return json.dumps({"action": answer.action, "content": answer.content})


@server.tool(output_schema=None)
async def ask_sampling(label: str, ctx: Context) -> InputRequiredResult | str:
    """Asks, and gives the answer back as JSON."""
    messages = [SamplingMessage(role="user", content=TextContent(type="text", text=label))]
    if is_modern(ctx):
        params = CreateMessageRequestParams(messages=messages, max_tokens=10)
        return answered(ctx, CreateMessageRequest(params=params))
    answer = await ctx.session.create_message(messages, max_tokens=10, related_request_id=ctx.request_id)
    return answer.model_dump_json(by_alias=True, exclude_none=True)


@server.tool(output_schema=None)
async def ask_roots(label: str, ctx: Context) -> InputRequiredResult | str:
    """Asks, and gives the answer back as JSON."""
    if is_modern(ctx):
        return answered(ctx, ListRootsRequest())
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


@server.prompt
def plain() -> str:
    return "Say something."


@server.prompt
def greet(who: str, language: str = "english") -> str:
    return f"Greet {who} in {language}."


@server.completion
def complete(ref, argument, context):
    known = context.arguments if context and context.arguments else {}
    if isinstance(ref, PromptReference):
        values = ["estonian"] if known.get("who") == "Ants" else ["english", "estonian", "french", "german"]
    else:
        values = ["1", "2", "10"]
    return [value for value in values if value.startswith(argument.value)]


if options.transport == "stdio":
    server.run("stdio", show_banner=False, log_level="ERROR")
else:
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"listening http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
    uvicorn.Server(uvicorn.Config(server.http_app(path="/mcp"), log_level="error")).run(sockets=[listener])
