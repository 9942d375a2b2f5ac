"""Requests of GraphQL fields, with the arguments of a call, and of documents of one's own."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kosmolua.errors import BadArguments
from kosmolua.http.client import Api
from kosmolua.http.graphql import data_of
from kosmolua.http.graphql_document import GraphQLDocument, GraphQLOperation, Selection, read_document, read_selections
from kosmolua.http.messages import Response
from kosmolua.openapi.calls import MAX_ITEMS, ApiClient, OperationCall
from kosmolua.openapi.paging import Recipe, ResultPage, at
from kosmolua.openapi.routes import Route
from kosmolua.openapi.walking import walk
from kosmolua.protocol import Json
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.types import STRING

PAGE = "pageInfo { hasNextPage endCursor }"
"""What a connection needs for its pages to be read."""
_SECRET = re.compile(r".*(token|secret|password|api_?key)", re.IGNORECASE)
_CURSORS = ("after", "cursor", "endCursor")
FIRST = 50
"""How many items a page of a connection has if a call does not say; most services want to be told."""


@dataclass(frozen=True)
class GraphQLCall(OperationCall):
    """Sends the request of one field, or a document of one's own."""

    def more_parameters(self) -> Iterator[Parameter]:
        """Yield the parameters of every field that returns more than a scalar."""
        if select := self.graphql.get("select", ""):
            shown = select if len(select) <= 120 else f"{select[:120].rpartition(' ')[0]} ..."
            about = f"What to return, as GraphQL selects it. By default: {shown}"
            yield Parameter(self.spelled("fields"), STRING, about, None)

    def make(self, client: ApiClient, arguments: Mapping[str, Any]) -> Json:
        """Send the request, or those for all pages if the argument ``all`` is true, and return the field's value.

        Raises:
            BadArguments: ``fields``, or the document, is not valid.
            CallError: The request failed, or the response has errors.
        """
        api = client.api(self.server, is_open=self.is_open)
        if self.graphql["kind"] == "document":
            return self._own(api, arguments)
        given = dict(arguments)
        wants_all = given.pop(self.spelled("all"), False) if self.recipe else False
        most = given.pop(self.spelled("max_items"), MAX_ITEMS) if self.recipe else 0
        select = self._selection(given.pop(self.spelled("fields"), None), pages=bool(wants_all))
        wires = {each.wire: given[each.name] for each in self.fields if each.name in given}
        if self.recipe and not wires.keys() & {"first", "last"}:
            wires["first"] = self.recipe.maximum if wants_all else FIRST

        def fetch(changed: Mapping[str, Json]) -> ResultPage:
            response = self._post(api, {**wires, **changed}, select)
            return ResultPage(data_of(response).get(self.graphql["field"]), response)

        def follow(url: str) -> ResultPage:
            response = api.follow(url)
            return ResultPage(data_of(response), response)

        if not wants_all or self.recipe is None:
            return fetch({}).value
        return walk(self.recipe, wires, fetch, follow, most, self.key)

    @property
    def key(self) -> str:
        """The type and name of the field, such as ``Query.repository``."""
        return f"{self.graphql['kind'].capitalize()}.{self.graphql['field']}"

    def _selection(self, fields: str | None, *, pages: bool) -> str:
        if fields is None:
            return str(self.graphql.get("select", ""))
        try:
            found = read_selections(fields)
            _refuse_renamed(found)
        except ValueError as error:
            raise BadArguments(f"fields: {error}", param="fields", hint="such as 'id owner { login }'") from None
        if pages and "pageInfo" not in [each.name for each in found]:
            return f"{fields}\n{PAGE}"
        return f"{fields}\n"  # it may end with a comment

    def _post(self, api: Api, wires: Mapping[str, Any], select: str) -> Response:
        kind, field, into = self.graphql["kind"], self.graphql["field"], self.graphql.get("into")
        variables = {into: dict(wires)} if into else wires
        types = self.graphql["types"]
        head = ", ".join(f"${name}: {types[name]}" for name in variables)
        passed = ", ".join(f"{name}: ${name}" for name in variables)
        inner = f" {{ {select} }}" if select else ""
        text = f"{kind} {field}{f'({head})' if head else ''} {{ {field}{f'({passed})' if passed else ''}{inner} }}"
        return _post(api, self.path, text, variables, mutates=kind == "mutation")

    def _own(self, api: Api, arguments: Mapping[str, Any]) -> Json:
        text, variables = arguments["query"], arguments.get("variables") or {}
        _, operation = chosen(text, arguments.get("operation"))
        named = {"operationName": operation.name} if arguments.get("operation") else {}
        mutates = operation.kind == "mutation"
        if mutates and arguments.get("all"):
            raise BadArguments("all = true is for queries: it would send a mutation for each page", param="all")
        response = _post(api, self.path, text, variables, mutates=mutates, **named)
        data = data_of(response)
        if not arguments.get("all"):
            return data
        cursor = next((name for name in _CURSORS if name in operation.variables), "")
        place = _connection(data)
        if not cursor or place is None:
            hint = "declare a variable $after, and select pageInfo { hasNextPage endCursor } of the list"
            raise BadArguments("all = true finds no list with pages in the document", param="all", hint=hint)
        recipe = Recipe("token", cursor, f"{place}.pageInfo.endCursor", more=f"{place}.pageInfo.hasNextPage")
        key = "nodes" if isinstance(at(data, f"{place}.nodes"), list) else "edges"
        recipe = recipe._replace(items=f"{place}.{key}")
        read: list[ResultPage] = [ResultPage(data, response)]

        def fetch(changed: Mapping[str, Json]) -> ResultPage:
            if read and not changed.get(cursor):
                return read.pop()
            more = _post(api, self.path, text, {**variables, **changed}, mutates=mutates, **named)
            return ResultPage(data_of(more), more)

        most = arguments.get("max_items") or MAX_ITEMS
        return walk(recipe, variables, fetch, lambda url: fetch({}), most, "the GraphQL document")


