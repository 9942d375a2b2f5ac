"""Servers of many: their accounts files, their processes, and clients with tokens."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from httpx2 import AsyncClient, Limits, Timeout
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from support.agents import DISCOVERY, ENVIRON

ACME, GLOBEX = "the-token-of-acme-1", "the-token-of-globex"
TWO_TENANTS = f"""\
[tenants.acme]
token = "{ACME}"

[tenants.globex]
token = "{GLOBEX}"
"""


@dataclass(frozen=True)
class Serving:
    """A server that runs.

    Args:
        process: Its process.
        base: Its URL, without a path.
        state: The folder of what it keeps.
        log: The file with what it wrote to standard error.
        out: The file with what it wrote to standard output.
    """

    process: subprocess.Popen[bytes]
    base: str
    state: Path
    log: Path
    out: Path

    @property
    def url(self) -> str:
        """The URL of the protocol."""
        return f"{self.base}/mcp"


@contextmanager
def serving(
    folder: Path,
    text: str = TWO_TENANTS,
    *options: str,
    start: Callable[[], None] | None = None,
    before: Sequence[str] = (),
    **variables: str,
) -> Iterator[Serving]:
    """Start a server on a free port, and yield it.

    Args:
        folder: Where its accounts file and its state are.
        text: Its accounts file; empty for none.
        options: What its command line has besides.
        start: Called in its process before it begins, such as to put it into a control group.
        before: A command that runs the server's, which follows it.
        variables: What its environment has besides.
    """
    named = []
    if text:
        (folder / "accounts.toml").write_text(text, encoding="utf-8")
        (folder / "accounts.toml").chmod(0o600)
        named = ["--accounts", str(folder / "accounts.toml")]
    command = [*before, sys.executable, "-m", "kosmolua", "serve", "--listen", "127.0.0.1:0", *named, *options]
    environ = {**ENVIRON, "XDG_STATE_HOME": str(folder / "state"), **variables}
    log, out = folder / "stderr", folder / "stdout"
    with log.open("wb") as errors, out.open("wb") as output:
        process = subprocess.Popen(
            command, env=environ, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, preexec_fn=start
        )
    try:
        yield Serving(process, _base(process, log), folder / "state" / "kosmolua", log, out)
    finally:
        process.kill()
        process.wait()


def _base(process: subprocess.Popen[bytes], log: Path) -> str:
    from support.servers import wait_for

    found: list[str] = []

    def is_announced() -> bool:
        assert process.poll() is None, log.read_text()
        found.extend(re.findall(r"http://[\d.:]+", log.read_text()))
        return bool(found)

    wait_for(is_announced, 90)
    return found[0]


def is_ready(server: Serving) -> bool:
    """Say whether a server answers that it is ready; until one of its processes has started, it does not answer."""
    with suppress(requests.Timeout):
        return requests.get(f"{server.base}/readyz", timeout=60).status_code == 200
    return False


def bearing(token: str) -> dict[str, str]:
    """Return the headers of a request that bears a token."""
    return {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def agent(url: str, token: str, era: str = DISCOVERY, **options: Any) -> AsyncIterator[Client]:
    """Connect to a server of many with a token."""
    headers: Mapping[str, str] = bearing(token)
    many = Limits(max_connections=1_000)
    async with (
        AsyncClient(headers=headers, timeout=Timeout(300), limits=many) as web,
        Client(streamable_http_client(url, http_client=web), mode=era, **options) as client,
    ):
        yield client
