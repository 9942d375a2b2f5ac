"""The tools: what each is called, what it takes, and what it may change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcp_types import Tool, ToolAnnotations

from kosmolua.docs.pages import DEFAULT_DETAIL, DETAILS, MIN_BUDGET
from kosmolua.docs.search import DEFAULT_HITS, MAX_HITS
from kosmolua.errors import BadArguments, BadDocArguments
from kosmolua.limits import ADJUSTABLE, SECONDS, Limits
from kosmolua.runs.run import RunOptions
from kosmolua.schema.types import quoted
from kosmolua.suggestions import did_you_mean

USUAL_PAGE, USUAL_ANSWER = 20_000, 20_000
SMALLEST_ANSWER, LARGEST_ANSWER = 4_000, 100_000
"""Characters of a page and of what execute_lua answers."""

_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
_WANTED = {
    "type": "of type {}",
    "enum": "one of {}",
    "minimum": "at least {:,.15g}",
    "maximum": "at most {:,.15g}",
    "exclusiveMinimum": "more than {:,.15g}",
}
"""For each rule that the schemas have, what would keep it."""
_UNITS = {"timeout": "Seconds", "cpu": "CPU seconds", "memory": "Bytes", "max_output": "Bytes"}


def tools_for(limits: Limits, *, read_only: bool) -> list[Tool]:
    """Return the tools of a host.

    Args:
        limits: The host's, which a call may lower.
        read_only: Whether the host denies every write.
    """
    return [*_DOCS, _execute_lua(limits, read_only=read_only)]


def check(tool: Tool, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call that its tool understands; those that are null count as not given.

    Raises:
        BadArguments: A name is unknown, a value does not fit, or a required one is missing.
    """
    from jsonschema import Draft202012Validator

    refused = BadArguments if tool.name == "execute_lua" else BadDocArguments
    arguments = {name: value for name, value in given.items() if value is not None}
    known = tool.input_schema["properties"]
    for name in arguments:
        if name not in known:
            hint = did_you_mean(name, known) or f"it takes {', '.join(known)}"
            raise refused(f"{tool.name} has no argument {name[:80]!r}", param=name[:80], hint=hint)
    for name in tool.input_schema.get("required", ()):
        if name not in arguments:
            raise refused(f"{tool.name} needs {name}", param=name)
    for error in Draft202012Validator(tool.input_schema).iter_errors(arguments):
        name, *steps = error.absolute_path
        where = "".join([str(name), *(f"[{step + 1}]" for step in steps if isinstance(step, int))])
        rule = error.validator_value
        wanted = _WANTED[error.validator].format(", ".join(map(repr, rule)) if isinstance(rule, list) else rule)
        raise refused(f"{tool.name}: {where} must be {wanted}, not {quoted(error.instance)}", param=str(name))
    return arguments


def _tool(
    name: str, description: str, properties: dict[str, Any], required: list[str], annotations: ToolAnnotations
) -> Tool:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    schema |= {"required": required} if required else {}
    return Tool(name=name, description=description, input_schema=schema, annotations=annotations)


_DOCS = (
    _tool(
        "lua_list_docs",
        "List the guides and the integrations. With a namespace, such as integrations.render2, its functions.",
        {"namespace": {"type": "string"}},
        [],
        _READS,
    ),
    _tool(
        "lua_search_docs",
        "Find the pages to read next, best first.",
        {
            "query": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_HITS, "default": DEFAULT_HITS},
        },
        ["query"],
        _READS,
    ),
    _tool(
        "lua_read_doc",
        "Read a page: overview (start here), another guide, an integration (integrations.render2) or a function "
        "(integrations.render2.list_services).",
        {
            "page": {"type": "string"},
            "detail": {"enum": [*reversed(DETAILS)], "default": DEFAULT_DETAIL},
            "budget": {
                "type": "integer",
                "minimum": MIN_BUDGET,
                "default": USUAL_PAGE,
                "description": "Most characters; the richest detail that fits is chosen",
            },
        },
        ["page"],
        _READS,
    ),
)


def _execute_lua(limits: Limits, *, read_only: bool) -> Tool:
    return _tool(
        "execute_lua",
        "Run a Lua 5.4 script in a sandbox. It calls web APIs as app.integrations.NAME.FUNCTION({...}); read their "
        "pages first, names cannot be guessed. What it prints and returns is the answer, so filter, join and count "
        "inside it. Calls that write may need the user's approval.",
        {
            "code": {"type": "string"},
            "args": {"type": "array", "items": {"type": "string"}, "description": "For arg and ..."},
            "mode": {"enum": ["run", "read_only"], "default": "run", "description": "read_only denies writes"},
            **{name: _limit(name, getattr(limits, name)) for name in ADJUSTABLE},
            "budget": {
                "type": "integer",
                "minimum": SMALLEST_ANSWER,
                "maximum": LARGEST_ANSWER,
                "default": USUAL_ANSWER,
                "description": "Most characters of the answer",
            },
        },
        ["code"],
        ToolAnnotations(read_only_hint=read_only, destructive_hint=not read_only, open_world_hint=True),
    )


def _limit(name: str, most: float) -> dict[str, Any]:
    kind = {"type": "number", "exclusiveMinimum": 0} if name in SECONDS else {"type": "integer", "minimum": 1}
    unit = {"description": _UNITS[name]} if name in _UNITS else {}
    return {**kind, "maximum": most, **unit}


@dataclass(frozen=True)
class Script:
    """What execute_lua is asked to run.

    Args:
        code: The text.
        args: What the script finds in ``arg`` and ``...``.
        read_only: Whether every write is denied.
        limits: Those of :data:`ADJUSTABLE` that are lower than the host's.
        budget: Characters of the answer.
    """

    code: str
    args: tuple[str, ...] = ()
    read_only: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)
    budget: int = USUAL_ANSWER

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> Script:
        """Return the script that checked arguments of execute_lua describe."""
        return cls(
            arguments["code"],
            tuple(arguments.get("args", ())),
            arguments.get("mode") == "read_only",
            {name: arguments[name] for name in ADJUSTABLE if name in arguments},
            int(arguments.get("budget", USUAL_ANSWER)),
        )

    @property
    def options(self) -> RunOptions:
        """What the runtime is told about its run."""
        options = RunOptions(args=self.args, read_only=self.read_only)
        options.update(self.limits)  # type: ignore[typeddict-item]
        return options
