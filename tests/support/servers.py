"""MCP servers for tests: sections of accounts files, and runtimes that use them."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCRIPT = Path(__file__).with_name("mcp_tools.py")
RAW = Path(__file__).with_name("raw_mcp_server.py")
FLOOD = 200
"""MiB of an endless line."""


def stdio(*arguments: str, **environment: str) -> dict[str, Any]:
    """Return the section of the test server, started as a process."""
    return {"command": sys.executable, "args": [str(SCRIPT), *arguments], "env": environment}


@contextmanager
def over_http(*words: str, **environment: str) -> Iterator[str]:
    """Run the test server over HTTP and yield its URL."""
    with reserved_port() as port:
        process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(port), *words], env=environment, stderr=subprocess.DEVNULL
        )
        try:
            wait_for(lambda: _answers(port))
            yield f"http://127.0.0.1:{port}/{'sse' if 'sse' in words else 'mcp'}"
        finally:
            process.kill()
            process.wait()


@contextmanager
def reserved_port() -> Iterator[int]:
    """Yield a port on which one server can listen during the block, and which the system gives to nobody else.

    The server has to set SO_REUSEADDR, as most do.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait_for(condition: Any, seconds: float = 60) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: It does not in time.
    """
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not come to that in time"
        time.sleep(0.02)


def processes_with(word: str) -> list[int]:
    """Return the processes whose command line holds a word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if word in (folder / "cmdline").read_text(errors="replace"):
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def section(accounts: Mapping[str, Any], name: str = "tools") -> dict[str, Any]:
    """Return the content of an accounts file with one server."""
    return {"mcp": {name: dict(accounts)}}
