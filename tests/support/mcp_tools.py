"""An MCP server for tests, made with the SDK: run it for standard input and output, or with a port for HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
import urllib.request
from threading import Thread
from typing import Any, TypedDict

from mcp.server import MCPServer
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import Context, Image
from mcp_types import (
    CallToolResult,
    ElicitRequest,
    ElicitRequestFormParams,
    EmbeddedResource,
    InputRequiredResult,
    TextContent,
    TextResourceContents,
    ToolAnnotations,
)

READS, DESTROYS = ToolAnnotations(read_only_hint=True), ToolAnnotations(destructive_hint=True)
PIXEL = b"\x89PNG\r\n\x1a\n"


class Verifier:
    """Asks the server that issued a token whether it is good."""

    async def verify_token(self, token: str) -> AccessToken | None:
        url = f"{os.environ['ISSUER']}/introspect?token={token}"
        answer = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(url)))
        return AccessToken(token=token, client_id="any", scopes=[]) if answer["active"] else None


def guard() -> dict[str, Any]:
    """Return the settings of a server that wants a token."""
    if "ISSUER" not in os.environ:
        return {}
    resource = f"http://127.0.0.1:{sys.argv[1]}/mcp"
    settings = AuthSettings(issuer_url=os.environ["ISSUER"], resource_server_url=resource)
    return {"auth": settings, "token_verifier": Verifier()}


server = MCPServer("tools", instructions="Say hello with greet.", log_level="ERROR", **guard())


class Sum(TypedDict):
    """A sum."""

    total: int
    terms: list[int]


@server.tool(annotations=READS)
def greet(name: str, times: int = 1) -> str:
    """Greet somebody.

    As often as you like.
    """
    return "hello " * times + name


@server.tool("add-up", annotations=READS)
def add_up(terms: list[int]) -> Sum:
    """Add numbers up."""
    return {"total": sum(terms), "terms": terms}


@server.tool(annotations=READS, structured_output=False)
def text_of(text: str) -> str:
    """Return a text."""
    return text


@server.tool(annotations=READS, structured_output=False)
def several() -> CallToolResult:
    """Return contents of several kinds."""
    resource = TextResourceContents(uri="note://a", mime_type="text/plain", text="a note")
    image = Image(data=PIXEL, format="png").to_image_content()
    texts = [TextContent(text="plain"), TextContent(text='{"decoded": true}')]
    return CallToolResult(content=[*texts, image, EmbeddedResource(resource=resource)])


@server.tool(annotations=READS, structured_output=False)
def picture() -> Image:
    """Return a picture."""
    return Image(data=PIXEL, format="png")


@server.tool(annotations=READS)
def fail(why: str) -> str:
    """Fail."""
    raise ValueError(why)


@server.tool()
def write_note(text: str) -> str:
    """Write a note."""
    with open(os.environ["NOTES"], "a", encoding="utf-8") as notes:
        notes.write(f"{text}\n")
    return "written"


@server.tool(annotations=DESTROYS)
def erase() -> str:
    """Erase everything."""
    return "erased"


@server.tool(annotations=READS)
def environment() -> dict[str, str]:
    """Return the environment that the server was started with."""
    return dict(os.environ)


@server.tool(annotations=READS)
def process() -> dict[str, str | int]:
    """Return the server's process and folder."""
    return {"pid": os.getpid(), "folder": os.getcwd()}


@server.tool(annotations=READS)
def die() -> str:
    """End the server at once, unless it did so before."""
    if os.path.exists(mark := os.environ.get("DIED", "/nowhere")) or "DIED" not in os.environ:
        if "DIED" in os.environ:
            return "alive"
        os._exit(3)
    with open(mark, "w"):
        os._exit(3)


@server.tool()
def die_writing() -> str:
    """End the server at once."""
    os._exit(3)


@server.tool(annotations=READS)
async def hang(seconds: float = 600) -> str:
    """Answer late."""
    await asyncio.sleep(seconds)
    return "late"


@server.tool(annotations=READS)
def noise() -> str:
    """Print on standard error, and answer."""
    os.write(2, b"a word on standard error\n")
    os.write(2, b"\xff\x00" + b"x" * 100_000 + b"\n")
    return "answered"


@server.tool(annotations=READS, structured_output=False)
def much(mebibytes: int) -> str:
    """Return a long text."""
    return "y" * (mebibytes * 1024 * 1024)


@server.tool(annotations=READS)
async def report(ctx: Context, times: int = 1) -> str:
    """Report progress, and log."""
    for number in range(times):
        await ctx.report_progress(number + 1, times, "working")
        await ctx.info(f"step {number + 1}")
    return "done"


@server.tool()
async def consent(ctx: Context) -> str | InputRequiredResult:
    """Ask the user for consent."""
    if not ctx.input_responses:
        form = {"type": "object", "properties": {"agreed": {"type": "boolean"}}, "required": ["agreed"]}
        params = ElicitRequestFormParams(message="May I go on?", requested_schema=form)
        return InputRequiredResult(input_requests={"consent": ElicitRequest(params=params)})
    answer = ctx.input_responses["consent"]
    return f"{answer.action} {answer.content and answer.content['agreed']}"


@server.tool(annotations=READS)
async def grow(ctx: Context, name: str) -> str:
    """Add a tool."""
    server.add_tool(lambda: f"I am {name}", name=name, description=f"Say {name}.", annotations=READS)
    await ctx.notify_tools_changed()
    await ctx.session.send_tool_list_changed()
    return "grown"


@server.resource("note://{name}")
def note(name: str) -> str:
    """A note."""
    return f"the note {name}"


@server.resource("data://table", mime_type="application/json")
def table() -> str:
    """A table."""
    return '{"rows": [1, 2]}'


@server.resource("data://blob", mime_type="application/octet-stream")
def blob() -> bytes:
    """Bytes."""
    return b"\x00\x01\x02"


@server.prompt()
def review(topic: str) -> str:
    """Review something."""
    return f"Please review {topic}."


for number in range(int(os.environ.get("MORE_TOOLS", "0"))):
    server.add_tool(
        lambda name, limit=10, tags=None: {"name": name},
        name=f"get-thing-{number}",
        description=f"Get thing number {number} by its name.\n\nWith more words about it than a summary has.",
        annotations=READS,
    )


def ignore_the_end() -> None:
    """Go on whatever happens, as a broken server does."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Thread(target=time.sleep, args=(600,)).start()


if __name__ == "__main__":
    if "deaf" in sys.argv:
        ignore_the_end()
    if "sse" in sys.argv:
        server.run("sse", host="127.0.0.1", port=int(sys.argv[1]))
    elif sys.argv[1:] and sys.argv[1].isdigit():
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]), json_response="json" in sys.argv)
    else:
        server.run()
