"""The functions for the tools, resources and prompts of an MCP server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from kosmolua.http.messages import Request, Response, Send
from kosmolua.mcp_client import results
from kosmolua.mcp_client.cards import Card
from kosmolua.protocol import Json
from kosmolua.schema.arguments import REQUIRED, Parameter
from kosmolua.schema.effects import EFFECTS, Effect
from kosmolua.schema.function import Function
from kosmolua.schema.json_schema import SchemaReader
from kosmolua.schema.names import KEYWORDS
from kosmolua.schema.types import ANY, STRING, List, Map, Record, Type, Union

MAX_TEXT = 64 * 1024
"""The maximum length of a description, in characters."""
CALL = "tools/call"
"""The method that calls a tool. Its requests alone have a tag."""
EXTRA = "extra"
"""The name of the parameter for further arguments. A tool gets it if its schema allows undeclared arguments."""
_DESTROYING = {"delete", "remove", "drop", "run", "destroy", "erase", "purge", "truncate", "execute"}
_READING = {"get", "list", "read", "search", "find", "show", "describe", "fetch", "count"}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_OTHER = re.compile(r"[^A-Za-z0-9_]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class ToolRequest(Request):
    """A request to an MCP server, with parameters as Python values, not as JSON."""

    asks: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    tag: str = ""


@dataclass(frozen=True)
class ToolResponse(Response):
    """The response, with its result in ``value`` as Python values."""

    value: dict[str, Any] = field(default_factory=dict)


def functions_of(server: str, card: Card, stated: Mapping[str, Effect] | None = None) -> Iterator[Function]:
    """Yield the functions for what a card offers; ``server`` is a unique name, such as ``mcp.files``.

    ``stated`` has the effects of tools that the user corrects.
    """
    kept = {tool["name"] for tool in card["tools"] if lua_name(tool["name"]) == tool["name"]}
    taken = {*kept}
    for tool in card["tools"]:
        if tool["name"] in kept:
            name = tool["name"]
            kept.remove(name)
        else:
            name = _free(lua_name(tool["name"]), taken)
        function = _Tool(server, name, tool, stated).function()
        former = card.get("former", {}).get(tool["name"])
        yield replace(function, former=_Tool(server, name, former, stated).function()) if former else function
    for function in _own_functions(server, card):
        yield function if function.name not in taken else _renamed(function, taken)


def former_tools(before: Card, now: Card) -> dict[str, Any]:
    """Return what the tools of a card were that nobody has accepted since they changed, by name."""
    known = {tool["name"]: tool for tool in before["tools"]} | before.get("former", {})
    tools = ((tool, known.get(tool["name"])) for tool in now["tools"])
    return {tool["name"]: former for tool, former in tools if former and former != tool}


def lua_name(name: str) -> str:
    """Return the Lua name of a tool or argument: ``create-issue`` becomes ``create_issue``."""
    name = _OTHER.sub("_", name) or "_"
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if name in KEYWORDS or name == "default" else name


def digest(tool: Mapping[str, Any]) -> str:
    """Return a hash of a tool's input schema and annotations."""
    parts = [tool.get("inputSchema"), tool.get("annotations")]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def effect_of(tool: Mapping[str, Any], stated: Mapping[str, Effect] | None = None) -> Effect:
    """Return a tool's effect: the stated one, else by its annotations, else ``destroy`` or ``write`` by its name."""
    if given := (stated or {}).get(tool["name"]) or (stated or {}).get(lua_name(tool["name"])):
        return given
    hints = tool.get("annotations") or {}
    if hints.get("destructiveHint") is True:
        return "destroy"
    if hints.get("readOnlyHint") is True:
        return "read"
    return "destroy" if not _hints(tool) and _words(tool) & _DESTROYING else "write"


def is_lowered(tool: Mapping[str, Any], stated: Mapping[str, Effect]) -> bool:
    """Return True if the stated effect of a tool is milder than that by its annotations and name."""
    return EFFECTS.index(effect_of(tool, stated)) < EFFECTS.index(effect_of(tool))


