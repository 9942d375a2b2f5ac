"""Swagger 2.0, rewritten to OpenAPI 3.0 when a document is read, so that nothing else knows it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from kosmolua.openapi.bundling import VALUES
from kosmolua.protocol import Json
from kosmolua.schema.tree import SchemaTree, rows, table, target, text

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
_FLOWS = {"accessCode": "authorizationCode", "application": "clientCredentials"}
_STYLES = {"ssv": "spaceDelimited", "tsv": "tabDelimited", "pipes": "pipeDelimited"}
_OF_SCHEMAS = """
type format items enum default minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength minItems
maxItems pattern properties additionalProperties x-nullable
"""
_SCHEMA_KEYS = frozenset(_OF_SCHEMAS.split())
_OF_ROOTS = """
swagger host basePath schemes consumes produces paths definitions parameters responses securityDefinitions
"""
_REPLACED = frozenset(_OF_ROOTS.split())
_DEFINITIONS, _SCHEMAS = "#/definitions/", "#/components/schemas/"


def rewritten(root: dict[str, Any]) -> dict[str, Any]:
    """Return a Swagger 2.0 document as OpenAPI 3.0; what cannot be read is left out, or stays as it is."""
    return _Rewriting(root).document()


class _Rewriting:
    """The rewriting of one document."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._resolved = SchemaTree(partial(target, root)).resolve
        self._moved: dict[str, str] = {}
        self._schemas: dict[str, Json] = {}

    def document(self) -> dict[str, Any]:
        root = self._root
        kept = {key: value for key, value in root.items() if key not in _REPLACED}
        paths = {path: self._item(item) for path, item in root.get("paths", {}).items()}
        self._schemas |= {name: self._schema(each) for name, each in table(root.get("definitions")).items()}
        schemes = table(root.get("securityDefinitions"))
        components = {
            "schemas": self._schemas,
            "securitySchemes": {name: _scheme(self._resolved(each)) for name, each in schemes.items()},
        }
        return {"openapi": "3.0.3", **kept, "servers": self._servers(), "paths": paths, "components": components}

    def _servers(self) -> list[Json]:
        host, schemes = self._root.get("host"), self._root.get("schemes") or ["https"]
        if not isinstance(host, str) or not host:
            return []
        scheme = "https" if "https" in schemes else schemes[0]
        base = text(self._root.get("basePath"))
        slash = "/" if base and base[0] != "/" else ""
        return [{"url": f"{scheme}://{host}{slash}{base}"}]

    def _item(self, given: Json) -> Json:
        item = self._resolved(given)
        if not item:
            return given
        shared = self._parameters(item)
        made = {
            key: self._operation(value, shared) if key in METHODS and isinstance(value, dict) else value
            for key, value in item.items()
        }
        return made | {"parameters": [*map(self._parameter, _outside(shared))]}

    def _operation(self, given: dict[str, Any], shared: list[dict[str, Any]]) -> Json:
        own = self._parameters(given)
        made = {key: value for key, value in given.items() if key not in ("consumes", "produces")}
        made["parameters"] = [*map(self._parameter, _outside(own))]
        if body := self._body(given, [*shared, *own]):
            made["requestBody"] = body
        if isinstance(responses := given.get("responses"), dict):
            produces = self._media(given, "produces") or ["application/json"]
            made["responses"] = {key: self._response(each, produces) for key, each in responses.items()}
        return made

    def _parameters(self, given: Mapping[str, Any]) -> list[dict[str, Any]]:
        found = map(self._resolved, rows(given.get("parameters")))
        return [each for each in found if text(each.get("name")) and text(each.get("in"))]

    def _parameter(self, given: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in given.items() if key not in _SCHEMA_KEYS and key != "collectionFormat"}
        return {**kept, "schema": self._schema_of(given), **_style(given)}

    def _schema_of(self, parameter: Mapping[str, Any]) -> Json:
        return self._schema({key: value for key, value in parameter.items() if key in _SCHEMA_KEYS})

    def _body(self, given: Mapping[str, Any], parameters: list[dict[str, Any]]) -> dict[str, Any] | None:
        media = self._media(given, "consumes")
        if bodies := [each for each in parameters if each["in"] == "body"]:
            contents = {"schema": self._schema(bodies[-1].get("schema", {}))}
            told: dict[str, Any] = {key: bodies[-1][key] for key in ("required", "description") if key in bodies[-1]}
            return {"content": dict.fromkeys(media or ["application/json"], contents), **told}
        forms = {each["name"]: each for each in parameters if each["in"] == "formData"}
        return self._form([*forms.values()], media) if forms else None

    def _media(self, operation: Mapping[str, Any], key: str) -> list[str]:
        """Return the media types that an operation ``consumes`` or ``produces``."""
        return [each for each in rows(operation.get(key, self._root.get(key))) if isinstance(each, str)]

    def _form(self, fields: list[dict[str, Any]], media: list[str]) -> dict[str, Any]:
        has_file = any(each.get("type") == "file" for each in fields)
        kind = "multipart/form-data" if has_file else "application/x-www-form-urlencoded"
        if media and kind not in media and not has_file:
            kind = next((each for each in media if each.startswith("multipart/")), kind)
        required = [each["name"] for each in fields if each.get("required") is True]
        schema = {
            "type": "object",
            "properties": {each["name"]: self._field(each) for each in fields},
            "required": required,
            "additionalProperties": False,
        }
        encoding = {each["name"]: _style(each) for each in fields}
        return {"content": {kind: {"schema": schema, "encoding": encoding}}, "required": bool(required)}

    def _field(self, given: Mapping[str, Any]) -> Json:
        schema = self._schema_of(given)
        if isinstance(schema, dict) and text(given.get("description")):
            schema = {**schema, "description": given["description"]}
        return schema

    def _response(self, given: Json, produces: list[str]) -> Json:
        answer = self._resolved(given)
        made = {key: value for key, value in answer.items() if key not in ("schema", "examples")}
        if "schema" in answer:
            schema = self._schema(answer["schema"])
            if table(schema).get("format") == "binary":  # lists of what a service produces rarely have its files
                produces = [media for media in produces if "json" not in media] or ["*/*"]
            made["content"] = {media: {"schema": schema} for media in produces}
        return made

    def _schema(self, given: Json) -> Json:
        """Return a schema with its references and files as in OpenAPI 3.0."""
        if isinstance(given, list):
            return [self._schema(each) for each in given]
        if not isinstance(given, dict):
            return given
        if isinstance(pointer := given.get("$ref"), str):
            given = {**given, "$ref": self._reference(pointer)}
        elif given.get("type") == "file":
            given = {**given, "type": "string", "format": "binary"}
        if isinstance(given.get("items"), list):  # Swagger has no such thing; Slack's document lists alternatives in it
            either = {"anyOf": given["items"]}
            rest = {key: value for key, value in given.items() if key != "items"}
            given = {**rest, "items": either} if given.get("type") == "array" else {**rest, **either}
        return {
            key: {name: self._schema(each) for name, each in value.items()}
            if key == "properties" and isinstance(value, dict)
            else value
            if key in VALUES or key[:2] == "x-"
            else self._schema(value)
            for key, value in given.items()
        }

    def _reference(self, pointer: str) -> str:
        """Return where the target of a reference is now; a schema outside of the definitions becomes one of them."""
        if pointer.startswith(_DEFINITIONS):
            return _SCHEMAS + pointer.removeprefix(_DEFINITIONS)
        if pointer not in self._moved:
            try:
                schema = target(self._root, pointer)
            except LookupError:
                return pointer
            name = self._moved[pointer] = f"{pointer.rpartition('/')[2]}_{len(self._moved) + 1}"
            self._schemas[name] = self._schema(schema)
        return _SCHEMAS + self._moved[pointer]


def _outside(parameters: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parameters that are not in the body."""
    return [each for each in parameters if each["in"] not in ("body", "formData")]


def _style(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """Return how the items of a list are written."""
    how = text(parameter.get("collectionFormat"))
    style = {"style": _STYLES[how]} if how in _STYLES else {}
    return {**style, "explode": how == "multi"}


def _scheme(given: dict[str, Any]) -> dict[str, Any]:
    if given.get("type") == "basic":
        return {**given, "type": "http", "scheme": "basic"}
    if given.get("type") == "oauth2":
        flow = text(given.get("flow"))
        kept = {key: given[key] for key in ("authorizationUrl", "tokenUrl", "refreshUrl", "scopes") if key in given}
        return {**given, "flows": {_FLOWS.get(flow, flow): kept}}
    return given
