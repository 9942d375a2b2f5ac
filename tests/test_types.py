"""Types: what fits, what becomes of it, and what a refusal says."""

from __future__ import annotations

import pickle
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Optional, TypedDict, Union

import pytest
from support.books import Edits, Loose, Point, Thread

from kosmolua.broker import secrets
from kosmolua.cli.values import value_of
from kosmolua.plugin import between, matching, non_empty, one_of
from kosmolua.schema import results
from kosmolua.schema.annotations import type_of
from kosmolua.schema.bounds import Length, Pattern, Range
from kosmolua.schema.luacats import label
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.types import INTEGER, SECRET, STRING, Choice, List, Map, Record, Scalar, Type, has_secrets
from kosmolua.schema.types import Union as AnyOf


@pytest.mark.parametrize(
    ("annotation", "fitting"),
    [
        (int, [0, -5, 2**70]),
        (float, [1, 1.5]),
        (str, ["", "00420"]),
        (bool, [True, False]),
        (list, [[], [1, "a"]]),
        (list[int], [[], [1, 2]]),
        (Sequence[str], [["a"]]),
        (tuple[int, ...], [[1]]),
        (dict, [{}, {"a": [1]}]),
        (dict[str, int], [{"a": 1}]),
        (Mapping[str, bool], [{"a": True}]),
        (Any, [1, "a", [1], {"a": None}]),
        (object, [1]),
        (Literal["a", "b"], ["a", "b"]),
        (int | str, [1, "a"]),
        (Union[int, None], [1]),  # noqa: UP007 - the older spellings mean the same
        (Optional[str], ["a"]),  # noqa: UP045
        (list[Literal["a"]] | str, [["a"], "a"]),
        (Point, [{"x": 1, "y": 2}, {"x": 1, "y": None}]),
        (Edits, [{}, {"label": None}, {"label": "a"}]),
        (list[str | None], [["a", None]]),
        (dict[str, str | None], [{"a": None, "b": "c"}]),
        (list[Point | None], [[None, {"x": 1, "y": None}]]),
        (Thread, [{"text": "a", "replies": [{"text": "b", "replies": [], "parent": None}], "parent": None}]),
        (Loose, [{}, {"tag": "a"}]),
        (list[Point], [[{"x": 1, "y": 3}]]),
        (Annotated[int, "How many.", between(1, 3)], [1, 3]),
        (Annotated[int | str | None, between(1, 3)], [1, "x"]),
        (Annotated[str | list[str] | None, non_empty()], ["x", ["x", ""]]),
        (Annotated[str | list[str], one_of("a", "b")], ["a", ["x"]]),
        (Annotated[int | str, between(1, 3), one_of("a", "b")], [3, "a"]),
        (list[Annotated[Annotated[str | None, "A word."] | int, one_of("a")]], [[None, "a", 5]]),
        (Annotated[str, matching(r"[a-z]+", "abc")], ["abc"]),
        (Annotated[str, one_of("a", "b")], ["b"]),
    ],
    ids=str,
)
def test_what_fits_passes_as_it_is(annotation: object, fitting: list[object]) -> None:
    """A value of the declared type reaches the function unchanged."""
    kind = type_of(annotation)
    assert [kind.accept(value) for value in fitting] == fitting
    assert set(label(kind).split(" or ")) <= {"integer", "number", "string", "boolean", "array", "object", "any"}


@pytest.mark.parametrize(
    ("annotation", "given", "made"),
    [
        (int, 5.0, 5),
        (list[int], {}, []),
        (dict[str, int], [], {}),
        (Point | None, {"x": 2.0}, {"x": 2, "y": None}),
        (tuple[int, ...], (1.0, 2), [1, 2]),
        (int, "18446744073709551616", 2**64),
        (int | str, "18446744073709551616", "18446744073709551616"),
        (list[int], ["-9223372036854775809"], [-(2**63) - 1]),
        (Loose, [], {}),
    ],
)
def test_lua_values_become_what_is_declared(annotation: object, given: object, made: object) -> None:
    """A whole float is an integer, so is what Lua had to get as a string; an empty table is a list or a map."""
    fitted = type_of(annotation).accept(given)
    assert fitted == made
    assert type(fitted) is type(made)


