"""Simulates a GraphQL service from the types of its schema: the same request gets the same reply each time.

Connections have :data:`ITEMS` items, and lists :data:`LISTED`. A field has the value of an argument of its name, if
there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from kosmolua.http.graphql_document import MAX_DEPTH, GraphQLDocument, Selection, argument, read_document
from kosmolua.limits import whole_number
from kosmolua.openapi.samples import Samples
from kosmolua.openapi.store import DocumentStore
from kosmolua.protocol import Json
from kosmolua.schema.tree import rows, table

ITEMS, LISTED, PAGE = 25, 3, 10
_KINDS = {"array": list, "string": str, "integer": int, "boolean": bool}
MAX_VALUES = 20_000
"""How many values a reply can have."""
MAX_ECHOED = 3
"""Down to this depth of a reply, a field has the value of an argument of its name."""


def reply(store: DocumentStore, samples: Samples, body: Mapping[str, Any]) -> Json:
    """Return the response to a request with this body."""
    try:
        document = read_document(str(body.get("query")))
        operation = document.chosen(body.get("operationName"))
    except ValueError as error:
        return {"errors": [{"message": str(error)}]}
    variables = table(body.get("variables"))
    data: dict[str, Json] = {}
    simulated = _SimulatedField(store, samples, document, variables)
    for each in document.fields(operation.selections):
        name = store.named(f"POST /#{operation.kind.capitalize()}.{each.name}")
        found = store.detail(name) if name else None
        if found is None:
            return {"errors": [{"message": f"There is no field {each.name}", "path": [each.alias]}]}
        seed = f"{each.name} {' '.join(each.arguments)} {variables}"
        try:
            data[each.alias] = simulated.value(found[1]["result"]["schema"], each, seed)
        except ValueError as error:
            return {"errors": [{"message": str(error), "path": [each.alias]}]}
    return {"data": data}


class _SimulatedField:
    """Makes the value of one field, as it is selected."""

    def __init__(
        self, store: DocumentStore, samples: Samples, document: GraphQLDocument, variables: Mapping[str, Any]
    ) -> None:
        self._store = store
        self._samples = samples
        self._document = document
        self._variables = variables
        self._left = MAX_VALUES
        inner = (each for each in variables.values() if isinstance(each, Mapping))
        self._known = {key: value for each in (variables, *inner) for key, value in each.items()}

    def value(self, schema: Json, selected: Selection, seed: str, depth: int = 0) -> Json:
        self._left -= 1
        if depth > MAX_DEPTH or self._left < 0:
            raise ValueError(f"a simulated reply has at most {MAX_VALUES:,} values, nested {MAX_DEPTH} levels deep")
        name, given = "", table(schema)
        if pointer := given.get("$ref"):
            name, given = str(pointer).rpartition("/")[2], table(self._store.schema(str(pointer)))
        if members := rows(given.get("anyOf")):
            return self.value(members[len(seed) % len(members)], selected, seed, depth)
        known: Any = self._known.get(selected.name) if depth <= MAX_ECHOED and not selected.inner else None
        if isinstance(known, _KINDS.get(str(given.get("type")), ())):
            return cast(Json, known)
        if given.get("type") == "array":
            items = range(1, LISTED + 1)
            return [self.value(given["items"], selected, f"{seed} {each}", depth) for each in items]
        if "properties" not in given:
            return self._samples.of(schema, f"{seed} {selected.name}")
        keys = table(given["properties"])
        if "pageInfo" in keys and {"nodes", "edges"} & keys.keys():
            return self._connection(keys, selected, seed, depth)
        fields = self._document.fields(selected.inner, name)
        return {each.alias: self._field(name, keys, each, seed, depth) for each in fields}

    def _field(self, owner: str, keys: Mapping[str, Json], each: Selection, seed: str, depth: int) -> Json:
        return (
            owner
            if each.name == "__typename"
            else self.value(keys.get(each.name), each, f"{seed} {each.name}", depth + 1)
        )

    def _connection(self, keys: Mapping[str, Json], selected: Selection, seed: str, depth: int) -> Json:
        size, after = (argument(selected, name, self._variables) for name in ("first", "after"))
        start = (whole_number(after) or 0) if isinstance(after, str) else 0
        end = min(start + (size if isinstance(size, int) else PAGE), ITEMS)
        found: dict[str, Json] = {}
        for each in self._document.fields(selected.inner):
            if each.name in ("nodes", "edges"):
                item = table(keys[each.name])["items"]
                numbers: Sequence[int] = range(start + 1, end + 1)
                found[each.alias] = [self.value(item, each, f"item {number}", depth + 1) for number in numbers]
            elif each.name == "pageInfo":
                info: dict[str, Json] = {
                    "hasNextPage": end < ITEMS,
                    "endCursor": str(end),
                    "hasPreviousPage": start > 0,
                }
                found[each.alias] = {inner.alias: info.get(inner.name) for inner in self._document.fields(each.inner)}
            else:
                found[each.alias] = ITEMS if each.name == "totalCount" else self._field("", keys, each, seed, depth)
        return found
