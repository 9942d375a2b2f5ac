"""Scripts made by hypothesis, and a service whose answers take a random time."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from kosmolua.plugin import CallError, Integration, Send

MAX_JITTER = 0.003
"""Seconds that a call takes at most."""


@dataclass(frozen=True)
class Account:
    """Needs nothing."""

    note: str = ""

    def open(self, send: Send) -> Send:
        return send


def jittery() -> Integration:
    """Return an integration whose calls end in another order each time."""
    integration = Integration("jittery", Account, about="Takes its time.")

    @integration.reads
    def look(opened: Any, /, *, at: int) -> Any:
        """Look at something."""
        time.sleep(random.random() * MAX_JITTER)
        return {"at": at, "seen": random.random(), "names": ["b", "a"], "nothing": None}

    @integration.writes
    def put(opened: Any, /, *, at: int) -> Any:
        """Put something somewhere."""
        time.sleep(random.random() * MAX_JITTER)
        return {"id": f"put-{random.randrange(10**6)}"}

    @integration.reads
    def fail(opened: Any, /, *, at: int) -> Any:
        """Fail."""
        time.sleep(random.random() * MAX_JITTER)
        raise CallError("no_such_thing", f"nothing is at {at}, at {random.random()}", status=404)

    return integration


_AT = st.integers(1, 3)
_SIMPLE = st.one_of(
    _AT.map(lambda at: f"print(j.look({{ at = {at} }}))"),
    _AT.map(lambda at: f"print(j.put({{ at = {at} }}).id)"),
    _AT.map(lambda at: f"do local ok, err = pcall(j.fail, {{ at = {at} }}) print(ok, err.code, tostring(err)) end"),
    st.just("print(j.look({ at = 'x' }))").map(lambda call: f"print(pcall(function() {call} end))"),
    st.just("print(pcall(function() return app.integrations.nothing end))"),
    st.just("print(#lua_list_docs())"),
    st.just("print(os.time(), os.clock(), time.now(), os.date('%Y-%m-%d %H:%M:%S'))"),
    st.just("print(math.random(1000), math.random())"),
    st.just("math.randomseed()"),
    st.just("sleep(math.random(3) / 1000)"),
    st.just("for k, v in pairs({ x = 1, y = 2, zeta = 3, [10] = 4, [2.5] = 5, [true] = 6, 'one' }) do print(k, v) end"),
    st.just("for k in pairs(j.look({ at = 1 })) do print(k) end"),
    st.just("for k in pairs(j) do print(k) end"),
    st.just("order[#order + 1] = #order print(#order)"),
)
_FATAL = st.one_of(
    st.just("error('that is all')"),
    st.just("error({ code = 'drift', message = 'it moved ' .. os.clock() })"),
    st.just("j.fail({ at = 9 })"),
    st.just("local nothing nothing.x = 1"),
)


def _within(body: str, kind: str) -> str:
    if kind == "pcall":
        return f"print(pcall(function() {body} end))"
    if kind == "coroutine":
        return f"coroutine.wrap(function() {body} end)()"
    return f"for turn = 1, 2 do {body} end"


def _parallel(bodies: list[str], limit: int) -> str:
    functions = ", ".join(f"function() {body} return #order end" for body in bodies)
    return f"print(table.concat(parallel.all({{ {functions} }}, {{ limit = {limit} }}), ' '))"


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    bodies = st.lists(inner, min_size=1, max_size=3).map(" ".join)
    return st.one_of(
        st.builds(_within, bodies, st.sampled_from(["pcall", "coroutine", "for"])),
        st.builds(_parallel, st.lists(bodies, min_size=1, max_size=4), st.integers(1, 4)),
    )


_CAUGHT = _FATAL.map(lambda fatal: f"print(pcall(function() {fatal} end))")
_STATEMENT = st.recursive(st.one_of(_SIMPLE, _CAUGHT), _blocks, max_leaves=8)
SCRIPTS = st.builds(
    lambda statements, end: "\n".join(["local j, order = app.integrations.jittery, {}", *statements, end]),
    st.lists(_STATEMENT, min_size=1, max_size=6),
    st.one_of(st.just("return order, math.random()"), _FATAL),
)
"""Scripts with calls, parallel, pcall, coroutines, clocks, random numbers, pairs, sleep and errors."""
