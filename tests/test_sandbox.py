"""The child by itself: what it writes for a job, with no host around it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kosmolua import Limits, protocol
from kosmolua.lua.syntax import parse
from kosmolua.sandbox import vm
from kosmolua.sandbox.vm import BROKEN

PRELUDE = Path(vm.__file__).parent / "lua"
PATHS = [str(Path(__file__).parent.parent), *sys.path]
CHILD = "import sys; sys.path[:] = {paths!r}; from kosmolua.sandbox import confinement, regex, worker; {setup}"


def work(
    source: str,
    *,
    setup: str = "",
    isolated: bool = False,
    more: bytes = b"",
    arguments: list[str] | None = None,
    memory: int = Limits().memory,
) -> tuple[list[Any], int]:
    """Have a fresh child run a script, and return the frames that it wrote and its exit status."""
    frames, status, _ = measure(
        source, setup=setup, isolated=isolated, more=more, arguments=arguments or [], memory=memory
    )
    return frames, status


MEASURED = """
import os, sys
pid = os.posix_spawn(sys.argv[1], [sys.argv[1], "-c", sys.argv[2]], {})
_, status, usage = os.wait4(pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024, file=sys.stderr)
"""
"""Runs a child and tells its peak: Linux would count that of the tests for a child of their own."""


def measure(
    source: str,
    *,
    setup: str = "",
    isolated: bool = False,
    more: bytes = b"",
    arguments: Sequence[str] = (),
    memory: int = Limits().memory,
) -> tuple[list[Any], int, int]:
    """Have a fresh child run a script, and return its frames, its exit status, and the peak of its memory in bytes."""
    limits = vars(Limits(memory=memory))
    job = protocol.frame("job", source=source, name="=job", args=[*arguments], limits=limits, isolated=isolated)
    code = f"{CHILD.format(paths=PATHS, setup=setup or 'pass')}\nworker.main()"
    command = [sys.executable, "-c", MEASURED, sys.executable, code]
    done = subprocess.run(command, input=job + more, capture_output=True, env={}, timeout=60)
    status, peak = map(int, done.stderr.split()[-2:])
    return [json.loads(line) for line in done.stdout.splitlines()], status, peak


def test_a_child_says_first_what_is_around_it() -> None:
    """Before the script's first word comes a frame with the layers that are in force, and that are missing."""
    frames, status = work("print('hello') return 1")
    assert [frame["kind"] for frame in frames] == ["ready", "print", "end"]
    assert {*frames[0]["isolation"]} | {*frames[0]["missing"]} >= {"rlimits", "landlock", "seccomp"}
    assert frames[2]["result"] == [1]
    assert status == 0


def test_a_child_that_must_be_isolated_and_is_not_runs_nothing() -> None:
    """It says which layer is missing, and leaves."""
    setup = "confinement.resource.setrlimit = lambda *_: open('/none')"
    frames, status = work("print('hello')", setup=setup, isolated=True)
    assert [frame["kind"] for frame in frames] == ["ready"]
    assert "rlimits" in frames[0]["missing"]
    assert status == 0
    frames, _ = work("print('hello')", setup=setup)
    assert [frame["kind"] for frame in frames] == ["ready", "print", "end"]


@pytest.mark.parametrize("error", ["MemoryError", "OSError", "KeyboardInterrupt", "SystemExit"])
def test_nothing_that_python_raises_reaches_the_script(error: str) -> None:
    """A verb that raises ends the child, as memory that is spent or as a failure; no pcall sees what was raised."""
    raising = f"regex.scan = lambda *_: (_ for _ in ()).throw({error}('/secret/path'))"
    frames, status = work("print(pcall(regex.match, 'a', 'b')) print('survived')", setup=raising)
    if error == "MemoryError":
        assert [(frame["kind"], frame.get("limit")) for frame in frames[1:]] == [("limit", "memory")]
        assert status == 0
    else:
        assert len(frames) == 1
        assert status == BROKEN


def test_memory_that_lupa_has_not_got_ends_the_script_also_in_a_branch() -> None:
    """What lupa raises when it finds no memory is a userdata; no branch that fails before it can stand in its place."""
    setup = (
        "from kosmolua.sandbox.vm import VM; bridge = VM._bridge; "
        "VM._bridge = lambda self, verb, *more: bridge(self, verb, *more) if verb != b'regex' else 1 / 0"
    )
    source = """
        pcall(parallel.all, { function() lua_list_docs() error("first") end, function() regex.match("a", "b") end })
        print("survived")
        """
    frames, _ = work(source, setup=setup, more=b'{"kind":"reply","id":1,"ok":true,"value":""}\n')
    assert [(frame["kind"], frame.get("limit")) for frame in frames[1:]] == [("doc", None), ("limit", "memory")]


SMALL_ADDRESS_SPACE = "confinement.MAX_COPIES, confinement.INTERPRETER = 0, 32 * 1024**2"
"""There is room for a text in Lua and one copy of it, and none for the second copy that lupa makes."""


