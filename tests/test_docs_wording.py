"""Wording: how parameters, types and defaults read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest

from kosmolua.plugin import between, matching, unless
from kosmolua.schema.annotations import sentence, type_of
from kosmolua.schema.arguments import Parameter
from kosmolua.schema.luacats import description, label, literal, prose

NO_DEFAULT = Parameter("x", type_of(str), "").default


def described(annotation: Any, default: object = NO_DEFAULT, **more: Any) -> str:
    return description(Parameter("x", type_of(annotation), sentence(annotation), default), **more)


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        (Annotated[int, "How many.", between(1, 100)], 20, "How many (in 1..100, default: 20)."),
        (Annotated[int, "How many (default: 20, max: 100)", between(1, 100)], 20, "How many (default: 20, max: 100)"),
        (Annotated[int, "From 1 to 100.", between(1, 100)], 20, "From 1 to 100 (default: 20)."),
        (Annotated[str, "The id, such as srv-1.", matching("srv-.", "srv-1")], NO_DEFAULT, "The id, such as srv-1."),
        (Annotated[str, "The id.", matching("srv-.", "srv-1")], NO_DEFAULT, "The id (like 'srv-1')."),
        (Annotated[float, "A share.", between(0.5, 1.5)], 1.0, "A share (in 0.5..1.5, default: 1.0)."),
        (Annotated[bool, "Whether."], False, "Whether (default: false)."),
        (Annotated[str | None, "Maybe."], None, "Maybe."),
        (Annotated[str, "Text"], "", 'Text (default: "")'),
        (Literal["a", "b"], "a", 'One of "a", "b", default: "a".'),
        (Annotated[Literal["a", "b"], "Either a or b."], NO_DEFAULT, "Either a or b."),
        (int, 3, "Default: 3."),
        (str, NO_DEFAULT, ""),
        (Annotated[str, "Over\ntwo  lines."], NO_DEFAULT, "Over two lines."),
    ],
)
def test_a_sentence_is_completed_by_what_it_does_not_say(annotation: Any, default: object, expected: str) -> None:
    """Choices, bounds and default are added once, never twice."""
    assert described(annotation, default) == expected


def test_what_may_stand_in_for_a_parameter_is_said() -> None:
    """A required parameter that another can replace says which."""
    parameter = Parameter("repo", type_of(str), "The repository.", unless="image")

    assert description(parameter) == "The repository (not needed with image)."
    assert unless("image").other == "image"


def test_choices_can_be_left_to_the_type() -> None:
    """Where the type lists the choices, the sentence need not."""
    assert described(Annotated[Literal["a", "b"], "Which."], with_choices=False) == "Which."


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, "integer"),
        (str | None, "string"),
        (dict[str, str], "object"),
        (list[int], "array"),
        (str | list[str], "string or array"),
        (int | float, "integer or number"),
        (Literal["a"] | str, "string"),
        (Any, "any"),
    ],
)
def test_types_have_the_words_of_the_tables(annotation: Any, expected: str) -> None:
    """A union names each kind once."""
    assert label(type_of(annotation)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "nil"),
        (True, "true"),
        (1, "1"),
        ('a"b', '"a\\"b"'),
        ([1, "x"], '{ 1, "x" }'),
        ({"a": 1, "b-c": []}, '{ a = 1, ["b-c"] = {} }'),
        ({"end": "\x01\n", "é": "\\u0001"}, r'{ ["end"] = "\u{0001}\n", ["é"] = "\\u0001" }'),
    ],
)
def test_defaults_are_written_as_lua_writes_them(value: object, expected: str) -> None:
    """Tables in braces, with keywords in brackets; strings in quotes, with control characters as Lua has them."""
    assert literal(value) == expected


def test_docstrings_become_markdown() -> None:
    """Code in two backticks has one."""
    assert prose("see ``x`` and `y`") == "see `x` and `y`"
