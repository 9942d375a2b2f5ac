"""What the OpenAPI specification makes of a call, written from the specification alone: it shares no code with the
package, so that the two can be compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import quote, unquote

try:
    from re import _parser as parser  # type: ignore[attr-defined]
except ImportError:  # Python 3.10
    import sre_parse as parser

FILE_BYTES = b"\x00\x01file"
FILE = {"base64": "AAFmaWxl", "filename": "a.bin", "content_type": "application/octet-stream"}
MAX_LEVELS = 4
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"


@dataclass
class Expected:
    """One call: its arguments by place and name, and the request that the specification makes of them."""

    method: str
    path: str
    arguments: dict[tuple[str, str], Any] = field(default_factory=dict)
    query: list[tuple[str, str]] = field(default_factory=list)
    fixed: list[tuple[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    media: str = ""


class Reference:
    """Makes calls of a document (OpenAPI 3), each with the request that has to be sent.

    Args:
        root: The document.
        seed: Chooses optional parameters and values.
    """

    def __init__(self, root: Mapping[str, Any], seed: int = 1) -> None:
        self._root = root
        self._random = Random(seed)

    def calls(self) -> Iterator[tuple[str, Expected]]:
        """Yield a call of each operation, with the operation's key."""
        for path, item in self._root.get("paths", {}).items():
            item = self._at(item)
            for method in ("get", "head", "post", "put", "patch", "delete", "options"):
                if isinstance(item, dict) and isinstance(item.get(method), dict):
                    template = path.partition("#")[0]
                    yield f"{method.upper()} {path}", self._call(method, template, item, item[method])

    def _at(self, node: Any) -> Any:
        for _ in range(20):
            if not (isinstance(node, dict) and isinstance(node.get("$ref"), str)):
                break
            found: Any = self._root
            for word in node["$ref"].split("/")[1:]:
                key = unquote(word).replace("~1", "/").replace("~0", "~")
                found = found[int(key)] if isinstance(found, list) else found.get(key, {})
            node = found
        return node

    def _call(self, method: str, path: str, item: Any, operation: Any) -> Expected:
        made = Expected(method.upper(), path.partition("?")[0])
        given = {}
        for each in [*item.get("parameters", []), *operation.get("parameters", [])]:
            parameter = self._at(each)
            given[parameter.get("name"), parameter.get("in")] = parameter
        for (name, place), parameter in given.items():
            if place == "path" or parameter.get("required") or self._random.random() < 0.3:
                self._pass(made, name, place, parameter, of_aws="x-aws-operation-name" in operation)
        for pair in filter(None, path.partition("?")[2].split("&")):
            key, _, value = pair.partition("=")
            made.fixed.append((unquote(key), unquote(value)))
        self._add_body(made, self._at(operation.get("requestBody") or {}))
        return made

    def _pass(self, made: Expected, name: str, place: str, parameter: Any, *, of_aws: bool) -> None:
        content = parameter.get("content")
        schema = next(iter(content.values()), {}).get("schema", {}) if content else parameter.get("schema", {})
        value = self.value(schema)
        if value is None or value in ("", [], {}):
            return
        if of_aws and place == "query" and isinstance(value, (list, dict)):
            return  # the query protocol is compared with botocore
        made.arguments[place, name] = value
        style = parameter.get("style") or {"query": "form", "cookie": "form"}.get(place, "simple")
        explode = parameter.get("explode", style == "form")
        if content:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            pairs = [(name, text)]
        else:
            pairs = styled(name, value, style, explode=explode)
        if place == "query":
            made.query += pairs
        elif place == "header":
            made.headers[name.lower()] = ",".join(text for _, text in pairs)
        elif place == "path":
            made.path = made.path.replace(f"{{{name}}}", in_path(name, value, style, explode=explode))

    def _add_body(self, made: Expected, body: Any) -> None:
        content = {media: self._at(each) for media, each in body.get("content", {}).items()}
        kinds = [
            lambda media: bool(re.match(r"application/json\b|[^;*]*\+json\b", media)),
            lambda media: media.startswith(FORM),
            lambda media: media.startswith(MULTIPART),
        ]
        media = next((each for fits in kinds for each in content if fits(each)), None)
        if media is None or media.startswith("application/json-patch"):
            return
        schema = content[media].get("schema", {})
        value = self.value(schema, is_sent=True, files=media.startswith(MULTIPART))
        if value is None or (not isinstance(value, dict) and not kinds[0](media)):
            return
        if isinstance(value, dict):
            made.arguments |= {("body", name): each for name, each in value.items()}
        made.arguments["body", ""] = value
        made.media = media
        if media.startswith(FORM):
            encodings = content[media].get("encoding", {})
            made.body = [
                pair for name, each in value.items() for pair in self._form(name, each, encodings.get(name, {}))
            ]
        else:
            made.body = value

    def _form(self, name: str, value: Any, encoding: Any) -> list[tuple[str, str]]:
        style = encoding.get("style", "form")
        return styled(name, value, style, explode=encoding.get("explode", style == "form"))

    def value(self, schema: Any, level: int = 0, *, is_sent: bool = False, files: bool = False) -> Any:
        """Return a value that fits a schema; None if none is known."""
        schema = self._at(schema)
        if not isinstance(schema, dict) or level > MAX_LEVELS:
            return None
        if "const" in schema or schema.get("enum"):
            return schema["const"] if "const" in schema else schema["enum"][0]
        if schema.get("allOf"):
            return self._of_all(schema, level, is_sent=is_sent, files=files)
        for word in ("oneOf", "anyOf"):
            members = [each for each in schema.get(word) or [] if self._at(each).get("type") != "null"]
            if members and not schema.get("properties"):
                return self.value({**schema, **self._at(members[0]), word: None}, level, is_sent=is_sent, files=files)
        kind = schema.get("type", "object" if "properties" in schema else "string" if "format" in schema else None)
        kind = next((each for each in kind if each != "null"), None) if isinstance(kind, list) else kind
        if kind == "object":
            return self._object(schema, level, is_sent=is_sent, files=files)
        if kind == "array":
            item = self.value(schema.get("items", {}), level + 1, is_sent=is_sent, files=files)
            most = 1 if schema.get("uniqueItems") else 2
            return (
                None
                if item is None
                else [item] * max(min(most, schema.get("maxItems", most)), schema.get("minItems", 0))
            )
        return self._scalar(kind, schema, files=files)

    def _of_all(self, schema: Any, level: int, **more: bool) -> Any:
        parts = [self.value(each, level, **more) for each in schema["allOf"]]
        tables = [each for each in parts if isinstance(each, dict)]
        own = (self._object(schema, level, **more) if "properties" in schema else None) or {}
        if tables or own:
            return {key: each for table in [*tables, own] for key, each in table.items()}
        return next((each for each in parts if each is not None), None)

    def _object(self, schema: Any, level: int, *, is_sent: bool, files: bool) -> Any:
        found = {}
        required = schema.get("required") if isinstance(schema.get("required"), list) else []
        for name, each in (schema.get("properties") or {}).items():
            plain = self._at(each)
            if not isinstance(plain, dict) or (is_sent and (plain.get("readOnly") or each.get("readOnly"))):
                continue
            if name in required or self._random.random() < 0.3:
                value = self.value(each, level + 1, is_sent=is_sent, files=files)
                if value is not None:
                    found[name] = value
        return found or None

    def _scalar(self, kind: Any, schema: Any, *, files: bool) -> Any:
        if kind == "boolean":
            return True
        if kind in ("integer", "number"):
            least = schema.get("minimum", schema.get("maximum", 7))
            least = least if isinstance(least, (int, float)) and not isinstance(least, bool) else 7
            return int(least) + (1 if schema.get("exclusiveMinimum") is True else 0)
        if kind != "string":
            return None
        if schema.get("format") == "binary":
            return dict(FILE) if files else None
        known = {
            "date": "2026-01-02",
            "date-time": "2026-01-02T03:04:05Z",
            "uuid": "0e9cf0f8-2b4b-4f0c-8f65-1c2d3e4f5a6b",
            "email": "a@example.com",
            "uri": "https://example.com/a?b=c",
            "url": "https://example.com/a?b=c",
            "ipv4": "192.0.2.1",
            "byte": "aGk=",
        }
        if isinstance(schema.get("pattern"), str):
            return matching(schema["pattern"], schema.get("minLength", 0))
        if schema.get("format") not in (None, *known):
            found = schema.get("example", schema.get("default"))
            return found if isinstance(found, str) and found else "x"
        text = known.get(schema.get("format"), "x y/é&=1,2")
        if "format" not in schema:
            text = text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength", 1000)]
        return text