@pytest.mark.slow
def test_a_script_sees_no_object_of_python_if_lupa_finds_no_memory() -> None:
    """lupa raises into Lua before any verb runs; neither pcall, a handler, a coroutine nor what is closed gets that."""
    source = """
        local function show(problem) print("got " .. type(problem)) return problem end
        local function fill()
          local guard <close> = setmetatable({}, { __close = function(_, problem) show(problem) error("masked") end })
          local text = ("x"):rep(30 * 1024 * 1024)
          print("filled")
          regex.match(text, text)
        end
        local attempts = {
          function() xpcall(fill, show) end,
          function() show(select(2, coroutine.resume(coroutine.create(fill)))) end,
          function() pcall(coroutine.wrap(fill)) end,
          function() pcall(parallel.all, { fill }) end,
        }
        attempts[tonumber(arg[1])]()
        return "survived"
        """
    setup = f"{SMALL_ADDRESS_SPACE}; regex.scan = lambda *_: print('the verb has run')"
    for number in range(1, 5):
        frames, status = work(source, arguments=[str(number)], memory=64 * 1024**2, setup=setup)
        told = [frame.get("text") or frame["limit"] for frame in frames[1:]]
        assert told == ["filled\n", "memory"]
        assert status == 0


LIBRARIES = ("base64", "csv", "hash", "json", "parallel", "regex", "time", "url")


def test_what_is_loaded_on_demand_is_there_from_the_beginning() -> None:
    """Libraries are plain tables of functions, which stay the same, and whose errors name the line of the script."""
    source = """
        local seen = {}
        for name, library in next, _G do
          if type(library) == "table" and getmetatable(library) == nil then
            for key, value in next, library do
              seen[name .. "." .. key] = value
            end
          end
        end
        csv.parse("a,b")
        local is_same = csv.parse == seen["csv.parse"] and rawget(csv, "parse") == csv.parse
        local names = {}
        for _, name in ipairs(arg) do names[name] = type(rawget(_G, name)) == "table" and next(_G[name]) ~= nil end
        return is_same, getmetatable(_G), names, select(2, pcall(function() csv.parse(1) end))
    """
    frames, _ = work(source, arguments=[*LIBRARIES])
    is_same, meta, names, problem = frames[-1]["result"]
    assert is_same is True
    assert meta is None
    assert names == dict.fromkeys(LIBRARIES, True)
    assert problem.startswith("job:14: csv.parse needs ")


@pytest.mark.parametrize("call", ['base64.encode("x")', 'regex.match("a", "a")', "time.now()", 'print("x")'])
def test_c_functions_that_call_each_other_too_deeply_are_an_error(call: str) -> None:
    """However deep the script is, a call of Python either works or raises Lua's own error, which can be caught."""
    source = f"""
        local function at(depth)
          if depth == 0 then {call} return true end
          local reached
          string.gsub("a", "a", function() reached = at(depth - 1) end)
          return reached
        end
        local problems = {{}}
        for depth = 150, 210 do
          local ok, problem = pcall(at, depth)
          problems[#problems + 1] = not ok and problem:match("C stack overflow$") or nil
        end
        return problems
    """
    frames, _ = work(source)
    problems = frames[-1]["result"][0]
    assert 0 < len(problems) < 60
    assert set(problems) == {"C stack overflow"}


def test_a_function_that_only_calls_pcall_of_itself_ends_as_in_lua() -> None:
    """Its innermost call fails, and all others succeed."""
    frames, _ = work("local function f() return pcall(f) end local all = { f() } return #all, all[#all - 1], all[#all]")
    count, ok, problem = frames[-1]["result"]
    assert 150 < count < 250
    assert ok is False
    assert "stack overflow" in problem or "error handling" in problem


@pytest.mark.slow
def test_an_endless_recursion_is_caught_wherever_the_pcall_is() -> None:
    """A stack overflow is no error about memory, even if the stack is too deep to be searched for one."""
    source = """
        local function down() return 1 + down() end
        local function deep(depth)
          if depth > 0 then return (deep(depth - 1)) end
          return (select(2, pcall(down)))
        end
        return deep(100), deep(3000)
    """
    frames, _ = work(source)
    assert frames[-1]["result"] == ["job:2: stack overflow"] * 2


@pytest.mark.slow
def test_the_end_of_an_endless_recursion_has_a_short_traceback() -> None:
    """Each line of the script is there once."""
    frames, _ = work("local function down()\n  return 1 + down()\nend\nreturn (down())")
    expected = "stack traceback:\n\tjob:2: in upvalue 'down'\n\t...\t(skipping the others)"
    assert frames[-1]["error"]["traceback"] == expected


def test_an_error_without_a_message_says_so() -> None:
    """``nil`` alone would say nothing; who catches the error still gets nil."""
    frames, _ = work("assert(select(2, pcall(error)) == nil) error()")
    assert frames[-1]["error"]["message"] == "error was called without a message"