def _connection(value: Json, place: str = "") -> str | None:
    """Return the place of the first connection in a response's data."""
    for key, each in value.items() if isinstance(value, dict) else ():
        inside = f"{place}.{key}" if place else key
        if isinstance(each, dict) and isinstance(each.get("pageInfo"), dict):
            return inside
        if found := _connection(each, inside):
            return found
    return None


def roots_of(given: Sequence[Json]) -> list[str]:
    """Return the fields of Query and Mutation that a call of a document of one's own has, such as ``Query.viewer``.

    Raises:
        BadArguments: It is no GraphQL document, or has no such operation.
    """
    named = given[0] if len(given) == 1 and isinstance(given[0], Mapping) else {}
    text = named.get("query", given[0] if given else "")
    operation = named.get("operation", given[2] if len(given) > 2 else None)
    document, found = chosen(text if isinstance(text, str) else "", operation if isinstance(operation, str) else None)
    try:
        names = {each.name for each in document.fields(found.selections)}
    except ValueError as error:
        raise BadArguments(str(error), param="query") from None
    return [f"{found.kind.capitalize()}.{name}" for name in sorted(names) if not name.startswith("__")]


def _post(api: Api, path: str, text: str, variables: Mapping[str, Any], *, mutates: bool, **more: str) -> Response:
    body = {"query": text, "variables": dict(variables), **more}
    return api.fetch("POST", Route(path), {}, json=body, safe=not mutates, mutates=mutates)


def chosen(text: str, operation: str | None) -> tuple[GraphQLDocument, GraphQLOperation]:
    """Return a document, and the operation of it that a call runs.

    Raises:
        BadArguments: It is no GraphQL document, or has no such operation.
    """
    try:
        document = read_document(text)
        found = document.chosen(operation)
        _refuse_renamed([*found.selections, *document.fragments.values()])
    except ValueError as error:
        raise BadArguments(str(error), param="query") from None
    if found.kind == "subscription":
        what = "a subscription has no single answer"
        raise BadArguments(what, param="query", hint="send a query or a mutation")
    return document, found


def _refuse_renamed(selections: Sequence[Selection]) -> None:
    """Raise a ValueError for another name of a credential, by which nobody would know that it is a secret."""
    left = [*selections]
    while left:
        each = left.pop()
        left += each.inner
        if each.alias not in ("", each.name) and not (each.inner or each.arguments) and _SECRET.fullmatch(each.name):
            raise ValueError(f"{each.name} may be a credential, so it cannot be selected as {each.alias}")
