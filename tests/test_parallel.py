"""parallel.all and parallel.map: many calls at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kosmolua import CallError, LimitExceeded, Limits, Outcome, Runtime
from kosmolua.policy import Approval

PLUGIN = Path(__file__).parent / "plugins" / "slow.py"


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    with Runtime(plugins=[PLUGIN], environ={}, limits=Limits(timeout=20, max_calls=20_000)) as runtime:
        yield runtime


def run(runtime: Runtime, source: str, **options: Any) -> Outcome:
    return runtime.run("local slow = app.integrations.slow\n" + source, **options)


def result(runtime: Runtime, source: str) -> Any:
    outcome = run(runtime, source)
    assert outcome.ok, outcome.error
    return outcome.result[0]


def test_calls_of_branches_overlap(runtime: Runtime) -> None:
    """While one branch waits for a call, the others go on: 16 calls of 0.2 s take far less than their sum."""
    started = time.monotonic()
    answer = result(
        runtime,
        """
        local names = {}
        for i = 1, 16 do names[i] = i end
        local function wait(n) return slow.wait({ seconds = 0.2, name = n }).name end
        local found = parallel.map(names, wait, { limit = 16 })
        return { found = found, peak = slow.counts().peak }
        """,
    )
    assert answer == {"found": list(range(1, 17)), "peak": 16}
    assert time.monotonic() - started < 2.0


def test_the_limit_bounds_what_is_under_way(runtime: Runtime) -> None:
    """No more than `limit` branches are under way, eight where nothing is said."""
    source = """
        local work = {{}}
        for i = 1, 20 do work[i] = function() return slow.wait({{ seconds = 0.02, name = i }}).name end end
        local found = parallel.all(work{options})
        return {{ found = found, peak = slow.counts().peak }}
        """
    assert result(runtime, source.format(options=", { limit = 3 }")) == {"found": list(range(1, 21)), "peak": 3}
    assert result(runtime, source.format(options=""))["peak"] == 8


def test_an_account_has_a_cap_of_its_own(runtime: Runtime) -> None:
    """Whatever limit a script asks for, no more than 32 calls of an account are under way."""
    answer = result(
        runtime,
        """
        local names = {}
        for i = 1, 48 do names[i] = i end
        parallel.map(names, function(n) slow.wait({ seconds = 0.1 }) end, { limit = 100 })
        return slow.counts().peak
        """,
    )
    assert answer == 32


def test_the_first_error_by_position_is_raised(runtime: Runtime) -> None:
    """Calls under way end first, no new ones start, and the first error by position wins over the first in time."""
    answer = result(
        runtime,
        """
        local ok, err = pcall(parallel.all, {
          function() slow.wait({ seconds = 0.05, name = "one" }) end,
          function() slow.fail({ seconds = 0.1, name = "two" }) end,
          function() slow.fail({ seconds = 0.02, name = "three" }) end,
          function() slow.wait({ name = "four" }) end,
        }, { limit = 3 })
        return { ok = ok, code = err.code, message = err.message, started = slow.counts().started }
        """,
    )
    assert answer["ok"] is False
    assert answer["code"] == "slow_failure"
    assert "two failed" in answer["message"]
    assert sorted(answer["started"]) == ["one", "three", "two"]


def test_no_call_starts_after_an_error(runtime: Runtime) -> None:
    """A branch that would make another call after a sibling failed is abandoned, also inside a nested parallel."""
    answer = result(
        runtime,
        """
        local ok, err = pcall(parallel.all, {
          function() slow.fail({ seconds = 0.02, name = "first" }) end,
          function()
            slow.wait({ seconds = 0.1, name = "under way" })
            slow.wait({ name = "too late" })
          end,
          function()
            parallel.map({ 1, 2, 3 }, function(n) slow.wait({ seconds = 0.1, name = "nested" .. n }) end, { limit = 1 })
            slow.wait({ name = "far too late" })
          end,
        })
        return { ok = ok, started = slow.counts().started }
        """,
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
    """A parallel inside a branch overlaps with its siblings."""
    started = time.monotonic()
    source = """
        return parallel.map({ 1, 2, 3, 4 }, function(i)
          return parallel.map({ 1, 2, 3, 4 }, function(j)
            return slow.wait({ seconds = 0.2, name = i * 10 + j }).name
          end)
        end)
        """
    assert result(runtime, source) == [[i * 10 + j for j in range(1, 5)] for i in range(1, 5)]
    assert time.monotonic() - started < 2.0


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


@pytest.mark.parametrize(
    ("source", "limit"),
    [
        ("parallel.map({ 1, 2 }, function() local s = 'x' while true do s = s .. s end end)", "memory"),
        ("parallel.map({ 1, 2 }, function() while true do pcall(print, ('x'):rep(1000)) end end)", "output"),
        ("parallel.map({ 1, 2 }, function() while true do pcall(slow.wait) end end)", "calls"),
        ("parallel.map({ 1, 2 }, function() slow.wait({ seconds = 30 }) end)", "wall"),
    ],
)
def test_a_limit_in_a_branch_ends_the_script(runtime: Runtime, source: str, limit: str) -> None:
    """No limit can be caught in a branch either."""
    options: dict[str, Any] = {"max_output": 5000, "max_calls": 20} | ({"timeout": 0.5} if limit == "wall" else {})
    if limit == "wall":
        source = source.replace("30", "1")
    error = run(runtime, source, **options).error
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


def test_the_journal_keeps_the_order_of_calls(runtime: Runtime) -> None:
    """Calls are listed in the order in which the script made them, whenever they ended."""
    outcome = run(
        runtime,
        "parallel.map({ 0.1, 0.02, 0.06 }, function(s) slow.wait({ seconds = s, name = tostring(s) }) end)",
    )
    assert [call["path"] for call in outcome.calls] == ["slow.wait"] * 3
    durations = [call["duration_ms"] for call in outcome.calls]
    assert durations[0] > durations[2] > durations[1]


def test_an_uncaught_error_of_a_branch_keeps_its_code(runtime: Runtime) -> None:
    """The script's error is the call's own, with its code and path."""
    error = run(runtime, "parallel.map({ 1 }, function() slow.fail({ name = 'x' }) end)").error
    assert isinstance(error, CallError)
    assert (error.code, error.path, error.account) == ("slow_failure", "slow.fail", "default")


def test_approvals_are_asked_one_at_a_time(tmp_path: Path) -> None:
    """Writes of several branches at once are put to the person one after another."""
    accounts = tmp_path / "accounts.toml"
    accounts.write_text('[slow.default]\npermissions = { read = "ask" }\n')
    asked: list[Approval] = []
    busy = threading.Lock()

    def approve(approval: Approval) -> bool:
        assert busy.acquire(blocking=False), "two questions at once"
        time.sleep(0.02)
        asked.append(approval)
        busy.release()
        return approval.arguments["name"] != 2

    with Runtime(accounts, plugins=[PLUGIN], environ={}, approve=approve) as runtime:
        outcome = run(
            runtime,
            "return parallel.map({ 1, 2, 3 }, function(n) return (pcall(slow.wait, { name = n })) end)",
        )
    assert outcome.result == [[True, False, True]]
    assert len(asked) == 3
