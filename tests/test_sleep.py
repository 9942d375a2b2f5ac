"""Scripts that wait: the host holds the answer back, and nothing else does."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from conftest import ROOT, Program

from kosmolua import LimitExceeded, Runtime, ScriptError
from kosmolua.calls.records import Waiting
from kosmolua.cli.progress import OutputPrinter, StatusLine
from kosmolua.plugin import Integration, Send


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A runtime over real services, of which there are none."""
    with Runtime({}, environ={}) as runtime:
        yield runtime


def timed(runtime: Runtime, source: str, **options: Any) -> tuple[Any, float]:
    """Run a script, and return its outcome and the seconds that it took."""
    began = time.monotonic()
    outcome = runtime.run(source, **options)
    return outcome, time.monotonic() - began


def test_a_script_waits_without_processor_time(runtime: Runtime) -> None:
    """It goes on when the time is over, and whoever watches is told for how long it waits."""
    events: list[object] = []
    outcome, seconds = timed(runtime, "sleep(0.4) return 1", watch=events.append)
    assert outcome.result == [1]
    assert seconds >= 0.4
    assert outcome.usage["cpu_ms"] < 200
    assert events == [Waiting(0.4)]
    assert outcome.calls == []


@pytest.mark.slow
def test_other_branches_go_on(runtime: Runtime) -> None:
    """A thousand branches wait at the same time, and the one with the longest time ends last."""
    source = """
    local ended, list = {}, {}
    for i = 1, 1000 do list[i] = i end
    parallel.map(list, function(i) sleep(i == 1 and 2 or 0.2) ended[#ended + 1] = i end, { limit = 1000 })
    return #ended, ended[1000]
    """
    outcome, seconds = timed(runtime, source)
    assert outcome.result == [1000, 1]
    assert seconds < 60


@pytest.mark.slow
def test_the_wall_limit_ends_a_script_that_waits(runtime: Runtime) -> None:
    """Whether it waits itself or in branches."""
    for source in ("sleep(60)", "parallel.all({ function() sleep(60) end, function() sleep(50) end })"):
        outcome, seconds = timed(runtime, source, timeout=0.3)
        assert isinstance(outcome.error, LimitExceeded)
        assert outcome.error.limit == "wall"
        assert seconds < 30


@pytest.mark.slow
def test_the_wall_limit_holds_while_no_answer_can_be_written() -> None:
    """A branch that computes reads no answers: one of megabytes fills the pipe, and one to wait stands behind it."""
    shelf = Integration("shelf", Shelf, about="A shelf.")

    @shelf.reads
    def take(api: Any, /) -> str:
        """Take the book from it."""
        return "x" * 3_000_000

    source = """
    parallel.all({
      function() return app.integrations.shelf.take() end,
      function() sleep(0.2) end,
      function() sleep(0.05) while true do end end,
    })"""
    with Runtime({"shelf": {"default": {}}}, plugins=[shelf], environ={}) as runtime:
        outcome, seconds = timed(runtime, source, timeout=1.0)
    assert isinstance(outcome.error, LimitExceeded)
    assert outcome.error.limit == "wall"
    assert seconds < 20  # the limit of processor time would end it after 30


@dataclass(frozen=True)
class Shelf:
    """Needs nothing."""

    def open(self, send: Send) -> None:
        return


def test_an_age_is_as_long_as_a_year() -> None:
    """The clock of a simulator cannot count further."""
    source = "sleep(1e300) return #app.integrations.render2.list_deploys({ service_id = ... }).deploys > 0"
    with Runtime({}, simulate=True, yes=True, environ={}) as runtime:
        service = runtime.run("return app.integrations.render2.list_services().services[1].id").result[0]
        trigger = "app.integrations.render2.trigger_deploy({ service_id = ... })"
        outcome = runtime.run(f"{trigger} {source}", args=[service], timeout=40_000_000)
    assert outcome.ok, outcome.error
    assert outcome.result == [True]


def test_nothing_is_no_time(runtime: Runtime) -> None:
    """A script may wait for zero seconds, and for a part of one."""
    assert runtime.run("sleep(0) sleep(0.001) return 1").result == [1]


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("'x'", "bad argument #1 to 'sleep' (number expected, got string)"),
        ("", "bad argument #1 to 'sleep' (number expected, got nil)"),
        ("-1", "bad argument #1 to 'sleep' (seconds from 0 expected, got -1)"),
        ("0/0", "bad argument #1 to 'sleep' (seconds from 0 expected, got"),
        ("math.huge", "bad argument #1 to 'sleep' (seconds from 0 expected, got inf)"),
    ],
)
def test_what_is_no_time_is_refused(runtime: Runtime, argument: str, says: str) -> None:
    """The error names the argument and the script's line."""
    error = runtime.run(f"\nsleep({argument})").error
    assert isinstance(error, ScriptError)
    assert error.message.startswith(f"script.lua:2: {says}")


@pytest.mark.parametrize("source", ["sleep(60)", "sleep(4) sleep(4)", "parallel.all({ function() sleep(60) end })"])
def test_simulated_sleep_counts_against_the_time_limit(source: str) -> None:
    """A script that would be stopped in reality is stopped at once in simulation."""
    with Runtime({}, simulate=True, environ={}) as runtime:
        outcome = runtime.run(source, timeout=5)

    assert isinstance(outcome.error, LimitExceeded)
    assert outcome.error.limit == "wall"


def test_simulated_branches_sleep_at_the_same_time() -> None:
    """A hundred seconds in a hundred branches are one second."""
    source = "local t = {} for i = 1, 100 do t[i] = i end parallel.map(t, function() sleep(1) end) return 1"
    with Runtime({}, simulate=True, environ={}) as runtime:
        assert runtime.run(source, timeout=60).result == [1]


def test_simulated_time_moves_on() -> None:
    """An hour takes no time, and what is under way in the simulator goes on meanwhile."""
    source = """
    local render = app.integrations.render2
    local service = render.list_services({ type = "web_service", limit = 1 }).services[1]
    local deploy = render.trigger_deploy({ service_id = service.id }).deploy
    local before = deploy.status
    sleep(3600)
    return before, render.get_deploy({ service_id = service.id, deploy_id = deploy.id }).deploy.status
    """
    with Runtime({}, simulate=True, yes=True, environ={}) as runtime:
        outcome, seconds = timed(runtime, source, timeout=4000)
    before, after = outcome.result
    assert before != "live"
    assert after == "live"
    assert seconds < 30


@pytest.mark.slow
def test_the_example_of_waiting_waits(kosmolua: Program) -> None:
    """It looks, waits and looks again until the deploy has ended."""
    done = kosmolua("run", "--simulate", "--yes", str(ROOT / "scripts" / "create_and_wait.lua"), check=True)
    assert "is live" in done.stdout


def test_the_live_line_says_for_how_long() -> None:
    """A person who watches sees that the script waits."""
    now = [10.0]
    terminal = io.StringIO()
    live = StatusLine(terminal, OutputPrinter(), after=0.0, clock=lambda: now[0])
    live.note(Waiting(30.0))
    now[0] = 15.0
    live.draw()
    assert "waiting 25.0 s" in terminal.getvalue()
