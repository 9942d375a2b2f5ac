"""The tools: their names, arguments, and hints about what they change."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import isfinite
from typing import Any

from mcp_types import Tool, ToolAnnotations

from kosmolua.docs.pages import DEFAULT_DETAIL, DETAILS, MIN_BUDGET
from kosmolua.docs.search import MAX_HITS
from kosmolua.errors import BadArguments, BadDocArguments, KosmoError
from kosmolua.limits import ADJUSTABLE, SECONDS, Limits
from kosmolua.runs import RunOptions
from kosmolua.runtime import Runtime
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.effects import is_final
from kosmolua.schema.json_schema import SchemaReader
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.names import objection_to_function
from kosmolua.schema.types import Record, Scalar, Type
from kosmolua.suggestions import did_you_mean

DEFAULT_PAGE, DEFAULT_ANSWER = 20_000, 20_000
"""The default lengths of a page of the documentation and of an answer of ``execute_lua``, in characters."""
MIN_ANSWER, MAX_ANSWER = 4_000, 100_000
"""The smallest and largest length of an answer that a call of ``execute_lua`` can request, in characters."""
MAX_LISTED = 2_800
"""The largest length of the list of tools, and of the instructions, in characters."""
MAX_SAVED = 4_000
"""The largest script that is saved, in characters."""

EXECUTE = "execute_lua"
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_NAME = re.compile("[a-z_][a-z0-9_]*")
_UNITS = {
    "timeout": "Seconds",
    "cpu": "CPU seconds",
    "memory": "Bytes",
    "max_output": "Bytes",
}


class CheckedTool(Tool):
    """A tool whose arguments are checked."""

    @cached_property
    def types(self) -> dict[str, Type]:
        """The types of the arguments."""
        reader = SchemaReader()
        return {name: reader.read(schema, name) for name, schema in self.input_schema["properties"].items()}


def tools_for(limits: Limits, *, read_only: bool, about: Sequence[str] = ("",)) -> list[CheckedTool]:
    """Return ``execute_lua``, which can only lower these limits, and the tools for the documentation.

    ``about`` says in the description which integrations there are, and whether data is simulated: in several ways, each
    shorter than the one before. The first with which the tools have at most :data:`MAX_LISTED` characters is used.
    """
    for each in about:
        tools = [*_DOCS, _execute_lua(limits, read_only=read_only, about=each)]
        listed = [tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools]
        if len(json.dumps({"tools": listed}, separators=(",", ":"))) <= MAX_LISTED:
            break
    return tools


def script_tools(runtime: Runtime, taken: Collection[str]) -> dict[str, tuple[CheckedTool, ScriptRequest]]:
    """Return a tool for each of the user's scripts that is not denied, by name, with its script.

    One named like another tool (``taken``) becomes ``script_NAME``. One that can no longer be read is left out.
    """
    if runtime.scripts.root not in runtime.catalog.names():
        return {}
    found = {}
    for function in runtime.catalog.integration(runtime.scripts.root).functions.values():
        if runtime.denies_script(function.name):
            continue
        name = f"script_{function.name}" if function.name in taken else function.name
        try:
            script = runtime.scripts.script(function.name)
        except KosmoError:
            continue
        hints = ToolAnnotations(
            read_only_hint=function.effect == "read",
            destructive_hint=is_final(function.effect),
            open_world_hint=True,
        )
        schema = schema_of(function.parameters) if script.header.is_declared else {"type": "object", "properties": {}}
        tool = CheckedTool(name=name, description=function.doc, input_schema=schema, annotations=hints)
        found[name] = tool, ScriptRequest(script.source.decode("utf-8", "surrogateescape"), name=script.file)
    return found


def schema_of(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the JSON Schema of an object of these parameters."""
    arguments = Record(
        "arguments",
        {each.name: each.type for each in parameters},
        about={each.name: each.about for each in parameters if each.about},
        required=frozenset(each.name for each in parameters if each.required),
    ).json_schema()
    return {**arguments["$defs"].pop("arguments"), **({"$defs": arguments["$defs"]} if arguments["$defs"] else {})}


