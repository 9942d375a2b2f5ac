"""parallel.all and parallel.map: many calls at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kosmolua import CallError, LimitExceeded, Limits, Outcome, Runtime
from kosmolua.calls.records import CallEnded, CallStarted, Event

PLUGIN = Path(__file__).parent / "plugins" / "slow.py"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(plugins=[PLUGIN], environ={}, limits=Limits(timeout=100, max_calls=20_000)) as runtime:
        yield runtime


def run(runtime: Runtime, source: str, **options: Any) -> Outcome:
    return runtime.run("local slow = app.integrations.slow\n" + source, **options)


def result(runtime: Runtime, source: str, **options: Any) -> Any:
    outcome = run(runtime, source, **options)
    assert outcome.ok, outcome.error
    return outcome.result[0]


@pytest.fixture
def gate(tmp_path: Path) -> dict[str, Any]:
    """Options of a run whose calls can wait for the file ``...``, which is there once the script has printed."""
    file = tmp_path / "gate"
    return {"args": [str(file)], "on_output": lambda piece: file.touch()}


def test_calls_of_branches_overlap(runtime: Runtime) -> None:
    """While one branch waits for a call, the others go on: none of 16 calls returns before all are under way."""
    answer = result(
        runtime,
        """
        local names = {}
        for i = 1, 16 do names[i] = i end
        local function wait(n) return slow.wait({ among = 16, name = n }).name end
        local found = parallel.map(names, wait, { limit = 16 })
        return { found = found, peak = slow.counts().peak }
        """,
    )
    assert answer == {"found": list(range(1, 17)), "peak": 16}


@pytest.mark.parametrize(("options", "limit"), [(", { limit = 3 }", 3), ("", 8)])
def test_the_limit_bounds_what_is_under_way(runtime: Runtime, options: str, limit: int) -> None:
    """As many branches as `limit` says are under way and no more, eight where nothing is said."""
    source = f"""
        local work, under_way, peak = {{}}, 0, 0
        for i = 1, 24 do
          work[i] = function()
            under_way = under_way + 1
            peak = math.max(peak, under_way)
            local name = slow.wait({{ among = {limit}, name = i }}).name
            under_way = under_way - 1
            return name
          end
        end
        local found = parallel.all(work{options})
        return {{ found = found, branches = peak, calls = slow.counts().peak }}
        """
    assert result(runtime, source) == {"found": list(range(1, 25)), "branches": limit, "calls": limit}


def test_an_account_has_a_cap_of_its_own(runtime: Runtime, tmp_path: Path) -> None:
    """Whatever limit a script asks for, no more than 32 calls of an account are under way."""
    gate = tmp_path / "gate"
    told: list[Event] = []

    def watch(event: Event) -> None:
        told.append(event)
        if len(told) == 64:
            gate.touch()

    answer = result(
        runtime,
        """
        local names = {}
        for i = 1, 64 do names[i] = i end
        parallel.map(names, function(n) slow.wait({ among = 32, file = arg[1] }) end, { limit = 100 })
        return slow.counts().peak
        """,
        args=[str(gate)],
        watch=watch,
    )
    assert answer == 32


def test_the_first_error_by_position_is_raised(runtime: Runtime, gate: dict[str, Any]) -> None:
    """Calls under way end first, no new ones start, and the first error by position wins over the first in time."""
    answer = result(
        runtime,
        """
        local gate = ...
        local ok, err = pcall(parallel.all, {
          function() slow.wait({ file = gate, name = "one" }) end,
          function() slow.fail({ file = gate, name = "two" }) end,
          function()
            local _, err = pcall(slow.fail, { name = "three" })
            print("the third has failed")
            error(err, 0)
          end,
          function() slow.wait({ name = "four" }) end,
        }, { limit = 3 })
        return { ok = ok, code = err.code, message = err.message, started = slow.counts().started }
        """,
        **gate,
    )
    assert answer["ok"] is False
    assert answer["code"] == "slow_failure"
    assert "two failed" in answer["message"]
    assert sorted(answer["started"]) == ["one", "three", "two"]


def test_no_call_starts_after_an_error(runtime: Runtime, gate: dict[str, Any]) -> None:
    """A branch that would make another call after a sibling failed is abandoned, also inside a nested parallel."""
    answer = result(
        runtime,
        """
        local gate = ...
        local ok, err = pcall(parallel.all, {
          function()
            local _, err = pcall(slow.fail, { name = "first" })
            print("the first has failed")
            error(err, 0)
          end,
          function()
            slow.wait({ file = gate, name = "under way" })
            slow.wait({ name = "too late" })
          end,
          function()
            parallel.map({ 1, 2, 3 }, function(n) slow.wait({ file = gate, name = "nested" .. n }) end, { limit = 1 })
            slow.wait({ name = "far too late" })
          end,
        })
        return { ok = ok, started = slow.counts().started }
        """,
        **gate,
    )
    assert answer["ok"] is False
    assert sorted(answer["started"]) == ["first", "nested1", "under way"]


def test_pcall_inside_a_branch_works(runtime: Runtime) -> None:
    """A branch can catch its own call's error and go on; error tables keep their fields."""
    source = """
        return parallel.map({ "a", "b" }, function(name)
          local ok, err = pcall(slow.fail, { name = name })
          local again = slow.wait({ name = name .. name }).name
          return { ok = ok, code = err.code, again = again }
        end)
        """
    assert result(runtime, source) == [
        {"ok": False, "code": "slow_failure", "again": "aa"},
        {"ok": False, "code": "slow_failure", "again": "bb"},
    ]


