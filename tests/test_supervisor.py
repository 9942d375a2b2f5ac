"""One run, seen from the host: limits, a child that lies, and who dies when."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.library import ACCOUNTS, library, service
from support.processes import children, descendants, eventually, in_time, is_running, linux_only, zygotes
from support.records import status_of

from kosmolua import CallError, Interrupted, LimitExceeded, Limits, Runtime, ScriptError, WorkerLost, protocol
from kosmolua.broker.backends import Canned
from kosmolua.broker.options import RunContext
from kosmolua.calls.records import CallEnded, CallStarted
from kosmolua.catalog.plugins import Plugins
from kosmolua.clock import Clock
from kosmolua.concurrency import MemoryBound
from kosmolua.errors import ConfigError, KosmoError
from kosmolua.processes.child import Child, ColdChild
from kosmolua.processes.launch import command
from kosmolua.runs.job import Ending, Job
from kosmolua.runs.supervisor import Supervisor

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("new_processes")]
SLOW = Path(__file__).parent / "plugins" / "slow.py"
QUICK = Limits(timeout=20, cpu=5, max_calls=20, max_output=1000, max_result=10_000, max_arguments=1000, max_source=1000)


@pytest.fixture(scope="module")
def runtime() -> Iterator[Runtime]:
    """A runtime with only the library, and narrow limits."""
    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime(ACCOUNTS, plugins=plugins, backend=Canned(lambda _: service), limits=QUICK, environ={}) as runtime:
        yield runtime


# Limits, with a real child

SPENT = {
    "wall": ("while true do end", {"timeout": 0.3}),
    "cpu": ("while true do end", {"cpu": 0.2}),
    "memory": ("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", {"memory": 8 * 1024**2}),
    "output": ("while true do print('x') end", {}),
    "calls": ("while true do app.integrations.library.list_books() end", {}),
    "result": ("return ('x'):rep(20000)", {}),
    "arguments": ("app.integrations.library.lend({ book = ('x'):rep(2000) })", {}),
    "source": ("--" + "x" * 2000, {}),
}
UNCATCHABLE = ("wall", "cpu", "memory", "output", "calls", "arguments")
"""The others are met before the script begins, or after its end."""


@pytest.mark.parametrize("limit", SPENT)
def test_each_limit_ends_the_script(runtime: Runtime, limit: str) -> None:
    """The error names the limit and its value, and the next run does not notice."""
    source, options = SPENT[limit]
    outcome = runtime.run(source, **options)
    assert isinstance(outcome.error, LimitExceeded)
    assert outcome.error.limit == limit
    assert outcome.result == []
    assert runtime.run("return 1").result == [1]


@pytest.mark.parametrize("limit", UNCATCHABLE)
def test_no_limit_can_be_caught(runtime: Runtime, limit: str) -> None:
    """Neither pcall nor a coroutine nor an error handler of the script outlives a limit."""
    source, options = SPENT[limit]
    wrapped = f"""
        for _ = 1, 5 do
          pcall(coroutine.wrap(function() xpcall(function() {source} end, function(e) return e end) end))
        end
        return 'caught'"""
    outcome = runtime.run(wrapped, **options)
    assert isinstance(outcome.error, LimitExceeded), outcome
    assert outcome.error.limit == limit


@pytest.mark.parametrize(
    "source",
    [
        "string.find(('a'):rep(50000), ('a*'):rep(30) .. 'b')",
        "string.gsub(('x'):rep(10000), '.-.-.-.-.-b', '')",
        "string.rep('', 1 << 50)",
        "table.move({}, 1, math.maxinteger - 1, 2)",
    ],
)
def test_the_wall_is_kept_inside_one_c_function(runtime: Runtime, source: str) -> None:
    """A function of the standard library that never comes back is ended as any loop is."""

    def is_ended_inside(seconds: float) -> bool:
        outcome = runtime.run(f"print('before') {source} print('after')", timeout=seconds, cpu=60)
        assert isinstance(outcome.error, LimitExceeded)
        assert outcome.error.limit == "wall"
        return outcome.output == "before\n"

    assert in_time(is_ended_inside, 0.5)


def test_what_was_printed_before_is_kept(runtime: Runtime) -> None:
    """Output up to the limit, calls already made and the usage are part of the outcome."""
    source = "app.integrations.library.list_books() for i = 1, 1000 do print(i) end"
    outcome = runtime.run(source)
    assert len(outcome.output) == 1000
    assert outcome.output.startswith("1\n2\n3\n")
    assert [call["path"] for call in outcome.calls] == ["library.list_books"]
    assert outcome.usage["output_bytes"] == 1000


def test_output_leaves_as_it_happens(runtime: Runtime) -> None:
    """Whoever listens hears each line before the script goes on."""

    def interrupt(_: bytes) -> None:
        raise KeyboardInterrupt

    outcome = runtime.run("print('a') while true do end", on_output=interrupt)
    assert isinstance(outcome.error, Interrupted)
    assert outcome.output == "a\n"


def test_waiting_for_a_call_counts_as_time() -> None:
    """The wall includes calls: a script that does nothing but wait is ended when the time is over."""

    def slow(_: Any) -> Any:
        time.sleep(0.05)
        return service(_)

    plugins = Plugins([library()], places=(), entry_points=dict)
    with Runtime(ACCOUNTS, plugins=plugins, backend=Canned(lambda _: slow), environ={}) as slow_runtime:
        outcome = slow_runtime.run("for i = 1, 900 do app.integrations.library.list_books() end", timeout=0.5)
    assert isinstance(outcome.error, LimitExceeded)
    assert outcome.error.limit == "wall"


STUCK = "app.integrations.slow.wait({ file = arg[1] })"
"""A call that comes back when its file is there, or after a minute."""
IN_BRANCHES = f"parallel.all({{ function() {STUCK} end, function() {STUCK} end }})"


@pytest.mark.parametrize(("source", "count"), [(STUCK, 1), (IN_BRANCHES, 2)])
def test_the_wall_is_kept_around_a_call_that_is_stuck(source: str, count: int, tmp_path: Path) -> None:
    """A plugin that does not come back is left behind, and its calls are in the outcome and in the journal, once."""
    free = tmp_path / "free"

    def is_left_behind(seconds: float) -> bool:
        journal = tmp_path / f"journal-{seconds}"
        watched: list[str] = []
        with Runtime(os.devnull, plugins=[SLOW], journal=journal, environ={}) as runtime:
            limits: dict[str, Any] = {"timeout": seconds, "watch": lambda event: watched.append(status_of(event))}
            outcome = runtime.run(source, args=[str(free)], **limits)
            assert isinstance(outcome.error, LimitExceeded)
            assert outcome.error.limit == "wall"
            assert runtime.run("return 1").result == [1]
        if watched[:count] != ["started"] * count or "refused" in watched:
            return False
        assert watched[count:] == ["unknown"] * count
        assert [(call["status"], call["error"]) for call in outcome.calls] == [("unknown", "limit_exceeded")] * count
        assert [json.loads(line)["error"] for line in journal.read_text().splitlines()] == ["limit_exceeded"] * count
        return True

    assert in_time(is_left_behind, 0.3)
    free.touch()


EMBEDDER = """
import sys, kosmolua

