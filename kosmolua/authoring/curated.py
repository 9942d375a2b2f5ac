"""Turns operations of an OpenAPI document into plain Python functions for a new plugin, with docs and a test."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pprint import pformat
from urllib.parse import parse_qsl

from kosmolua.accounts.toml import assignments
from kosmolua.authoring.lint_functions import effect_named
from kosmolua.errors import UsageError
from kosmolua.openapi.compiling import Built
from kosmolua.openapi.document import Document
from kosmolua.openapi.importing import Import
from kosmolua.openapi.operations import Field, is_json
from kosmolua.openapi.prose import MAX_SUMMARY, cleaned
from kosmolua.openapi.samples import Samples
from kosmolua.protocol import Json
from kosmolua.schema import luacats
from kosmolua.schema.bounds import Range
from kosmolua.schema.json_schema import SchemaReader
from kosmolua.schema.tree import text
from kosmolua.schema.types import Choice, List, Map, Record, Scalar, Type, Union
from kosmolua.suggestions import did_you_mean

MAX_ABOUT = 80
"""The maximum length of the sentence about a parameter."""
_FORM = "application/x-www-form-urlencoded"
_SLOT = re.compile(r"\{([^{}]+)\}")
_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "any": "Json"}
_SEPARATORS = {"joined": ",", "pipes": "|", "spaces": " "}
_OF_REQUEST = ("query", "headers", "json", "form", "body", "safe", "timeout", "multipart")
"""Names that a parameter in the path cannot have, since the client's methods have parameters with these names."""


@dataclass(frozen=True)
class _Parameter:
    """A parameter of the generated function, for a field of the document."""

    field: Field
    name: str
    kind: Type

    @property
    def is_nested(self) -> bool:
        """Whether the value is sent in brackets, such as ``filter[name]=x``."""
        return self.field.style == "deep"

    @property
    def line(self) -> str:
        written = annotation(replace(self.kind, nullable=False))  # a required parameter cannot be None in Python
        if not self.field.required:
            written += " | None"
        bounds = [each for each in getattr(self.kind, "bounds", ()) if isinstance(each, Range)]
        closed = [each for each in bounds if None not in (each.minimum, each.maximum) and not each.exclusive_minimum]
        extras = [f"between({each.minimum}, {each.maximum})" for each in closed if not each.exclusive_maximum]
        about = _sentence(self.field.about or self.field.name.replace("_", " "), MAX_ABOUT)
        parts = ", ".join([written, f'"{about}"', *extras])
        return f"    {self.name}: Annotated[{parts}]{'' if self.field.required else ' = None'},\n"


