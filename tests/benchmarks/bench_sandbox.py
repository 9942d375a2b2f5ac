"""What the sandbox costs: a loop and a caught overflow against raw lupa, prints, and a warm run against a bare fork."""

from __future__ import annotations

from collections.abc import Iterator

from lupa.lua54 import LuaRuntime
from peers import fork_exit_and_reap
from ratio import Ratio, compare, timed

from kosmolua import Runtime

LOOP = """
local started = os.clock()
local sum = 0
for i = 1, 20000000 do sum = sum + i % 7 end
return os.clock() - started
"""
OVERFLOW = """
local function down() return 1 + down() end
local started = os.clock()
assert(not pcall(down))
return os.clock() - started
"""


def ratios() -> Iterator[Ratio]:
    """Yield the ratios of a loop, of a caught overflow and of a warm run."""
    raw = LuaRuntime()
    with Runtime(simulate=True) as runtime:
        yield compare(
            "tight Lua loop",
            "raw lupa",
            lambda: float(runtime.run(LOOP).result[0]),
            lambda: float(raw.execute(LOOP)),
            goal=1.03,
        )
        yield compare(
            "`pcall` of an overflow",
            "raw lupa",
            lambda: float(runtime.run(OVERFLOW).result[0]),
            lambda: float(LuaRuntime().execute(OVERFLOW)),
            goal=3,
        )
        yield compare(
            "200,000 prints",
            "3 us each",
            timed(lambda: runtime.run("for i = 1, 200000 do print(i) end", on_output=lambda _: None)),
            lambda: 0.6,
            goal=1,
            rounds=5,
        )
        yield compare(
            '`Runtime.run("return 1")`, warm',
            "bare fork, exit and reap",
            timed(lambda: runtime.run("return 1")),
            timed(fork_exit_and_reap),
            goal=3,
            rounds=200,
        )