def test_nested_parallel_overlaps(runtime: Runtime) -> None:
    """A parallel inside a branch overlaps with its siblings: none of 16 calls returns before all are under way."""
    source = """
        return parallel.map({ 1, 2, 3, 4 }, function(i)
          return parallel.map({ 1, 2, 3, 4 }, function(j)
            return slow.wait({ among = 16, name = i * 10 + j }).name
          end)
        end)
        """
    assert result(runtime, source) == [[i * 10 + j for j in range(1, 5)] for i in range(1, 5)]


def test_coroutines_of_the_script_call_one_at_a_time(runtime: Runtime) -> None:
    """Generators that call work outside and inside a branch; their calls go one at a time."""
    source = """
        local function names(n)
          return coroutine.wrap(function()
            for i = 1, n do coroutine.yield(slow.wait({ name = i }).name) end
          end)
        end
        local function collect(n)
          local all = {}
          for name in names(n) do all[#all + 1] = name end
          return all
        end
        local plain = collect(3)
        return { plain = plain, branches = parallel.map({ 2, 3 }, collect) }
        """
    assert result(runtime, source) == {"plain": [1, 2, 3], "branches": [[1, 2], [1, 2, 3]]}


def test_callbacks_that_cannot_yield_call_plainly(runtime: Runtime) -> None:
    """Inside table.sort or gsub a call simply blocks, also in a branch."""
    source = """
        return parallel.map({ 1, 2 }, function(n)
          local list = { 3, 1, 2 }
          table.sort(list, function(a, b) return slow.wait({ name = a }).name < b end)
          local text = ("ab"):gsub("%a", function(c) return slow.wait({ name = c .. n }).name end)
          return { list = list, text = text }
        end)
        """
    expected = [{"list": [1, 2, 3], "text": f"a{n}b{n}"} for n in (1, 2)]
    assert result(runtime, source) == expected


@pytest.mark.slow
def test_ten_thousand_branches(runtime: Runtime) -> None:
    """10,000 branches, each with a call, end in order."""
    source = """
        local list = {}
        for i = 1, 10000 do list[i] = i end
        local found = parallel.map(list, function(n) return slow.wait({ name = n }).name end, { limit = 64 })
        local wrong = 0
        for i = 1, 10000 do if found[i] ~= i then wrong = wrong + 1 end end
        return { count = #found, wrong = wrong }
        """
    assert result(runtime, source) == {"count": 10000, "wrong": 0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "limit"),
    [
        ("parallel.map({ 1, 2 }, function() local s = 'x' while true do s = s .. s end end)", "memory"),
        ("parallel.map({ 1, 2 }, function() while true do pcall(print, ('x'):rep(1000)) end end)", "output"),
        ("parallel.map({ 1, 2 }, function() while true do pcall(slow.wait) end end)", "calls"),
        ("parallel.map({ 1, 2 }, function() slow.wait({ file = arg[1] }) end)", "wall"),
    ],
)
def test_a_limit_in_a_branch_ends_the_script(runtime: Runtime, source: str, limit: str, tmp_path: Path) -> None:
    """No limit can be caught in a branch either."""
    gate = tmp_path / "gate"
    options: dict[str, Any] = {"max_output": 5000, "max_calls": 20} | ({"timeout": 0.5} if limit == "wall" else {})
    error = run(runtime, source, args=[str(gate)], **options).error
    gate.touch()
    assert isinstance(error, LimitExceeded)
    assert error.limit == limit


