"""Scripts that try to hide the error about memory behind what they close."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kosmolua import LimitExceeded, Limits, Runtime
from kosmolua.processes.child import SessionProcess
from kosmolua.runs.session import Session

BEGIN = """
local meta = { __close = function() end }
local other = { __close = function() end }
local function spend() return ("x"):rep(1 << 30) end
local function keep() local all = {} while true do all[#all + 1] = { #all } end end
local function guarded(each) return setmetatable({}, each or meta) end
local function masked() error("masked", 0) end
local function later(closing)
  return function()
    local guard <close> = guarded()
    meta.__close = closing
    return (spend())
  end
end
"""
MASKS = {
    "assigned": "pcall(later(masked))",
    "assigned, spent by tables": "pcall(function() local guard <close> = guarded() meta.__close = masked keep() end)",
    "by rawset": "pcall(function() local g <close> = guarded() rawset(meta, '__close', masked) return (spend()) end)",
    "by the guarded function": "pcall(later(function(object) meta.__close = nil error(object) end))",
    "removed": "pcall(later(nil))",
    "a number": "pcall(later(5))",
    "a table that is not called": "pcall(later({}))",
    "a table that is called": "pcall(later(setmetatable({}, { __call = masked })))",
    "the metatable is changed": """
        pcall(function() local g <close> = guarded() setmetatable(g, other) other.__close = masked
          return (spend())
        end)""",
    "the metatable is taken away": """
        pcall(function() local g <close> = guarded() setmetatable(g, nil) return (spend()) end)""",
    "shared": """
        pcall(function()
          local first <close> = guarded() local second <close> = guarded()
          meta.__close = masked
          return (spend())
        end)""",
    "one changes the other": """
        pcall(function()
          local first <close> = guarded(other)
          local second <close> = guarded()
          meta.__close = function() other.__close = masked end
          return (spend())
        end)""",
    "error(nil)": "pcall(later(function() error(nil) end))",
    "error(table)": "pcall(later(function() error({}) end))",
    "error(its own object)": "pcall(later(function(object) error(object) end))",
    "error is what closes": "pcall(later(error))",
    "many arguments": "pcall(later(function(...) return (function(...) error('masked') end)(1, 2, 3, 4, 5, ...) end))",
    "a tail call": "pcall(later(function() return masked() end))",
    "the function closes itself": """
        local function body(object)
          if object then error("masked") end
          local guard <close> = guarded()
          meta.__close = body_of_all
          return (spend())
        end
        body_of_all = body
        pcall(body)""",
    "it overflows the stack": """
        pcall(later(function() local function down() return 1 + down() end down() end))""",
    "it overflows the stack, deep below": """
        local function deep(n) if n > 0 then return 1 + deep(n - 1) end pcall(later(function()
          local function down() return 1 + down() end down() end)) return 0 end
        deep(3000)""",
    "it overflows C's stack": """
        pcall(later(function() local function down() return ('x'):gsub('x', down) end down() end))""",
    "it has a pcall of its own": "pcall(later(function() pcall(error, 'inner') error('masked') end))",
    "it runs out of memory too": """
        pcall(function() local g <close> = guarded() meta.__close = spend return (spend()) end)""",
    "it runs out, and another hides that": """
        pcall(function()
          local first <close> = guarded(other)
          local second <close> = guarded()
          meta.__close, other.__close = spend, masked
          error("over")
        end)""",
    "it runs out where nothing failed": """
        pcall(function()
          local first <close> = guarded(other)
          do local second <close> = guarded() meta.__close, other.__close = spend, masked end
        end)""",
    "xpcall": "xpcall(later(masked), function(problem) return problem end)",
    "xpcall, whose handler fails": "xpcall(later(masked), function() error('worse') end)",
    "pcall in pcall": "pcall(pcall, later(masked))",
    "pcall in xpcall": "xpcall(pcall, print, later(masked))",
    "xpcall in pcall in a function": "pcall(function() xpcall(later(masked), print) error('more') end)",
    "a loop": """
        pcall(function()
          for _ in function(_, n) return not n or nil end, nil, nil, guarded() do meta.__close = masked spend() end
        end)""",
    "arguments": """
        pcall(function(...) local g <close> = guarded() meta.__close = masked return (spend(...)) end, 1, nil, 3)""",
    "coroutine.wrap": "pcall(coroutine.wrap(later(masked)))",
    "coroutine.wrap, with a pcall in it": "coroutine.wrap(function() pcall(later(masked)) end)()",
    "coroutine.resume": "coroutine.resume(coroutine.create(later(masked)))",
    "a pcall in coroutine.resume": "coroutine.resume(coroutine.create(function() pcall(later(masked)) end))",
    "coroutine.close after the error": """
        local co = coroutine.create(function()
          local first <close> = guarded(other) local second <close> = guarded()
          meta.__close, other.__close = spend, masked
          error("over")
        end)
        coroutine.resume(co)
        coroutine.close(co)""",
    "coroutine.close while it waits": """
        local co = coroutine.create(function()
          local first <close> = guarded(other) local second <close> = guarded()
          meta.__close, other.__close = spend, masked
          coroutine.yield()
        end)
        coroutine.resume(co)
        coroutine.close(co)""",
    "coroutine.close, one changes the other": """
        local co = coroutine.create(function()
          local first <close> = guarded(other) local second <close> = guarded()
          meta.__close = function() other.__close = masked return (spend()) end
          coroutine.yield()
        end)
        coroutine.resume(co)
        coroutine.close(co)""",
    "coroutine.close, one removes the other": """
        local co = coroutine.create(function()
          local first <close> = guarded(other) local second <close> = guarded()
          meta.__close = function() other.__close = nil return (spend()) end
          coroutine.yield()
        end)
        coroutine.resume(co)
        coroutine.close(co)""",
    "coroutine.close, with any arguments": """
        local co = coroutine.create(function()
          local first <close> = guarded(other) local second <close> = guarded()
          meta.__close, other.__close = spend, function(...) masked(...) end
          coroutine.yield()
        end)
        coroutine.resume(co)
        coroutine.close(co)""",
    "coroutine.close, with a table that is called": """
        local co = coroutine.create(function()
          local first <close> = guarded(other) local second <close> = guarded()
          meta.__close, other.__close = spend, setmetatable({}, { __call = function(...) masked(...) end })
          coroutine.yield()
        end)
        coroutine.resume(co)
        coroutine.close(co)""",
    "it yields for ever": """
        local co = coroutine.create(function() pcall(later(function() coroutine.yield("away") end)) end)
        coroutine.resume(co)""",
    "it is coroutine.yield": """
        local co = coroutine.create(function() pcall(later(coroutine.yield)) end)
        coroutine.resume(co)""",
    "it yields from a pcall": """
        local co = coroutine.create(function() pcall(later(function() pcall(coroutine.yield) end)) end)
        coroutine.resume(co)""",
    "it yields in a generator": """
        coroutine.wrap(function() pcall(later(function() coroutine.yield("away") end)) end)()""",
    "parallel": "pcall(parallel.all, { later(masked) })",
    "a pcall in parallel": "parallel.all({ function() pcall(later(masked)) end })",
    "a closing branch of parallel": """
        pcall(parallel.all, {
          function()
            local first <close> = guarded(other) local second <close> = guarded()
            meta.__close, other.__close = spend, masked
            coroutine.yield()
          end,
        })""",
    "it exits": "pcall(later(function() exit(0) end))",
    "it exits at the end": "later(function() exit(0) end)()",
    "it exits in a coroutine": "pcall(later(function() coroutine.wrap(exit)(0) end))",
    "outside of any pcall": "later(masked)()",
    "in __tostring": """
        pcall(print, setmetatable({}, { __tostring = later(masked) }))""",
    "in __tostring of an error": "error(setmetatable({}, { __tostring = later(masked) }))",
    "in a comparison": """
        pcall(table.sort, { 1, 2, 3 }, later(masked))""",
    "in the order of keys": """
        local key = setmetatable({}, { __tostring = later(masked) })
        print({ [key] = 1, [guarded({ __tostring = later(masked) })] = 2 })""",
    "in what load reads from": "load(later(masked))",
    "an error was caught before": "pcall(function() pcall(error, 'inner') later(masked)() end)",
    "an error is closed, and runs out": """
        pcall(function()
          local first <close> = guarded(other)
          local second <close> = guarded()
          other.__close = masked
          meta.__close = function() local third <close> = guarded() spend() end
          error("over")
        end)""",
    "what load reads from failed before": """
        pcall(function() load(function() error("inner") end) later(masked)() end)""",
    "in what load reads from, in pcall": "pcall(load, later(masked))",
    "in a pcall that closed a coroutine": """
        pcall(function()
          local co = coroutine.create(function() pcall(function()
            local guard <close> = guarded(other) coroutine.yield() end) end)
          coroutine.resume(co)
          other.__close = masked
          coroutine.close(co)
          later(masked)()
        end)""",
    "fifty times": "for _ = 1, 50 do pcall(later(masked)) end",
}

KEPT = {
    "an error of what is closed": (
        "return pcall(function() local g <close> = guarded() meta.__close = masked error('first', 0) end)",
        [False, "masked"],
    ),
    "an error without one before": (
        "return pcall(function() local g <close> = guarded() meta.__close = masked end)",
        [False, "masked"],
    ),
    "an error of what cannot be called": (
        """local ok, why = pcall(function() local g <close> = guarded() meta.__close = 5 error("first") end)
        return ok, why:match("attempt to call a number value")""",
        [False, "attempt to call a number value"],
    ),
    "a stack that overflows": (
        """local function down() return 1 + down() end
        local ok, why = pcall(down) return ok, why:match("stack overflow")""",
        [False, "stack overflow"],
    ),
    "a stack that overflows while something is closed": (
        """local function down() return 1 + down() end
        local ok, why = pcall(function() local g <close> = guarded() meta.__close = down error("first") end)
        return ok, why:match("stack overflow")""",
        [False, "stack overflow"],
    ),
    "an error far up": (
        """local function deep(n) if n == 0 then error("far", 0) end return 1 + deep(n - 1) end
        local ok, why = pcall(deep, 5000) return ok, why""",
        [False, "far"],
    ),
    "errors of generators": (
        """local items = coroutine.wrap(function() local g <close> = guarded() coroutine.yield(1) error("over", 0) end)
        meta.__close = function() error("later", 0) end
        return items(), pcall(items)""",
        [1, False, "later"],
    ),
    "errors of a thread that is closed": (
        """local co = coroutine.create(function()
          local first <close> = guarded() local second <close> = guarded(other) coroutine.yield() end)
        coroutine.resume(co)
        meta.__close, other.__close = masked, error
        return coroutine.close(co)""",
        [False, "masked"],
    ),
    "what waits in a pcall": (
        """local co = coroutine.wrap(function() pcall(function() coroutine.yield(1) coroutine.yield(2) end)
          return 3 end)
        return co(), co(), co()""",
        [1, 2, 3],
    ),
    "what waits while something is closed": (
        """local co = coroutine.wrap(function()
          pcall(function() local g <close> = guarded() error("over") end) return 2 end)
        meta.__close = function() coroutine.yield(1) end
        return co(), co()""",
        [1, 2],
    ),
    "a string that is too long for any memory": (
        "local ok, why = pcall(string.rep, 'x', 1 << 62) return ok, why",
        [False, "resulting string too large"],
    ),
    "its own `__close`": ("return meta.__close == getmetatable(guarded()).__close", [True]),
}


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    limits = Limits(memory=32 << 20, cpu=20, timeout=60)
    with Runtime(None, simulate=True, environ={}, limits=limits) as runtime:
        yield runtime


@pytest.mark.parametrize("name", MASKS)
def test_no_script_survives_its_memory_limit(runtime: Runtime, name: str) -> None:
    """Whatever is closed on the way out, and however that ends, the run ends with the limit of memory."""
    outcome = runtime.run(f"{BEGIN}{MASKS[name]}\nreturn 'survived'")
    assert isinstance(outcome.error, LimitExceeded), (outcome.error, outcome.result)
    assert outcome.error.limit == "memory"


@pytest.mark.slow
@pytest.mark.parametrize("name", MASKS)
def test_no_chunk_of_a_session_survives_its_memory_limit(runtime: Runtime, name: str) -> None:
    """A session's chunk ends with the limit as well, and the session goes on with the state from before."""
    with Session(runtime.run, SessionProcess) as session:
        assert session.evaluate("kept = 1").outcome.ok
        outcome = session.evaluate(f"{BEGIN}{MASKS[name]}\nreturn 'survived'").outcome
        assert isinstance(outcome.error, LimitExceeded), (outcome.error, outcome.result)
        assert outcome.error.limit == "memory"
        assert session.evaluate("return kept").text == "1"


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT)
def test_other_errors_are_caught_as_ever(runtime: Runtime, name: str) -> None:
    """What fails for another reason, while something is closed or far up the stack, is the script's to catch."""
    source, result = KEPT[name]
    outcome = runtime.run(f"{BEGIN}{source}", memory=512 << 20)
    assert outcome.ok, outcome.error
    assert outcome.result == result
