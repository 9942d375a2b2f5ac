"""Lists and tables in forms of AWS's query protocol: ``Tags.member.1.Key``, and of EC2 ``Filter.1.Value.2``.

The names are those of the schema for XML. Documents lack the names of a map's keys: they are those of SQS and SNS.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kosmolua.openapi.bodies import word_of
from kosmolua.openapi.operations import Field
from kosmolua.protocol import Json
from kosmolua.schema.tree import SchemaTree, text

STYLES = ("aws", "ec2")
"""The styles of arguments that are written so: the query protocol, and what EC2 makes of it."""


class AwsQuery:
    """Writes the arguments of operations as AWS's query protocol has them."""

    def __init__(self, tree: SchemaTree) -> None:
        self._tree = tree

    def flattened(self, fields: Sequence[Field], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments of which each with such a style is a table of the names and texts to send."""
        found = dict(given)
        for each in fields:
            if each.style in STYLES and given.get(each.name) is not None:
                is_ec2 = each.style == "ec2"
                head = self._name(each.wire, each.schema, is_ec2=is_ec2)
                found[each.name] = dict(self._pairs(head, each.schema, given[each.name], is_ec2=is_ec2))
        return found

    def _name(self, key: str, schema: Json, *, is_ec2: bool) -> str:
        name = text(self._tree.whole(schema)["xml"].get("name")) or key
        return name[:1].upper() + name[1:] if is_ec2 else name

    def _pairs(self, prefix: str, schema: Json, value: Any, *, is_ec2: bool) -> Iterator[tuple[str, str]]:
        plain = self._tree.whole(schema)
        xml = plain["xml"]
        if isinstance(value, (list, tuple)):
            items = plain.get("items", {})
            name = text(self._tree.whole(items)["xml"].get("name"))
            head = f"{prefix}.{name or 'member'}"
            if is_ec2:
                head = prefix
            elif xml.get("wrapped") is False:
                head = ".".join([*prefix.split(".")[:-1], name or prefix.rpartition(".")[2]])
            if not value and not is_ec2:
                yield prefix, ""
            for number, each in enumerate(value, start=1):
                yield from self._pairs(f"{head}.{number}", items, each, is_ec2=is_ec2)
        elif isinstance(value, Mapping):
            if known := self._tree.keys(schema):
                for key, each in value.items():
                    name = self._name(key, known.get(key, {}), is_ec2=is_ec2)
                    yield from self._pairs(f"{prefix}.{name}", known.get(key, {}), each, is_ec2=is_ec2)
            else:
                yield from self._entries(prefix, plain.get("additionalProperties"), value, xml, is_ec2=is_ec2)
        elif value is not None:
            yield prefix, word_of(value)

    def _entries(
        self, prefix: str, schema: Json, value: Mapping[str, Any], xml: Mapping[str, Any], *, is_ec2: bool
    ) -> Iterator[tuple[str, str]]:
        """Yield a map: each key beside its value."""
        head, names = f"{prefix}.entry", ("key", "value")
        if xml.get("wrapped") is False:
            head, names = prefix, ("Key" if prefix.endswith("Tag") else "Name", "Value")
        for number, (key, each) in enumerate(value.items(), start=1):
            yield f"{head}.{number}.{names[0]}", key
            yield from self._pairs(f"{head}.{number}.{names[1]}", schema, each, is_ec2=is_ec2)
