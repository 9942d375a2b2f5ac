"""Annotations: which of them are types, and why the others are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest

from kosmolua.plugin import between, matching, non_empty, one_of
from kosmolua.schema.annotations import Uncarriable, type_of


@pytest.mark.parametrize(
    "annotation", [bytes, set[str], dict[int, str], Literal[1, 2], complex, list[bytes], Callable, int | bytes]
)
def test_what_lua_cannot_carry_is_refused(annotation: object) -> None:
    """A type that has no Lua value is refused when the plugin is loaded, not when it is called."""
    with pytest.raises(Uncarriable, match=r"cannot be passed between Lua and Python|must be str|must list strings"):
        type_of(annotation)


@pytest.mark.parametrize("annotation", [tuple[int, str], tuple[int], list[tuple[int, str]]])
def test_a_tuple_of_fixed_length_is_refused(annotation: object) -> None:
    """Only ``tuple[T, ...]`` is a list."""
    with pytest.raises(
        Uncarriable, match="a tuple of a fixed length cannot be passed between Lua and Python"
    ) as refused:
        type_of(annotation)
    assert refused.value.hint == "write list[T] or a TypedDict"


@pytest.mark.parametrize(
    ("annotation", "problem", "hint"),
    [
        (Annotated[str, between(1, 5)], "a string cannot be in 1..5", "only a number can"),
        (Annotated[bool, between(0, 1)], "a boolean cannot be in 0..1", "only a number can"),
        (Annotated[Any, between(0, 1)], "anything cannot be in 0..1", "only a number can"),
        (Annotated[int, matching("[a-z]", "a")], "an integer cannot be like 'a'", "only a string can"),
        (Annotated[int, non_empty()], "an integer cannot be of length at least 1", "only a string or list can"),
        (
            Annotated[float | int | None, one_of("a")],
            "a number or an integer cannot be one of 'a'",
            "only a string can",
        ),
        (
            Annotated[list[str], one_of("x", "y")],
            "a list cannot be one of 'x', 'y'",
            "bound what is inside, as in list[Annotated[T, ...]]",
        ),
        (
            dict[str, Annotated[dict[str, int], between(1, 5)]],
            "a table with string keys cannot be in 1..5",
            "bound what is inside, as in list[Annotated[T, ...]]",
        ),
    ],
    ids=str,
)
def test_a_bound_that_restricts_nothing_is_refused(annotation: object, problem: str, hint: str) -> None:
    """It would fail at each call, or never hold; that is said when the plugin is loaded."""
    with pytest.raises(Uncarriable) as refused:
        type_of(annotation)
    assert str(refused.value) == problem
    assert refused.value.hint == hint


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: between("1", "5"), "between() takes two numbers, the lower one first, not '1' and '5'"),  # type: ignore[arg-type]
        (lambda: between(5, 1), "between() takes two numbers, the lower one first, not 5 and 1"),
        (lambda: one_of(1, 2), "one_of() takes strings, not 1, 2"),  # type: ignore[arg-type]
        (lambda: one_of(), "one_of() takes strings, not nothing"),
    ],
)
def test_a_bound_that_nothing_could_fit_is_refused(make: Callable[[], object], message: str) -> None:
    """Where it is written, not where it is used."""
    with pytest.raises(TypeError) as refused:
        make()
    assert str(refused.value) == message
