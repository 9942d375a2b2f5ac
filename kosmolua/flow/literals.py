"""The literals of a Lua script: what its author wrote into it, as far as a value can be equal to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress

from kosmolua.flow.texts import core, whole

_TOKEN = re.compile(
    r"""--\[(?P<dashes>=*)\[.*?\](?P=dashes)\]|--[^\n]*                     # a comment
    |\[(?P<level>=*)\[(?P<long>.*?)\](?P=level)\]
    |"(?P<double>(?:[^"\\\n]|\\z\s*|\\\r?\n|\\.)*)"|'(?P<single>(?:[^'\\\n]|\\z\s*|\\\r?\n|\\.)*)'
    |(?P<number>\d[\w.]*)|(?P<name>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:z\s*|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\}|(\d{1,3})|(\r?\n|.))", re.DOTALL)
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_BETWEEN = re.compile(r"[\s,;|\"'=(){}<>\[\]]+")
MAX_SPLIT = 1024 * 1024
"""The length of the longest text that is also taken apart into the words of a list."""


def literals(source: str) -> Iterator[str]:
    """Yield the strings, numbers and names that a script contains outside of its comments."""
    for token in _TOKEN.finditer(source):
        kind = token.lastgroup
        if kind in ("double", "single"):
            yield _ESCAPE.sub(_unescaped, token[kind])
        elif kind in ("long", "number", "name"):
            yield token[kind]
            if kind == "number":
                with suppress(ValueError, OverflowError):
                    yield str(whole(float(token[kind])))


def leaves(value: object) -> Iterator[object]:
    """Yield every text and number of a JSON value, and the keys of its tables."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from leaves(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def words(text: str) -> set[str]:
    """Return a literal as it is compared: whole, and the entries of the list that it may be."""
    found = {core(text)}
    if len(text) <= MAX_SPLIT and _BETWEEN.search(text):
        found |= {core(each) for each in _BETWEEN.split(text)} | {core(line) for line in text.splitlines()}
    return found


def _unescaped(found: re.Match[str]) -> str:
    hexadecimal, code, decimal, character = found.groups()
    if hexadecimal or code or decimal:
        number = int(hexadecimal or code or decimal, 10 if decimal else 16)
        return chr(number) if number < 0x110000 else ""
    return _PLAIN.get(character, character) if character else ""