def seem_to_read(tools: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of tools without hints whose names say that they read."""
    return [
        each["name"] for each in tools if not _hints(each) and _words(each) & _READING and effect_of(each) == "write"
    ]


def _hints(tool: Mapping[str, Any]) -> set[str]:
    return {"readOnlyHint", "destructiveHint"} & (tool.get("annotations") or {}).keys()


def _words(tool: Mapping[str, Any]) -> set[str]:
    """Return the words of a tool's name: of ``deleteBranch``, delete and branch."""
    return {word.lower() for word in _WORD.findall(tool["name"])}


def is_task(tool: Mapping[str, Any]) -> bool:
    """Return True if a tool can be called only as a task."""
    return (tool.get("execution") or {}).get("taskSupport") == "required"


class _Tool:
    """The function that calls one tool of a server."""

    def __init__(self, server: str, name: str, tool: Mapping[str, Any], stated: Mapping[str, Effect] | None) -> None:
        self._server = server
        self._name = name
        self._tool = tool
        self._digest = digest(tool)
        self._effect = effect_of(tool, stated)
        self._reader = SchemaReader(tool.get("inputSchema"))
        self._filled: tuple[str, ...] = ()
        self._wire: dict[str, str] = {}
        self._takes_extra = False

    def function(self) -> Function:
        returns, wrapped = _result_of(self._tool, _record_name(self._name))
        return Function(
            name=self._name,
            full_name=self._name if self._tool["name"] == "default" else self._tool["name"],  # it is the account's name
            effect=self._effect,
            handler=self._caller(wrapped=wrapped),
            parameters=tuple(self._parameters()),
            doc=_doc_of(self._tool),
            returns=returns,
            origin=f"the server {self._server}",
            is_foreign=True,
        )

    def _parameters(self) -> Iterator[Parameter]:
        schema = self._tool.get("inputSchema") or {}
        kind = self._reader.read(schema, _record_name(self._name))
        records = [each for each in (kind.members if isinstance(kind, Union) else [kind]) if isinstance(each, Record)]
        self._filled = tuple(records[0].filled) if len(records) == 1 else ()
        names = list(dict.fromkeys(key for record in records for key in record.fields))
        taken: set[str] = set()
        required = [name for name in names if all(name in record.required for record in records)]
        for name in sorted(names, key=lambda each: each not in required):
            record = next(each for each in records if name in each.fields)
            default = REQUIRED if name in required else record.defaults.get(name)
            about = _text(record.about.get(name, ""))
            spelled = _free(lua_name(name), taken)
            self._wire[spelled] = name
            alias = name if name != spelled else ""
            kind_of = record.fields[name]
            null = kind_of.nullable or kind_of == ANY
            yield Parameter(spelled, kind_of, " ".join(about.split()), default, alias=alias, null=null)
        if EXTRA not in names and _says_more(schema):
            self._takes_extra = True
            yield Parameter(EXTRA, Map(ANY), "Further arguments, by name.", None)

    def _caller(self, *, wrapped: bool) -> Callable[..., Json]:
        path, effect = f"{self._server}.{self._name}", self._effect

        def call(send: Send, /, **arguments: Any) -> Json:
            extra = (arguments.pop(EXTRA, None) or {}) if self._takes_extra else {}
            named = {self._wire[name]: value for name, value in arguments.items()}
            params = {"name": self._tool["name"], "arguments": dict.fromkeys(self._filled) | named | extra}
            answer = ask(send, self._server, CALL, params, safe=effect == "read", tag=self._digest)
            return results.of_tool(path, answer, wrapped=wrapped)

        return call


def ask(
    send: Send, server: str, method: str, params: Mapping[str, Any], *, safe: bool = True, tag: str = ""
) -> dict[str, Any]:
    """Send a request to the server with this unique name, and return the result; ``safe`` if it changes nothing."""
    url = f"mcp://{server}/{method}"
    response = send(ToolRequest("POST", url, declared_safe=safe, asks=method, params=params, tag=tag))
    answer: dict[str, Any] = response.value if isinstance(response, ToolResponse) else json.loads(response.body)
    return answer


def _own_functions(server: str, card: Card) -> Iterator[Function]:
    """Yield the functions for resources and prompts, such as ``read_resource``."""

    def own(name: str, doc: str, call: Callable[..., Json], returns: Type, *parameters: Parameter) -> Function:
        return Function(name, name, "read", call, parameters, doc, returns, f"the server {server}")

    def listing(method: str, key: str) -> Callable[..., Json]:
        def call(send: Send, /) -> Json:
            found: Json = ask(send, server, method, {}).get(key, [])
            return found

        return call

    def read_resource(send: Send, /, uri: str) -> Json:
        return results.of_resource(ask(send, server, "resources/read", {"uri": uri}))

    def get_prompt(send: Send, /, name: str, arguments: Mapping[str, str] | None = None) -> Json:
        params = {"name": name, "arguments": dict(arguments or {})}
        return results.of_prompt(ask(send, server, "prompts/get", params))

    if card.get("resources"):
        doc = "Read a resource: text, or { content_type, base64, bytes }, or a list if there are several contents."
        yield own("read_resource", doc, read_resource, ANY, Parameter("uri", STRING, "The address of the resource."))
        yield own("list_resources", "List the resources.", listing("resources/list", "resources"), List(ANY))
        doc = "List the templates for addresses of resources."
        templates = listing("resources/templates/list", "resourceTemplates")
        yield own("list_resource_templates", doc, templates, List(ANY))
    if card.get("prompts"):
        name = Parameter("name", STRING, "The name of the prompt.")
        arguments = Parameter("arguments", Map(STRING), "The prompt's arguments, by name.", None)
        doc = "Get a prompt: { description, messages }, each message with role and content."
        yield own("get_prompt", doc, get_prompt, ANY, name, arguments)
        yield own(
            "list_prompts", "List the prompts, with their arguments.", listing("prompts/list", "prompts"), List(ANY)
        )


def _renamed(function: Function, taken: set[str]) -> Function:
    """Return a function named like a tool with ``mcp_`` before its name."""
    name = _free(f"mcp_{function.name}", taken)
    return replace(function, name=name, full_name=name)


def _free(name: str, taken: set[str]) -> str:
    """Return the name, with a number if it is taken, and add it to ``taken``."""
    wanted, number = name, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def _result_of(tool: Mapping[str, Any], name: str) -> tuple[Type, bool]:
    """Return the type of a tool's result, and whether an object with the only key ``result`` wraps it."""
    schema = tool.get("outputSchema")
    if not isinstance(schema, dict):
        return ANY, False
    properties = schema.get("properties")
    wrapped = isinstance(properties, dict) and properties.keys() == {"result"}
    kind = SchemaReader(schema).read(schema, f"{name}Result")
    return (kind.fields["result"], True) if wrapped and isinstance(kind, Record) else (kind, False)


def _says_more(schema: Mapping[str, Any]) -> bool:
    """Return True if an input schema explicitly allows undeclared arguments."""
    return bool(schema.get("additionalProperties")) or bool(schema.get("patternProperties"))


def _record_name(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _doc_of(tool: Mapping[str, Any]) -> str:
    title = tool.get("title") or (tool.get("annotations") or {}).get("title")
    text = _text(tool.get("description") or title or f"The tool {tool['name']}.").strip()
    first, _, rest = text.partition("\n")
    if is_task(tool):
        rest = f"{rest.strip()}\n\nThe server runs it as a task, which may take longer than other calls."
    return f"{first.strip()}\n\n{rest.strip()}" if rest.strip() else first.strip()


def _text(text: object) -> str:
    """Cut a server's text to :data:`MAX_TEXT` characters, without control and invisible ones."""
    return _CONTROL.sub("", str(text))[:MAX_TEXT]