class Curated:
    """The source of a plain Python function that sends one operation of an OpenAPI document.

    Raises:
        UsageError: The operation has a body, a parameter or an answer that a plain function cannot handle.
    """

    def __init__(self, built: Built, document: Document, base_url: str) -> None:
        self.operation = built.operation
        self.name = f"{built.name}_" if keyword.iskeyword(built.name) else built.name
        self.effect = effect_named(self.name, built.effect)
        says_nothing = built.summary == f"{built.operation.key}."
        self._summary = built.name.replace("_", " ") if says_nothing else built.summary
        self._document = document
        self._samples = Samples(document.look_up, "default")
        self._refuse_what_is_not_plain(base_url)
        self._returns = self._kind_of_result()
        self._parameters = [*self._read_parameters()]
        self._refuse(
            {f"the parameter {each.name} is a table": self._is_unsendable_table(each) for each in self._parameters}
        )

    @property
    def key(self) -> str:
        """The key in ``openapi.toml``: the operationId, or method and path."""
        return self.operation.id or self.operation.key

    @property
    def path(self) -> str:
        """The template of the path, with Python parameters in the braces."""
        names = {each.field.wire: each.name for each in self._at("path")}
        return _SLOT.sub(lambda slot: f"{{{names[slot[1]]}}}", self.operation.path.partition("?")[0])

    @property
    def source(self) -> str:
        """The whole function, with its decorator."""
        parameters = "".join(each.line for each in sorted(self._parameters, key=lambda each: not each.field.required))
        star = "    *,\n" if parameters else ""
        returns = "dict[str, int]" if self._returns is None else _result(self._returns)
        return (
            f"@integration.{self.effect}s\n"
            f"def {self.name}(\n    {self._local('api')}: Api,\n    /,\n{star}{parameters}) -> {returns}:\n"
            f'    """{_sentence(self._summary, MAX_SUMMARY)}"""\n{self._body()}'
        )

    @property
    def arguments(self) -> dict[str, Json]:
        """An example call: a made-up value for each required parameter."""
        needed = (each for each in self._parameters if each.field.required)
        return {each.name: self._samples.of(each.field.schema, each.name) for each in needed}

    @property
    def reply(self) -> Json:
        """The simulator's made-up answer, or None."""
        if self._returns is None:
            return None
        reply = self._samples.of(self.operation.result.schema, self.name)
        usual: Json = {} if isinstance(self._returns, (Record, Map)) else [] if isinstance(self._returns, List) else ""
        return reply if isinstance(usual, str) or isinstance(reply, type(usual)) else usual

    def example(self, integration: str) -> str:
        """Return a Lua script that prints the result of the function."""
        given = luacats.literal(self.arguments) if self.arguments else ""
        return f"print(json.encode(app.integrations.{integration}.{self.name}({given})))"

    def section(self, integration: str) -> str:
        """Return the Markdown section for the plugin's page."""
        key = self.operation.key
        return f"## {self.name}\n\nSends `{key}`.\n\n### Example\n\n```lua\n{self.example(integration)}\n```\n"

    @property
    def call(self) -> str:
        """A case of the plugin's test: function name, arguments, HTTP method and path template."""
        return f"    ({', '.join(map(repr, (self.name, self.arguments, self.operation.method, self.path)))}),\n"

    @property
    def entry(self) -> str:
        """The entry for ``openapi.toml`` that says that the operation is covered."""
        return f"\n[functions.{json.dumps(self.key)}]\n{assignments({'covered_by': self.name})}"

    def _at(self, place: str) -> list[_Parameter]:
        return [each for each in self._parameters if each.field.place == place]

    def _refuse_what_is_not_plain(self, base_url: str) -> None:
        operation, body = self.operation, self.operation.body
        media = body.media[0] if body else "application/json"
        odd = {
            "it has a different base URL": any(
                text(each.get("url")).rstrip("/") != base_url for each in operation.servers[:1]
            ),
            f"its body is {media}": not (is_json(media) or (media.startswith(_FORM) and body and not body.whole)),
            "its answer is not JSON": bool(operation.result.media) and not any(map(is_json, operation.result.media)),
            "a parameter in its path can contain slashes": any(each.slashes for each in operation.fields),
            "it has a cookie parameter": any(each.place == "cookie" for each in operation.fields),
        }
        for each in operation.fields:
            odd[f"the parameter {each.wire} is sent as JSON text"] = each.style == "json" and each.place != "body"
        self._refuse(odd)

    def _is_unsendable_table(self, parameter: _Parameter) -> bool:
        """Return True for a table that goes neither into JSON nor into brackets."""
        body = self.operation.body
        in_json = parameter.field.place == "body" and body is not None and is_json(body.media[0])
        return isinstance(parameter.kind, (Record, Map)) and not in_json and not parameter.is_nested

    def _refuse(self, reasons: Mapping[str, bool]) -> None:
        for reason in (reason for reason, is_so in reasons.items() if is_so):
            hint = "leave it out: the plugin still has a function for it, made from the document"
            raise UsageError(f"{self.operation.key} cannot be written as a plain function: {reason}", hint=hint)

    def _kind_of_result(self) -> Type | None:
        result = self.operation.result
        if self.operation.method == "HEAD" or not result.media:
            return None
        return SchemaReader(without="writeOnly", look_up=self._document.look_up).read(result.schema or {}, self.name)

    def _read_parameters(self) -> Iterator[_Parameter]:
        reader, taken = SchemaReader(without="readOnly", look_up=self._document.look_up), set[str]()
        for each in self._fields():
            name, reserved = each.name, {"nested", *(_OF_REQUEST if each.place == "path" else ())}
            while keyword.iskeyword(name) or name in reserved or name in taken:
                name += "_"
            taken.add(name)
            yield _Parameter(each, name, reader.read(each.schema, name))

    def _fields(self) -> list[Field]:
        operation, body = self.operation, self.operation.body
        media = body.media[0] if body else ""
        fields = [each for each in operation.fields if each.only in ("", media)]
        if body and body.whole:
            fields.append(Field("", "body", body.schema, body.required, body.about, name=body.name))
        return fields

    def _body(self) -> str:
        operation, body = self.operation, self.operation.body
        media = body.media[0] if body else ""
        query = [(name, _quoted(value)) for name, value in parse_qsl(operation.path.partition("?")[2])]
        query += [_entry(each, _in_query(each)) for each in self._at("query")]
        headers = [(each.field.wire, each.name) for each in self._at("header")]
        if is_json(media) and media not in ("application/json", "*/*"):
            headers.append(("Content-Type", _quoted(media)))
        keys = [
            (each.field.wire, each.name) if is_json(media) else _entry(each, each.name) for each in self._at("body")
        ]
        keys += [(each.field.fills, each.name) for each in self._parameters if each.field.fills]
        sent, given, asked = map(self._local, ("headers", "given", "query"))
        lines, arguments = "", [_quoted(self.path)]
        if query:
            lines, arguments = _table(asked, query), [*arguments, f"query={asked}"]
        if headers:
            lines += _table(sent, headers)
            arguments.append(f"headers={{key: str(value) for key, value in {sent}.items() if value is not None}}")
        if body and body.whole:
            arguments.append(f"json={self._at('body')[0].name}")
        elif body:
            word = "json" if is_json(media) else "form"
            lines += _table(given, keys)
            arguments.append(f"{word}={{key: value for key, value in {given}.items() if value is not None}}")
        arguments += [f"{each.name}={_in_path(each)}" for each in self._at("path")]
        return f"{lines}    {self._sending(arguments)}\n"

    def _local(self, word: str) -> str:
        """Return a word with enough ``_`` to differ from every parameter."""
        while any(each.name == word for each in self._parameters):
            word += "_"
        return word

    def _sending(self, given: Sequence[str]) -> str:
        client, method, has_body = self._local("api"), self.operation.method, self.operation.body is not None
        arguments = ", ".join(given)
        if self._returns is None:
            return f'return {{"status": {client}.exchange("{method}", {arguments}).status}}'
        short = method in ("POST", "PUT", "PATCH") or (method in ("GET", "DELETE") and not has_body)
        sends = f"{method.lower()}(" if short else f'request("{method}", '
        return f"return {client}.{sends}{arguments})"


