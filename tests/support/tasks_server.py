"""The tools that the conformance suite wants of a server with tasks, as scripts, on a server in this process."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    ElicitResult,
    InputRequiredResult,
    TextContent,
)

from kosmolua import Runtime
from kosmolua.mcp.runner import PlainRunner
from kosmolua.mcp.server import Context, Handlers
from kosmolua.runs import Outcome, RunOptions

PLUGIN = '''
"""A shop."""
from dataclasses import dataclass
from kosmolua.plugin import Api, Integration, Send

@dataclass(frozen=True)
class Account:
    """Needs no key."""
    base_url: str = "https://shop.example"
    def open(self, send: Send) -> Api:
        return Api(send, self.base_url)

integration = Integration("shop", Account, about="A shop.")

@integration.writes
def rename(api: Api, /, *, name: str) -> str:
    """Rename the shop."""
    return name

@integration.destroys
def clear(api: Api, /, *, file: str) -> str:
    """Clear a file."""
    return file
'''
SCRIPTS = {
    "slow_compute": "--- Sleeps.\n---@param seconds number\n---@param label string\n"
    "sleep(params.seconds) return params.label",
    "confirm_delete": "--- Clears a file.\n---@param filename string\n"
    "return app.integrations.shop.clear({ file = params.filename })",
    "multi_input": "--- Asks two questions at once.\nlocal shop = app.integrations.shop\n"
    'return parallel.all({ function() return shop.rename({ name = "a" }) end, '
    'function() return shop.clear({ file = "b" }) end })',
    "failing_job": "--- Fails.\nsleep(1.2) error('This job fails')",
    "protocol_error_job": "--- Meets a fault of the server.\nsleep(1.2)",
}


class _Runner(PlainRunner):
    """Fails after one of the scripts, as a program with a fault would."""

    async def run(self, source: str, options: RunOptions) -> Outcome:
        outcome = await super().run(source, options)
        if source == SCRIPTS["protocol_error_job"]:
            raise RuntimeError("a fault")
        return outcome


class _Handlers(Handlers):
    """Has a tool that is no script, one that may take longer than a request, and one that asks before it is a task."""

    async def call_tool(self, context: Context, params: CallToolRequestParams) -> Any:
        given = params.arguments or {}
        if params.name == "greet":
            return CallToolResult(content=[TextContent(text=f"Hello, {given['name']}!")])
        if params.name == "failing_job":
            given = {"code": SCRIPTS[params.name], "timeout": 600}
        if params.name == "test_tool_with_task":
            if not params.input_responses:
                form = {"type": "object", "properties": {"name": {"type": "string"}}}
                asked = ElicitRequestFormParams(message="Who?", requested_schema=form)
                return InputRequiredResult(input_requests={"user_name": ElicitRequest(params=asked)})
            reply = params.input_responses["user_name"]
            assert isinstance(reply, ElicitResult)
            given = {"code": "sleep(1.5) return params.name", "params": reply.content}
        if "code" in given:
            params = params.model_copy(update={"name": "execute_lua", "arguments": given, "input_responses": None})
        return await super().call_tool(context, params)


@contextmanager
def tasks_server(folder: Path) -> Iterator[str]:
    """Serve on a free port, and yield the URL."""
    (folder / "scripts").mkdir()
    for name, code in SCRIPTS.items():
        (folder / "scripts" / f"{name}.lua").write_text(code)
    (folder / "shop.py").write_text(PLUGIN)
    (folder / "accounts.toml").write_text('[shop.default]\nbase_url = "https://shop.example"\n')
    (folder / "accounts.toml").chmod(0o600)
    given = {"plugins": [folder / "shop.py"], "scripts": folder / "scripts", "environ": {}}
    listener = socket.create_server(("127.0.0.1", 0))
    with listener, Runtime(folder / "accounts.toml", **given) as runtime:  # type: ignore[arg-type]
        runtime.run("return 1")
        handlers = _Handlers(
            runtime, read_only=False, simulated=False, watch=lambda event: None, runner=_Runner(runtime)
        )
        server = uvicorn.Server(uvicorn.Config(handlers.server().streamable_http_app(), log_config=None))
        thread = Thread(target=server.run, args=([listener],))
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
        server.should_exit = True
        thread.join()
