"""Values on their way: from the host into Lua, through Lua, and back, over a real child."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kosmolua import LimitExceeded, Limits, protocol
from kosmolua.broker.options import RunContext
from kosmolua.clock import Clock
from kosmolua.processes.pool import WorkerPool
from kosmolua.runs.job import Ending, Job
from kosmolua.runs.supervisor import Supervisor

slowly = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])

TEXT = st.text(st.characters(exclude_categories=("Cs",)))
INTEGERS = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([-(2**63), 2**63 - 1, 2**53 + 1, -1, 0])
FLOATS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 1.0, 2.0**63, 5e-324])
LEAVES = st.none() | st.booleans() | INTEGERS | FLOATS | TEXT
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=40)


class Box:
    """A desk that gives one value away and notes what it is given."""

    def __init__(self, value: Any) -> None:
        self.given: Any = None
        self._value = value

    def describe(self, path: str) -> str:
        """Say that there is `give` and `take`."""
        if not path:
            return '{"names":["integrations"]}'
        return '{"functions":["give","take"],"accounts":[],"aliases":{}}'

    def call(self, path: str, given: Sequence[Any], fault: dict[str, str] | None, **_: object) -> str:
        """Note what comes, and give the value."""
        self.given = fault or list(given)
        return protocol.encode(self._value)

    def doc(self, verb: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        """Have nothing to read."""
        return "null"


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    pool = WorkerPool(4)
    yield pool
    pool.close()


def run(pool: WorkerPool, box: Box, source: str, *arguments: str, **limits: Any) -> tuple[Ending, bytes]:
    """Run a script that finds the box as `box`, and return its end and what it printed."""
    printed: list[bytes] = []
    with pool.take() as lease:
        allowed = Limits(**limits)
        supervision = Supervisor(lease.child, RunContext(Clock(allowed.timeout), allowed), lambda: box, printed.append)
        ending = supervision.run(Job(f"local box = app.integrations.box {source}".encode(), "=crossing", arguments))
    return ending, b"".join(printed)


def as_lua_has_it(value: Any, *, nulls: bool = False) -> Any:
    """Return a value without what Lua does not hold: integers beyond 64 bits, and nulls in maps, unless ``nulls``."""
    if isinstance(value, dict):
        return {key: as_lua_has_it(item, nulls=nulls) for key, item in value.items() if nulls or item is not None}
    if isinstance(value, list):
        return [as_lua_has_it(item, nulls=nulls) for item in value]
    wide = isinstance(value, int) and not -(2**63) <= value < 2**63
    return str(value) if wide else value


def spelled(value: Any) -> str:
    """Return a value in a spelling that keeps 1, 1.0, -0.0 and true apart."""
    return json.dumps(value, sort_keys=True)


@pytest.mark.slow
@slowly
@given(value=VALUES)
def test_what_comes_from_the_host_goes_back_the_same(pool: WorkerPool, value: Any) -> None:
    """A result of a call that the script returns, and passes on as an argument, is what it was."""
    box = Box(value)
    ending, _ = run(pool, box, "local value = box.give() box.take({ value = value }) return value")
    assert ending.error is None
    expected = as_lua_has_it(value)
    assert spelled(ending.result) == spelled([expected])
    assert spelled(box.given) == spelled([{"value": expected}] if expected is not None else [{}])


@pytest.mark.slow
@slowly
@given(value=st.integers(-(2**70), 2**70))
def test_wide_integers_arrive_as_strings(pool: WorkerPool, value: int) -> None:
    """Up to 64 bits an integer is one; beyond them it is its digits."""
    ending, _ = run(pool, Box([value]), "local it = box.give()[1] return it, math.type(it) or type(it)")
    is_narrow = -(2**63) <= value < 2**63
    assert ending.result == ([value, "integer"] if is_narrow else [str(value), "string"])


@pytest.mark.slow
@slowly
@given(value=VALUES, style=st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}]))
def test_json_agrees_with_pythons(pool: WorkerPool, value: Any, style: dict[str, Any]) -> None:
    """What json.decode reads and json.encode writes is what Python's json has, in each style of writing."""
    text = json.dumps(value, **style)
    source = "local text = box.give() local value = json.decode(text) "
    ending, _ = run(pool, Box(text), source + "return json.encode(value), json.encode(value, { pretty = true })")
    assert ending.error is None
    expected = spelled(as_lua_has_it(value, nulls=True))
    assert [spelled(json.loads(result)) for result in ending.result] == [expected, expected]


MARKS = '[]{},:"\\ \n\t-+.eE01\x01\x7f'
WORDS = r'23 null true false nul "a" "a": é 1.5 1e5 -0 01 "\u00e9" "\ud83d\ude00" \n'
PIECES = st.sampled_from([*MARKS, *WORDS.split()])


