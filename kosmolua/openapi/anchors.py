"""References of OpenAPI 3.1 by ``$id`` and ``$anchor``, rewritten to pointers such as ``#/components/schemas/Pet``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urljoin

from kosmolua.openapi.bundling import NAMED, VALUES
from kosmolua.protocol import Json
from kosmolua.schema.tree import target, text

NAMES_PARTS = re.compile(rb"\$(?:id|self|anchor|dynamic\w+|recursive\w+)\b")
"""Matches the keywords that name a part of a document, or refer to one by its name."""
_Way: TypeAlias = "tuple[_Way, object] | None"
"""The way to a part: that to the part around it, and a key or number; None to the document itself."""
_ANCHORS = ("$anchor", "$dynamicAnchor")
_KEYWORDS = frozenset({"$id", "$ref", "$dynamicRef", "$recursiveRef", *_ANCHORS})


class _Part(NamedTuple):
    """A part of a document, the address of the ``$id`` around it, and the way to the ``$recursiveAnchor`` around it."""

    node: Any
    way: _Way
    base: str
    turn: _Way


def pointed(root: Json) -> Json:
    """Rewrite the references of a document, in place, that lead to a part by its name, and return the document.

    ``$dynamicRef`` and ``$recursiveRef`` become a ``$ref`` to what they lead to without their context.
    """
    parts = [*_parts(root)]
    places = {text(root.get("$self")) if isinstance(root, dict) else "": "#"}
    for node, way, base, _ in parts:
        own = text(node.get("$id"))
        if own and own[0] != "#":
            places.setdefault(base, _pointer(way))
        anchors = own if own[:1] == "#" else "", *(f"#{node[word]}" for word in _ANCHORS if word in node)
        places |= {base + each: _pointer(way) for each in anchors if each and base + each not in places}
    for node, _, base, turn in parts:
        if "$recursiveRef" in node and turn:
            node.setdefault("$ref", _pointer(turn))
        elif text(node.get("$dynamicRef")):
            node.setdefault("$ref", node["$dynamicRef"])
        reference = text(node.get("$ref"))
        if not reference or (reference[:2] == "#/" and not base):
            continue
        address, _, fragment = _joined(base, reference).partition("#")
        is_pointer = fragment[:1] in ("", "/")
        place = places.get(address if is_pointer else f"{address}#{fragment}")
        if place:
            pointer = place + fragment if is_pointer else place
            with suppress(LookupError):  # many documents have an $id, and yet refer to their root
                target(root, pointer)
                node["$ref"] = pointer
    return root


def _parts(root: Json) -> Iterator[_Part]:
    """Yield the parts that have a name or a reference."""
    own = text(root.get("$self")) if isinstance(root, dict) else ""
    left: list[tuple[Json, _Way, str, _Way]] = [(root, None, own, None)]
    while left:
        node, way, base, turn = left.pop()
        if isinstance(node, list):
            left += [(each, (way, number), base, turn) for number, each in enumerate(node)]
        elif isinstance(node, dict):
            base = _joined(base, text(node.get("$id"))).partition("#")[0] if "$id" in node else base
            turn = way if node.get("$recursiveAnchor") is True else turn
            if not _KEYWORDS.isdisjoint(node):
                yield _Part(node, way, base, turn)
            for key, value in node.items():
                if key in NAMED and isinstance(value, dict):
                    left += [(each, ((way, key), name), base, turn) for name, each in value.items()]
                elif isinstance(value, (dict, list)) and key not in VALUES and key[:2] != "x-":
                    left.append((value, (way, key), base, turn))


def _pointer(way: _Way) -> str:
    keys = []
    while way:
        way, key = way
        keys.append(str(key).replace("~", "~0").replace("/", "~1").replace("%", "%25"))
    return "/".join(["#", *reversed(keys)])


def _joined(base: str, reference: str) -> str:
    if reference[:1] == "#":
        return base + reference  # urljoin leaves the base out if it is a URN
    with suppress(ValueError):
        return urljoin(base, reference)
    return reference
