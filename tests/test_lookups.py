"""Lookups: what a script may ask besides calls, and how often."""

from __future__ import annotations

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