@pytest.mark.parametrize(
    ("annotation", "given", "problem"),
    [
        (int, 1.5, "must be an integer, not 1.5"),
        (int, True, "must be an integer, not true"),
        (int, "5", 'must be an integer, not "5" (a string)'),
        (int, float("inf"), "must be an integer, not inf"),
        (int, "9223372036854775807", 'must be an integer, not "9223372036854775807" (a string)'),
        (int, "-9223372036854775808", 'must be an integer, not "-9223372036854775808" (a string)'),
        (int, "00018446744073709551616", 'must be an integer, not "00018446744073709551616" (a string)'),
        (float, float("nan"), "must be a number, not nan"),
        (float, "1", 'must be a number, not "1" (a string)'),
        (str, 5, "must be a string, not 5"),
        (str, ["a"], "must be a string, not a list"),
        (str, {}, "must be a string, not an empty table"),
        (str, "a" * 10, None),
        (list[str], ["ü", "\udcff"], "[2] is a string that is not UTF-8"),
        (bool, 1, "must be a boolean, not 1"),
        (list, "a", 'must be a list, not "a" (a string)'),
        (list[str], {"a": 1}, "must be a list, not a table"),
        (list[str], ["a", 1], "[2] must be a string, not 1"),
        (dict[str, int], {"a": "b"}, '.a must be an integer, not "b" (a string)'),
        (dict[str, list[int]], {"a": [1, None]}, ".a[2] must be an integer, not nil"),
        (Literal["a", "b"], "c", "must be one of 'a', 'b', not \"c\" (a string)"),
        (Annotated[int, between(1, 3)], 4, "must be an integer in 1..3, not 4"),
        (Annotated[str, matching("[a-z]+", "abc")], "ABC", "must be a string like 'abc', not \"ABC\" (a string)"),
        (Annotated[str, matching("[a-z]+", "abc")], "abc\n", "must be a string like 'abc', not \"abc\\n\" (a string)"),
        (int | list[int], "a", 'must be an integer or a list, not "a" (a string)'),
        (int | list[int], {"a": 1}, "must be an integer or a list, not a table"),
        (int | list[int], [1, "a"], '[2] must be an integer, not "a" (a string)'),
        (int | list[int] | list[bool], ["a"], "must be an integer or a list or a list, not a list"),
        (int | dict[str, int], {"a": "b"}, '.a must be an integer, not "b" (a string)'),
        (int | dict[str, int], [1], "must be an integer or a table with string keys, not a list"),
        (Point, "a", 'must be a table with the keys x, y, not "a" (a string)'),
        (Point, {"x": 1, "z": 2}, " has no key 'z' (its keys are x, y)"),
        (Loose, {"tags": "a"}, " has no key 'tags' (did you mean 'tag'?)"),
        (Point, {"y": 2}, " needs the key 'x'"),
        (Point, {"x": None}, ".x must be an integer, not nil"),
        (Point, {"x": 1, 5: 2}, " has no key '5' (its keys are x, y)"),
        (Edits, {"text": None}, ".text must be a string, not nil"),
        (Edits, {"label": "A"}, ".label must be a string like 'abc', not \"A\" (a string)"),
        (Thread, {"text": "a", "replies": [{"text": 1, "replies": []}]}, ".replies[1].text must be a string, not 1"),
        (Annotated[str, non_empty()], "", 'must be a string of length at least 1, not "" (a string)'),
        (
            Annotated[str | list[str], non_empty()],
            {},
            "must be a string of length at least 1 or a list of length at least 1, not an empty table",
        ),
        (Annotated[int | str, between(1, 3)], 4, "must be an integer in 1..3 or a string, not 4"),
        (
            Annotated[int | str, between(1, 3), one_of("a", "b")],
            "c",
            "must be an integer in 1..3 or one of 'a', 'b', not \"c\" (a string)",
        ),
        (list[Point], [{"x": 1}, {"x": "a"}], '[2].x must be an integer, not "a" (a string)'),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(annotation: object, given: object, problem: str | None) -> None:
    """A value of another type is refused: where it is, what would fit, and what came instead."""
    if problem is None:
        assert type_of(annotation).accept(given) == given
        return
    with pytest.raises(Mismatch) as refused:
        type_of(annotation).accept(given)
    said = f"{refused.value.where} {refused.value.problem}"
    assert said.strip() == problem.strip()


@pytest.mark.parametrize(
    ("annotation", "text", "hint"),
    [
        (list[str], "bug", 'write { "bug" }, or in JSON ["bug"]'),
        (list[str], "bug, ui", 'write { "bug", "ui" }, or in JSON ["bug", "ui"]'),
        (dict[str, list[str]], "ä", 'write { "ä" }, or in JSON ["ä"]'),
        *((list[str], text, "") for text in ("", "a,,b", '["a"]', "x\ny", "x" * 61)),
        (list[int], "1", ""),
    ],
)
def test_a_text_for_a_list_of_texts_says_what_to_write(annotation: object, text: str, hint: str) -> None:
    """If the text, or its parts between commas, are items that fit."""
    kind = type_of(annotation)
    with pytest.raises(Mismatch) as refused:
        kind.accept({"key": text} if isinstance(kind, Map) else text)
    assert refused.value.hint == hint


def test_a_long_value_is_cut_in_messages() -> None:
    """A message stays short whatever a script passes."""
    with pytest.raises(Mismatch) as refused:
        type_of(int).accept("x" * 100_000)
    assert len(refused.value.problem) < 120


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "00420", "00420"),
        (str, "null", "null"),
        (str, '["a"]', '["a"]'),
        (Annotated[str, matching(r"\d+", "1")], "00420", "00420"),
        (Literal["1", "2"], "1", "1"),
        (int, "5", 5),
        (int, "five", "five"),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (bool, "yes", "yes"),
        (list[str], '["a", "b"]', ["a", "b"]),
        (dict[str, str], '{"a": "b"}', {"a": "b"}),
        (dict[str, str], "a", "a"),
        (str | list[str], '["a"]', ["a"]),
        (str | list[str], "00420", "00420"),
        (str | list[str], "5", "5"),
        (Annotated[str, matching(r"\d+", "1")] | list[str], "00420", "00420"),
        (int | None, "5", 5),
        (Any, "5", 5),
        (Any, "plain text", "plain text"),
    ],
    ids=str,
)
def test_text_of_the_command_line_takes_the_declared_type(annotation: object, text: str, value: object) -> None:
    """``id=00420`` stays a string where a string fits; numbers, lists and tables are read as JSON."""
    read = type_of(annotation).read(text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("annotation", "texts", "value"),
    [
        (str | None, ["null"], None),
        (str | None, ["nil"], "nil"),
        (list[str] | None, ["null"], None),
        (str, ["null"], "null"),
    ],
)
def test_null_is_null_where_the_type_allows_it(annotation: Any, texts: list[str], value: object) -> None:
    """Elsewhere it is a text like any other."""
    assert value_of("name", type_of(annotation), texts) == value


