"""What a signature says: parameters, types, checks, messages, and what is refused when a plugin is loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Optional, TypedDict, Union

import pytest

from kosmolua import BadArguments, PluginError
from kosmolua.plugin import Integration, Secret, between, matching, non_empty, one_of, unless
from kosmolua.schema.annotations import Uncarriable, type_of
from kosmolua.schema.arguments import REQUIRED
from kosmolua.schema.function import Function, read_function
from kosmolua.schema.integration import AccountField
from kosmolua.schema.luacats import label
from kosmolua.schema.types import Mismatch
from kosmolua.testing import Playground


class Point(TypedDict):
    x: int
    y: Annotated[int | None, "Up."]


class Thread(TypedDict):
    text: str
    replies: list[Thread]
    parent: Thread | None


class Edits(TypedDict, total=False):
    text: str
    label: Annotated[str | None, matching("[a-z]+", "abc")]


class Loose(TypedDict, total=False):
    tag: str


# Types


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
        (Annotated[str, non_empty()], "", 'must be a string with something in it, not "" (a string)'),
        (
            Annotated[str | list[str], non_empty()],
            {},
            "must be a string with something in it or a list with something in it, not an empty table",
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


def test_a_long_value_is_cut_in_messages() -> None:
    """A message stays short whatever a script passes."""
    with pytest.raises(Mismatch) as refused:
        type_of(int).accept("x" * 100_000)
    assert len(refused.value.problem) < 120


@pytest.mark.parametrize(
    "annotation", [bytes, set[str], dict[int, str], Literal[1, 2], complex, Secret, list[bytes], Callable, int | bytes]
)
def test_what_lua_cannot_carry_is_refused(annotation: object) -> None:
    """A type that has no Lua value is refused when the plugin is loaded, not when it is called."""
    with pytest.raises(Uncarriable, match=r"Lua cannot carry|must be str|must list strings"):
        type_of(annotation)


@pytest.mark.parametrize("annotation", [tuple[int, str], tuple[int], list[tuple[int, str]]])
def test_a_tuple_of_fixed_length_is_refused(annotation: object) -> None:
    """Only ``tuple[T, ...]`` is a list."""
    with pytest.raises(Uncarriable, match="Lua cannot carry a tuple of a fixed length") as refused:
        type_of(annotation)
    assert refused.value.hint == "write list[T] or a TypedDict"


@pytest.mark.parametrize(
    ("annotation", "problem", "hint"),
    [
        (Annotated[str, between(1, 5)], "a string cannot be in 1..5", "only a number can"),
        (Annotated[bool, between(0, 1)], "a boolean cannot be in 0..1", "only a number can"),
        (Annotated[Any, between(0, 1)], "anything cannot be in 0..1", "only a number can"),
        (Annotated[int, matching("[a-z]", "a")], "an integer cannot be like 'a'", "only a string can"),
        (Annotated[int, non_empty()], "an integer cannot be with something in it", "only a string or list can"),
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
    assert (str(refused.value), refused.value.hint) == (problem, hint)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: between("1", "5"), "between takes two numbers, the lower one first, not '1' and '5'"),  # type: ignore[arg-type]
        (lambda: between(5, 1), "between takes two numbers, the lower one first, not 5 and 1"),
        (lambda: one_of(1, 2), "one_of takes strings, not 1, 2"),  # type: ignore[arg-type]
        (lambda: one_of(), "one_of takes strings, not nothing"),
    ],
)
def test_a_bound_that_nothing_could_fit_is_refused(make: Callable[[], object], message: str) -> None:
    """Where it is written, not where it is used."""
    with pytest.raises(TypeError) as refused:
        make()
    assert str(refused.value) == message


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


# Functions


def lend(
    library: Any,
    /,
    *,
    book: Annotated[str, "Which book.", matching(r"b-\d+", "b-12")],
    days: Annotated[int, "For how long.", between(1, 30)] = 14,
    tags: list[str] | None = None,
) -> dict[str, Any]:
    """Lend a book.

    It has to be there.
    """
    return {"book": book, "days": days}


def find(library: Any, /, *, title: Annotated[str | None, unless("author")], author: str | None = None) -> list:
    """Find a book by title or author."""
    return [title, author]


def hours(library: Any, /) -> dict:
    """Say when it is open."""
    return {}


LEND, FIND, HOURS = (read_function(handler, "read", "lib") for handler in (lend, find, hours))


def test_a_function_says_what_its_signature_says() -> None:
    """Name, parameters, sentences, defaults, docstring and line come from the handler alone."""
    book, days, tags = LEND.parameters
    assert (LEND.name, LEND.full_name, LEND.effect) == ("lend", "lib_lend", "read")
    assert (book.name, book.about, book.required, book.default) == ("book", "Which book.", True, REQUIRED)
    assert (days.about, days.default, days.required) == ("For how long.", 14, False)
    assert (tags.type.lua, tags.default) == ("string[]", None)
    assert (LEND.summary, LEND.doc.endswith("It has to be there.")) == ("Lend a book.", True)
    assert LEND.signature == "lend({ book, days?, tags? })"
    assert HOURS.signature == "hours()"
    assert LEND.origin == f"{__file__}:{lend.__code__.co_firstlineno}"


@pytest.mark.parametrize(
    ("function", "given", "bound"),
    [
        (LEND, [{"book": "b-1"}], {"book": "b-1"}),
        (LEND, [{"book": "b-1", "days": None, "tags": {}}], {"book": "b-1", "tags": []}),
        (LEND, ["b-1"], {"book": "b-1"}),
        (LEND, ["b-1", 3.0], {"book": "b-1", "days": 3}),
        (LEND, ["b-1", None, None], {"book": "b-1"}),
        (HOURS, [], {}),
        (HOURS, [{}], {}),
        (HOURS, [None], {}),
        (FIND, [{"author": "Ann"}], {"title": None, "author": "Ann"}),
        (FIND, [{"title": "T"}], {"title": "T"}),
    ],
    ids=str,
)
def test_arguments_are_bound(function: Function, given: list[Any], bound: dict[str, object]) -> None:
    """One table of named arguments, or plain values in declared order; nil is nothing."""
    assert function.bind("lib.x", given) == bound


@pytest.mark.parametrize(
    ("function", "given", "message", "param"),
    [
        (LEND, [], "lib.x needs book, a string like 'b-12' (call it as lend({ book, days?, tags? }))", "book"),
        (LEND, [{}], "lib.x needs book, a string like 'b-12' (call it as lend({ book, days?, tags? }))", "book"),
        (LEND, [{"book": "b-1", "day": 3}], "lib.x has no parameter 'day' (did you mean 'days'?)", "day"),
        (LEND, [{"book": "b-1", "z": 3}], "lib.x has no parameter 'z' (it takes book, days, tags)", "z"),
        (HOURS, [{"z": 3}], "lib.x has no parameter 'z' (it takes no arguments)", "z"),
        (HOURS, [1], "lib.x takes at most 0 arguments, not 1 (call it as hours())", None),
        (
            LEND,
            ["b-1", 1, "x", 2],
            "lib.x takes at most 3 arguments, not 4 (call it as lend({ book, days?, tags? }))",
            None,
        ),
        (
            LEND,
            ["b-1", {"days": 3}],
            "lib.x takes one table of named arguments, or plain values in order, not both "
            "(call it as lend({ book, days?, tags? }))",
            None,
        ),
        (LEND, [{"book": "12"}], "lib.x: book must be a string like 'b-12', not \"12\" (a string)", "book"),
        (LEND, ["b-1", 31], "lib.x: days must be an integer in 1..30, not 31", "days"),
        (LEND, [{"book": "b-1", "tags": ["a", 2]}], "lib.x: tags[2] must be a string, not 2", "tags"),
        (FIND, [{}], "lib.x needs title, a string, or author (call it as find({ title, author? }))", "title"),
        (LEND, [{"book": 12}], "lib.x: book must be a string like 'b-12', not 12", "book"),
        (
            LEND,
            ["b-1", 1, ["a"]],
            "lib.x takes a list by its name only (call it as lend({ book, days?, tags? }))",
            None,
        ),
        (LEND, [{"Book": "b-1"}], "lib.x has no parameter 'Book' (did you mean 'book'?)", "Book"),
    ],
    ids=str,
)
def test_wrong_arguments_are_refused_with_what_to_do(
    function: Function, given: list[Any], message: str, param: str | None
) -> None:
    """A refusal says what was wrong, what would be right, and that nothing was sent."""
    with pytest.raises(BadArguments) as refused:
        function.bind("lib.x", given)
    assert refused.value.message == f"{message}. Nothing was sent."
    assert (refused.value.param, refused.value.code) == (param, "bad_arguments")


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Wrong names come in bundles, and each round costs a model as much as the first one."""
    with pytest.raises(BadArguments) as refused:
        LEND.bind("lib.lend", [{"day": 3, "colour": "red", "shade": 1, "tags": ["a", 2]}])
    assert refused.value.message == (
        "lib.lend needs book, a string like 'b-12'; "
        "it has no parameter 'day' (did you mean 'days'?); "
        "it has no parameter 'colour' (it takes book, days, tags); "
        "it has no parameter 'shade'; "
        "tags[2] must be a string, not 2 (call it as lend({ book, days?, tags? })). Nothing was sent."
    )
    assert (refused.value.param, refused.value.hint) == ("book", "call it as lend({ book, days?, tags? })")


