"""Sessions: state from chunk to chunk, and what is left of it when a chunk is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from support.processes import children, eventually, everyone, in_time, linux_only, look, running_in_group

from kosmolua import Runtime, protocol
from kosmolua.calls.records import Event
from kosmolua.clock import Clock
from kosmolua.errors import Interrupted, LimitExceeded, WorkerLost
from kosmolua.processes import launch
from kosmolua.processes.child import SessionProcess
from kosmolua.runs.session import Chunk, Session

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the OS cannot fork")


@pytest.fixture
def session(simulated: Runtime) -> Iterator[Session]:
    """A session over simulators."""
    with Session(simulated.run) as session:
        yield session


class Watched(SessionProcess):
    """A process whose processes can be counted."""

    def processes(self) -> list[int]:
        """Return the processes of the group that have not ended, without the first, which runs no chunk on Linux."""
        return [pid for pid in running_in_group(self.pid) if sys.platform != "linux" or pid != self.pid]


# State and values


def test_a_checked_chunk_knows_what_earlier_ones_have_set(session: Session) -> None:
    """A global of an earlier chunk is defined, and one that no chunk has set is still found."""
    assert session.evaluate("function twice(n) return 2 * n end").outcome.ok
    assert session.value("return twice(4)", check=True).outcome.result == [8]
    warnings = session.value("return twize(4)", check=True).outcome.warnings
    assert any("nothing defines 'twize'" in warning for warning in warnings)


def test_a_chunk_finds_what_the_ones_before_it_left(session: Session) -> None:
    """Globals, functions, changed library tables and top-level locals stay; locals of a block do not."""
    session.evaluate("x = 41; do local y = 1 end; function next_of(n) return n + 1 end; string.shout = string.upper")
    assert session.evaluate("next_of(x), y, ('a'):shout()").text == "42\tnil\tA"


@pytest.mark.slow
def test_an_expression_is_a_chunk(session: Session) -> None:
    """Its values are text as print shows them; the first one is in _ afterwards."""
    answer = session.evaluate("{ b = { 1, 2 }, a = 'x' }, nil")
    assert answer.text == '{a = "x", b = [1, 2]}\tnil'
    assert session.evaluate("_.b[2]").text == "2"


@pytest.mark.slow
@pytest.mark.parametrize("chunk", ["x = 1", "print('hello')", "-- nothing", "local x <const> = 1", "return"])
def test_a_chunk_without_values_shows_nothing(session: Session, chunk: str) -> None:
    """A statement, a call that returns nothing and a comment have no text, and leave _ alone."""
    session.evaluate("'before'")
    assert session.evaluate(chunk).text is None
    assert session.evaluate("_").text == "before"


def test_values_that_are_no_json_are_shown(session: Session) -> None:
    """Functions, cycles and values with their own __tostring have a text, though they could not leave the sandbox."""
    session.evaluate("t = {}; t.self = t; named = setmetatable({}, { __tostring = function() return 'me' end })")
    text = session.evaluate("t, named, print").text
    assert text
    assert text.startswith("{self = <cycle>}\tme\tfunction: ")


def test_a_tostring_that_fails_is_an_error_of_the_chunk(session: Session) -> None:
    """The session goes on, and the chunk's effects stay."""
    answer = session.evaluate("(function() x = 1; return setmetatable({}, { __tostring = error }) end)()")
    assert answer.outcome.error
    assert answer.outcome.error.code == "script_error"
    assert session.evaluate("x").text == "1"


@pytest.mark.slow
def test_a_long_text_is_cut_and_its_size_told(session: Session) -> None:
    """What is shown of a value is at most a mebibyte; the value itself is whole."""
    answer = session.evaluate("('x'):rep(2000000)")
    assert answer.text == "x" * 1024**2
    assert answer.size == 2_000_000
    assert session.evaluate("#_").text == "2000000"