def watch(event):
    print(type(event).__name__)

runtime = kosmolua.Runtime({}, plugins=[sys.argv[1]])
print(runtime.run(sys.argv[2], timeout=float(sys.argv[3]), args=["never"], watch=watch).error)
"""


def test_the_wall_is_kept_while_the_caller_is_busy() -> None:
    """A flood of output and a listener that is slow keep no script alive, and what waits to be heard comes together."""

    def is_kept(seconds: float) -> bool:
        heard: list[bytes] = []

        def listen(piece: bytes) -> None:
            heard.append(piece)
            time.sleep(0.01)

        with Runtime({}, limits=Limits(timeout=seconds, cpu=600, max_output=1 << 40), environ={}) as runtime:
            outcome = runtime.run("while true do print() end", on_output=listen)
        assert isinstance(outcome.error, LimitExceeded)
        assert outcome.error.limit == "wall"
        assert len(b"".join(heard)) == outcome.usage["output_bytes"]
        return len(heard) < outcome.usage["output_bytes"]

    assert in_time(is_kept, 0.5)


def test_a_listener_that_failed_hears_nothing_more() -> None:
    """Ctrl-C while it waits for a reader that is slow would only have it wait again; the outcome has everything."""
    heard: list[bytes] = []

    def listen(piece: bytes) -> None:
        heard.append(piece)
        raise KeyboardInterrupt

    with Runtime({}, environ={}) as runtime:
        outcome = runtime.run("for i = 1, 1000 do print(i) end while true do end", on_output=listen)
    assert isinstance(outcome.error, Interrupted)
    assert len(heard) == 1
    assert outcome.output.startswith("1\n")


@linux_only
def test_a_limit_holds_where_the_warm_process_does_not_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is stopped, or whose orders are lost, is ended with all its workers; the next run gets a new one."""
    monkeypatch.setattr("kosmolua.runs.supervisor.KILL_TIMEOUT", 0.1)
    before = zygotes()
    with Runtime({}, environ={}) as runtime:
        runtime.run("return 1")
        (zygote,) = zygotes() - before

        def stop(_: bytes) -> None:
            os.kill(zygote, signal.SIGSTOP)

        outcome = runtime.run("print('on') while true do end", timeout=1, on_output=stop)
        assert isinstance(outcome.error, LimitExceeded)
        assert runtime.run("return 2").result == [2]


