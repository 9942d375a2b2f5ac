"""Truncated JSON values: within their room, still JSON, whole where they can be, with notes on the rest."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kosmolua.truncation import MAX_NOTES, decodable, truncate, weigh

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=9) | st.dictionaries(st.text(max_size=9), inner), max_leaves=20
)
LONG = st.lists(st.dictionaries(st.text(max_size=30), st.text(max_size=200) | VALUES, max_size=3), max_size=9)


def compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.slow
@given(VALUES)
def test_a_weight_is_the_length_of_compact_json(value: Any) -> None:
    """weigh counts what json.dumps would write, and more than the bound where there is more."""
    length = len(compact(value))
    assert weigh(value, length) == length
    assert weigh(value, length - 1) >= length


@pytest.mark.slow
@given(LONG, st.integers(200, 2_000))
def test_a_truncated_value_fits_and_says_what_it_lacks(value: Any, room: int) -> None:
    """Whatever the value: the excerpt is within its room, equal where all fits, and cut nowhere without a note."""
    kept, notes = truncate(value, room)
    assert len(compact(kept)) <= room
    assert (kept == value) == (len(compact(value)) <= room)
    assert bool(notes) == (kept != value)
    assert len(notes) <= MAX_NOTES


@pytest.mark.slow
@given(st.lists(st.text(max_size=9), min_size=20, max_size=60), st.integers(100, 200))
def test_a_list_of_small_items_keeps_its_first_ones(items: list[str], room: int) -> None:
    """The items that are kept are the first ones, whole, and as many as fit."""
    kept, _ = truncate(items, room)
    assert kept == items[: len(kept)]
    assert kept == items or len(compact(items[: len(kept) + 1])) > room


def test_large_items_share_the_room() -> None:
    """Two long lists get half of the room each; a short one beside them stays whole."""
    long, short = list(range(10_000)), [1, 2, 3]
    (first, whole, second), notes = truncate([long, short, long], 1000, "result")
    assert whole == short
    assert abs(len(first) - len(second)) <= 1
    assert len(first) > 100
    left_out = [10_000 - len(part) for part in (first, second)]
    assert notes == [
        f"result[{place}]: {count:,} of 10,000 items" for place, count in zip((1, 3), left_out, strict=True)
    ]


def test_a_map_keeps_its_small_members() -> None:
    """What is large is cut; a cursor beside it is not."""
    kept, notes = truncate({"a": 1, "services": ["x" * 50] * 1000, "cursor": "next"}, 1000)
    assert kept["a"] == 1
    assert kept["cursor"] == "next"
    assert len(compact(kept)) > 900
    assert notes == [f"services: {1000 - len(kept['services'])} of 1,000 items"]


@pytest.mark.slow
def test_items_keep_what_tells_them_apart() -> None:
    """Not the first keys of the alphabet."""
    usual = {f"auto{number}": "x" * 20 for number in range(40)}
    kept, _ = truncate([{**usual, "id": f"srv-{n}", "name": f"web-{n}"} for n in range(30)], 900, "result")
    assert len(kept) > 5
    assert all({"id", "name"} <= item.keys() for item in kept)


def test_a_map_of_many_members_keeps_as_many_as_fit() -> None:
    """A hundred thousand keys are cut too, and so is one that is itself too long."""
    kept, notes = truncate({str(number): number for number in range(100_000)}, 1000, "it")
    assert len(compact(kept)) > 900
    assert notes == [f"it: {100_000 - len(kept):,} of 100,000 keys"]
    assert truncate({"k" * 5000: 1, "b": 2}, 1000) == ({"b": 2}, [": 1 of 2 keys"])


@pytest.mark.parametrize("letter", ["x", "\n", "\x00", '"', "€", "😀"])
def test_a_long_string_keeps_its_ends(letter: str) -> None:
    """The beginning and the end of a string are kept, whatever its characters cost as JSON."""
    kept, (note,) = truncate("<" + letter * 100_000 + ">", 1000, "output")
    assert kept.startswith("<" + letter)
    assert kept.endswith(letter + ">")
    assert 800 < len(compact(kept)) <= 1000
    assert note.startswith("output: ")
    assert note.endswith(" of 100,002 characters")


def test_deep_values_are_cut_at_their_depth() -> None:
    """A value of a hundred levels with something long on each is cut without losing its head."""
    value: Any = "core"
    for _ in range(100):
        value = {"inner": value, "text": "y" * 300}
    kept, _ = truncate(value, 2000)
    assert len(compact(kept)) <= 2000
    assert kept["inner"]["inner"]


@pytest.mark.slow
@given(st.recursive(LEAVES | st.just(float("inf")) | st.just(float("nan")) | st.just("\ud800"), st.lists))
def test_what_is_decodable_is_strict_json(value: Any) -> None:
    """Lone surrogates, NaN and infinity are gone, and nothing else has changed."""
    mended = decodable(value)
    compact(mended).encode()
    json.dumps(mended, allow_nan=False)
    if "\ud800" not in compact(value) and "NaN" not in compact(value) and "Infinity" not in compact(value):
        assert mended == value