@pytest.mark.slow
def test_bytes_of_a_text_are_kept(session: Session) -> None:
    """Those that are not UTF-8 are lone surrogates; a long text is cut between characters."""
    assert session.evaluate(r"'日\xff\0'").text == "日\udcff\0"
    answer = session.evaluate("'ab' .. ('日'):rep(1000000)")
    assert answer.text == "ab" + "日" * ((1024**2 - 2) // 3)


def test_values_can_be_had_as_they_are(session: Session) -> None:
    """For programs, the values of a chunk are JSON values in the outcome."""
    outcome = session.value("1, { 2 }, 'three', nil").outcome
    assert outcome.result == [1, [2], "three", None]
    assert session.value("x = 1").outcome.result == []


def test_a_page_of_the_documentation_is_told_from_other_text(session: Session) -> None:
    """Only a page that this chunk read, and returns as it is, is a page."""
    assert session.evaluate("lua_read_doc('overview')").is_page
    assert not session.evaluate("page = lua_read_doc('overview')").is_page
    assert not session.evaluate("page").is_page
    assert not session.evaluate("lua_read_doc('overview') .. ''  .. '!'").is_page


def test_a_seed_holds_from_chunk_to_chunk(session: Session) -> None:
    """Random numbers are not sown anew under the feet of whoever sowed them."""
    session.evaluate("math.randomseed(1)")
    first = session.evaluate("math.random(1 << 40)").text
    session.evaluate("math.randomseed(1)")
    assert session.evaluate("math.random(1 << 40)").text == first


def test_errors_name_the_chunk_and_the_line(session: Session) -> None:
    """A script error has its line and a traceback of the chunk's own frames; the state before it is kept."""
    error = session.evaluate("x = 1\nlocal function f() error('no') end\nf()").outcome.error
    assert error
    assert error.message == "repl:2: no"
    assert error.line == 2
    assert error.traceback
    assert error.traceback.splitlines()[1:] == [
        "\t[C]: in function 'error'",
        "\trepl:2: in global 'f'",
        "\trepl:3: in main chunk",
    ]
    assert session.evaluate("x").text == "1"


def test_a_wrong_name_is_the_same_error_in_each_chunk(session: Session) -> None:
    """What one chunk heard of a name is forgotten in the next, for which the host has to know the error."""
    for _ in range(2):
        error = session.evaluate("app.integrations.nothing").outcome.error
        assert error and error.code == "unknown_path"


@pytest.mark.slow
def test_a_named_chunk_has_its_name_in_errors(session: Session) -> None:
    """A file that is loaded is called by its name."""
    error = session.evaluate("error('no')", name="report.lua").outcome.error
    assert error
    assert error.message == "report.lua:1: no"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chunk", "whole"),
    [
        ("1 + 1", True),
        ("x =", False),
        ("for i = 1, 2 do", False),
        ("for i = 1, 2 do print(i) end", True),
        ("f({", False),
        ("x = [[", False),
        ("x = 'abc", True),
        ("x x x", True),
        ("print(1) --[[", False),
        ("", True),
    ],
)
def test_an_unfinished_chunk_is_told_from_a_wrong_one(session: Session, chunk: str, whole: bool) -> None:
    """What the next line can still mend is not whole; what is wrong for good is."""
    assert session.is_whole(chunk) is whole


def test_checking_a_chunk_runs_nothing(session: Session) -> None:
    """Neither effects nor output come of it."""
    session.is_whole("x = 1 print('no')")
    assert session.evaluate("x").text == "nil"


# Names


def test_globals_and_what_is_in_tables_have_names(session: Session) -> None:
    """Each name comes with the type of its value; a path leads into tables, classes and strings."""
    session.evaluate("shop = { open = true, 'one', ['no name'] = 1, books = { lua = 'pil' } }")
    session.evaluate("Base = { greet = function() end }; Base.__index = Base; thing = setmetatable({ own = 1 }, Base)")
    assert session.names().types.items() >= {"shop": "table", "print": "function", "app": "table"}.items()
    assert session.names("shop").types == {"open": "boolean", "books": "table"}
    assert session.names("shop.books").types == {"lua": "string"}
    assert session.names("thing").types == {"own": "number", "greet": "function", "__index": "table"}
    assert "upper" in session.names("shop.books.lua").types
    assert session.names("no.such.thing").types == {}