@pytest.mark.parametrize("item", ["{}", "[[]]", '{"a":1}', "12", '"text"', "null"])
def test_what_waits_is_counted_by_the_memory_it_takes(item: str) -> None:
    """Small values take many times what they take in JSON, and never much more than is counted."""
    line = f"[{','.join([item] * 50_000)}]".encode()
    tracemalloc.start()
    try:
        kept = json.loads(line)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(kept) == 50_000
    assert taken < 2 * protocol.memory_of(line)


@pytest.mark.parametrize("limit", ["cpu", "timeout"])
def test_no_call_begins_after_the_end(limit: str, tmp_path: Path) -> None:
    """Of calls that are stuck and calls that wait for their seats when a run ends, the latter are refused."""
    script = """
    local wait, list = app.integrations.slow.wait, {}
    for i = 1, 41 do list[i] = i end
    parallel.map(list, function(i)
      if i == 41 then while true do end end
      wait({ file = arg[1], sign = arg[2] .. i })
    end, { limit = 41 })
    """

    def some_waited(seconds: float) -> bool:
        before = {*threading.enumerate()}  # calls that other tests have left behind are among them
        free, signs = tmp_path / f"free-{seconds}", tmp_path / f"signs-{seconds}"
        signs.mkdir()
        journal = tmp_path / f"journal-{seconds}"
        with Runtime(os.devnull, plugins=[SLOW], journal=journal, environ={}) as runtime:
            limits: dict[str, Any] = {limit: seconds}
            outcome = runtime.run(script, args=[str(free), f"{signs}/"], **limits)
        free.touch()
        assert eventually(lambda: all(each.name != "kosmolua-call" for each in {*threading.enumerate()} - before))
        assert isinstance(outcome.error, LimitExceeded)
        statuses = sorted(str(call["status"]) for call in outcome.calls)
        begun = len(list(signs.iterdir()))
        assert statuses == ["refused"] * (len(statuses) - begun) + ["unknown"] * begun
        assert sorted(json.loads(line)["status"] for line in journal.read_text().splitlines()) == statuses
        return "refused" in statuses and begun == 32

    assert in_time(some_waited, 0.3)


@pytest.mark.parametrize("broken", ["on_output", "watch", "observe"])
def test_a_listener_that_fails_leaves_no_call_unwritten(broken: str, tmp_path: Path) -> None:
    """Its exception reaches the caller, and the journal has what was under way, once."""
    free, journal = tmp_path / "free", tmp_path / "journal"

    def fail(heard: object) -> None:
        if not isinstance(heard, CallStarted):
            raise LookupError("not listening")

    last = "function() app.integrations.slow.wait({ among = 3 }) print('x') end"
    script = f"local stuck = function() {STUCK} end parallel.all({{ stuck, stuck, {last} }})"
    listener: dict[str, Any] = {broken: fail}
    with Runtime(os.devnull, plugins=[SLOW], journal=journal, environ={}) as runtime:
        with pytest.raises(LookupError):
            runtime.run(script, args=[str(free)], **listener)
        lines = [json.loads(line) for line in journal.read_text().splitlines()]
        assert sorted(line["status"] for line in lines) == ["ok", "unknown", "unknown"]
    free.touch()