# What a type is


class Left(TypedDict, total=False):
    right: Right


class Right(TypedDict, total=False):
    left: list[Left]


ANNOTATIONS = [
    int,
    Any,
    Literal["a", "b"],
    list[int],
    dict[str, bool | None],
    Annotated[int | str | None, between(1, 3), one_of("a", "b")],
    Annotated[str, matching("[a-z]+", "abc")],
    Annotated[list[str], non_empty()],
    Point,
    Thread,
    Left,
]


@pytest.mark.parametrize("annotation", ANNOTATIONS, ids=str)
def test_types_can_be_compared_and_pickled(annotation: object) -> None:
    """Two of the same annotation are equal, hash alike and survive pickling, also if they contain themselves."""
    kind, again = type_of(annotation), type_of(annotation)
    assert kind == again
    assert hash(kind) == hash(again)
    assert pickle.loads(pickle.dumps(kind)) == kind
    assert sum(kind == type_of(other) for other in ANNOTATIONS) == 1


def test_records_that_differ_deep_inside_differ() -> None:
    """Comparing records that contain themselves still compares all of their keys."""
    node: dict[str, Type] = {"value": STRING}
    other: dict[str, Type] = {"value": INTEGER}
    one, two = Record("Node", node), Record("Node", other)
    node["next"], other["next"] = one, two
    assert one != two
    other["value"] = STRING
    assert one == two


