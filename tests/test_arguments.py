"""Arguments: how a call binds them, and how a refusal tells what is wrong."""

from __future__ import annotations

import time
from typing import Any

import pytest
from support.books import FIND, HOURS, LEND, Account, Edits, Point, Thread
from support.identifiers import stable

from kosmolua import BadArguments
from kosmolua.plugin import Integration
from kosmolua.schema.arguments import Binder, Parameter
from kosmolua.schema.function import Function, read_function
from kosmolua.schema.types import STRING
from kosmolua.testing import Playground


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
    ids=stable,
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
        (LEND, [{"book": "b-1", "z": 3}], "lib.x has no parameter 'z' (its parameters are book, days, tags)", "z"),
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
            "lib.x takes a list only as a named argument (call it as lend({ book, days?, tags? }))",
            None,
        ),
        (LEND, [{"Book": "b-1"}], "lib.x has no parameter 'Book' (did you mean 'book'?)", "Book"),
    ],
    ids=stable,
)
def test_wrong_arguments_are_refused_with_what_to_do(
    function: Function, given: list[Any], message: str, param: str | None
) -> None:
    """A refusal says what was wrong, what would be right, and that nothing was sent."""
    with pytest.raises(BadArguments) as refused:
        function.bind("lib.x", given)
    assert refused.value.message == f"{message}. Nothing was sent."
    assert refused.value.param == param
    assert refused.value.code == "bad_arguments"


def test_all_that_is_wrong_is_told_at_once() -> None:
    """Wrong names come in bundles, and each round costs a model as much as the first one."""
    with pytest.raises(BadArguments) as refused:
        LEND.bind("lib.lend", [{"day": 3, "colour": "red", "shade": 1, "tags": ["a", 2]}])
    assert refused.value.message == (
        "lib.lend needs book, a string like 'b-12'; "
        "it has no parameter 'day' (did you mean 'days'?); "
        "it has no parameter 'colour' (its parameters are book, days, tags); "
        "it has no parameter 'shade'; "
        "tags[2] must be a string, not 2 (call it as lend({ book, days?, tags? })). Nothing was sent."
    )
    assert refused.value.param == "book"
    assert refused.value.hint == "call it as lend({ book, days?, tags? })"


def test_of_very_many_faults_the_first_are_told() -> None:
    """A message stays readable, whatever a script passes."""
    with pytest.raises(BadArguments, match=r"; and 95 more \(call it as lend") as refused:
        LEND.bind("lib.lend", [{"book": "b-1"} | {f"wrong{number}": 1 for number in range(101)}])
    assert refused.value.message.count("has no parameter") == 6


def test_very_many_wrong_names_cost_little() -> None:
    """Only the names that are told are looked at closely, since the host's time is not the script's."""
    given = {f"wrong_{number}": 1 for number in range(50_000)} | {"x" * 500_000: 1}
    started = time.thread_time()
    with pytest.raises(BadArguments, match="and 49996 more") as refused:
        LEND.bind("lib.lend", [given])
    assert time.thread_time() - started < 10
    assert len(refused.value.message) < 1000


def test_a_very_long_name_is_truncated() -> None:
    """In the message and in the field that a script reads."""
    with pytest.raises(BadArguments) as refused:
        LEND.bind("lib.lend", [{"book": "b-1", "x" * 500_000: 1}])
    assert len(refused.value.message) < 200
    assert refused.value.param == "x" * 80


def test_of_very_many_parameters_the_first_are_listed() -> None:
    """Some services have hundreds."""
    parameters = [Parameter(f"field_{number}", STRING, "", default=None) for number in range(284)]
    with pytest.raises(BadArguments) as refused:
        Binder(parameters, "call it as find({ ... })").bind("net.find", [{"q": 1}])
    assert refused.value.hint == f"its parameters are {', '.join(each.name for each in parameters[:40])} and 244 more"


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