def check(tool: CheckedTool, given: Mapping[str, Any]) -> dict[str, Any]:
    """Check the arguments of a tool call, and return them with the types of its schema.

    Null counts as missing, and a string with a number as one, since some clients send these.

    Raises:
        BadArguments: An argument is unknown, has a wrong value, or is required and missing. For a tool of the
            documentation, the error is a BadDocArguments.
    """
    refused = BadArguments if tool.name == EXECUTE else BadDocArguments
    arguments = {name: value for name, value in given.items() if value is not None}
    known = tool.types
    for name in arguments:
        if name not in known:
            hint = did_you_mean(name, known) or f"its arguments are {', '.join(known)}"
            raise refused(f"{tool.name} has no argument {name[:80]!r}", param=name[:80], hint=hint)
    for name in tool.input_schema.get("required", ()):
        if name not in arguments:
            raise refused(f"{tool.name} needs {name}", param=name)
    for name, value in arguments.items():
        try:
            arguments[name] = known[name].accept(_number(value, known[name]))
        except Mismatch as mismatch:
            # For instance: lua_search_docs: limit must be an integer in 1..100, not 0
            raise refused(f"{tool.name}: {name}{mismatch.where} {mismatch.problem}", param=name) from None
        if name in ADJUSTABLE and arguments[name] <= 0:
            raise refused(f"{tool.name}: {name} must be above 0, not {arguments[name]:g}", param=name)
    return arguments


def is_long(arguments: Mapping[str, Any], limits: Limits) -> bool:
    """Return True if a script may run as long as only a task can."""
    timeout = arguments.get("timeout")
    if not isinstance(timeout, (int, float)) or "code" not in arguments or arguments.get("mode") == "plan":
        return False
    return limits.timeout < timeout <= limits.task_timeout


def _number(value: object, wanted: Type) -> object:
    """Return the number in a string if one is wanted."""
    if not isinstance(value, str) or not isinstance(wanted, Scalar) or wanted.kind not in ("integer", "number"):
        return value
    try:
        number = int(value) if wanted.kind == "integer" else float(value)
    except ValueError:
        return value
    return number if isfinite(number) else value


def _tool(
    name: str, description: str, properties: dict[str, Any], required: list[str], annotations: ToolAnnotations
) -> CheckedTool:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    schema |= {"required": required} if required else {}
    return CheckedTool(name=name, description=description, input_schema=schema, annotations=annotations)


_DOCS = (
    _tool(
        "lua_list_docs",
        "List guides and integrations. With a namespace, such as integrations.render2, its functions.",
        {"namespace": {"type": "string"}},
        [],
        _READS,
    ),
    _tool(
        "lua_search_docs",
        "Functions for a task, and a script that uses them. With limit: pages, best first.",
        {
            "query": {"type": "string"},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_HITS},
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
                "default": DEFAULT_PAGE,
                "description": "Characters",
            },
            "offset": {"type": "integer", "minimum": 0, "description": "For run:last"},
        },
        ["page"],
        _READS,
    ),
)


def _execute_lua(limits: Limits, *, read_only: bool, about: str) -> CheckedTool:
    return _tool(
        EXECUTE,
        "Run a Lua 5.4 script in a sandbox. It calls web APIs as app.integrations.NAME.FUNCTION({...}); read their "
        "pages first, names cannot be guessed. What it prints and returns is the answer: filter, join and count "
        f"inside it. Writes may need the user's approval. {about}".rstrip(),
        {
            "code": {"type": "string"},
            "title": {"type": "string", "description": "For the user"},
            "args": {"type": "array", "items": {"type": "string"}, "description": "For arg and ..."},
            "input": {"description": "Or run:ID"},
            "params": {"type": "object"},
            "mode": {
                "enum": ["run", "read_only", "plan"],
                "default": "run",
                "description": "plan: list writes",
            },
            "resume": {"type": "string"},
            "apply": {"type": "string"},
            "save": {"type": "string", "description": "As app.scripts.NAME"},
            **{name: _limit(name, getattr(limits, name)) for name in ADJUSTABLE},
            "budget": {
                "type": "integer",
                "minimum": MIN_ANSWER,
                "maximum": MAX_ANSWER,
                "default": DEFAULT_ANSWER,
                "description": "Characters",
            },
        },
        [],
        ToolAnnotations(read_only_hint=read_only, destructive_hint=not read_only, open_world_hint=True),
    )