def test_a_type_cannot_be_changed() -> None:
    """It may be shared by threads and by functions."""
    with pytest.raises(AttributeError):
        INTEGER.kind = "string"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "words", "lua"),
    [
        (INTEGER, "an integer", "integer"),
        (Scalar("integer", (Range(1, 9),)), "an integer in 1..9", "integer"),
        (Scalar("integer", (Range(1),)), "an integer of at least 1", "integer"),
        (Scalar("number", (Range(maximum=0.5),)), "a number of at most 0.5", "number"),
        (Scalar("number", (Range(0, exclusive_minimum=True),)), "a number above 0", "number"),
        (
            Scalar("number", (Range(0, 1, exclusive_maximum=True),)),
            "a number of at least 0 and below 1",
            "number",
        ),
        (Scalar("string", (Length(2, 5),)), "a string of length 2..5", "string"),
        (Scalar("string", (Length(2),)), "a string of length at least 2", "string"),
        (List(STRING, (Length(maximum=3),)), "a list of length at most 3", "string[]"),
        (Scalar("string", (Pattern("a+", whole=False),)), "a string that matches 'a+'", "string"),
        (Choice(("a", "b")), "one of 'a', 'b'", '"a"|"b"'),
        (Choice((1, True, 2.5)), "one of 1, true, 2.5", "1|true|2.5"),
        (Choice(tuple(f"c{number}" for number in range(100))), None, None),
        (List(AnyOf((STRING, INTEGER))), "a list", "(string|integer)[]"),
        (Map(List(STRING)), "a table with string keys", "table<string, string[]>"),
        (Record("Point", {"x": INTEGER}), "a table", "Point"),
        (AnyOf((STRING, List(STRING))), "a string or a list", "string|string[]"),
    ],
    ids=str,
)
def test_a_type_has_words_and_a_lua_spelling(kind: Type, words: str | None, lua: str | None) -> None:
    """Messages use the words; editors and models read the spelling. Of very many choices the words have the first."""
    if words is None:
        assert kind.words.endswith("'c39' and 60 more")
        return
    assert kind.words == words
    assert kind.lua == lua


@pytest.mark.parametrize(
    ("kind", "fitting", "others"),
    [
        (Scalar("number", (Range(0, 1, exclusive_minimum=True),)), [0.1, 1], [0, 1.1]),
        (Scalar("number", (Range(0, 1, exclusive_maximum=True),)), [0, 0.9], [1, -1]),
        (Scalar("integer", (Range(3),)), [3, 4], [2]),
        (Scalar("string", (Length(2, 3),)), ["ab", "abc"], ["a", "abcd"]),
        (List(INTEGER, (Length(1, 2),)), [[1], [1, 2]], [[], [1, 2, 3]]),
        (Map(INTEGER, (Length(1),)), [{"a": 1}], [{}]),
        (Choice((1, "a", False)), [1, "a", False], [True, 0, "1", "b", None]),
        (Choice(({"a": 1}, [])), [{"a": 1}, []], [{"a": 2}, [1]]),
        (Choice(([True], {"a": [1, 2.0]})), [[True], {"a": [1, 2]}], [[1], {"a": [True, 2]}]),
        (Choice((), nullable=True), [None], [1, "", False]),
        (Record("R", {"a": INTEGER}, extra=STRING), [{"a": 1, "b": "c"}], [{"a": 1, "b": 2}]),
    ],
    ids=str,
)
def test_bounds_and_choices_hold(kind: Type, fitting: list[object], others: list[object]) -> None:
    """Both ends of each bound, and choices of every JSON type."""
    assert [kind.accept(value) for value in fitting] == fitting
    for value in others:
        with pytest.raises(Mismatch):
            kind.accept(value)


def test_a_choice_of_numbers_takes_what_lua_has_of_them() -> None:
    """5.0 is 5, and an integer beyond 64 bits is a string."""
    kind = Choice((5, 2**64))
    assert [kind.accept(value) for value in (5.0, str(2**64))] == [5, 2**64]
    assert type(kind.accept(5.0)) is int


def test_a_union_of_records_names_what_is_wrong_in_the_one_that_is_meant() -> None:
    """The tag tells which."""
    card = Record("Card", {"type": Choice(("card",)), "number": STRING}, required=frozenset({"type"}))
    cash = Record("Cash", {"type": Choice(("cash",)), "amount": INTEGER}, required=frozenset({"type"}))
    with pytest.raises(Mismatch) as refused:
        AnyOf((card, cash)).accept({"type": "cash", "amount": "5"})
    assert f"{refused.value.where} {refused.value.problem}" == '.amount must be an integer, not "5" (a string)'