@linux_only
def test_nobody_is_asked_after_the_end() -> None:
    """A question that waited behind another one when the script ended is not put, and a late yes makes no call."""
    asked: list[object] = []

    def approve(approval: object) -> bool:
        asked.append(approval)
        (zygote,) = zygotes() - before
        has_ended = eventually(lambda: not children(zygote))
        time.sleep(0.1)  # until the host has read that
        return has_ended

    before = zygotes()
    accounts = {"slow": {"permissions": {"read": "ask"}}}
    script = """
    local wait = app.integrations.slow.wait
    parallel.all({ wait, wait, wait, function() while true do end end })
    """
    with Runtime(accounts, plugins=[SLOW], environ={}) as runtime:
        outcome = runtime.run(script, cpu=0.5, approve=approve)
    assert isinstance(outcome.error, LimitExceeded)
    assert len(asked) == 1
    assert {call["status"] for call in outcome.calls} == {"refused"}


def test_a_program_does_not_wait_for_a_call_that_is_stuck(environment: dict[str, str], home: Path) -> None:
    """A program that runs scripts is not kept alive by what was left behind."""

    def ends_before_its_call(seconds: float) -> bool:
        command = [sys.executable, "-c", EMBEDDER, str(SLOW), IN_BRANCHES, str(seconds)]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True, "cwd": home}
        done = subprocess.run(command, env=environment, check=True, timeout=50, **pipes)
        assert "raise it with timeout" in done.stdout
        return done.stdout.startswith("CallStarted\nCallStarted\n")

    assert in_time(ends_before_its_call, 0.3)


def test_whoever_listens_is_called_in_one_thread() -> None:
    """Output, records and questions reach the thread that runs the script, one at a time, also those of branches."""
    here: list[bool] = []

    def note(_: object) -> bool:
        here.append(threading.current_thread() is threading.main_thread())
        return True

    accounts = {"slow": {"permissions": {"read": "ask"}}}
    branch = "function() print('x') return app.integrations.slow.wait() end"
    with Runtime(accounts, plugins=[SLOW], environ={}) as runtime:
        outcome = runtime.run(f"parallel.all({{ {branch}, {branch} }})", on_output=note, watch=note, approve=note)
    assert outcome.ok
    assert all(here)
    assert len(here) in (7, 8), "what is printed while the caller is busy comes as one piece"


def test_an_observer_is_called_where_the_call_is_made() -> None:
    """In the thread of each call, but never in two at once."""
    threads: list[int] = []
    inside = threading.Lock()

    def observe(_: object) -> None:
        assert inside.acquire(blocking=False)
        threads.append(threading.get_ident())
        time.sleep(0.01)
        inside.release()

    branch = "function() return app.integrations.slow.wait() end"
    with Runtime({}, plugins=[SLOW], environ={}) as runtime:
        outcome = runtime.run(f"parallel.all({{ {branch}, {branch} }})", observe=observe)
    assert outcome.ok
    assert len(threads) == 4
    assert threading.get_ident() not in threads


def test_a_run_can_be_stopped_while_it_ends() -> None:
    """The end waits for an observer, which can use a store, but a server's event loop that stops the run does not."""
    begins, goes_on = threading.Event(), threading.Event()

    def observe(event: object) -> None:
        if isinstance(event, CallEnded):
            begins.set()
            goes_on.wait(120)

    with Runtime({}, plugins=[SLOW], environ={}) as runtime, ThreadPoolExecutor() as threads:
        try:
            ended = threads.submit(runtime.run, "app.integrations.slow.wait()", observe=observe, run="r")
            assert begins.wait(60)
            threads.submit(runtime.interrupt, "r").result(60)
            time.sleep(0.5)
            assert not ended.done()
            threads.submit(runtime.interrupt, "r").result(60)
        finally:
            goes_on.set()
        ended.result(60)


# Errors


def test_a_script_error_has_its_line(runtime: Runtime) -> None:
    """The message begins with the script's name and line; the traceback shows no host."""
    outcome = runtime.run("local x = 1\nlocal function f() error('boo') end\nf()", name="job.lua")
    assert isinstance(outcome.error, ScriptError)
    assert outcome.error.message == "job.lua:2: boo"
    assert outcome.error.line == 2
    assert "job.lua:2: in" in str(outcome.error.traceback)
    for word in ("host", "kosmolua", "python", ".py"):
        assert word not in str(outcome.error.traceback)


