"""JSON with comments and trailing commas: reads it, and changes one member without touching the rest of the text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r'\s+|(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<text>"(?:\\.|[^"\\\n])*")|(?P<mark>[{}\[\]:,])|(?P<word>[-+.\w]+)',
    re.DOTALL,
)
_CLOSING = {"{": "}", "[": "]"}


@dataclass
class _Node:
    """A value, with the places of its first and last token; ``keys`` are the places of an object's keys."""

    first: int
    last: int
    value: Any
    members: dict[str, _Node] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)


class JsonText:
    """A text in JSON with comments; ``value`` is what it says.

    Raises:
        ValueError: The text is something else.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [match for match in _tokens(text) if match.lastgroup]
        self._marks = [place for place, token in enumerate(self._tokens) if token.lastgroup != "comment"]
        self._at = 0
        self._root = self._value() if self._marks else _Node(0, 0, {})
        if self._at < len(self._marks):
            raise ValueError(f"there is more text after the value: {self._tokens[self._marks[self._at]][0][:20]}")
        self.value = self._root.value

    def put(self, keys: Sequence[str], value: object) -> str:
        """Return the text with another value at these nested keys of objects.

        Raises:
            ValueError: Something on the way is not an object.
        """
        if not self._marks:
            return self._text + _written(_nested(keys, value), 0, "  ", self._newline) + self._newline
        node = self._root
        for depth, key in enumerate(keys):
            if not isinstance(node.value, dict):
                raise ValueError(f"{'.'.join(keys[:depth]) or 'it'} is not an object")
            if key not in node.members:
                return self._added(node, key, _nested(keys[depth + 1 :], value), depth + 1)
            node = node.members[key]
        start, end = self._tokens[node.first].start(), self._tokens[node.last].end()
        return self._text[:start] + _written(value, len(keys), self._indent, self._newline) + self._text[end:]

    def drop(self, keys: Sequence[str]) -> str:
        """Return the text without the member at these keys, which is there."""
        parent = self._root
        for key in keys[:-1]:
            parent = parent.members[key]
        first, last = parent.keys[keys[-1]], parent.members[keys[-1]].last
        before = self._tokens[first - 1]
        after = next(place for place in self._marks if place > last)
        start = before.end()
        if self._tokens[after][0] == ",":
            return self._text[:start] + self._text[self._tokens[after].end() :]
        comma = self._marks[self._marks.index(first) - 1]
        end = self._tokens[last].end()
        if self._tokens[comma][0] != ",":
            return self._text[:start] + self._text[end:]
        place = self._tokens[comma]
        return self._text[: place.start()] + self._text[place.end() : start] + self._text[end:]

    def _added(self, node: _Node, key: str, value: object, depth: int) -> str:
        """Return the text with another member at the end of an object, below the comments of the one before."""
        line = self._newline + self._indent * depth
        member = f"{line}{json.dumps(key)}: {_written(value, depth, self._indent, self._newline)}"
        end = self._tokens[node.last - 1].end()
        tail = self._text[end:]
        if not node.members:
            tail = tail if "\n" in tail[: self._tokens[node.last].start() - end] else line[: -len(self._indent)] + tail
            return self._text[:end] + member + tail
        comma = self._tokens[max(child.last for child in node.members.values())].end()
        last = next(self._tokens[place] for place in reversed(self._marks) if place < node.last)
        if last[0] == ",":
            return self._text[:end] + f"{member},{tail}"
        return f"{self._text[:comma]},{self._text[comma:end]}{member}{tail}"

    @property
    def _newline(self) -> str:
        return "\r\n" if "\r\n" in self._text else "\n"

    @property
    def _indent(self) -> str:
        found = re.search(r"\n([ \t]+)\S", self._text)
        return found[1] if found else "  "

    def _value(self) -> _Node:
        place = self._next()
        word = self._tokens[place][0]
        if word not in _CLOSING:
            return _Node(place, place, json.loads(word))
        node = _Node(place, place, {} if word == "{" else [])
        while self._peek() != _CLOSING[word]:
            if word == "{":
                self._member(node)
            else:
                node.value.append(self._value().value)
            if self._peek() == ",":
                self._next()
            elif self._peek() != _CLOSING[word]:
                raise ValueError(f"a comma is missing before {self._peek()[:20]}")
        node.last = self._next()
        return node

    def _member(self, node: _Node) -> None:
        place = self._next()
        key = json.loads(self._tokens[place][0])
        if not isinstance(key, str) or self._tokens[self._next()][0] != ":":
            raise ValueError(f"a key is missing at {self._tokens[place][0][:20]}")
        if key in node.members:
            raise ValueError(f"the key {key[:40]} is there twice")
        node.keys[key], node.members[key] = place, self._value()
        node.value[key] = node.members[key].value

    def _peek(self) -> str:
        if self._at == len(self._marks):
            raise ValueError("it ends too early")
        return self._tokens[self._marks[self._at]][0]

    def _next(self) -> int:
        self._peek()
        self._at += 1
        return self._marks[self._at - 1]


def _tokens(text: str) -> list[re.Match[str]]:
    found, at = [], 1 if text.startswith("\ufeff") else 0
    while at < len(text):
        token = _TOKEN.match(text, at)
        if not token:
            raise ValueError(f"line {text.count(chr(10), 0, at) + 1} has {text[at : at + 10]!r}")
        found.append(token)
        at = token.end()
    return found


def _nested(keys: Sequence[str], value: object) -> object:
    for key in reversed(keys):
        value = {key: value}
    return value


def _written(value: object, depth: int, indent: str, newline: str) -> str:
    """Return a value as JSON on several lines, of which all but the first are indented; lists are on one line."""
    if not isinstance(value, dict) or not value:
        return json.dumps(value, ensure_ascii=False)
    line = newline + indent * (depth + 1)
    inner = f",{line}".join(
        f"{json.dumps(key)}: {_written(each, depth + 1, indent, newline)}" for key, each in value.items()
    )
    return f"{{{line}{inner}{newline}{indent * depth}}}"