def test_what_stands_for_a_part_of_app_says_which(session: Session) -> None:
    """The names under app are the catalog's to say, so a variable that holds a part of it gives a path."""
    session.evaluate("render = app.integrations.render2; staging = render.staging")
    assert session.names("render").path == "app.integrations.render2"
    assert session.names("staging").path == "app.integrations.render2.staging"
    assert session.names("string").path is None


def test_naming_runs_no_metamethod(session: Session) -> None:
    """A table whose __index and __pairs fail has the names that it really holds."""
    session.evaluate("trap = setmetatable({ a = 1 }, { __index = function() error('no') end, __pairs = error })")
    assert session.names("trap").types == {"a": "number"}


# Limits and interrupts


@pytest.mark.slow
@pytest.mark.parametrize(
    ("chunk", "limits", "name"),
    [
        ("x = 2 while true do end", {"timeout": 0.2}, "wall"),
        ("x = 2 while true do end", {"cpu": 0.1}, "cpu"),
        ("x = 2 t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", {"memory": 2**24}, "memory"),
        ("x = 2 while true do print(('x'):rep(1000)) end", {"max_output": 5000}, "output"),
        ("x = 2 while true do app.integrations.render2.get_current_user() end", {"max_calls": 2}, "calls"),
    ],
)
def test_a_limit_ends_a_chunk_and_not_the_session(
    session: Session, chunk: str, limits: dict[str, Any], name: str
) -> None:
    """The state is that from before the chunk, and the limit starts anew with the next one."""
    session.evaluate("x = 1")
    answer = session.evaluate(chunk, **limits)
    assert isinstance(answer.outcome.error, LimitExceeded)
    assert answer.outcome.error.limit == name
    assert answer.state == "restored"
    again = session.evaluate("x", **limits)
    assert again.text == "1"
    assert again.state == "kept"


@pytest.mark.slow
def test_a_source_that_is_too_large_is_not_run(session: Session) -> None:
    """Its limit is noticed before anything starts, so that the state is kept."""
    session.evaluate("x = 1")
    answer = session.evaluate("x = 2 " + " " * (4 * 1024**2))
    assert isinstance(answer.outcome.error, LimitExceeded)
    assert answer.state == "restored"
    assert session.evaluate("x").text == "1"


def test_an_interrupt_ends_a_chunk_and_not_the_session(session: Session) -> None:
    """Ctrl-C while a chunk runs gives back the state from before it."""
    session.evaluate("x = 1")
    interrupt = Thread(target=lambda: os.kill(os.getpid(), signal.SIGINT))
    answer = session.evaluate("x = 2 print('begun') while true do end", on_output=lambda piece: interrupt.start())
    interrupt.join()
    assert isinstance(answer.outcome.error, Interrupted)
    assert answer.state == "restored"
    assert session.evaluate("x").text == "1"


