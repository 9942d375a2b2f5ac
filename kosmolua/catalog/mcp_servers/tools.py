"""Makes the functions that scripts call from the tools, resources and prompts of an MCP server."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from kosmolua.catalog.mcp_servers import results
from kosmolua.catalog.mcp_servers.cards import Card
from kosmolua.http.messages import Request, Response, Send
from kosmolua.protocol import Json
from kosmolua.schema.arguments import REQUIRED, Parameter
from kosmolua.schema.function import Effect, Function
from kosmolua.schema.json_schema import Reader
from kosmolua.schema.names import KEYWORDS
from kosmolua.schema.types import ANY, STRING, List, Map, Record, Type, Union

MAX_TEXT = 64 * 1024
"""The maximum length of a description, in characters."""
EXTRA = "extra"
"""The name of the parameter for further arguments. A tool gets it if its schema allows undeclared arguments."""
_OTHER = re.compile(r"[^A-Za-z0-9_]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Question(Request):
    """A request to an MCP server. Its parameters are kept as Python values and not encoded as JSON.

    Args:
        asks: The method of the protocol, such as ``tools/call``.
        params: The parameters of the method.
        tag: For a call of a tool: the :func:`digest` of the tool. The request fails if the server's tool has a
            different digest. Empty for no check.
    """

    asks: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    tag: str = ""


@dataclass(frozen=True)
class Answer(Response):
    """The response of an MCP server. Its result is kept in ``value`` as Python values and not encoded as JSON."""

    value: dict[str, Any] = field(default_factory=dict)


def functions_of(server: str, card: Card) -> Iterator[Function]:
    """Yield a function for each tool of a server, and the functions for its resources and prompts.

    Args:
        server: The name of the server under ``app``, such as ``mcp.files``.
        card: What the server offers.
    """
    taken: set[str] = set()
    for tool in card["tools"]:
        name = _free(lua_name(tool["name"]), taken)
        yield _Tool(server, name, tool).function()
    for function in _own_functions(server, card):
        yield function if function.name not in taken else _renamed(function, taken)


def lua_name(name: str) -> str:
    """Return the name that scripts use for a tool or an argument: ``create-issue`` becomes ``create_issue``."""
    name = _OTHER.sub("_", name) or "_"
    if name[0].isdigit():
        name = f"_{name}"
    return f"{name}_" if name in KEYWORDS or name == "default" else name


def digest(tool: Mapping[str, Any]) -> str:
    """Return a hash of a tool's input schema and annotations, which reveals that a tool has changed."""
    parts = [tool.get("inputSchema"), tool.get("annotations")]
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def effect_of(tool: Mapping[str, Any]) -> Effect:
    """Return the effect of a tool according to its annotations; without annotations, the effect is ``write``."""
    hints = tool.get("annotations") or {}
    if hints.get("destructiveHint") is True:
        return "destroy"
    return "read" if hints.get("readOnlyHint") is True else "write"


class _Tool:
    """Makes the function that calls one tool of a server.

    Args:
        server: The name of the server under ``app``, such as ``mcp.files``.
        name: The name of the function.
        tool: The description of the tool, a JSON object of the protocol.
    """

    def __init__(self, server: str, name: str, tool: Mapping[str, Any]) -> None:
        self._server = server
        self._name = name
        self._tool = tool
        self._digest = digest(tool)
        self._effect = effect_of(tool)
        self._reader = Reader(tool.get("inputSchema"))
        self._filled: tuple[str, ...] = ()
        self._wire: dict[str, str] = {}
        self._takes_extra = False

    def function(self) -> Function:
        """Return the function that calls the tool."""
        returns, wrapped = _result_of(self._tool, _record_name(self._name))
        return Function(
            name=self._name,
            full_name=self._tool["name"],
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
            yield Parameter(spelled, record.fields[name], " ".join(about.split()), default, alias=alias)
        if EXTRA not in names and _says_more(schema):
            self._takes_extra = True
            yield Parameter(EXTRA, Map(ANY), "Further arguments, by name.", None)

    def _caller(self, *, wrapped: bool) -> Callable[..., Json]:
        path, effect = f"{self._server}.{self._name}", self._effect

        def call(send: Send, /, **arguments: Any) -> Json:
            extra = (arguments.pop(EXTRA, None) or {}) if self._takes_extra else {}
            named = {self._wire[name]: value for name, value in arguments.items()}
            params = {"name": self._tool["name"], "arguments": dict.fromkeys(self._filled) | named | extra}
            answer = ask(send, self._server, "tools/call", params, safe=effect == "read", tag=self._digest)
            return results.of_tool(path, answer, wrapped=wrapped)

        return call


def ask(
    send: Send, server: str, method: str, params: Mapping[str, Any], *, safe: bool = True, tag: str = ""
) -> dict[str, Any]:
    """Send a request to an MCP server, and return the result as the protocol defines it.

    Args:
        send: A function that sends the requests of a call.
        server: The name of the server under ``app``, such as ``mcp.files``.
        method: The method of the protocol, such as ``tools/call``.
        params: The parameters of the method.
        safe: True if the request changes nothing.
        tag: For a call of a tool: the :func:`digest` of the tool. The request fails if the server's tool has a
            different digest. Empty for no check.
    """
    url = f"mcp://{server}/{method}"
    response = send(Question("POST", url, declared_safe=safe, asks=method, params=params, tag=tag))
    answer: dict[str, Any] = response.value if isinstance(response, Answer) else json.loads(response.body)
    return answer


def _own_functions(server: str, card: Card) -> Iterator[Function]:
    """Yield the functions that read a server's resources and prompts, such as ``read_resource`` and ``get_prompt``."""

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
    """Return a copy of a function with ``mcp_`` before its name, because a tool has the same name."""
    name = _free(f"mcp_{function.name}", taken)
    return replace(function, name=name, full_name=name)


def _free(name: str, taken: set[str]) -> str:
    """Return the name, followed by a number if it is taken, and add the result to ``taken``."""
    wanted, number = name, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    taken.add(name)
    return name


def _result_of(tool: Mapping[str, Any], name: str) -> tuple[Type, bool]:
    """Return the type of a tool's result, and True if the schema wraps it in an object whose only key is ``result``."""
    schema = tool.get("outputSchema")
    if not isinstance(schema, dict):
        return ANY, False
    properties = schema.get("properties")
    wrapped = isinstance(properties, dict) and properties.keys() == {"result"}
    kind = Reader(schema).read(schema, f"{name}Result")
    return (kind.fields["result"], True) if wrapped and isinstance(kind, Record) else (kind, False)


def _says_more(schema: Mapping[str, Any]) -> bool:
    """Return True if the input schema of a tool explicitly allows undeclared arguments."""
    return bool(schema.get("additionalProperties")) or bool(schema.get("patternProperties"))


def _record_name(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in name.split("_"))


def _doc_of(tool: Mapping[str, Any]) -> str:
    title = tool.get("title") or (tool.get("annotations") or {}).get("title")
    text = _text(tool.get("description") or title or f"The tool {tool['name']}.").strip()
    first, _, rest = text.partition("\n")
    return f"{first.strip()}\n\n{rest.strip()}" if rest.strip() else first.strip()


def _text(text: object) -> str:
    """Return a text of a server, cut to :data:`MAX_TEXT` characters, without control and invisible characters."""
    return _CONTROL.sub("", str(text))[:MAX_TEXT]
