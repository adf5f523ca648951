"""What ../README.md asks for, with the second generation of the Python SDK: both eras on one endpoint."""

import argparse
import json
import socket
from pathlib import Path
from typing import Annotated

import anyio
import uvicorn
from mcp.server.mcpserver import Context, Elicit, ElicitationResult, ListRoots, MCPServer, Resolve, Sample
from mcp.server.mcpserver.exceptions import ToolError
from mcp_types import (
    Completion,
    CreateMessageResult,
    ListRootsResult,
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
server = MCPServer("python-2", version="1.0.0", log_level="ERROR")


class Sum(BaseModel):
    sum: float


class Form(BaseModel):
    color: str


@server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
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
    raise ToolError("failed as asked")


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


def form(label: str) -> Elicit[Form]:
    return Elicit(label, Form)


def sample(label: str) -> Sample:
    message = SamplingMessage(role="user", content=TextContent(type="text", text=label))
    return Sample([message], max_tokens=10)


def roots() -> ListRoots:
    return ListRoots()


@server.tool(structured_output=False)
def ask_form(label: str, answer: Annotated[ElicitationResult[Form], Resolve(form)]) -> str:
    """Asks, and gives the answer back as JSON."""
    data = getattr(answer, "data", None)
    return json.dumps({"action": answer.action, "content": data and data.model_dump()})


@server.tool(structured_output=False)
def ask_sampling(label: str, answer: Annotated[CreateMessageResult, Resolve(sample)]) -> str:
    """Asks, and gives the answer back as JSON."""
    return answer.model_dump_json(by_alias=True, exclude_none=True)


@server.tool(structured_output=False)
def ask_roots(label: str, answer: Annotated[ListRootsResult, Resolve(roots)]) -> str:
    """Asks, and gives the answer back as JSON."""
    return answer.model_dump_json(by_alias=True, exclude_none=True)


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