def test_of_very_many_faults_the_first_are_told() -> None:
    """A message stays readable, whatever a script passes."""
    with pytest.raises(BadArguments, match=r"; and 95 more \(call it as lend") as refused:
        LEND.bind("lib.lend", [{"book": "b-1"} | {f"wrong{number}": 1 for number in range(101)}])
    assert refused.value.message.count("has no parameter") == 6


def test_what_is_nested_too_deeply_is_refused() -> None:
    """A type that contains itself has no depth of its own; a value from Python may have any."""
    thread: dict[str, Any] = {"text": "a", "replies": []}
    for _ in range(2000):
        thread = {"text": "a", "replies": [thread]}

    def post(api: Any, /, *, thread: Thread) -> None:
        """Post."""

    with pytest.raises(BadArguments, match=r"lib\.post: thread is nested too deeply") as refused:
        read_function(post, "write", "").bind("lib.post", [{"thread": thread}])
    assert refused.value.param == "thread"


def test_a_name_that_is_no_text_is_unknown() -> None:
    """Python has dicts with such keys."""
    with pytest.raises(BadArguments, match=r"lib\.hours has no parameter '5'"):
        HOURS.bind("lib.hours", [{5: 1}])  # type: ignore[dict-item]


def test_null_is_nothing_at_the_top_and_kept_inside() -> None:
    """A script leaves out, gives or clears a key, and the function can tell which."""
    integration = Integration("lib", Account, about="Books.")

    @integration.reads
    def edit(api: Any, /, *, edits: Edits, point: Point, mark: str | None = "none") -> list[str]:
        """Say what came."""
        return [repr(edits), repr(point), repr(mark)]

    play = Playground(integration)
    script = "return app.integrations.lib.edit({ edits = %s, point = { x = 1 }, mark = json.null })"
    assert play.run(script % "{ label = json.null }") == ["{'label': None}", "{'x': 1, 'y': None}", "'none'"]
    assert play.run(script % "{}") == ["{}", "{'x': 1, 'y': None}", "'none'"]