def test_a_union_of_records_names_what_is_wrong_in_the_one_with_the_most_keys() -> None:
    """Where no tag tells which is meant; if two have as many, all are named."""
    cat = Record("Cat", {"name": STRING, "claws": INTEGER}, required=frozenset({"name", "claws"}))
    dog = Record("Dog", {"name": STRING, "bark": STRING}, required=frozenset({"name", "bark"}))
    for value, said in (
        ({"name": "Tom", "claws": "x"}, '.claws must be an integer, not "x" (a string)'),
        ({"bark": "loud"}, "needs the key 'name'"),
        ({"name": "Tom"}, "must be a table with the keys of one of Cat, Dog, not with name"),
        ({"wings": 2, "age": 5}, "must be a table with the keys of one of Cat, Dog, not with age, wings"),
    ):
        with pytest.raises(Mismatch) as refused:
            AnyOf((cat, dog)).accept(value)
        assert f"{refused.value.where} {refused.value.problem}".strip() == said


def test_unions_inside_unions_are_tried_once() -> None:
    """The time grows with the size of a value, and not with the power of its depth."""
    fields: dict[str, Type] = {"a": INTEGER}
    more: dict[str, Type] = {"a": STRING}
    node = AnyOf((Record("One", fields), Record("Two", more), List(INTEGER)))
    fields["inner"] = more["inner"] = AnyOf((STRING, node, List(node)))
    fitting: dict[str, Any] = {"a": 1}
    wrong: dict[str, Any] = {"a": None}
    for _ in range(45):
        fitting, wrong = {"inner": [fitting], "a": "x"}, {"inner": [wrong], "a": "x"}
    started = time.thread_time()
    assert node.accept(fitting) == fitting
    with pytest.raises(Mismatch):
        node.accept(wrong)
    assert time.thread_time() - started < 5


@pytest.mark.parametrize(("text", "value"), [("5", 5), ("a", "a"), ("true", True), ("x", "x")])
def test_a_choice_of_the_command_line_is_read_as_it_is_declared(text: str, value: object) -> None:
    """A number among the choices is a number."""
    assert Choice((5, True, "a")).read(text) == value


def test_types_that_share_their_parts_are_searched_for_secrets_once() -> None:
    """A type of forty levels has 2^40 ways to its parts, and is looked through at once."""
    kind: Type = INTEGER
    for level in range(40):
        kind = Record(f"Level{level}", {"left": kind, "right": kind})
    assert not has_secrets(kind)
    assert has_secrets(Record("Top", {"levels": kind, "key": SECRET}))


def test_a_result_of_unions_in_unions_is_checked_in_a_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a union makes of a value is found once, not once for each member of each union around it."""
    steps: list[Type] = []
    plain = results._without_more
    monkeypatch.setattr(results, "_without_more", lambda kind, *given: steps.append(kind) or plain(kind, *given))
    kind: Type = STRING
    for _ in range(5):
        kind = AnyOf(tuple(Record(f"R{number}", {"inner": kind, f"key_{number}": INTEGER}) for number in range(6)))
    value: Any = "leaf"
    for _ in range(5):
        value = {"inner": value, **{f"key_{number}": "no integer" for number in range(5)}}

    results.check(kind, value)
    assert len(steps) < 100


def test_secrets_in_unions_in_unions_are_found_in_a_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A union is followed once at each place, and no secret in it is missed."""
    steps: list[Type] = []
    plain = secrets._secrets_in
    monkeypatch.setattr(
        secrets, "_secrets_in", lambda kind, *given, **how: steps.append(kind) or plain(kind, *given, **how)
    )
    kind: Type = SECRET
    for _ in range(5):
        kind = AnyOf(tuple(Record(f"R{number}", {"inner": kind, f"key_{number}": SECRET}) for number in range(6)))
    value: Any = "deepest"
    for _ in range(5):
        value = {"inner": value, "key_3": "third"}

    found = secrets.with_secrets(kind, value)
    assert len(steps) < 200
    for _ in range(5):
        assert found["key_3"].reveal() == "third"
        found = found["inner"]
    assert found.reveal() == "deepest"
