"""References of OpenAPI 3.1 by ``$id`` and ``$anchor``, rewritten to pointers such as ``#/components/schemas/Pet``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urljoin

from kosmolua.openapi.bundling import NAMED, VALUES
from kosmolua.protocol import Json
from kosmolua.schema.tree import target, text

NAMES_PARTS = re.compile(rb"\$(?:id|self|anchor|dynamic\w+|recursive\w+)\b")
"""Matches the keywords that name a part of a document, or refer to one by its name."""


class _Part(NamedTuple):
    """A part of a document: where it is, and the address of the ``$id`` around it."""

    node: dict[str, Any]
    place: str
    base: str


def pointed(root: Json) -> Json:
    """Rewrite the references of a document, in place, that lead to a part by its name, and return the document.

    ``$dynamicRef`` becomes a ``$ref`` to what it leads to without its context.
    """
    parts = [*_parts(root)]
    places = {"": "#"}
    for part in parts:
        if part.node is root or isinstance(part.node.get("$id"), str):
            places.setdefault(part.base, part.place)
        anchors = [f"#{text(part.node[word])}" for word in ("$anchor", "$dynamicAnchor") if word in part.node]
        anchors += [text(part.node.get("$id"))] if text(part.node.get("$id")).startswith("#") else []
        for each in anchors:
            places.setdefault(part.base + each, part.place)
    for node, _, base in parts:
        for word in ("$dynamicRef", "$recursiveRef"):
            if isinstance(node.get(word), str):
                node.setdefault("$ref", node.pop(word))
        address, _, fragment = _joined(base, text(node.get("$ref"))).partition("#")
        is_pointer = fragment[:1] in ("", "/")
        place = places.get(address if is_pointer else f"{address}#{fragment}")
        if place and "$ref" in node:
            pointer = place + fragment if is_pointer else place
            with suppress(LookupError):  # many documents have an $id, and yet refer to their root
                target(root, pointer)
                node["$ref"] = pointer
    return root


def _parts(root: Json) -> Iterator[_Part]:
    base = text(root.get("$self")) if isinstance(root, dict) else ""
    left: list[tuple[Json, str, str]] = [(root, "#", base)]
    while left:
        node, place, base = left.pop()
        if isinstance(node, list):
            left += [(each, f"{place}/{number}", base) for number, each in enumerate(node)]
        elif isinstance(node, dict):
            base = _joined(base, text(node.get("$id"))).partition("#")[0]
            yield _Part(node, place, base)
            for key, value in node.items():
                if key in NAMED and isinstance(value, dict):
                    left += [(each, f"{place}/{key}/{_escaped(name)}", base) for name, each in value.items()]
                elif key not in VALUES and key[:2] != "x-":
                    left.append((value, f"{place}/{_escaped(key)}", base))


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1").replace("%", "%25")


def _joined(base: str, reference: str) -> str:
    if reference[:1] == "#":
        return base + reference  # urljoin leaves the base out if it is a URN
    with suppress(ValueError):
        return urljoin(base, reference)
    return reference