@pytest.mark.parametrize(
    ("source", "message", "line"),
    [
        ("x = = 1", "job.lua:1: unexpected symbol near '='", 1),
        ("\n\nif x then", "job.lua:3: 'end' expected near <eof>", 3),
        ("error({ code = 'mine' })", '{code = "mine"}', 1),
        ("error()", "error was called without a message", 1),
        ("error(nil)", "error was called without a message", 1),
        ("\nlocal x = nil + 1", "job.lua:2: attempt to perform arithmetic on a nil value", 2),
        ("error(setmetatable({}, { __tostring = function() return 'spoken' end }))", "spoken", 1),
    ],
)
def test_every_ending_has_a_sentence(runtime: Runtime, source: str, message: str, line: int) -> None:
    """Syntax, error tables, and no value at all."""
    error = runtime.run(source, name="job.lua").error
    assert isinstance(error, ScriptError)
    assert message.split(" (")[0] in " ".join(error.message.split()), error.message
    assert error.line == line


@pytest.mark.parametrize(
    ("returned", "result", "lost"),
    [
        ("{ 1, nil, 3 }", [[1, None, 3]], "the result is a list with holes: null is in the holes"),
        ("{ [10] = 'x' }", [{"10": "x"}], "the result has numbers as keys: its keys are texts here"),
        ("{ 1, b = 2 }", [{"1": 1, "b": 2}], "the result mixes a list with named keys: its keys are texts here"),
        ("{ [true] = 1 }", [{"true": 1}], "the result has a key that is a boolean: its keys are texts here"),
        ("{ [1] = 'number', ['1'] = 'text' }", [{"1": "text"}], "the result mixes a list with named keys"),
        ("{ a = { 0/0 } }", [{"a": [None]}], "a[1] of the result is NaN, which JSON cannot represent: it is null here"),
        ("7, -math.huge", [7, None], "result 2 is infinite, which JSON cannot represent: it is null here"),
        ("{ f = app.integrations.library.lend }", None, "f of the result is a function: its text is here"),
        ("coroutine.create(print)", None, "the result is a coroutine: its text is here"),
        ("{ '\\xff' }", [["\ufffd"]], "[1] of the result is a string that is not UTF-8"),
        ("(function() local t = { 1 } t[2] = t return t end)()", [[1, "<cycle>"]], "[2] of the result contains itself"),
        ("(function() local t = {} for _ = 1, 200 do t = { t } end return t end)()", None, "is nested too deeply"),
    ],
)
def test_a_result_of_any_shape_is_returned(runtime: Runtime, returned: str, result: list[object], lost: str) -> None:
    """What JSON cannot represent is null or a text in the result, and a warning names the place."""
    outcome = runtime.run(f"return {returned}")
    assert outcome.ok, outcome.error
    assert result is None or outcome.result == result
    assert lost in outcome.warnings[0]


def test_what_is_left_of_a_result_is_told_briefly(runtime: Runtime) -> None:
    """However many parts JSON cannot represent, there are at most 20 warnings."""
    outcome = runtime.run("local t = {} for n = 1, 1000 do t[n] = 0/0 end return t")
    assert outcome.result == [[None] * 1000]
    assert len(outcome.warnings) == 20


def test_an_empty_list_stays_a_list(runtime: Runtime) -> None:
    """A list that was empty in the answer of a service, and the result of parallel over one."""
    outcome = runtime.run("return parallel.map({}, print), parallel.all({}), json.decode('[]'), {}")
    assert outcome.result == [[], [], [], {}]


def test_an_error_of_a_call_keeps_its_fields(runtime: Runtime) -> None:
    """The outcome's error is the very error that the host raised, with the script's line."""
    outcome = runtime.run("\napp.integrations.library.lend({ book = 'b-404' })", name="job.lua")
    assert isinstance(outcome.error, CallError)
    assert outcome.error.code == "api_error"
    assert outcome.error.status == 404
    assert outcome.error.line == 2
    assert outcome.error.path == "library.lend"
    assert outcome.error.account == "work"


def test_a_script_cannot_forge_the_hosts_error(runtime: Runtime) -> None:
    """A table that looks like an error of a call is the script's own error."""
    forged = "error({ code = 'limit_exceeded', call = 1, message = 'x', limit = 'wall' })"
    assert isinstance(runtime.run("pcall(app.integrations.library.lend) " + forged).error, ScriptError)


# A child that lies


class Liar:
    """A child that says what a test has it say."""

    def __init__(self, *lines: bytes | dict[str, Any]) -> None:
        said = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
        self._lines = iter(said)
        self.heard: list[dict[str, Any]] = []
        self.killed = False

    def send(self, line: bytes) -> None:
        self.heard.append(json.loads(line))

    def read(self, limit: int) -> bytes | None:
        return next(self._lines, None)

    def kill(self) -> None:
        self.killed = True

    def status(self) -> int:
        return -9 if self.killed else 0

    def close(self) -> None:
        self.kill()