def no_docstring(api: Any, /) -> None:
    return


def not_annotated(api: Any, /, *, limit=3) -> None:
    """Do."""


def not_carried(api: Any, /, *, data: bytes) -> None:
    """Do."""


def not_bound(api: Any, /, *, when: Annotated[str, between(1, 5)] = "x") -> None:
    """Do."""


def not_a_list(api: Any, /, *, pair: tuple[int, str]) -> None:
    """Do."""


def repeat(api: Any, /) -> None:
    """Do."""


def default(api: Any, /) -> None:
    """Do."""


def größe(api: Any, /) -> None:
    """Do."""


def not_returned(api: Any, /) -> set[str]:
    """Do."""
    return set()


def no_default(api: Any, /, *, limit: int | None) -> None:
    """Do."""


def no_slash(api: Any, *, limit: int = 1) -> None:
    """Do."""


def no_star(api: Any, /, limit: int = 1) -> None:
    """Do."""


def all_keywords(api: Any, /, **rest: Any) -> None:
    """Do."""


def nothing_at_all() -> None:
    """Do."""


def not_known(api: Any, /, *, thing: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821
    """Do."""


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (no_docstring, "no_docstring has no docstring (say in one sentence what it does)"),
        (not_annotated, "parameter limit of not_annotated has no annotation"),
        (not_carried, "data of not_carried: Lua cannot carry bytes (write str, and carry them as base64)"),
        (not_bound, "when of not_bound: a string cannot be in 1..5 (only a number can)"),
        (not_a_list, "pair of not_a_list: Lua cannot carry a tuple of a fixed length (write list[T] or a TypedDict)"),
        (not_returned, "the result of not_returned: Lua cannot carry set"),
        (repeat, "a function cannot be called 'repeat' (it is a word of Lua itself)"),
        (default, "a function cannot be called 'default' (it stands for the default account)"),
        (größe, "a function cannot be called 'größe' (use A-Z, a-z, 0-9 and _, a letter first)"),
        (no_default, "parameter limit of no_default may be None but has no default (give it = None)"),
        (no_slash, "no_slash must take one argument from the host, then named ones from Lua"),
        (no_star, "no_star must take one argument from the host, then named ones from Lua"),
        (all_keywords, "all_keywords must take one argument from the host, then named ones from Lua"),
        (nothing_at_all, "nothing_at_all must take one argument from the host, then named ones from Lua"),
        (not_known, "not_known has an annotation that fails: name 'Missing' is not defined"),
    ],
)
def test_a_handler_that_says_too_little_is_refused(handler: Callable[..., Any], message: str) -> None:
    """A handler that Lua could not call, or nobody could read about, is refused with its file and line."""
    with pytest.raises(PluginError) as refused:
        read_function(handler, "read", "")
    assert refused.value.message.startswith(message)
    assert refused.value.origin == f"{__file__}:{handler.__code__.co_firstlineno}"