def _limit(name: str, most: float) -> dict[str, Any]:
    unit = {"description": _UNITS[name]} if name in _UNITS else {}
    return {"type": "number" if name in SECONDS else "integer", "maximum": most, **unit}


def _check_saving(arguments: Mapping[str, Any]) -> None:
    name, code = arguments["save"], arguments.get("code")
    if code is None or arguments.get("mode") == "plan":
        raise BadArguments("execute_lua takes save only with code, and not for a plan", param="save")
    if not _NAME.fullmatch(name) or objection_to_function(name):
        problem = f"save must be a name of small letters, digits and _, such as report, not {name[:80]!r}"
        raise BadArguments(f"execute_lua: {problem}", param="save")
    if len(code) > MAX_SAVED:
        most = f"at most {MAX_SAVED:,} characters, since a person reads all of it, not {len(code):,}"
        raise BadArguments(f"execute_lua saves a script of {most}", param="save")


@dataclass(frozen=True)
class ScriptRequest:
    """A script to run: the arguments of ``execute_lua``, or one of the user's.

    Args:
        code: The text of the script.
        args: The values of ``arg`` and ``...``.
        input: The value of ``input``; None for nil.
        read_only: Whether every write is denied.
        plan: Whether writes are only listed and not sent.
        resume: The id of a run to continue instead of ``code``, or None.
        apply: The id of a plan to apply instead of ``code``, or None.
        limits: Limits, by name, below those of the server.
        budget: The budget.
        name: The script's name in messages; empty for the default.
        params: The value of ``params``.
        title: The title, by which people recognise the run; empty for the default.
        input_of: The run whose result the input is, or None.
        save: The name under which the script is saved if it succeeds and a person agrees; empty for none.
        decided: What a person decided about calls of the run to continue: ``approve``, ``deny``, ``done`` and
            ``again`` of :meth:`kosmolua.Runtime.resume`.
        run: The id of the run as a task of the client; empty if it is none.
    """

    code: str
    args: tuple[str, ...] = ()
    input: Any = None
    read_only: bool = False
    plan: bool = False
    resume: str | None = None
    apply: str | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    budget: int = DEFAULT_ANSWER
    name: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    input_of: str | None = None
    save: str = ""
    decided: Mapping[str, Any] = field(default_factory=dict)
    run: str = ""

    def given(self, params: Mapping[str, Any]) -> ScriptRequest:
        """Return the script with these params."""
        return replace(self, params=params)

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> ScriptRequest:
        """Return the script for checked arguments of ``execute_lua``.

        Raises:
            BadArguments: The arguments have none of ``code``, ``resume`` and ``apply``, or several; or ``save`` is not
                possible.
        """
        given = [name for name in ("code", "resume", "apply") if name in arguments]
        if given != ["code"] and "params" in arguments:
            raise BadArguments("execute_lua takes params only with code", param="params")
        if len(given) != 1:
            needs = f"either {' or '.join(given)}, not both" if given else "code"
            raise BadArguments(f"execute_lua needs {needs}", param="code")
        if "save" in arguments:
            _check_saving(arguments)
        return cls(
            arguments.get("code", ""),
            tuple(arguments.get("args", ())),
            arguments.get("input"),
            arguments.get("mode") == "read_only",
            arguments.get("mode") == "plan",
            arguments.get("resume"),
            arguments.get("apply"),
            {name: arguments[name] for name in ADJUSTABLE if name in arguments},
            int(arguments.get("budget", DEFAULT_ANSWER)),
            title=arguments.get("title", ""),
            params=arguments.get("params", {}),
            save=arguments.get("save", ""),
        )

    @property
    def can_be_task(self) -> bool:
        """Whether a client can have the script as a task, for which its run has to be recorded from the start."""
        return not (self.resume or self.apply or self.plan)

    @property
    def options(self) -> RunOptions:
        """The options for the runtime."""
        options = RunOptions()
        if not self.resume and not self.apply:
            options = RunOptions(args=self.args, input=self.input, params=dict(self.params), read_only=self.read_only)
            options["input_of"] = self.input_of
        if self.name:
            options["name"] = self.name
        if self.title:
            options["title"] = self.title
        if self.run and not self.resume:
            options |= {"run": self.run, "record": True, "task": {"budget": self.budget, "save": self.save}}
        options.update(self.limits)  # type: ignore[typeddict-item]
        return options
