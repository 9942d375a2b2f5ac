"""Values that the protocol carries."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kosmolua.protocol import LARGEST_INTEGER, SMALLEST_INTEGER, NotJson, decode, encode

INTEGERS = st.integers(SMALLEST_INTEGER, LARGEST_INTEGER)
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@pytest.mark.slow
@given(VALUES)
def test_json_values_survive(value: Any) -> None:
    """What JSON can carry comes back as it was."""
    assert decode(encode(value)) == json.loads(encode(value)) == value


@pytest.mark.parametrize("text", ["NaN", '{"a": -Infinity}', "[1e999]", "[-1e999]", "{'a': 1}", ""])
def test_json_is_read_strictly(text: str) -> None:
    """What Lua or another reader could not carry on is refused, also where Python's own reader would take it."""
    with pytest.raises(ValueError):
        decode(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (LARGEST_INTEGER, "9223372036854775807"),
        (LARGEST_INTEGER + 1, '"9223372036854775808"'),
        (SMALLEST_INTEGER, "-9223372036854775808"),
        ({"deep": [SMALLEST_INTEGER - 1]}, '{"deep":["-9223372036854775809"]}'),
        ((1, 2), "[1,2]"),
        ({"id": "1234567890123456789012345"}, '{"id":"1234567890123456789012345"}'),
        (1e300, "1e+300"),
        (True, "true"),
    ],
)
def test_integers_beyond_64_bits_become_strings(value: object, text: str) -> None:
    """Lua has no wider integers, so those arrive as strings; all others stay as they are."""
    assert encode(value) == text


def cycle() -> list[object]:
    value: list[object] = []
    value.append(value)
    return value


def deep() -> object:
    value: object = None
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"at": datetime.now(timezone.utc)}, "it contains a Python datetime"),
        ([{1, 2}], "it contains a Python set"),
        (b"bytes", "it contains bytes, which must be passed as base64 text"),
        ({(1, 2): 3}, "it contains a key that is not a string"),
        (float("nan"), "it contains NaN or infinity"),
        ([float("-inf")], "it contains NaN or infinity"),
        (cycle(), "it contains itself"),
        (deep(), "it is nested too deeply"),
    ],
)
def test_the_rest_is_refused_by_name(value: object, problem: str) -> None:
    """What JSON cannot carry is refused with a word on what it is."""
    with pytest.raises(NotJson) as refused:
        encode(value)
    assert str(refused.value) == problem