# Integrations


@dataclass(frozen=True)
class Account:
    """A key."""

    api_key: Annotated[Secret, "From the settings."]
    url: Annotated[str, "Where it is."] = "https://example.com"
    spare_key: Secret | None = None

    def open(self, send: Any) -> Any:
        return send


def fresh(name: str = "lib") -> Integration:
    return Integration(name, Account, about="Books.", prefix="book")


def test_functions_have_two_names() -> None:
    """The short name and the full one, with the prefix, mean the same function."""
    integration = fresh()
    assert integration.reads(lend) is lend
    integration.writes(find)
    assert integration.function("lend") is integration.function("book_lend") is integration.functions["lend"]
    assert integration.aliases == {"book_lend": "lend", "book_find": "find"}
    assert [function.effect for function in integration.functions.values()] == ["read", "write"]
    assert integration.function("book_") is integration.function("") is None


def test_the_name_is_the_prefix_where_none_is_given() -> None:
    """An empty prefix gives no full names, no prefix gives those with the name."""
    plain, bare = Integration("lib", Account, about=""), Integration("lib", Account, about="", prefix="")
    for integration in (plain, bare):
        integration.reads(lend)
    assert (plain.aliases, bare.aliases) == ({"lib_lend": "lend"}, {})
    assert bare.variable(bare.account_fields[0]) == "LIB_API_KEY"


def test_account_fields_are_read() -> None:
    """Each field of the account class is a key, with its sentence, its default, and whether it is a secret."""
    key, url, spare = fresh().account_fields
    assert (key.name, key.about, key.secret, key.required) == ("api_key", "From the settings.", True, True)
    assert (url.secret, url.default, label(url.type)) == (False, "https://example.com", "string")
    assert (spare.secret, spare.required) == (True, False)
    assert isinstance(key, AccountField)
    assert fresh().variable(key) == "BOOK_API_KEY"


