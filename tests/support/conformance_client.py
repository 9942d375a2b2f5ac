"""The client under test of the MCP conformance suite, which does what a person would do.

It logs in when a message says so, with the options that the message names, and calls each tool that the server lists.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from kosmolua import Runtime
from kosmolua.cli import logins
from kosmolua.errors import KosmoError

DOCUMENT = "https://conformance-test.local/client-metadata.json"
"""The client id that the suite's authorization servers know as the URL of a document."""
MAX_LOGINS = 3
"""How often a person logs in for one call before they give up."""
CALL = "return app.mcp.t[input.name](input.arguments)"
SAMPLES = {"string": "a", "integer": 1, "number": 1.5, "boolean": True, "object": {}, "array": []}


def section_of(url: str, scenario: str, context: dict[str, Any]) -> dict[str, Any]:
    """Return the section of the accounts file that a person would write, with what the suite says to know."""
    section: dict[str, Any] = {"url": url}
    section |= {key: context[key] for key in ("client_id", "client_secret", "signing_algorithm") if key in context}
    if scenario in ("auth/basic-cimd", "auth/offline-access-scope"):
        section["client_id"] = DOCUMENT
    if "private_key_pem" in context:
        section["private_key"] = context["private_key_pem"]
    if "valid_jwt" in context:
        section["assertion"] = context["valid_jwt"]
    if "idp_id_token" in context:
        section["idp"] = {key: context[f"idp_{key}"] for key in ("token_endpoint", "client_id", "id_token")}
    return section


def written(section: dict[str, Any]) -> str:
    """Return a section as TOML."""
    tables = {key: value for key, value in section.items() if isinstance(value, dict)}
    lines = ["[mcp.t]", 'permissions = { "*" = "allow" }']
    lines += [f"{key} = {json.dumps(value)}" for key, value in section.items() if key not in tables]
    for name, table in tables.items():
        lines += [f"[mcp.t.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines)


def calls_of(tools: list[dict[str, Any]], context: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the calls to make: those that the suite names, or one of each tool with samples of what it requires."""
    if context.get("toolCalls"):
        return list(context["toolCalls"])
    return [{"name": tool["name"], "arguments": sample_of(tool, tools)} for tool in tools]


def sample_of(tool: dict[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """Return arguments for a tool; ``schema`` is what the client has read of the first tool's."""
    schema = tool["inputSchema"]
    known = {name: SAMPLES.get(each.get("type"), "a") for name, each in schema.get("properties", {}).items()}
    given = {name: known[name] for name in schema.get("required", ()) if name in known}
    return given | ({"schema": tools[0]["inputSchema"]} if "schema" in given else {})


def log_in_as_told(runtime: Runtime, error: BaseException | None, context: dict[str, Any]) -> bool:
    """Follow the command in an error's hint; return False if there is none."""
    hints = error.hints if isinstance(error, KosmoError) else ()
    command = next(
        (part for hint in hints for part in hint.split("'") if part.startswith("kosmolua accounts login")), ""
    )
    if not command:
        return False
    words = shlex.split(command)
    scopes = [after for word, after in pairwise(words) if word == "--scope"]
    try:
        logins.log_in(runtime, "mcp.t", by_device=False, as_client="client_secret" in context, scopes=scopes)
    except KosmoError:
        return False
    return True


def act(url: str, scenario: str, context: dict[str, Any], folder: Path) -> Iterator[str]:
    """Use the server of a scenario, and yield each message that it gave rise to."""
    accounts = folder / "accounts.toml"
    accounts.write_text(written(section_of(url, scenario, context)))
    with Runtime(accounts, approve=lambda _: True) as runtime:
        tools: list[dict[str, Any]] = []
        for _ in range(MAX_LOGINS):
            try:
                tools = runtime.servers.refresh("t")["tools"]
                break
            except KosmoError as error:
                yield error.message
                if not log_in_as_told(runtime, error, context):
                    return
        for call in calls_of(tools, context):
            for _ in range(MAX_LOGINS):
                outcome = runtime.run(CALL, input=call, check=False)
                yield f"{call}: {outcome.result} {outcome.error}"
                if not log_in_as_told(runtime, outcome.error, context):
                    break