class EchoDesk:
    """Answers with what it was asked; ``raises`` is what a call raises instead."""

    def __init__(self, raises: KosmoError | None = None) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._raises = raises

    def describe(self, path: str) -> str:
        self.asked.append((path,))
        return json.dumps(path)

    def call(self, path: str, given: Sequence[Any], fault: dict[str, str] | None, secrets: Sequence[Any] = ()) -> str:
        self.asked.append((path, given, fault))
        if self._raises:
            raise self._raises
        return json.dumps(given)

    def doc(self, verb: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        self.asked.append((verb, given))
        return json.dumps(verb)

    def sleep(self, seconds: float, **_: object) -> float:
        return seconds

    def time(self, clock: str, own: float) -> float:
        return own


def supervise(liar: Liar, desk: EchoDesk | None = None, output: Callable[[bytes], None] = lambda piece: None) -> Ending:
    return supervision_of(liar, desk or EchoDesk(), output).run(Job(b"return 1", "job.lua"))


def supervision_of(child: Child, desk: EchoDesk, output: Callable[[bytes], None]) -> Supervisor:
    return Supervisor(child, RunContext(Clock(QUICK.timeout), QUICK), lambda: desk, output)


END = {"kind": "end", "result": [1], "usage": {}}


@pytest.mark.parametrize(
    "line",
    [
        b"hello",
        b'{"kind":"job"}',
        b'{"kind":"call","id":"1","path":"x"}',
        {"kind": "end", "usage": {}},
        {"kind": "end", "result": 5, "usage": {}},
        {"kind": "end", "error": "x", "usage": {}},
        {"kind": "limit", "limit": "patience", "usage": {}},
        {"kind": "call", "id": 1, "path": "x" * 2000},
    ],
    ids=str,
)
def test_nonsense_ends_the_run(line: Any) -> None:
    """A child that does not keep to the protocol is killed, with a sentence."""
    liar = Liar(line, END)
    ending = supervise(liar)
    assert isinstance(ending.error, WorkerLost)
    assert ending.error.message.startswith("The sandbox broke the protocol and was stopped: ")
    assert liar.killed
    assert not ending.result


def test_a_frame_without_an_end_is_given_up() -> None:
    """A real child whose frame is longer than any can be is stopped before the host's memory is full."""

    class Endless(Liar):
        def read(self, limit: int) -> bytes | None:
            from io import BytesIO

            from kosmolua.protocol import read_line

            return read_line(BytesIO(b"x" * (limit + 10)), limit)

    ending = supervise(Endless())
    assert "a frame is longer than" in str(ending.error)


def test_fields_of_the_wrong_shape_do_no_harm() -> None:
    """Arguments, faults, lines, tracebacks and usages that are something else are taken for nothing."""
    desk = EchoDesk()
    call = {"kind": "call", "id": 1, "path": "a.b"}
    liar = Liar(
        {**call, "args": {"__class__": 1}, "branch": "yes"},
        {**call, "args": [1], "fault": {"where": 5, "problem": ["x"] * 5000, "more": 1}},
        {**call, "fault": "x"},
        {"kind": "doc", "id": 2, "verb": "__init__", "args": [1]},
        {
            "kind": "end",
            "usage": {"cpu_ms": "x", "memory_bytes": None, "more": 1},
            "error": {"line": "x", "traceback": 5},
        },
    )
    ending = supervise(liar, desk)
    assert desk.asked[0] == ("a.b", [], None)
    path, given, fault = desk.asked[1]
    assert path == "a.b"
    assert given == []
    assert fault["where"] == "5"
    assert len(fault["problem"]) == 1000
    assert desk.asked[2:] == [("a.b", [], None), ("__init__", [1])]
    assert isinstance(ending.error, ScriptError)
    assert ending.error.line is None
    assert ending.error.traceback is None
    assert ending.usage == {}


@pytest.mark.parametrize("line", [True, 0, -3, 1.5, 10**4000])
def test_a_line_is_a_number_that_a_line_can_have(line: object) -> None:
    """What a child says of the place of an error is taken over where it can be one."""
    ending = supervise(Liar({"kind": "end", "error": {"message": "x", "line": line}, "usage": {"cpu_ms": True}}))
    assert ending.error and ending.error.line is None
    assert ending.usage == {}


def test_a_message_that_nobody_would_read_is_cut() -> None:
    """Neither an error of a call nor what a child says of one fills the context of a model."""
    call = {"kind": "call", "id": 1, "path": "a.b", "args": []}
    end = {"kind": "end", "error": {"message": "y" * 10**5, "call": 1, "traceback": "z" * 10**5}, "usage": {}}
    refused = supervise(Liar(call, end), EchoDesk(CallError("own", "x" * 10**5))).error
    said = supervise(Liar({**end, "error": {"message": "y" * 10**5}})).error
    assert refused and refused.traceback and said
    for text in (refused.message, refused.traceback, said.message):
        assert len(text) < 20_000
        assert text.endswith("... (cut)")


def test_a_child_cannot_print_more_than_its_limit() -> None:
    """The host counts too, and drops what comes after the limit."""
    printed: list[bytes] = []
    text = {"kind": "print", "text": "x" * 600}
    ending = supervise(Liar(text, text, text, END), output=printed.append)
    assert isinstance(ending.error, LimitExceeded)
    assert ending.error.limit == "output"
    assert len(b"".join(printed)) == 1000


def test_requests_to_wait_take_no_more_memory_than_calls() -> None:
    """A child that asks without end is stopped, and what it asked for is given back."""
    total, share, free = 400_000, 100_000, 0
    memory = MemoryBound(total, share, free)
    liar = Liar(*[{"kind": "sleep", "id": 1, "seconds": 1000}] * 2000, END)
    supervisor = Supervisor(liar, RunContext(Clock(60), QUICK), EchoDesk, lambda piece: None, memory=memory)
    ending = supervisor.run(Job(b"", "job.lua"))
    assert isinstance(ending.error, LimitExceeded)
    assert ending.error.limit == "arguments"
    assert all(memory.take(share, 0) for _ in range(total // share))


def test_an_error_that_is_not_of_a_call_ends_the_run() -> None:
    """An accounts file that is wrong is not the script's to catch."""
    liar = Liar({"kind": "call", "id": 1, "path": "a.b", "args": []}, END)
    ending = supervise(liar, EchoDesk(ConfigError("accounts.toml: no")))
    assert isinstance(ending.error, ConfigError)
    assert [frame["kind"] for frame in liar.heard] == ["job"]


def test_an_error_of_a_call_is_known_by_its_number() -> None:
    """The child only says which of its calls failed; what the error was is the host's word."""
    refusal = CallError("own", "no such book", param="book")
    call = {"kind": "call", "id": 7, "path": "a.b", "args": []}
    forged = {"message": "all is well", "call": 7, "line": 3}
    ending = supervise(Liar(call, {"kind": "end", "error": forged, "usage": {}}), EchoDesk(refusal))
    assert ending.error is refusal
    assert refusal.line == 3
    assert refusal.message == "no such book"
    unknown = {"kind": "end", "error": {"message": "x", "call": 8}, "usage": {}}
    assert isinstance(supervise(Liar(call, unknown), EchoDesk(refusal)).error, ScriptError)


# Who dies when


LOOP = "print('ready') while true do end"
IN_C = "print('ready') string.find(('a'):rep(50000), ('a*'):rep(30) .. 'b')"


@pytest.fixture
def started(environment: dict[str, str]) -> Iterator[Callable[[str], tuple[subprocess.Popen[str], int]]]:
    """Return a function that starts ``kosmolua run`` on a script; it and its child's id, once that says it is ready."""
    hosts: list[subprocess.Popen[str]] = []

    def start(source: str) -> tuple[subprocess.Popen[str], int]:
        words = [sys.executable, "-m", "kosmolua", "run", "-e", source, "--timeout", "30"]
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        host = subprocess.Popen(words, env=environment, text=True, **pipes)
        hosts.append(host)
        assert host.stdout
        assert host.stdout.readline() == "ready\n"
        (child,) = children(host.pid)
        return host, child

    yield start
    for host in hosts:
        host.kill()
        host.communicate()


@linux_only
@pytest.mark.parametrize("source", [LOOP, IN_C], ids=["in Lua", "in C"])
def test_killing_the_child_is_one_sentence(started: Any, source: str) -> None:
    """``kill -9`` on the child: exit 1, what was printed, and one clear sentence."""
    host, child = started(source)
    os.kill(child, signal.SIGKILL)
    output, complaint = host.communicate(timeout=60)
    assert output == ""
    assert host.returncode == 1
    assert complaint.startswith(
        "kosmolua: The sandbox died: its process was ended by SIGKILL (the system may be out of "
    )
    assert complaint.count("\n") == 1


@linux_only
@pytest.mark.parametrize("source", [LOOP, IN_C], ids=["in Lua", "in C"])
def test_killing_the_host_leaves_no_child(started: Any, source: str) -> None:
    """``kill -9`` on the host: the child is gone, also in the middle of a loop that never looks up."""
    host, child = started(source)
    assert is_running(child)
    host.kill()
    host.wait()
    assert eventually(lambda: not is_running(child))


@linux_only
@pytest.mark.parametrize("source", [LOOP, IN_C], ids=["in Lua", "in C"])
def test_killing_an_embedder_leaves_nobody(environment: dict[str, str], source: str) -> None:
    """A program that runs scripts in forks of a warm process takes both along when it is killed."""
    code = f"import kosmolua; kosmolua.Runtime({{}}).run({source!r}, on_output=lambda _: print('ready', flush=True))"
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stdin": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, **pipes) as host:
        assert host.stdout
        assert host.stdout.readline() == b"ready\n"
        left = descendants(host.pid)
        host.kill()
    assert len(left) == 2
    assert eventually(lambda: not any(map(is_running, left)))


@linux_only
def test_an_interrupt_ends_the_run(started: Any) -> None:
    """Ctrl-C: exit 130, one sentence, no child left."""
    host, child = started(LOOP)
    host.send_signal(signal.SIGINT)
    _, complaint = host.communicate(timeout=60)
    assert host.returncode == 130
    assert complaint.count("\n") == 1
    assert "interrupted" in complaint
    assert eventually(lambda: not is_running(child))


# What the child has


@linux_only
def test_the_child_has_nothing(started: Any) -> None:
    """An empty environment, the root as its folder, no open files but its pipes, no privileges to gain."""
    _, child = started(LOOP)
    with contextlib.suppress(PermissionError):  # the child has made itself unreadable, which is better still
        assert Path(f"/proc/{child}/environ").read_bytes() == b""
    assert "NoNewPrivs:\t1\n" in Path(f"/proc/{child}/status").read_text()
    limits = Path(f"/proc/{child}/limits").read_text()
    assert "Max file size             0 " in limits
    assert "Max core file size        0 " in limits
    if os.geteuid() == 0:
        assert os.readlink(f"/proc/{child}/cwd") == "/"
        descriptors = {name: os.readlink(f"/proc/{child}/fd/{name}") for name in os.listdir(f"/proc/{child}/fd")}
        assert set(descriptors) == {"0", "1", "2"}
        assert descriptors["0"].startswith("pipe:")
        assert descriptors["1"].startswith("pipe:")
        assert descriptors["2"] == "/dev/null"


def test_the_child_is_started_with_nothing() -> None:
    """Its command line has the interpreter isolated, folders to import from, and no word of the user's."""
    words = command("worker")
    assert words[:4] == [sys.executable, "-I", "-S", "-c"]
    assert all(Path(word).is_absolute() for word in words[5:])


PRINTS_MODULES = """
import sys
sys.path += sys.argv[1:]
import kosmolua.sandbox.worker as worker, kosmolua.sandbox.zygote as zygote
worker.Worker(0, 1)
print(*sorted(sys.modules))
"""
NEVER_IN_THE_GUEST = {"requests", "urllib3", "tomli", "click", "rich", "ssl", "_ssl", "socket", "subprocess"}


def test_the_childs_modules_hold_no_host() -> None:
    """A worker with its VM built has imported neither the host's rooms nor anything that could reach a network."""
    words = [*command("worker")[:4], PRINTS_MODULES, *command("worker")[5:]]
    done = subprocess.run(words, env={}, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    modules = set(done.stdout.split())
    assert {"kosmolua.sandbox.vm", "lupa.lua54", "kosmolua.protocol"} <= modules
    own = {module for module in modules if module.startswith("kosmolua.")}
    assert {module.split(".")[1] for module in own} <= {"sandbox", "protocol", "errors", "expressions"}
    assert modules & NEVER_IN_THE_GUEST == set()


def test_a_dead_worker_is_noticed() -> None:
    """A worker that was killed before its job is a sentence, not a hang."""
    child = ColdChild()
    child.kill()
    ending = supervision_of(child, EchoDesk(), lambda piece: None).run(Job(b"return 1", "job.lua"))
    child.close()
    assert isinstance(ending.error, WorkerLost)
