"""Converts a GraphQL schema to an OpenAPI document: one operation for each field of Query and Mutation.

An operation's ``x-graphql`` has what its request needs: ``kind`` (``query``, ``mutation``, or ``document`` for a
document of one's own), ``field``, ``types`` of its variables, ``into`` (the argument whose keys are the operation's
arguments), ``select`` (what is returned if a call does not say), and ``pages`` if the field is a connection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from kosmolua.errors import ConfigError
from kosmolua.openapi.graphql_calls import PAGE
from kosmolua.openapi.prose import cleaned

SCALARS = {
    "Int": {"type": "integer"},
    "Float": {"type": "number"},
    "String": {"type": "string"},
    "ID": {"type": "string"},
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
    "Date": {"type": "string", "format": "date"},
    "URI": {"type": "string", "format": "uri"},
    "URL": {"type": "string", "format": "uri"},
}
"""The schemas of scalars; any other takes any value."""
MAX_LEAVES = 120
"""A default selection with more scalars has only the usual ones of nested objects."""
MAX_MEMBERS = 10
"""The most types of a union whose fields a default selection has."""
USUAL = ("id", "name", "login", "title", "number", "key", "slug", "url", "state", "status", "createdAt")
MUTATION_ID = "clientMutationId"
"""What a client that needs no such thing leaves out."""
_SECRET = "token|secret|password|api_?key"
DOCUMENT = {
    "type": "object",
    "required": ["query"],
    "properties": {
        "query": {"type": "string", "description": "The GraphQL document: a query or a mutation."},
        "variables": {"type": "object", "description": "The values of its variables.", "additionalProperties": {}},
        "operation": {"type": "string", "description": "The operation to run, if the document has several."},
        "all": {
            "type": "boolean",
            "description": "Return all pages of the first list that has pageInfo; its cursor is the variable $after.",
        },
        "max_items": {"type": "integer", "description": "With all = true, the most items to return."},
    },
}


def document_of(data: bytes, name: str, endpoint: str = "", unselected: str = "$.") -> dict[str, Any]:
    """Convert a schema: SDL, or the result of an introspection query as JSON.

    ``unselected`` is a pattern of fields that default selections leave out.

    Raises:
        ConfigError: The schema cannot be read.
    """
    schema = _schema(data, name)
    root = _Conversion(schema, unselected).root()
    root["servers"] = [{"url": endpoint}] if endpoint else []
    return root


def introspection() -> bytes:
    """Return the body of a request for a service's schema."""
    return json.dumps({"query": _core().get_introspection_query()}).encode()


def _core() -> Any:
    try:
        import graphql
    except ImportError:
        hint = "run: pip install 'kosmolua[graphql]'"
        raise ConfigError("An import of GraphQL needs the package graphql-core", hint=hint) from None
    return graphql


