"""Many clients of `kosmolua serve`, beside a server of the bare SDK with one empty tool, and a soak.

``python tests/benchmarks/serving.py [CLIENTS] [CALLS]`` prints a table; ``... soak SECONDS`` looks for growth.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median, quantiles

import anyio
from httpx2 import AsyncClient, Limits, Timeout
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

TOKEN = "the-token-of-a-benchmark"
ACCOUNTS = f'[tenants.bench]\ntoken = "{TOKEN}"\nworkers = 32\n'
BARE = """
import uvicorn, socket
from mcp.server.mcpserver import MCPServer

server = MCPServer("bare")

@server.tool()
def nothing() -> str:
    "Do nothing."
    return "1"

listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
listener.bind(("127.0.0.1", 0))
print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="error")).run([listener])
"""
MODERN = "2026-07-28"


@contextmanager
def ours(folder: Path) -> Iterator[tuple[int, str]]:
    """Run the server of many, and yield its process and its URL."""
    (folder / "accounts.toml").write_text(ACCOUNTS, encoding="utf-8")
    command = [sys.executable, "-m", "kosmolua", "serve", "--simulate", "--listen", "127.0.0.1:0"]
    command += ["--accounts", str(folder / "accounts.toml")]
    environ = {**os.environ, "XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=pipe, text=True) as process:
        yield process.pid, _url(process.stderr)
        process.kill()


@contextmanager
def theirs() -> Iterator[tuple[int, str]]:
    """Run a server of the bare SDK, and yield its process and its URL."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", BARE], stdout=pipe, text=True) as process:
        yield process.pid, _url(process.stdout)
        process.kill()


def _url(stream: object) -> str:
    said = stream.readline()  # type: ignore[attr-defined]
    return re.findall(r"http://[\d.:]+", said)[0] + "/mcp"


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    """Connect a client of the SDK."""
    headers, limits = {"Authorization": f"Bearer {TOKEN}"}, Limits(max_connections=4)
    async with (
        AsyncClient(headers=headers, timeout=Timeout(120), limits=limits) as web,
        Client(streamable_http_client(url, http_client=web), mode=MODERN) as client,
    ):
        yield client


class Load:
    """Clients that call a tool again and again.

    Args:
        url: The server.
        tool: The tool.
        arguments: Its arguments.
    """

    def __init__(self, url: str, tool: str, arguments: dict[str, object]) -> None:
        self.seconds: list[float] = []
        self.errors: list[str] = []
        self._url = url
        self._call = tool, arguments

    async def run(self, clients: int, calls: int, until: float = float("inf")) -> None:
        """Let so many clients make so many calls each, or stop at a time."""
        async with anyio.create_task_group() as group:
            for _ in range(clients):
                group.start_soon(self._be_client, calls, until)

    async def _be_client(self, calls: int, until: float) -> None:
        async with connected(self._url) as client:
            await client.call_tool(*self._call)
            for _ in range(calls):
                started = time.perf_counter()
                result = await client.call_tool(*self._call)
                self.seconds.append(time.perf_counter() - started)
                if result.is_error:
                    self.errors.append(str(result.content[0])[:200])
                if time.time() > until:
                    return

    def row(self, what: str, cpu: float) -> str:
        """Return a line of the table."""
        cuts = quantiles(self.seconds, n=100)
        ms = [f"{1000 * value:.1f}" for value in (median(self.seconds), cuts[94], cuts[98])]
        cost = 1000 * cpu / len(self.seconds)
        return f"| {what} | {len(self.seconds)} | {len(self.errors)} | {' | '.join(ms)} | {cost:.2f} |"


def cpu_of(pid: int) -> float:
    """Return the processor seconds of a process and of its descendants that have ended or still run."""
    ticks = os.sysconf("SC_CLK_TCK")
    children: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(folder.name))
        spent[int(folder.name)] = sum(map(int, fields[11:15])) / ticks
    found, left = 0.0, [pid]
    while left:
        each = left.pop()
        found += spent.get(each, 0.0)
        left += children.get(each, [])
    return found


def table(clients: int, calls: int) -> None:
    """Print what one client and many measure at both servers."""
    print("| server, clients | calls | errors | p50 ms | p95 ms | p99 ms | CPU ms a call, with workers |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, ours(Path(folder)) as mine, theirs() as bare:
        servers = {
            "`kosmolua serve`, `return 1`": (mine, "execute_lua", {"code": "return 1"}),
            "`kosmolua serve`, one simulated call": (
                mine,
                "execute_lua",
                {"code": "return app.integrations.render2.get_current_user().email"},
            ),
            "bare SDK, empty tool": (bare, "nothing", {}),
        }
        for count, each in ((1, 50 * calls), (clients, calls)):
            for what, ((pid, url), tool, arguments) in servers.items():
                load, before = Load(url, tool, arguments), cpu_of(pid)
                anyio.run(load.run, count, each)
                print(load.row(f"{what}, {count}", cpu_of(pid) - before), flush=True)


def soak(seconds: float) -> None:
    """Let 16 clients come, make twenty calls, and go, and print what the server holds every few seconds."""
    print("| seconds | calls | errors | resident MiB | descriptors | threads |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, ours(Path(folder)) as (pid, url):
        started, shown = time.time(), 0.0
        load = Load(url, "execute_lua", {"code": "return app.integrations.render2.get_current_user().email"})
        while (passed := time.time() - started) < seconds:
            anyio.run(load.run, 16, 20, started + seconds)
            if passed - shown >= seconds / 12:
                shown = passed
                print(f"| {passed:.0f} | {len(load.seconds)} | {len(load.errors)} | {_held(pid)} |", flush=True)


def _held(pid: int) -> str:
    status = Path(f"/proc/{pid}/status").read_text()
    resident = int(re.findall(r"VmRSS:\s+(\d+)", status)[0]) / 1024
    threads = re.findall(r"Threads:\s+(\d+)", status)[0]
    return f"{resident:.1f} | {len(os.listdir(f'/proc/{pid}/fd'))} | {threads}"


if __name__ == "__main__":
    if sys.argv[1:2] == ["soak"]:
        soak(float(sys.argv[2]))
    else:
        given = [int(word) for word in sys.argv[1:]]
        table(given[0] if given else 128, given[1] if len(given) > 1 else 20)
