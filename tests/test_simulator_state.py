"""The file with the simulators' state: one run at a time has it, so that none overwrites what another one did."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import pytest

from kosmolua import ConfigError, Runtime

CREATE = "return app.integrations.render2.create_env_group({ name = 'p', env_vars = { A = 'b' } }).env_group.id"
LIST = "return #app.integrations.render2.list_env_groups({ limit = 100 }).env_groups"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files have no such locks here")


def opened(state: Path) -> Runtime:
    return Runtime(None, simulate=state, yes=True, environ={})


@pytest.mark.slow
def test_a_second_run_is_refused_while_the_first_has_the_file(tmp_path: Path) -> None:
    """It says which file, and what to do; nothing that the first one did is lost."""
    state = tmp_path / "state.json"
    with opened(state) as first:
        before = first.run(LIST).result[0]
        with pytest.raises(ConfigError, match="a file of its own") as refused:
            opened(state)
        assert f"Another run uses the simulators' state in {state}" in refused.value.message
        assert first.run(CREATE).ok
    with opened(state) as third:
        assert third.run(LIST).result == [before + 1]


@pytest.mark.slow
def test_a_run_waits_for_one_that_is_about_to_end(tmp_path: Path) -> None:
    """What the first one wrote at its end is what the second one begins with."""
    state = tmp_path / "state.json"
    first = opened(state)
    before = first.run(LIST).result[0]
    assert first.run(CREATE).ok
    timer = threading.Timer(0.3, first.close)
    timer.start()
    with opened(state) as second:
        assert second.run(LIST).result == [before + 1]
    timer.join()


@pytest.mark.slow
def test_a_run_that_asks_no_simulator_leaves_no_file(tmp_path: Path) -> None:
    """Nor does it change one that is there."""
    state = tmp_path / "state.json"
    with opened(state) as runtime:
        assert runtime.run("return time.now()").ok
    assert not state.exists()
    with opened(state) as runtime:
        assert runtime.run(CREATE).ok
    kept = state.read_text()
    with opened(state) as runtime:
        assert runtime.run("return time.now()").ok
    assert state.read_text() == kept
    assert json.loads(kept)["accounts"]


def test_a_file_that_is_something_else_is_given_back(tmp_path: Path) -> None:
    """It is left as it is, and not locked any more."""
    state = tmp_path / "state.json"
    state.write_text("[1]")
    for _ in range(2):
        with pytest.raises(ConfigError, match="does not contain the state of simulators"):
            opened(state)
    assert state.read_text() == "[1]"