@dataclass(frozen=True)
class Start:
    """What a new plugin starts with: a document whose ``openapi.toml`` says what these functions cover."""

    ready: Import
    functions: Sequence[Curated]

    def replies(self) -> str:
        """Return the source of a dict from method and path template to the simulator's reply."""
        given = {(each.operation.method, each.path): each.reply for each in self.functions}
        return pformat(given, width=110, sort_dicts=False)


def curate(ready: Import, wanted: Sequence[str]) -> Start:
    """Write functions for the wanted operations: names of functions, operationIds, or ``GET /pets``.

    Raises:
        UsageError: The document has no such operation, or a plain function cannot send the operation.
    """
    document = Document(ready.root)
    every = ready.result.functions
    known = {each.operation.id: each for each in every if each.operation.id}
    known |= {each.operation.key: each for each in every} | {each.name: each for each in every}
    for word in wanted:
        if word not in known:
            hint = did_you_mean(word, known) or "give a function name, an operationId, or a route such as 'GET /pets'"
            raise UsageError(f"The document has no operation {word!r}", hint=hint)
    chosen = {known[word].name: known[word] for word in wanted}
    functions = [Curated(each, document, ready.result.access.base_url) for each in chosen.values()]
    overlay = ready.overlay + "".join(each.entry for each in functions)
    return Start(replace(ready, overlay=overlay), functions)


def annotation(kind: Type) -> str:
    """Return a type as a Python annotation; a table with fixed keys becomes a dict."""
    if isinstance(kind, Choice):
        words = _literal(kind)
    elif isinstance(kind, List):
        words = f"list[{annotation(kind.item)}]"
    elif isinstance(kind, Map):
        words = f"dict[str, {annotation(kind.value)}]"
    elif isinstance(kind, Record):
        words = "dict[str, Json]"
    elif isinstance(kind, Union):
        words = " | ".join(dict.fromkeys(annotation(replace(each, nullable=False)) for each in kind.members))
    else:
        words = _SCALARS.get(kind.kind, "Json") if isinstance(kind, Scalar) else "Json"
    return f"{words} | None" if kind.nullable else words


def _literal(choice: Choice) -> str:
    """Return ``Literal`` for strings, ``int`` for whole numbers, else ``Json``."""
    if all(isinstance(each, str) for each in choice.values):
        return f"Literal[{', '.join(json.dumps(each, ensure_ascii=False) for each in choice.values)}]"
    are_whole = all(isinstance(each, int) and not isinstance(each, bool) for each in choice.values)
    return "int" if are_whole else "Json"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _table(name: str, pairs: Sequence[tuple[str, str]]) -> str:
    """Return source that assigns a dict to a variable; an empty key merges its value in."""
    entries = "".join(f"        {_quoted(key)}: {value},\n" if key else f"        **{value},\n" for key, value in pairs)
    return f"    {name} = {{\n{entries}    }}\n"


def _entry(parameter: _Parameter, value: str) -> tuple[str, str]:
    """Return a parameter's key and the source of its value, for :func:`_table`."""
    wire = parameter.field.wire
    return ("", f"nested({_quoted(wire)}, {parameter.name})") if parameter.is_nested else (wire, value)


def _in_query(parameter: _Parameter) -> str:
    separator = _SEPARATORS.get(parameter.field.style)
    if separator is None or not isinstance(parameter.kind, List):
        return parameter.name
    joined = f'"{separator}".join(map(str, {parameter.name}))'
    return joined if parameter.field.required else f"{joined} if {parameter.name} else None"


def _in_path(parameter: _Parameter) -> str:
    is_list = isinstance(parameter.kind, List)
    return f'",".join(map(str, {parameter.name}))' if is_list else parameter.name


def _result(kind: Type) -> str:
    if isinstance(kind, (Record, Map)) and not kind.nullable:
        return "dict[str, Any]"
    if isinstance(kind, List) and not kind.nullable:
        return "list[dict[str, Any]]" if isinstance(kind.item, (Record, Map)) else "list[Any]"
    return "Any"


def _sentence(text: str, most: int) -> str:
    """Return a sentence of at most ``most`` characters, without double quotes and backslashes."""
    plain = cleaned(text, most - 4).replace("\\", "/").replace('"', "'").rstrip(".:;,!? ")
    return f"{plain[:1].upper()}{plain[1:]}."