def test_yielding_from_a_branch_is_an_error(runtime: Runtime) -> None:
    """A branch is no coroutine of the script: a plain yield in it says so."""
    outcome = run(runtime, "parallel.all({ function() coroutine.yield(1) end })")
    assert outcome.error
    assert "attempt to yield from a branch of parallel" in outcome.error.message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("parallel.all(1)", "parallel.all needs a list of functions, not a number"),
        ("parallel.all({ print, 2 })", "parallel.all needs functions, but number 2 is a number"),
        ("parallel.map({}, 5)", "parallel.map needs a list and a function"),
        ("parallel.map({}, print, { limit = 0 })", "limit must be a positive integer"),
        ("parallel.map({}, print, { limt = 4 })", "parallel.map has no option limt; it has limit"),
        (
            "parallel.all({ user = print })",
            "parallel.all needs a list such as { a, b }, not a table with the key user",
        ),
        ("parallel.map({ 1, 2, n = 2 }, print)", "not a table with the key n"),
        ("parallel.map({ [1] = 1, [1000] = 2 }, print)", "not a table with the key 1000"),
        ("parallel.map({ [0] = 1, 2 }, print)", "not a table with the key 0"),
        ("parallel.map({ [{ 1 }] = 1 }, print)", "not a table with the key [1]"),
    ],
)
def test_wrong_use_is_said_with_the_scripts_line(runtime: Runtime, source: str, words: str) -> None:
    """A wrong argument of parallel is an error at the script's own line."""
    outcome = run(runtime, source)
    assert outcome.error
    assert outcome.error.message.startswith("script.lua:2: ")
    assert words in outcome.error.message


def test_calls_are_listed_as_they_began(runtime: Runtime, tmp_path: Path) -> None:
    """Calls are listed in the order in which the script made them, whenever they ended."""
    begun, gate = tmp_path / "begun", tmp_path / "gate"
    ended: list[str] = []

    def watch(event: Event) -> None:
        if isinstance(event, CallEnded):
            ended.append(event.record.path)
        if isinstance(event, CallStarted) and event.path == "slow.wait":
            begun.touch()
        if ended[-1:] == ["slow.counts"]:
            gate.touch()

    source = """
        local begun, gate = ...
        parallel.all({
          function() slow.wait({ file = gate }) end,
          function() pcall(slow.fail, { file = begun }) slow.counts() end,
        })
        """
    outcome = run(runtime, source, args=[str(begun), str(gate)], watch=watch)
    assert ended == ["slow.fail", "slow.counts", "slow.wait"]
    listed = [call["path"] for call in outcome.calls]
    assert sorted(listed[:2]) == ["slow.fail", "slow.wait"]
    assert listed[2:] == ["slow.counts"]


def test_an_uncaught_error_of_a_branch_keeps_its_code(runtime: Runtime) -> None:
    """The script's error is the call's own, with its code and path."""
    error = run(runtime, "parallel.map({ 1 }, function() slow.fail({ name = 'x' }) end)").error
    assert isinstance(error, CallError)
    assert error.code == "slow_failure"
    assert error.path == "slow.fail"
    assert error.account == "default"


@pytest.mark.parametrize(
    "failing",
    ["error('bad item')", "error({ 'bad', 'item' })", "slow.fail({ name = 'x' })", "return slow.nothing", "nothing()"],
)
@pytest.mark.parametrize(
    "calling",
    [
        "local found = parallel.map({ 1, 2 }, step) return found",
        "parallel.all({ function() parallel.map({ 1, 2 }, step) end })",
    ],
)
def test_an_error_of_a_branch_has_its_own_line_and_traceback(runtime: Runtime, failing: str, calling: str) -> None:
    """The line is that of the failure, and the traceback goes from there through each parallel to the script."""
    source = f"""local function step(item)
            {failing}
        end
        pcall(parallel.all, {{ function() error("something else") end }})
        local function all()
            {calling}
        end
        all()"""
    error = run(runtime, source, name="branch.lua").error
    assert error and error.line == 3
    assert error.traceback
    lines = re.findall(r"branch.lua:(\d+): in", error.traceback)
    assert list(dict.fromkeys(lines)) == ["3", "7", "9"]
    assert "[host]" not in error.traceback and error.traceback.count("stack traceback") == 1


def test_a_failure_in_a_branch_does_not_pass_for_a_later_one(runtime: Runtime) -> None:
    """An error with the words of one that was caught has its own line and its own traceback."""
    source = """pcall(parallel.all, { function() error("failed", 0) end })

        local function later() error("failed", 0) end later()"""
    error = run(runtime, source, name="branch.lua").error
    assert error and error.line == 4
    assert error.traceback and "branch.lua:2" not in error.traceback