def test_what_is_made_for_each_account_is_a_default() -> None:
    """A list can have no other default; what the class fills itself is no key."""

    @dataclass(frozen=True)
    class Shop(Account):
        tags: list[str] = field(default_factory=lambda: ["new"])
        cache: dict[str, str] = field(init=False, default_factory=dict)

    *_, tags = Integration("lib", Shop, about="").account_fields
    assert (tags.name, tags.required, tags.default) == ("tags", False, ["new"])


@pytest.mark.parametrize("name", ["", "Lib", "1lib", "my-lib", "lib.a", "läb", "lib\n", "_lib"])
def test_a_name_that_lua_cannot_write_is_refused(name: str) -> None:
    """The name has to be a plain Lua name in lower case; the refusal has the line of the declaration."""
    with pytest.raises(PluginError, match=r"an integration cannot be called .* \(use a-z, 0-9 and _") as refused:
        fresh(name)
    assert refused.value.origin.startswith(f"{__file__}:")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("app", "paths such as app.integrations.NAME begin with it"),
        ("integrations", "paths such as app.integrations.NAME begin with it"),
        ("end", "it is a word of Lua itself"),
    ],
)
def test_a_name_that_means_something_else_is_refused(name: str, reason: str) -> None:
    """Scripts could not reach it, or not as they reach others."""
    with pytest.raises(PluginError) as refused:
        fresh(name)
    assert refused.value.message == f"an integration cannot be called {name!r} ({reason})"


def test_two_functions_of_one_name_are_refused() -> None:
    """Neither a second function, nor one that is named like the full name of another."""
    integration = fresh()
    integration.reads(lend)

    def book_lend(api: Any, /) -> dict:
        """Do."""
        return {}

    for handler in (lend, book_lend):
        with pytest.raises(PluginError, match=f"lib has two functions named {handler.__name__}") as refused:
            integration.writes(handler)
        assert refused.value.origin == f"{__file__}:{handler.__code__.co_firstlineno}"


class Plain:
    """Not a dataclass."""

    def open(self, send: Any) -> Any:
        return send


@dataclass
class Closed:
    """Has no open."""

    key: str


@dataclass
class Bare:
    """Has a field without a type."""

    key = "x"

    def open(self, send: Any) -> Any:
        return send


@dataclass
class Odd:
    """Has a field that TOML has no value for."""

    key: complex

    def open(self, send: Any) -> Any:
        return send


@pytest.mark.parametrize(
    ("account", "message"),
    [
        (Plain, "the account class Plain is not a dataclass (decorate it with @dataclass)"),
        (Closed, r"the account class Closed has no open(self, send)"),
        (Bare, "the account field key of Bare has no type"),
        (Odd, "account field key of Odd: Lua cannot carry complex"),
    ],
)
def test_an_account_class_that_says_too_little_is_refused(account: Any, message: str) -> None:
    """An account that could not be made from a file is refused with the line of the declaration."""
    with pytest.raises(PluginError) as refused:
        Integration("lib", account, about="")
    assert refused.value.message == message
    assert refused.value.origin.startswith(f"{__file__}:")


def test_an_async_function_is_refused_when_it_is_registered() -> None:
    """A coroutine function cannot answer a call; that is said at load."""
    integration = Integration("late", Account, about="Late.")

    async def wait(_: object, /) -> dict:
        """Wait."""
        return {}

    with pytest.raises(PluginError, match="wait is async"):
        integration.reads(wait)


def test_a_default_that_does_not_fit_is_refused_when_it_is_registered() -> None:
    """A default outside of its own parameter's type is a mistake of the plugin, said at load."""
    integration = Integration("wrong", Account, about="Wrong.")

    def page(_: object, /, *, limit: Annotated[int, between(1, 100)] = 0) -> dict:
        """Page."""
        return {}

    with pytest.raises(PluginError, match=r"the default of parameter limit of page must be an integer in 1\.\.100"):
        integration.reads(page)