def _schema(data: bytes, name: str) -> Any:
    core = _core()
    text = data.decode("utf-8-sig", "replace")
    try:
        if not text.lstrip().startswith("{"):
            return core.build_ast_schema(core.parse(text, no_location=True), assume_valid=True, assume_valid_sdl=True)
        given = json.loads(text)
        given = given.get("data") or given
        return core.build_client_schema(given, assume_valid=True)
    except (core.GraphQLError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        hint = "pass the SDL, or the JSON that an introspection query returns"
        raise ConfigError(f"{name} is no GraphQL schema: {said}", hint=hint) from None


class _Conversion:
    """Converts one schema."""

    def __init__(self, schema: Any, unselected: str) -> None:
        self._unselected = re.compile(f"{_SECRET}|{unselected}", re.IGNORECASE)
        self._core = _core()
        self._schema = schema
        self._schemas: dict[str, Any] = {}
        self._left: list[str] = []
        self._notes: list[str] = []

    def root(self) -> dict[str, Any]:
        queries = self._schema.query_type.fields if self._schema.query_type else {}
        mutations = self._schema.mutation_type.fields if self._schema.mutation_type else {}
        paths = {"/#query": {"post": _own_document("query")}}
        for kind, fields in (("query", queries), ("mutation", mutations)):
            for name, field in fields.items():
                taken = kind == "mutation" and name in queries
                id_ = f"{kind}_{name}" if taken or name == "query" else name
                if operation := self._operation(kind, name, id_, field):
                    paths[f"/#{kind.capitalize()}.{name}"] = {"post": operation}
        if self._schema.subscription_type:
            self._notes.append("subscriptions have no single answer, and were left out")
        while self._left:
            name = self._left.pop()
            self._schemas[name] = self._named(self._schema.type_map[name])
        return {
            "openapi": "3.1.0",
            "info": {"title": "A GraphQL service", "version": "1"},
            "paths": paths,
            "components": {"schemas": self._schemas},
            "x-notes": self._notes,
        }

    def _operation(self, kind: str, name: str, id_: str, field: Any) -> dict[str, Any] | None:
        arguments = dict(field.args)
        for key, each in field.args.items():
            if self._is_upload(each.type):
                if self._core.is_required_argument(each):
                    self._notes.append(f"{name} uploads a file, which cannot be sent, so it has no function")
                    return None
                self._notes.append(f"{name}: {key} uploads a file, which cannot be sent, so it was left out")
                del arguments[key]
        own: dict[str, Any] = {"kind": kind, "field": name}
        own["types"] = {key: str(each.type) for key, each in arguments.items()}
        given: Mapping[str, Any] = arguments
        single = next(iter(arguments.values())) if len(arguments) == 1 else None
        inner: Any = self._core.get_named_type(single.type) if single else None
        if single and self._core.is_input_object_type(inner) and not self._core.is_list_type(_bare(single.type)):
            own["into"], given = next(iter(arguments)), inner.fields
        if select := self._select(field.type):
            own["select"] = select
        if self._is_connection(field.type) and {"first", "after"} <= arguments.keys():
            own["pages"] = True
        properties = self._inputs(given, name)
        required = [key for key in properties if self._is_required(given[key])]
        body: dict[str, Any] = {"type": "object", "properties": properties}
        body |= {"required": required} if required else {}
        content = {"application/json": {"schema": body}}
        return {
            "operationId": id_,
            "tags": ["queries" if kind == "query" else "mutations"],
            "description": cleaned(field.description or "", 600),
            **({"deprecated": True} if field.deprecation_reason else {}),
            **({"requestBody": {"required": bool(required), "content": content}} if properties else {}),
            "responses": {
                "200": {"description": "", "content": {"application/json": {"schema": self._type(field.type)}}}
            },
            "x-graphql": own,
        }

    def _inputs(self, given: Mapping[str, Any], name: str) -> dict[str, Any]:
        found = {}
        for key, each in given.items():
            if key == MUTATION_ID:
                continue
            if self._is_upload(each.type):
                self._notes.append(f"{name}: {key} uploads a file, which cannot be sent, so it was left out")
                continue
            is_null = {} if self._core.is_non_null_type(each.type) else {"nullable": True}
            found[key] = {**self._described(each, 300), **is_null}
        return found

    def _is_required(self, given: Any) -> bool:
        is_argument = isinstance(given, self._core.GraphQLArgument)
        return bool((self._core.is_required_argument if is_argument else self._core.is_required_input_field)(given))

    def _is_upload(self, kind: Any) -> bool:
        return bool(self._core.get_named_type(kind).name == "Upload")

    def _type(self, kind: Any) -> dict[str, Any]:
        """Return the JSON Schema of a type."""
        kind = _bare(kind)
        if self._core.is_list_type(kind):
            return {"type": "array", "items": self._type(kind.of_type)}
        if self._core.is_scalar_type(kind):
            return dict(SCALARS.get(kind.name, {}))
        if kind.name not in self._schemas:
            self._schemas[kind.name] = {}
            self._left.append(kind.name)
        return {"$ref": f"#/components/schemas/{kind.name}"}

    def _named(self, kind: Any) -> dict[str, Any]:
        core, about = self._core, {"description": each} if (each := cleaned(kind.description or "", 200)) else {}
        if core.is_enum_type(kind):
            return {"type": "string", "enum": [*kind.values], **about}
        if core.is_union_type(kind):
            return {"anyOf": [self._type(each) for each in kind.types], **about}
        if core.is_input_object_type(kind):
            required = [key for key, each in kind.fields.items() if self._is_required(each)]
            must = {"required": required} if required else {}
            return {"type": "object", "properties": self._inputs(kind.fields, kind.name), **must, **about}
        properties = {key: self._described(each, 120) for key, each in kind.fields.items()}
        return {"type": "object", "properties": properties, **about}

    def _described(self, given: Any, most: int) -> dict[str, Any]:
        about = cleaned(given.description or "", most)
        return {**self._type(given.type), **({"description": about} if about else {})}

    def _select(self, kind: Any) -> str:
        """Return the default selection of a field of a type, without its braces; empty for a scalar."""
        named = self._core.get_named_type(kind)
        full = self._selected(named, 2, usual=False)
        return full if full.count(" ") < MAX_LEAVES else self._selected(named, 2, usual=True)

    def _selected(self, kind: Any, depth: int, *, usual: bool) -> str:
        core = self._core
        if core.is_leaf_type(kind):
            return ""
        if core.is_union_type(kind):
            return " ".join(["__typename", *self._of_members(kind, usual=usual)])
        if self._is_connection(kind):
            return self._of_connection(kind, usual=usual)
        names = [*self._leaves(kind)]
        if usual and depth < 2:
            names = [name for name in names if name in USUAL] or names[:3]
        parts = [*(["__typename"] if core.is_interface_type(kind) else []), *names]
        for name, field in kind.fields.items() if depth > 1 else ():
            inner = _bare(field.type)
            is_plain = core.is_list_type(inner) or core.is_leaf_type(inner)
            if is_plain or field.args or field.deprecation_reason or self._unselected.search(name):
                continue
            if not self._is_connection(inner) and (chosen := self._selected(inner, depth - 1, usual=usual)):
                parts.append(f"{name} {{ {chosen} }}")
        return " ".join(parts) or "__typename"

    def _of_connection(self, kind: Any, *, usual: bool) -> str:
        place = "nodes" if "nodes" in kind.fields else "edges"
        node = self._core.get_named_type(kind.fields[place].type)
        if place == "edges":
            node = self._core.get_named_type(node.fields["node"].type)
        inner = self._selected(node, 2, usual=usual) or "__typename"
        shown = f"nodes {{ {inner} }}" if place == "nodes" else f"edges {{ node {{ {inner} }} }}"
        return " ".join([*(["totalCount"] if "totalCount" in kind.fields else []), shown, PAGE])

    def _of_members(self, kind: Any, *, usual: bool) -> Iterator[str]:
        """Yield the scalars of a union's types; fields of one name must have one type."""
        types: dict[str, str] = {}
        for member in kind.types[:MAX_MEMBERS]:
            names = [name for name in self._leaves(member) if types.setdefault(name, str(member.fields[name].type))]
            same = [name for name in names if types[name] == str(member.fields[name].type)]
            same = [name for name in same if name in USUAL or not usual]
            if same:
                yield f"... on {member.name} {{ {' '.join(same)} }}"

    def _leaves(self, kind: Any) -> Iterator[str]:
        for name, field in kind.fields.items():
            needs = any(map(self._core.is_required_argument, field.args.values()))
            is_leaf = self._core.is_leaf_type(self._core.get_named_type(field.type))
            if (
                is_leaf
                and name != MUTATION_ID
                and not needs
                and not field.deprecation_reason
                and not self._unselected.search(name)
            ):
                yield name

    def _is_connection(self, kind: Any) -> bool:
        kind = _bare(kind)
        if not self._core.is_object_type(kind) or "pageInfo" not in kind.fields:
            return False
        edges = kind.fields.get("edges")
        inner = self._core.get_named_type(edges.type) if edges else None
        return "nodes" in kind.fields or "node" in getattr(inner, "fields", ())


def _bare(kind: Any) -> Any:
    """Return a type without its ``!``."""
    return kind.of_type if str(kind).endswith("!") else kind


def _own_document(id_: str) -> dict[str, Any]:
    content = {"application/json": {"schema": DOCUMENT}}
    return {
        "operationId": id_,
        "tags": ["queries"],
        "summary": "Send a GraphQL document of one's own, and return its data; its effect is that of what it selects.",
        "requestBody": {"required": True, "content": content},
        "responses": {"200": {"description": "", "content": {"application/json": {"schema": {"type": "object"}}}}},
        "x-graphql": {"kind": "document"},
    }
