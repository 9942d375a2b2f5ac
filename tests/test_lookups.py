"""Lookups: what a script may ask besides calls, and how often."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kosmolua import LimitExceeded, Limits, Runtime


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        "for i = 1, 30 do pcall(function() return app.integrations['x' .. i] end) end",
        "for i = 1, 30 do pcall(lua_search_docs, 'service') end",
        "for i = 1, 30 do pcall(lua_read_doc, 'x', print) end",
        "for i = 1, 15 do pcall(lua_list_docs) pcall(function() return app['x' .. i] end) end",
    ],
)
def test_questions_have_a_limit(source: str) -> None:
    """Names and documentation cost the host time, so a script that asks without end is ended, and told by what."""
    with Runtime(simulate=True, environ={}, limits=Limits(max_lookups=20)) as runtime:
        error = runtime.run(source).error
    assert isinstance(error, LimitExceeded)
    assert error.limit == "lookups"
    assert error.value == 20
    assert error.message == (
        "The script was stopped: it looked up names and documentation more than 20 times "
        "(keep the answers in variables, or raise max_lookups in [kosmolua.limits])"
    )


def test_a_call_of_an_integration_asks_what_it_needs(tmp_path: Path) -> None:
    """The host describes the integration alone; whoever lists the roots is told all of them."""
    with Runtime(simulate=True, environ={}) as runtime:
        script = """
            app.integrations.render2.get_current_user()
            local names = {}
            for name in pairs(app) do names[#names + 1] = name end
            return names"""
        outcome = runtime.run(script, record=tmp_path / "r.jsonl")
    events = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text("utf-8").splitlines()]
    asked = [event["ask"][:2] for event in events if event["event"] == "answer"]
    call = ["call", "integrations.render2.get_current_user"]
    assert asked == [["describe", "integrations.render2"], call, ["describe", ""]]
    assert {"integrations", "scripts"} <= {*outcome.result[0]}