def matching(pattern: str, least: int = 0) -> str | None:
    """Return a text that matches a pattern, made of the first choice everywhere; None if that does not match."""
    try:
        text = "".join(_matching(parser.parse(pattern)))
        found = text if len(text) >= least else text.ljust(least, text[-1:] or "x")
        return found if found and re.search(pattern, found) else None
    except (re.error, ValueError, TypeError):
        return None


def _matching(tree: Any) -> Iterator[str]:
    for kind, given in tree:
        name = str(kind)
        if name == "LITERAL":
            yield chr(given)
        elif name == "IN":
            first, value = given[0]
            yield {"LITERAL": chr, "RANGE": lambda span: chr(span[0])}.get(str(first), lambda _: "0")(value)
        elif name in ("MAX_REPEAT", "MIN_REPEAT"):
            yield "".join(_matching(given[2])) * max(given[0], 1)
        elif name == "SUBPATTERN":
            yield from _matching(given[3])
        elif name == "BRANCH":
            yield from _matching(given[1][0])
        elif name in ("ANY", "NOT_LITERAL"):
            yield "x"


def word(value: Any) -> str:
    """Return a value as text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def styled(name: str, value: Any, style: str, *, explode: bool) -> list[tuple[str, str]]:
    """Return the pairs of name and value that a parameter becomes in a query, a form or a header."""
    between = {"spaceDelimited": " ", "pipeDelimited": "|"}.get(style, ",")
    if style == "deepObject" and isinstance(value, (dict, list)):
        return [*deep(name, value)]
    if isinstance(value, list):
        words = [word(each) for each in value]
        return [(name, each) for each in words] if explode and style == "form" else [(name, between.join(words))]
    if isinstance(value, dict):
        if explode and style == "form":
            return [(key, text) for key, each in value.items() for _, text in styled(key, each, "form", explode=True)]
        signs = "=" if explode else ","
        return [(name, between.join(f"{key}{signs}{word(each)}" for key, each in value.items()))]
    return [(name, word(value))]


def deep(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a value whose keys are in brackets."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from deep(f"{name}[{key}]", each)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from deep(f"{name}[{place}]", each)
    else:
        yield name, word(value)


def in_path(name: str, value: Any, style: str, *, explode: bool) -> str:
    """Return what a parameter becomes in a path."""
    first, between = {"label": (".", "."), "matrix": (";", ";")}.get(style, ("", ","))
    joint = between if explode else ","
    if isinstance(value, dict):
        sign = "=" if explode else ","
        words = [f"{quote(key, safe='')}{sign}{quote(word(each), safe='')}" for key, each in value.items()]
    else:
        words = [quote(word(each), safe="") for each in (value if isinstance(value, list) else [value])]
    if style == "matrix" and not (isinstance(value, dict) and explode):
        words = [f"{name}={each}" for each in words] if explode else [f"{name}={','.join(words)}"]
    return first + joint.join(words)
