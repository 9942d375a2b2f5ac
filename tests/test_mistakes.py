"""The mistakes that models typically make: each is answered so that the script can be repaired, and none does harm."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kosmolua import Runtime
from kosmolua.runs import Outcome

FILES = sorted(file for parent in Path(__file__).parents for file in parent.glob("shared/mistakes/*.lua"))
RIGHT = {
    *("all_with_limit", "bitops_ok", "coroutine_nested", "err_concat", "err_match", "execute_in_script"),
    *("goto_cont_ok", "json_encode_empty", "positional", "print_table_lua", "return_many", "return_print"),
    *("semicolon_ok", "sleep_g", "tool_in_script", "tostring_err"),
}
"""Scripts that do what they say."""
pytestmark = pytest.mark.skipif(not FILES, reason="the mistakes are not in this checkout")


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[str, Outcome]]:
    """What became of each script, in a simulation that allows writes."""
    with Runtime(os.devnull, simulate=True, yes=True, environ={}) as runtime:
        yield {file.stem: runtime.run(file.read_bytes(), check=True, timeout=2) for file in FILES}


@pytest.mark.slow
def test_mistakes_are_answered(outcomes: dict[str, Outcome], capsys: pytest.CaptureFixture[str]) -> None:
    """By an error or a warning; all but a few before anything is sent."""
    wrong = {name: outcome for name, outcome in outcomes.items() if name not in RIGHT}
    answered = {name for name, outcome in wrong.items() if outcome.error or outcome.warnings}
    before = {name for name in answered if wrong[name].warnings or not wrong[name].calls}
    with capsys.disabled():
        print(f"\nOf {len(outcomes)} scripts {len(wrong)} are wrong: {len(answered)} answered, {len(before)} by Lua")
        print(f"or the check alone, {len(outcomes) - len(wrong)} right.")
    assert wrong.keys() == answered
    assert len(answered - before) <= 1, answered - before  # an id that only the service knows
    assert len(answered) + len(RIGHT & outcomes.keys()) >= 150


@pytest.mark.slow
def test_right_scripts_run(outcomes: dict[str, Outcome]) -> None:
    """What is right is neither refused nor warned about."""
    refused = {
        name for name in RIGHT & outcomes.keys() if outcomes[name].error and outcomes[name].error.code == "check"
    }
    assert refused == set()
    assert {name for name in RIGHT & outcomes.keys() if outcomes[name].warnings} == set()


@pytest.mark.slow
def test_no_mistake_writes(outcomes: dict[str, Outcome]) -> None:
    """Nothing is changed by a script that fails later."""
    assert {name for name, each in outcomes.items() if any(call["effect"] != "read" for call in each.calls)} == set()


def test_a_write_before_a_mistake_is_not_made() -> None:
    """``await`` before a call that creates something: the script is refused, and can be sent again."""
    script = """
        local m = await app.integrations.render2.create_service({
            type = "web_service", name = "m", repo = "https://github.com/a/b", plan = "starter", runtime = "node",
            build_command = "x", start_command = "y",
        })
        print(m.service.id)
    """
    with Runtime(os.devnull, simulate=True, yes=True, environ={}) as runtime:
        outcome = runtime.run(script, check=True)
        assert outcome.error
        assert outcome.error.code == "check"
        assert outcome.calls == []
        assert runtime.run(script.replace("await ", ""), check=True).ok