def is_json(text: str) -> bool:
    """Say whether Python takes a text for JSON, strictly."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        json.loads(text, parse_constant=refuse)
    except ValueError:
        return False
    return True


@pytest.mark.slow
@slowly
@given(texts=st.lists(st.lists(PIECES, max_size=12).map("".join), min_size=50, max_size=50))
def test_json_refuses_what_python_refuses(pool: WorkerPool, texts: list[str]) -> None:
    """A text is JSON for the script exactly where it is for Python."""
    source = "local texts = box.give() for i, text in ipairs(texts) do texts[i] = (pcall(json.decode, text)) end"
    ending, _ = run(pool, Box(texts), f"{source} return texts")
    assert dict(zip(texts, ending.result[0], strict=True)) == {text: is_json(text) for text in texts}


@pytest.mark.slow
@slowly
@given(raw=st.binary().filter(lambda raw: b"\0" not in raw))
def test_any_bytes_are_printed_as_they_are(pool: WorkerPool, raw: bytes) -> None:
    """Lua's strings are bytes: an argument of any bytes is found in arg, and printed, as it is."""
    ending, printed = run(pool, Box(None), "print(arg[1], #arg[1])", os.fsdecode(raw))
    assert ending.error is None
    assert printed == raw + b"\t%d\n" % len(raw)


@pytest.mark.slow
@slowly
@given(code=st.integers(0, 255), length=st.integers(0, 200_000))
def test_long_output_is_whole(pool: WorkerPool, code: int, length: int) -> None:
    """Output is cut into pieces on its way, also in the middle of a character, and put together again."""
    _, printed = run(pool, Box(None), f"print(('\\{code}'):rep({length}))")
    assert printed == bytes([code]) * length + b"\n"


@pytest.mark.slow
@slowly
@given(raw=st.binary(max_size=40))
def test_only_utf8_is_a_value(pool: WorkerPool, raw: bytes) -> None:
    """A string that is UTF-8 leaves as a value; another is refused by name, and nothing is sent."""
    box = Box(None)
    literal = "".join(f"\\{byte:03d}" for byte in raw)
    run(pool, box, f"pcall(box.take, {{ value = '{literal}' }})")
    try:
        assert box.given == [{"value": raw.decode()}]
    except UnicodeDecodeError:
        assert box.given == {"where": "value", "problem": "is a string that is not UTF-8"}


@pytest.mark.parametrize("depth", [98, 99, 100, 101, 5000])
def test_depth_counts_the_same_both_ways(pool: WorkerPool, depth: int) -> None:
    """A value of 100 levels crosses in each direction. One level more is the limit named depth, or a refused argument;
    of what a script returns, the deeper levels are a text."""
    value: Any = 1
    for _ in range(min(depth, 900)):
        value = [value]
    made = f"local value = 1 for _ = 1, {depth} do value = {{ value }} end"
    back = run(pool, Box(None), f"{made} return value")[0]
    into = run(pool, Box(value), "return #box.give()")[0]
    assert back.error is None
    assert bool(back.losses) == (depth > 100)
    assert isinstance(into.error, LimitExceeded) == (depth > 100)
    assert into.error is None or into.error.limit == "depth"
    box = Box(None)
    run(pool, box, f"{made} pcall(box.take, value)")
    assert ("problem" in box.given) == (depth > 100)


@pytest.mark.slow
def test_wide_values_cross(pool: WorkerPool) -> None:
    """A list of a hundred thousand, and a map of ten thousand keys."""
    value = {"list": list(range(100_000)), "map": {f"key {number}": number / 8 for number in range(10_000)}}
    ending, _ = run(pool, Box(value), "return box.give()")
    assert ending.result == [value]


def test_what_has_no_value_is_null_or_absent(pool: WorkerPool) -> None:
    """Nil among the returned values is null; at the end of a map it is nothing; json.null stays null inside lists."""
    source = "return nil, { a = json.null, b = nil, c = { json.null } }, json.null, nil"
    assert run(pool, Box(None), source)[0].result == [None, {"a": None, "c": [None]}, None, None]
    assert run(pool, Box(None), "return")[0].result == []
    assert run(pool, Box(None), "box.take(nil, 1, nil)")[0].error is None


def test_an_empty_table_is_a_map_unless_it_is_marked(pool: WorkerPool) -> None:
    """Nothing says what an empty table is: it leaves as a map, and as a list where it came as one or was marked."""
    ending, _ = run(pool, Box([[], {}]), "local pair = box.give() return pair, {}, json.array()")
    assert ending.result == [[[], {}], {}, []]