def test_an_interrupt_between_two_looks_leaves_a_session_that_works(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever Ctrl-C comes, the frames of the next chunk are read for that one."""
    left = Clock.left.fget
    assert left
    armed: list[bytes] = []

    def interrupted(clock: Clock) -> float:
        if armed and threading.current_thread() is threading.main_thread():
            armed.clear()
            raise KeyboardInterrupt
        return left(clock)

    monkeypatch.setattr(Clock, "left", property(interrupted))
    session.evaluate("x = 42")
    for _ in range(5):
        answer = session.evaluate("while true do print(1) end", on_output=armed.append)
        assert isinstance(answer.outcome.error, Interrupted)
        armed.clear()
        assert session.evaluate("x").text == "42"


@pytest.mark.slow
@linux_only
def test_a_process_that_does_not_heed_an_order_is_ended(simulated: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit holds also where the process that should end the chunk cannot."""
    monkeypatch.setattr("kosmolua.runs.supervisor.KILL_TIMEOUT", 0.1)
    guests: list[Watched] = []

    def start() -> Watched:
        guests.append(Watched())
        return guests[-1]

    def stop(_: bytes) -> None:
        processes = guests[0].processes()
        for parent in {seen.parent for pid in processes if (seen := look(pid))} & set(processes):
            os.kill(parent, signal.SIGSTOP)

    with Session(simulated.run, start) as session:
        session.evaluate("x = 1")
        answer = session.evaluate("print('on') while true do end", timeout=1, on_output=stop)
        assert isinstance(answer.outcome.error, LimitExceeded)
        assert answer.state == "lost"
        assert session.evaluate("x").text == "nil"


@pytest.mark.slow
def test_chunks_that_are_stopped_at_their_very_end_leave_a_session_that_works(session: Session) -> None:
    """However a time limit and the end of a chunk meet, what is said of the state is true."""
    session.evaluate("x = 0")
    kept = 0
    for _ in range(60):
        answer = session.evaluate("x = x + 1 local t = os.clock() while os.clock() - t < 0.004 do end", timeout=0.006)
        assert answer.state in ("kept", "restored")
        kept += answer.state == "kept"
    assert session.evaluate("x").text == str(kept)


class Slowed(Chunk):
    """A chunk that is begun by another thread while one looks at whether it has begun."""

    job: bytes
    _has_begun = False

    @property
    def has_begun(self) -> bool:
        has_begun = self._has_begun
        if not has_begun and hasattr(self, "job"):
            self.sender = Thread(target=self.send, args=(self.job,))
            del self.job
            self.sender.start()
            self.sender.join(0.2)
        return has_begun

    @has_begun.setter
    def has_begun(self, has_begun: bool) -> None:
        self._has_begun = has_begun


@pytest.mark.slow
def test_a_chunk_that_is_stopped_as_it_begins_never_does() -> None:
    """The check and the start are one step: either it is not sent, or the process is ordered to end it."""
    process = SessionProcess()
    chunk = Slowed(process, 1)
    chunk.job = protocol.frame("job", source="while true do end")
    chunk.kill()
    chunk.sender.join()
    assert not chunk.has_begun
    process.close()


@pytest.mark.slow
def test_a_checkpoint_leaves_no_process_behind(simulated: Runtime) -> None:
    """After chunks that end well and chunks that do not, the session is one process; after its end, none."""
    process = Watched()
    with Session(simulated.run, lambda: process) as session:
        for chunk in ["x = 1", "error('no')", "while true do end", "x"]:
            session.evaluate(chunk, cpu=0.1)
        assert eventually(lambda: len(process.processes()) == 1)
    assert eventually(lambda: running_in_group(process.pid) == [])


@pytest.mark.slow
@linux_only
def test_no_process_of_a_session_is_left_to_others(simulated: Runtime) -> None:
    """Each process that has made way for the next chunk's is collected by the session's first one."""
    process = SessionProcess()
    with Session(simulated.run, lambda: process) as session:
        for chunk in ["x = 1", "x = x + 1", "error('no')", "x = x + 1", "while true do end"]:
            session.evaluate(chunk, cpu=0.1)
        assert eventually(lambda: len(children(process.pid)) == 1)
        group = {pid for pid, seen in everyone() if seen.group == process.pid}
        assert group == {process.pid} | children(process.pid)


@pytest.mark.slow
@linux_only
def test_chunks_wait_for_no_other_process_of_their_session(simulated: Runtime) -> None:
    """On a machine with much to do the first one may have no turn for long: what has ended counts no more even so."""
    process = SessionProcess()
    with Session(simulated.run, lambda: process) as session:
        session.evaluate("x = 0")
        os.kill(process.pid, signal.SIGSTOP)
        for _ in range(40):
            session.evaluate("x = x + 1")
        assert session.evaluate("x").text == "40"
        os.kill(process.pid, signal.SIGCONT)


@pytest.mark.slow
@linux_only
def test_sessions_at_once_do_not_use_up_each_others_processes(simulated: Runtime) -> None:
    """The bound on the processes of a session counts its own only, also where root starts many sessions."""
    sessions = [Session(simulated.run) for _ in range(24)]
    try:
        answers = [session.evaluate("x = (x or 0) + 1") for _ in range(3) for session in sessions]
        assert [answer.outcome.error for answer in answers] == [None] * len(answers)
        assert [session.evaluate("x").text for session in sessions] == ["3"] * len(sessions)
    finally:
        for session in sessions:
            session.close()


@pytest.mark.slow
def test_output_before_the_end_of_a_chunk_is_kept(session: Session) -> None:
    """What was printed before a limit has left the process."""

    def is_kept(seconds: float) -> bool:
        printed: list[bytes] = []
        session.evaluate("print('before') while true do end", timeout=seconds, on_output=printed.append)
        return printed == [b"before\n"]

    assert in_time(is_kept, 0.2)


@pytest.mark.slow
def test_a_killed_chunk_is_told_from_a_killed_process(simulated: Runtime) -> None:
    """A process that dies under a chunk costs the chunk; where none is left, a new session begins, and says so."""
    guests = [Watched(), Watched()]
    waiting = iter(guests)
    with Session(simulated.run, lambda: next(waiting)) as session:
        session.evaluate("x = 1")
        kill_when_busy(guests[0], slice(-1, None))
        answer = session.evaluate("x = 2 while true do end")
        assert isinstance(answer.outcome.error, WorkerLost)
        assert answer.state == "restored"
        assert session.evaluate("x").text == "1"
        kill_when_busy(guests[0], slice(None))
        answer = session.evaluate("x = 2 while true do end")
        assert isinstance(answer.outcome.error, WorkerLost)
        assert answer.state == "lost"
        assert session.evaluate("x").text == "nil"


def kill_when_busy(process: Watched, which: slice) -> None:
    """Have the newest of a process's processes killed, or all, once the next chunk runs in it."""

    def kill() -> None:
        eventually(lambda: len(process.processes()) == 2)
        for pid in sorted(process.processes())[which]:
            with suppress(ProcessLookupError):  # it ended with its parent
                os.kill(pid, signal.SIGKILL)

    assert eventually(lambda: len(process.processes()) == 1)
    Thread(target=kill).start()


def test_a_process_that_died_between_chunks_is_noticed(simulated: Runtime) -> None:
    """The next chunk says so, and the one after that runs in a new session."""
    guests = [Watched(), Watched()]
    waiting = iter(guests)
    with Session(simulated.run, lambda: next(waiting)) as session:
        session.evaluate("x = 1")
        guests[0].kill()
        assert session.evaluate("x").state == "lost"
        assert session.evaluate("x").text == "nil"


@pytest.mark.slow
def test_a_reply_to_a_chunk_that_is_gone_reaches_no_other(tmp_path: Path) -> None:
    """Numbers of requests repeat after a chunk was ended, so a late reply must not answer the next chunk's request."""
    slow = Path(__file__).parent / "plugins" / "slow.py"
    late, gate = tmp_path / "late", tmp_path / "gate"
    chunk = (
        "parallel.all({{ function() return app.integrations.slow.wait({{ file = '{}', name = '{}' }}).name end }})[1]"
    )

    def is_left_behind(seconds: float) -> bool:
        assert session.evaluate(chunk.format(late, "late"), timeout=seconds).state == "restored"
        return bool(answering())

    def let_the_late_one_reply(_: Event) -> None:
        late.touch()
        for thread in stuck:
            thread.join()
        gate.touch()

    with Runtime(os.devnull, plugins=[slow], environ={}) as runtime, Session(runtime.run) as session:
        assert in_time(is_left_behind, 0.15)
        stuck = answering()
        assert session.evaluate(chunk.format(gate, "next"), watch=let_the_late_one_reply).text == "next"


def answering() -> list[Thread]:
    """Return the threads that answer calls of branches."""
    return [thread for thread in threading.enumerate() if thread.name == "kosmolua-call"]


@pytest.mark.slow
def test_many_chunks_need_no_more_memory(session: Session) -> None:
    """Forks of forks do not pile up: the memory of the VM stays what its state needs."""
    first = session.evaluate("collectgarbage()").outcome.usage["memory_bytes"]
    for _ in range(100):
        session.evaluate("local t = {} for i = 1, 100 do t[i] = i end")
    last = session.evaluate("collectgarbage()").outcome.usage["memory_bytes"]
    assert last < first * 1.2


def test_a_reset_forgets_everything(session: Session) -> None:
    """The next chunk runs in a new process."""
    session.evaluate("x = 1")
    session.reset()
    assert session.evaluate("x").text == "nil"


def test_calls_are_journaled_and_counted_for_their_chunk(session: Session) -> None:
    """Each chunk's outcome has its own calls."""
    session.evaluate("render = app.integrations.render2")
    outcome = session.evaluate("render.get_current_user().email").outcome
    assert [call["path"] for call in outcome.calls] == ["render2.get_current_user"]
    assert session.evaluate("1").outcome.calls == []


TESTS = Path(__file__).parent
HOST = """
import os, sys, time
sys.path.append(sys.argv[2])
from support.processes import children
from kosmolua import Runtime
from kosmolua.runs.session import Session

session = Session(Runtime(os.devnull, simulate=True).run)
session.evaluate("x = 1")
session.evaluate("while true do end", cpu=0.1)
print(*children(os.getpid()), flush=True)
session.evaluate(sys.argv[1])
time.sleep(60)
"""


@pytest.mark.slow
@linux_only
@pytest.mark.parametrize("chunk", ["x = 2", "while true do end"], ids=["idle", "busy"])
def test_no_process_outlives_a_host_that_is_killed(environment: dict[str, str], chunk: str) -> None:
    """Whether the process waits or runs a loop, after a checkpoint has taken over too, it ends with the host."""
    host = subprocess.Popen(
        [sys.executable, "-c", HOST, chunk, str(TESTS)], env=environment, stdout=subprocess.PIPE, text=True
    )
    assert host.stdout
    group = int(host.stdout.readline())
    count = 3 if "while" in chunk else 2
    assert eventually(lambda: len(running_in_group(group)) == count)
    host.kill()
    host.wait()
    host.stdout.close()
    assert eventually(lambda: running_in_group(group) == [])


# Where the OS cannot fork


def forkless(role: str, stdin: int, stdout: int, stderr: int) -> subprocess.Popen[bytes]:
    """Start a process as it is on an OS without fork."""
    *words, boot, package, lupa = launch.command(role)
    command = [*words, f"import os, sys; sys.platform = 'other'; del os.fork; {boot}", package, lupa]
    return subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env={})


