"""Runtimes of services, and inferring a runtime from commands."""

from __future__ import annotations

import re
from typing import Literal

Runtime = Literal["node", "python", "ruby", "go", "rust", "elixir", "docker", "image"]

_TOOLS = {
    tool: runtime
    for runtime, tools in {
        "node": "node npm npx yarn pnpm bun bunx corepack",
        "python": "python python3 pip pip3 pipenv poetry uv uvx gunicorn uvicorn hypercorn flask celery",
        "ruby": "ruby bundle bundler rails rake gem puma",
        "go": "go",
        "rust": "cargo rustc",
        "elixir": "mix elixir iex",
    }.items()
    for tool in tools.split()
}
_SEPARATOR = re.compile(r"&&|\|\||[;|\n]")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")


def runtime_of(build_command: str | None, start_command: str | None) -> str | None:
    """Return the runtime that commands need: docker if there are none, None if they begin with no known tool."""
    commands = [command for command in (build_command, start_command) if command]
    if not commands:
        return "docker"
    programs = (_program(part) for command in commands for part in _SEPARATOR.split(command))
    return next((_TOOLS[program] for program in programs if program in _TOOLS), None)


def _program(command: str) -> str:
    words = [word for word in command.split() if word not in ("exec", "env") and not _ASSIGNMENT.match(word)]
    return words[0].rpartition("/")[2] if words else ""
