"""The clients: where each keeps its settings, and what an entry looks like there, as their documentation says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from kosmolua.clients.formats import JSONC, TOML, YAML, FileFormat, found

ENTRY = "kosmolua"
"""What the entry is called."""
Data: TypeAlias = dict[str, Any]
ABOUT = "Lua scripts that call your web APIs"


def _plain(command: Sequence[str]) -> Data:
    return {"command": command[0], "args": [*command[1:]]}


def _stdio(command: Sequence[str]) -> Data:
    return {"type": "stdio", **_plain(command)}


def _http(url: str) -> Data:
    return {"type": "http", "url": url}


def _url(url: str) -> Data:
    return {"url": url}


def _goose(**entry: object) -> Data:
    return {"name": ENTRY, "description": ABOUT, "enabled": True, "timeout": 300, **entry}


@dataclass(frozen=True)
class ClientProgram:
    """A client.

    Args:
        name: Its name on the command line.
        title: Its name for people.
        places: Where its settings file can be. Their first part is the home ``~``, the user's ``CONFIG``, the folder
            of applications' data ``APP``, or a variable.
        restart: What a person does so that the client reads the file.
        keys: The keys under which the file lists servers.
        local: Makes an entry out of a command line.
        remote: Makes an entry out of a URL; None for a client whose file has only local servers.
        style: The file's format.
        signs: What shows that the client is there, instead of the folder of the file.
    """

    name: str
    title: str
    places: tuple[str, ...]
    restart: str
    keys: tuple[str, ...] = ("mcpServers",)
    local: Callable[[Sequence[str]], Data] = _plain
    remote: Callable[[str], Data] | None = _url
    style: FileFormat = JSONC
    signs: tuple[str, ...] = ()

    def file(self, environ: Mapping[str, str]) -> Path | None:
        """Return its settings file, which need not exist if its folder does; None if the client is not there."""
        paths = [path for place in self.places if (path := _path(place, environ))]
        if any(sign and sign.exists() for sign in (_path(place, environ) for place in self.signs)):
            return paths[0]
        return next(
            (path for path in paths if path.exists()),
            next((path for path in paths if path.parent.exists() and not self.signs), None),
        )

    def keys_in(self, data: object) -> tuple[str, ...]:
        """Return the keys of our entry in a file: opencode 1 has its servers where opencode 2 has ``servers``."""
        older = found(data, self.keys[:1])
        is_older = self.name == "opencode" and older and "servers" not in older
        return (*(self.keys[:1] if is_older else self.keys), ENTRY)


def _path(place: str, environ: Mapping[str, str]) -> Path | None:
    first, _, rest = place.partition("/")
    home = environ.get("USERPROFILE" if sys.platform == "win32" else "HOME") or str(Path.home())
    data = {"win32": environ.get("APPDATA", ""), "darwin": f"{home}/Library/Application Support"}.get(sys.platform)
    config = environ.get("XDG_CONFIG_HOME") or f"{home}/.config"
    roots = {"~": home, "CONFIG": (sys.platform == "win32" and data) or config, "APP": data or config}
    root = environ.get(first[1:]) if first.startswith("$") else roots[first]
    return Path(root, rest) if root else None


_CLIENTS = (
    ClientProgram(
        "claude-code",
        "Claude Code",
        ("$CLAUDE_CONFIG_DIR/.claude.json", "~/.claude.json"),
        "start a new session of claude",
        local=_stdio,
        remote=_http,
        signs=("$CLAUDE_CONFIG_DIR", "~/.claude"),
    ),
    ClientProgram(
        "claude-desktop",
        "Claude Desktop",
        ("APP/Claude/claude_desktop_config.json",),
        "quit Claude Desktop, and start it again",
        remote=None,
    ),
    ClientProgram(
        "codex",
        "Codex",
        ("$CODEX_HOME/config.toml", "~/.codex/config.toml"),
        "start a new session of codex",
        keys=("mcp_servers",),
        style=TOML,
    ),
    ClientProgram("cursor", "Cursor", ("~/.cursor/mcp.json",), "turn kosmolua on in Cursor's settings, under MCP"),
    ClientProgram(
        "vscode",
        "VS Code",
        ("APP/Code/User/mcp.json",),
        "run 'MCP: List Servers' in VS Code, and start kosmolua",
        keys=("servers",),
        local=_stdio,
        remote=_http,
    ),
    ClientProgram(
        "windsurf",
        "Windsurf",
        ("~/.codeium/windsurf/mcp_config.json",),
        "refresh the MCP servers in Cascade",
        remote=lambda url: {"serverUrl": url},
    ),
    ClientProgram(
        "zed", "Zed", ("CONFIG/zed/settings.json",), "Zed reads the file by itself", keys=("context_servers",)
    ),
    ClientProgram(
        "gemini",
        "Gemini CLI",
        ("~/.gemini/settings.json",),
        "start gemini again",
        remote=lambda url: {"httpUrl": url},
    ),
    ClientProgram(
        "goose",
        "goose",
        ("CONFIG/goose/config.yaml", "APP/Block/goose/config/config.yaml"),
        "start a new session of goose",
        keys=("extensions",),
        local=lambda command: _goose(type="stdio", cmd=command[0], args=[*command[1:]]),
        remote=lambda url: _goose(type="streamable_http", uri=url),
        style=YAML,
    ),
    ClientProgram(
        "opencode",
        "opencode",
        ("CONFIG/opencode/opencode.json", "CONFIG/opencode/opencode.jsonc"),
        "start opencode again",
        keys=("mcp", "servers"),
        local=lambda command: {"type": "local", "command": [*command]},
        remote=lambda url: {"type": "remote", "url": url},
    ),
    ClientProgram(
        "cline",
        "Cline",
        (
            "$CLINE_MCP_SETTINGS_PATH",
            "APP/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json",
            "~/.cline/data/settings/cline_mcp_settings.json",
        ),
        "Cline reads the file by itself",
        remote=lambda url: {"type": "streamableHttp", "url": url},
    ),
    ClientProgram(
        "continue",
        "Continue",
        ("~/.continue/config.yaml",),
        "reload the configuration in Continue",
        local=lambda command: {"name": ENTRY, **_plain(command)},
        remote=lambda url: {"name": ENTRY, "type": "streamable-http", "url": url},
        style=YAML,
    ),
)
CLIENTS = {client.name: client for client in _CLIENTS}
"""The clients, by name."""