@pytest.mark.slow
def test_without_fork_a_session_keeps_its_state_until_a_chunk_is_ended(simulated: Runtime) -> None:
    """Chunks work as usual; a limit costs the state, which is said, and a new process goes on."""
    with Session(simulated.run, lambda: SessionProcess(forkless, forks=False)) as session:
        session.evaluate("x = 1")
        assert session.evaluate("error('no')").state == "kept"
        assert session.evaluate("x").text == "1"
        answer = session.evaluate("while true do end", timeout=0.2)
        assert isinstance(answer.outcome.error, LimitExceeded)
        assert answer.state == "lost"
        assert session.evaluate("x").text == "nil"


@pytest.mark.slow
def test_a_session_near_its_memory_limit_ends_a_chunk_as_any_script(session: Session) -> None:
    """A chunk that has no room beside the state reaches the limit, and the state stays; garbage is not in its way."""
    fill = "T = {} for i = 1, 93 do T[i] = ('x'):rep(1024 * 1024 - 64) end collectgarbage() return #T"
    large = f"--{'z' * 3 * 1024**2}\nreturn 1"
    assert session.evaluate(fill).text == "93"
    for _ in range(2):
        answer = session.evaluate(large)
        assert isinstance(answer.outcome.error, LimitExceeded)
        assert answer.outcome.error.limit == "memory"
        assert answer.state == "restored"
        assert session.evaluate("#T").text == "93"
    assert session.evaluate("T = nil").state == "kept"
    assert session.evaluate(large).text == "1"