def test_a_script_that_replaces_functions_of_strings_replaces_none_of_the_prelude() -> None:
    """A module that is loaded after the script has begun has Lua's own functions too."""
    source = """
        local called = 0
        for name, own in next, string do
          string[name] = function(...) called = called + 1 return own(...) end
        end
        print({ ["end"] = 1 })
        local text = json.encode({ 1 }) .. csv.format({ { "a" } }) .. url.encode("a b") .. time.format(0)
        pcall(regex.gsub, "a", "a", "b")
        pcall(error, { code = "a", message = "b" })
        pcall(function() return text.missing.missing end)
        return called
    """
    frames, _ = work(source)
    assert [frame["text"] for frame in frames if frame["kind"] == "print"] == ['{["end"] = 1}\n']
    assert frames[-1]["result"] == [0]


@pytest.mark.parametrize("file", sorted(PRELUDE.glob("*.lua")), ids=lambda file: file.stem)
def test_the_prelude_calls_no_methods(file: Path) -> None:
    """A method of a string would be the script's own, since its library is what the metatable of strings leads to."""
    script = parse(file.read_bytes())
    assert script
    assert script.problems == []
    methods = [node for node in script.root.walk() if node.kind == "method_index_expression"]
    assert methods == []


def test_a_library_that_finds_no_memory_to_be_loaded_ends_the_script() -> None:
    """As any other value for which there is none; no script catches that."""
    source = """
        local kept, most = {}, tonumber(arg[1]) - 8 * 1024
        local function is_full() return collectgarbage("count") * 1024 >= most end
        while not (is_full() and collectgarbage() and is_full()) do kept[#kept + 1] = ("x"):rep(1000) end
        print(#kept > 1000)
        return pcall(csv.parse, "a,b")
    """
    memory = 4 * 1024**2
    frames, status = work(source, arguments=[str(memory)], memory=memory)
    assert [frame.get("text") or frame.get("limit") for frame in frames[1:]] == ["true\n", "memory"]
    assert status == 0


def test_pythons_objects_have_a_locked_metatable() -> None:
    """Should an object of Python reach a script in spite of all, it cannot change what all of them do."""
    setup = (
        "from kosmolua.sandbox import vm; read = vm.read_prelude; "
        "leak = b'\\nhost.env.globals.leaked = python_bridge\\n'; "
        "vm.read_prelude = lambda name: read(name).replace(b'-- lupa looks', leak + b'-- lupa looks')"
    )
    frames, _ = work("return type(leaked), getmetatable(leaked)", setup=setup)
    assert frames[-1]["result"] == ["userdata", False]


@pytest.mark.slow
@pytest.mark.parametrize(
    "source",
    [
        "regex.match_all(('a'):rep(2e6), 'a')",
        "regex.match(('x'):rep(10e6) .. '\U0001f600', 'y')",
        "regex.match(('a'):rep(3e6), ('('):rep(60) .. '.*' .. (')'):rep(60))",
        "for n = 1, 40 do regex.match('', ('\U00010000'):rep(16300) .. n) end regex.match_all(('a'):rep(2e6), 'a')",
    ],
    ids=["matches", "wide text", "groups", "patterns"],
)
def test_what_a_pattern_finds_counts_as_memory(source: str) -> None:
    """The child takes little more than the limit, also for what Python holds of a match."""
    frames, status, peak = measure(source, memory=32 * 1024**2)
    assert frames[-1]["kind"] == "limit"
    assert frames[-1]["limit"] == "memory"
    assert status == 0
    assert peak < 96 * 1024**2


def test_a_name_that_is_not_there_is_asked_for_once() -> None:
    """A script that tries a wrong name again and again gets the host's answer to the first time."""
    refusal = b'{"kind":"reply","id":1,"ok":false,"error":{"code":"unknown_path","message":"no box"}}\n'
    source = "for i = 1, 3 do print(select(2, pcall(function() return app.integrations.box end))) end"
    frames, _ = work(source, more=refusal)
    assert [frame["kind"] for frame in frames] == ["ready", "describe", "print", "print", "print", "end"]
    assert {frame["text"] for frame in frames if frame["kind"] == "print"} == {"no box\n"}


def test_a_child_whose_host_is_gone_leaves() -> None:
    """A script that waits for an answer when the protocol closes is over."""
    frames, status = work("pcall(function() return app.integrations.box end) print('survived')")
    assert [frame["kind"] for frame in frames] == ["ready", "describe"]
    assert status == 0


def test_an_answer_that_is_too_deep_ends_the_script() -> None:
    """The limit named depth holds for what comes in, also where the host did not see to it."""
    deep = b"[" * 500 + b"]" * 500
    reply = b'{"kind":"reply","id":1,"ok":true,"value":' + deep + b"}\n"
    frames, _ = work("pcall(lua_list_docs) print('survived')", more=reply)
    assert frames[-1]["kind"] == "limit"
    assert frames[-1]["limit"] == "depth"


def test_a_pattern_that_warns_warns_nobody() -> None:
    """What Python's re has against a pattern does not stop a script, also where nothing can be imported any more."""
    frames, _ = work("return regex.match('a[b', '[[a]')[0], pcall(regex.match, 'a', '\\\\N{BULLET}')")
    assert frames[-1]["result"][0] == "a"
    assert frames[-1]["result"][1] is False
