"""The clocks of a script: the system's, or the simulators', which move as the script waits and calls."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from kosmolua import Runtime
from kosmolua.plugin import SIMULATION_START

RECORDED = """
local render = app.integrations.render2
local service = render.list_services({ type = "web_service", limit = 1 }).services[1]
local deploy = render.trigger_deploy({ service_id = service.id }).deploy
return time.now() - time.parse(deploy.createdAt)
"""


@pytest.fixture
def simulated() -> Iterator[Runtime]:
    with Runtime({}, simulate=True, yes=True, environ={}) as runtime:
        yield runtime


def test_a_live_script_has_the_time_of_the_system() -> None:
    """All of its clocks agree."""
    with Runtime({}, environ={}) as runtime:
        now, whole, text, cpu = runtime.run(
            "return time.now(), os.time(), os.date('!%s'), os.clock()".replace("%s", "%FT%TZ")
        ).result
    assert abs(now - time.time()) < 60
    assert abs(whole - now) < 5
    assert text[:10] == time.strftime("%Y-%m-%d", time.gmtime(whole))
    assert 0 < cpu < 30


def test_simulated_time_starts_at_the_same_moment_always(simulated: Runtime) -> None:
    """It is the beginning of the simulators' data, for every function that tells the time."""
    now, whole, date, parts, text = simulated.run(
        "return time.now(), os.time(), os.date('!%Y-%m-%d'), os.date('!*t').hour, #os.date()"
    ).result
    assert SIMULATION_START < now < SIMULATION_START + 1
    assert whole == SIMULATION_START
    assert date == "2026-03-02"
    assert parts == 9
    assert text > 0


def test_simulated_time_moves_on_with_sleep_and_requests(simulated: Runtime) -> None:
    """A request takes a second, a sleep as long as it says, and nothing waits."""
    began = time.monotonic()
    source = """
    local first = time.now()
    sleep(3600.5)
    local second = time.now()
    app.integrations.render2.list_owners()
    return second - first, time.now() - second
    """
    slept, called = simulated.run(source, timeout=7200).result
    assert slept == pytest.approx(3600.5, abs=0.1)
    assert called == pytest.approx(1, abs=0.1)
    assert time.monotonic() - began < 60


@pytest.mark.slow
def test_what_a_simulator_writes_down_is_as_old_as_it_says(simulated: Runtime) -> None:
    """Also in an account that is first used after a long time, and of another integration's calls before."""
    late = "sleep(86400) app.integrations.github.list_repos() app.integrations.render2.staging.list_owners() "
    assert simulated.run(RECORDED).result[0] == pytest.approx(0, abs=0.1)
    assert simulated.run(late + RECORDED, timeout=100_000).result[0] == pytest.approx(0, abs=0.1)


@pytest.mark.slow
def test_a_script_that_looks_until_time_has_passed_ends(simulated: Runtime) -> None:
    """Each look at the clock takes some of the time."""
    outcome = simulated.run("local start = os.time() while os.time() - start < 2 do end return 'over'")
    assert outcome.result == ["over"]


def test_a_time_of_its_own_is_computed_as_ever(simulated: Runtime) -> None:
    """What names a moment asks no clock, and errors are Lua's."""
    live, wrong = "return os.time({ year = 2020, month = 1, day = 1 }), os.date('!%c', 0)", "return os.date(1, {})"
    with Runtime({}, environ={}) as runtime:
        assert simulated.run(live).result == runtime.run(live).result
        assert str(simulated.run(wrong).error).split("(")[-1] == str(runtime.run(wrong).error).split("(")[-1]


def test_branches_of_parallel_look_at_the_clock(simulated: Runtime) -> None:
    """Also where they cannot yield."""
    source = """
    local times = parallel.map({ 3, 2, 1 }, function(seconds)
      sleep(seconds)
      local list = { 2, 1 }
      table.sort(list, function(a, b) return time.now() > 0 and a < b end)
      return time.now()
    end)
    return #times, times[1] > 0, coroutine.wrap(function() return os.time() end)() > 0
    """
    assert simulated.run(source).result == [3, True, True]
