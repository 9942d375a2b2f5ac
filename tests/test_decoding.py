"""The sandbox's decoder of JSON against Python's: both take the same texts, and make the same of them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lupa.lua54 import LuaRuntime

from kosmolua import protocol
from kosmolua.sandbox.vm import read_prelude

LONG = " " * 20_000
"""Before a text, it makes it one whose repeated objects are learned."""
SURROGATE = re.compile("[\ud800-\udfff]")
CHECK = b"""
local decode, encode, pcall, type = ...
return function(text)
  local ok, value = pcall(decode, text, 100)
  if not ok then
    return "refused", value.position, value.what
  end
  local fits, encoded = pcall(encode, value, 1 << 40, 200)
  return "taken", fits and encoded
end
"""
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
KEYS = st.sampled_from(["id", "name", "a b", "é", 'q"', "x\\y", "n", "[%w]", "", "id2"]) | TEXT
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=10)


@st.composite
def rows(draw: st.DrawFn) -> list[Any]:
    """Return objects with the same keys, whose values mostly have the same types, and now and then another one."""
    keys = draw(st.lists(KEYS, min_size=1, max_size=20, unique=True))
    kinds = [draw(st.sampled_from([LEAVES, TEXT, st.integers(), st.booleans(), VALUES])) for _ in keys]
    alike = st.fixed_dictionaries(dict(zip(keys, kinds, strict=True)))
    return draw(st.lists(st.one_of(alike, alike, alike, st.dictionaries(KEYS, VALUES)), min_size=4, max_size=12))


STYLES = st.sampled_from(
    [
        {"separators": (",", ":")},
        {},
        {"indent": 2},
        {"separators": (",", ":"), "ensure_ascii": False},
        {"ensure_ascii": False},
    ]
)


@pytest.fixture(scope="module")
def check() -> Any:
    """What decodes a text as the sandbox does, and says what came of it."""
    lua = LuaRuntime(encoding=None)
    host = lua.table()
    for name in ("registry", "strings", "shapes", "decode", "encode"):
        host[name.encode()] = lua.execute(read_prelude(name), host)
    return lua.execute(CHECK, host[b"decode"][b"decode"], host[b"encode"][b"encode"], *_functions(lua))


def _functions(lua: Any) -> tuple[Any, Any]:
    return lua.globals()[b"pcall"], lua.globals()[b"type"]


def as_lua_has_it(value: Any) -> Any:
    """Return a value without nulls in maps, with wide integers as strings, and with U+FFFD for halves of characters."""
    if isinstance(value, dict):
        return {as_lua_has_it(key): as_lua_has_it(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [as_lua_has_it(item) for item in value]
    if isinstance(value, str):
        return SURROGATE.sub("\ufffd", value)
    return str(value) if isinstance(value, int) and not -(2**63) <= value < 2**63 else value


def spelled(value: Any) -> str:
    """Return a value in a spelling that keeps 1, 1.0, -0.0 and true apart."""
    return json.dumps(value, sort_keys=True)


def assert_same(check: Any, text: str) -> None:
    """Check a text as it is, and with enough before it that its objects are learned, against Python's decoder."""
    kind, *short = check(text.encode())
    learned_kind, *learned = check((LONG + text).encode())
    assert learned_kind == kind
    if kind == b"refused":
        position, what = short
        assert learned[0] == position + len(LONG)
        assert re.sub(rb"\d+", b"", learned[1]) == re.sub(rb"\d+", b"", what)
    else:
        assert learned == short
    if kind == b"taken" and not short[0]:  # with a number beyond those of JSON, such as 1e999
        assert "Infinity" in spelled(json.loads(text))
        return
    try:
        value = protocol.decode(text)
    except ValueError:
        assert kind == b"refused"
        return
    assert kind == b"taken"
    assert spelled(json.loads(short[0])) == spelled(as_lua_has_it(value))


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(value=rows() | VALUES, style=STYLES)
def test_what_python_writes_is_decoded_the_same(check: Any, value: Any, style: Any) -> None:
    """Whatever the style, and whether or not objects repeat themselves."""
    assert_same(check, json.dumps(value, **style))


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(value=rows(), style=STYLES, data=st.data())
def test_what_is_broken_is_refused_at_the_same_place(check: Any, value: Any, style: Any, data: st.DataObject) -> None:
    """One that lacks a piece, or has some too many, is refused as Python refuses it, with or without shapes."""
    text = json.dumps(value, **style)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(start + 4, len(text))))
    piece = data.draw(st.text('[]{},:"\\ \n01.-+eEtrufalsn', max_size=4))
    assert_same(check, text[:start] + piece + text[end:])


def test_a_number_beyond_all_is_infinite(check: Any) -> None:
    """As in Python."""
    assert_same(check, "[1e999, -1e999]")


@settings(deadline=None, max_examples=40)
@given(
    pieces=st.lists(
        st.sampled_from(
            [
                "\\",
                '\\"',
                "\\\\",
                "\\n",
                "\\/",
                "\\u0041",
                "\\u00e9",
                "\\u0000",
                "\\u0001",
                "\\uD83D\\uDE00",
                "\\ud83d\\ude00",
                "\\u12",
                "\\x",
                '"',
                "é",
                "u0041",
                "a",
                "\x01",
                "\x7f",
            ]
        ),
        max_size=12,
    )
)
def test_escapes_are_decoded_one_after_another(check: Any, pieces: list[str]) -> None:
    """A backslash that is escaped begins no escape, and no sign that stands for another shows up in the string."""
    assert_same(check, f'["{"".join(pieces)}"]')


@pytest.mark.parametrize(
    "text",
    [
        "[0x10]",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[1e5]",
        "[-0]",
        "[-0.0]",
        "[1E+2]",
        "[nan]",
        "[inf]",
        "[nul]",
        "[truee]",
        "[1.5e]",
        "[--1]",
        "[0.]",
        "[00.5]",
        "[-01.5]",
        '[{"a":0x1},{"a":01}]',
    ],
)
def test_numbers_and_words_are_those_of_json(check: Any, text: str) -> None:
    """Lua reads more as a number than JSON has."""
    assert_same(check, text)
    row = text[1:-1]
    if not row.startswith("{"):
        assert_same(check, "[" + '{"a":1,"b":"x"},' * 5 + f'{{"a":{row},"b":"x"}}]')


def test_a_key_that_comes_twice_has_its_last_value(check: Any) -> None:
    """As in Python's decoder, also where objects repeat it."""
    assert_same(check, "[" + ",".join(['{"a":1,"b":2,"a":3}'] * 8) + "]")
    assert_same(check, "[" + ",".join(['{"a":1,"b":2}'] * 8) + ',{"a":1,"b":2,"a":null}]')


def test_objects_inside_objects_that_break_off_take_no_time(check: Any) -> None:
    """What was decoded of an object is kept when the rest is other than expected, on each of many levels."""
    text = '{"a":1,"b":2}'
    for _ in range(80):
        text = f'{{"a":{text},"b":2}}'
    other = text
    for _ in range(3):
        other = other.replace('"b":2}', '"b":"x"}', 20)
    assert_same(check, f"[{','.join([text] * 5 + [other])}]")
