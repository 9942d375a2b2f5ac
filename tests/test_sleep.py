"""Scripts that wait: the host holds the answer back, and nothing else does."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import ROOT, Program

from kosmolua import LimitExceeded, Runtime, ScriptError
from kosmolua.calls.records import Waiting
from kosmolua.cli.progress import OutputPrinter, StatusLine
from kosmolua.errors import Unavailable
from kosmolua.plugin import Integration, Send

pytestmark = pytest.mark.slow


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


def test_the_wall_limit_ends_a_script_that_waits(runtime: Runtime) -> None:
    """Whether it waits itself or in branches."""
    for source in ("sleep(60)", "parallel.all({ function() sleep(60) end, function() sleep(50) end })"):
        outcome, seconds = timed(runtime, source, timeout=0.3)
        assert isinstance(outcome.error, LimitExceeded)
        assert outcome.error.limit == "wall"
        assert seconds < 30


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


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Return a function that moves on the clock by which a run that is parked goes on."""
    ahead = [0.0]
    now = time.time
    monkeypatch.setattr("kosmolua.recordings.tape.time", lambda: now() + ahead[0])

    def move(seconds: float) -> None:
        ahead[0] += seconds

    return move


NAPPING = """
print("before")
sleep(3600)
print("after")
local looks = 0
local seen = wait_until(function() looks = looks + 1 return looks == 2 and "seen" end, { every = "2h", timeout = "5h" })
return seen
"""


def test_a_long_sleep_parks_the_run(runtime: Runtime, tmp_path: Path, later: Callable[[float], None]) -> None:
    """It ends at once, waiting, also between two looks of wait_until, and goes on where it was at its time."""
    file, parked = tmp_path / "run.jsonl", list[float]()
    first, seconds = timed(runtime, NAPPING, record=file, park=parked.append, timeout=100)
    assert seconds < 60
    assert (first.status, first.output) == ("waiting", "before\n")
    assert 3500 < parked[0] - time.time() <= 3600
    schema = json.loads(files("kosmolua.docs").joinpath("outcome.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(first.to_json(), schema)
    assert "goes on then by itself" in str(first.error)
    later(3600)
    second = runtime.resume(file, park=parked.append)
    assert (second.status, second.output) == ("waiting", "before\nafter\n")
    assert 3600 + 7100 < parked[1] - time.time() <= 3600 + 7200
    later(7200)
    assert runtime.resume(file, park=parked.append).result == ["seen"]
    assert runtime.replay(file).result == ["seen"]


def test_a_run_that_goes_on_too_early_parks_again(
    runtime: Runtime, tmp_path: Path, later: Callable[[float], None]
) -> None:
    """For the rest of its time; and a later sleep of the same length is one of its own."""
    file, parked = tmp_path / "run.jsonl", list[float]()
    source = "for n = 1, 2 do sleep(1000) end return 'done'"
    runtime.run(source, record=file, park=parked.append)
    later(500)
    assert runtime.resume(file, park=parked.append).status == "waiting"
    assert parked[1] == pytest.approx(parked[0], abs=5)
    later(500)
    assert runtime.resume(file, park=parked.append).status == "waiting"
    assert parked[2] == pytest.approx(parked[0] + 1000, abs=30)
    later(1000)
    assert runtime.resume(file, park=parked.append).result == ["done"]


def test_a_run_parks_once_nothing_else_goes_on(
    runtime: Runtime, tmp_path: Path, later: Callable[[float], None]
) -> None:
    """The branches that do something do it first; then the one that sleeps least wakes it."""
    file, parked = tmp_path / "run.jsonl", list[float]()
    source = """
    return table.unpack(parallel.all({
      function() sleep(500) return "a" end,
      function() sleep(0.2) print("quick") return "b" end,
      function() sleep(100) return "c" end,
    }))
    """
    first = runtime.run(source, record=file, park=parked.append)
    assert (first.status, first.output) == ("waiting", "quick\n")
    assert parked[0] - time.time() == pytest.approx(100, abs=20)
    later(100)
    assert runtime.resume(file, park=parked.append).status == "waiting"
    assert parked[1] == pytest.approx(parked[0] + 400, abs=20)
    later(400)
    assert runtime.resume(file, park=parked.append).result == ["a", "b", "c"]


def test_a_replay_of_a_parked_run_ends_where_it_waits(runtime: Runtime, tmp_path: Path) -> None:
    """With the output so far, and the time at which it goes on."""
    file = tmp_path / "run.jsonl"
    runtime.run(NAPPING, record=file, park=lambda until: None)
    again = runtime.replay(file)
    assert (again.status, again.output) == ("waiting", "before\n")


def test_a_run_parks_once_a_store_is_back(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, later: Callable[[float], None]
) -> None:
    """It waits for a store that is away, and then sleeps on without a process."""
    monkeypatch.setattr("kosmolua.runs.recorded.STORE_PAUSE", 0.01)
    file, tries = tmp_path / "run.jsonl", list[float]()

    def park(until: float) -> None:
        tries.append(until)
        if len(tries) < 3:
            raise Unavailable("The database cannot be reached")

    assert runtime.run("sleep(3600) return 'woken'", record=file, park=park).status == "waiting"
    assert tries == tries[:1] * 3
    later(3600)
    assert runtime.resume(file, park=park).result == ["woken"]


def test_a_run_that_waits_for_a_store_can_be_stopped(runtime: Runtime, tmp_path: Path) -> None:
    """As when its server stops: it is interrupted, and can be resumed."""
    file, run = tmp_path / "run.jsonl", "0123456789ab"

    def park(_: float) -> None:
        runtime.interrupt(run)
        raise Unavailable("The database cannot be reached")

    assert runtime.run("sleep(3600)", record=file, run=run, park=park).status == "interrupted"
    assert runtime.resume(file, park=lambda until: None).status == "waiting"


def test_a_short_sleep_and_a_run_that_cannot_be_woken_do_not_park(runtime: Runtime, tmp_path: Path) -> None:
    """The first waits, the second reaches its limit."""
    parked = list[float]()
    assert runtime.run("sleep(0.1) return 1", record=tmp_path / "a.jsonl", park=parked.append).result == [1]
    assert runtime.run("sleep(100)", record=tmp_path / "b.jsonl", timeout=0.5).status == "limit"
    assert parked == []
