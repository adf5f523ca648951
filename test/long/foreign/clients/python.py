"""A client of the Python SDK, either generation, that a test drives: JSON lines come in with what to do, and go out with what came of it.

In:  {"id", "method", "params"}   what to ask of the server; {"cancel": id}; {"answer": id, "result"}, the answer to a question
Out: {"id", "result" | "error"}; {"notice": method, "params"}; {"question": id, "method", "params"}
"""

import json
import os
import sys
from contextlib import AsyncExitStack, asynccontextmanager

import anyio
from pydantic import AnyUrl

try:
    from mcp import Client, StdioServerParameters
    from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult, PromptReference, ResourceTemplateReference

    SECOND = True
except ImportError:
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamablehttp_client
    from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, PromptReference, ResourceTemplateReference

    SECOND = False

mode, *place = sys.argv[1:]
calls: dict[int, anyio.CancelScope] = {}
questions: dict[int, tuple[anyio.Event, list]] = {}


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def plain(model):
    return model.model_dump(by_alias=True, mode="json", exclude_none=True)


async def ask(method, params, answer_type):
    asked = len(questions)
    questions[asked] = (anyio.Event(), [])
    say({"question": asked, "method": method, "params": params and plain(params) or {}})
    event, answer = questions[asked]
    await event.wait()
    return answer_type.model_validate(answer[0])


async def hear(message):
    notification = getattr(message, "root", message)
    if hasattr(notification, "method") and notification.method != "notifications/progress":
        params = getattr(notification, "params", None)
        say({"notice": notification.method, "params": params and plain(params) or {}})


CALLBACKS = {
    "elicitation_callback": lambda _, params: ask("elicitation/create", params, ElicitResult),
    "sampling_callback": lambda _, params: ask("sampling/createMessage", params, CreateMessageResult),
    "list_roots_callback": lambda _: ask("roots/list", None, ListRootsResult),
    "message_handler": hear,
}


def server_at(place):
    if place[0].startswith("http"):
        return place[0]
    return StdioServerParameters(command=place[0], args=place[1:], env=dict(os.environ))


@asynccontextmanager
async def connected():
    target = server_at(place)
    async with AsyncExitStack() as stack:
        if SECOND:
            yield await stack.enter_async_context(Client(target, mode=mode, cache=None, **CALLBACKS))
            return
        transport = streamablehttp_client(target) if isinstance(target, str) else stdio_client(target)
        read, write, *_ = await stack.enter_async_context(transport)
        session = await stack.enter_async_context(ClientSession(read, write, **CALLBACKS))
        await session.initialize()
        yield session


def uri(params):
    return params["uri"] if SECOND else AnyUrl(params["uri"])


async def call_tool(client, params):
    meta = dict(params.get("_meta", {}))
    token = meta.pop("progressToken", None)

    async def progress(step, total, _message):
        say({"notice": "notifications/progress", "params": {"progressToken": token, "progress": step, "total": total}})

    options = {"meta": meta or None, "progress_callback": progress if token is not None else None}
    return await client.call_tool(params["name"], params.get("arguments"), **options)


async def complete(client, params):
    kind = PromptReference if params["ref"]["type"] == "ref/prompt" else ResourceTemplateReference
    known = params.get("context", {}).get("arguments")
    return await client.complete(kind.model_validate(params["ref"]), params["argument"], known)


METHODS = {
    "tools/list": lambda client, _: client.list_tools(),
    "resources/list": lambda client, _: client.list_resources(),
    "resources/templates/list": lambda client, _: client.list_resource_templates(),
    "prompts/list": lambda client, _: client.list_prompts(),
    "resources/read": lambda client, params: client.read_resource(uri(params)),
    "resources/subscribe": lambda client, params: client.subscribe_resource(uri(params)),
    "resources/unsubscribe": lambda client, params: client.unsubscribe_resource(uri(params)),
    "prompts/get": lambda client, params: client.get_prompt(params["name"], params.get("arguments")),
    "logging/setLevel": lambda client, params: client.set_logging_level(params["level"]),
    "notifications/roots/list_changed": lambda client, _: client.send_roots_list_changed(),
    "tools/call": call_tool,
    "completion/complete": complete,
}


async def run(client, message):
    with anyio.CancelScope() as scope:
        calls[message["id"]] = scope
        try:
            result = await METHODS[message["method"]](client, message.get("params", {}))
            say({"id": message["id"], "result": plain(result) if result is not None else {}})
        except Exception as error:
            found = getattr(error, "error", None)
            code = getattr(found, "code", None)
            say({"id": message["id"], "error": {"code": code, "message": getattr(found, "message", repr(error))}})
    calls.pop(message["id"], None)


async def main():
    async with connected() as client, anyio.create_task_group() as tasks:
        say({"connected": True})
        async for line in anyio.wrap_file(sys.stdin):
            message = json.loads(line)
            if "cancel" in message:
                if message["cancel"] in calls:
                    calls[message["cancel"]].cancel()
            elif "answer" in message:
                event, answer = questions[message["answer"]]
                answer.append(message["result"])
                event.set()
            else:
                tasks.start_soon(run, client, message)
        tasks.cancel_scope.cancel()


anyio.run(main)
