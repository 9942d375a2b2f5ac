"""The time of a call: its own limit, and what is said of a call that the end of a run cut off."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import Program, Write
from support.library import library
from support.processes import eventually, in_time

from kosmolua import CallError, Interrupted, LimitExceeded, Limits, Runtime
from kosmolua.catalog.plugins import Plugins
from kosmolua.errors import CallTimeout

SLOW = Path(__file__).parent / "plugins" / "slow.py"
KEY = "rnd_SECRET_of_a_slow_service"
Open = Callable[[], AbstractContextManager[Runtime]]


@contextmanager
def silent_service() -> Iterator[str]:
    """A service that takes requests and never answers."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            while True:
                try:
                    taken.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        for connection in taken:
            connection.close()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    """A runtime whose library never answers."""
    with silent_service() as url:
        accounts = {"library": {"default": {"api_key": KEY, "base_url": url, "permissions": {"write": "allow"}}}}
        plugins = Plugins([library()], places=(), entry_points=dict)
        with Runtime(accounts, plugins=plugins, journal=tmp_path / "journal", environ={}) as runtime:
            yield runtime


def statuses(folder: Path) -> list[tuple[Any, Any]]:
    """Return the status and the error code of each call in the journal."""
    lines = map(json.loads, (folder / "journal").read_text().splitlines())
    return [(line["status"], line["error"]) for line in lines]


@pytest.mark.slow
def test_a_call_that_takes_too_long_can_be_caught(runtime: Runtime, tmp_path: Path) -> None:
    """One service that hangs does not take the script with it: the error names the call and the option."""
    script = """
    local ok, err = pcall(app.integrations.library.list_books)
    return ok, err.code, err.retryable, err.message
    """
    outcome = runtime.run(script, call_timeout=1.5, timeout=60)
    assert outcome.error is None
    ok, code, retryable, message = outcome.result
    assert ok is False
    assert code == "timeout"
    assert retryable is True
    assert message.startswith("library.list_books took longer than 1.5 s")
    assert "raise it with call_timeout" in message
    assert statuses(tmp_path) == [("failed", "timeout")]


@pytest.mark.slow
def test_a_write_that_takes_too_long_may_have_been_done(runtime: Runtime, tmp_path: Path) -> None:
    """Its status is unknown, and it is not to be tried again without a look."""

    def is_in_doubt(seconds: float) -> bool:
        outcome = runtime.run("app.integrations.library.lend({ book = 'b-1' })", call_timeout=seconds)
        assert isinstance(outcome.error, CallTimeout)
        if outcome.error.retryable:  # it was too late to send anything
            return False
        assert [call["status"] for call in outcome.calls] == ["unknown"]
        assert statuses(tmp_path)[-1] == ("unknown", "timeout")
        return True

    assert in_time(is_in_doubt, 0.3)


@pytest.mark.slow
def test_a_call_without_a_script_has_the_same_limit(runtime: Runtime) -> None:
    """What the command line's ``call`` makes ends like any other."""
    runtime.limits = runtime.limits.but(call_timeout=0.3)
    with pytest.raises(CallError) as failed:
        runtime.call("library.list_books")
    assert failed.value.code == "timeout"


LAZY = """
import threading
from dataclasses import dataclass
from kosmolua.plugin import Integration

@dataclass(frozen=True)
class Account:
    note: str = ""
    def open(self, send):
        return None

integration = Integration("lazy", Account, about="Takes its time.")
AWAKE = threading.Event()

@integration.reads
def read(_, /, *, name: str = "") -> str:
    \"\"\"Wait until the tests are over.\"\"\"
    AWAKE.wait(600)
    return name

@integration.writes
def write(_, /) -> None:
    \"\"\"Wait until the tests are over.\"\"\"
    AWAKE.wait(600)

@integration.reads
def wake(_, /) -> bool:
    \"\"\"Let the others return.\"\"\"
    AWAKE.set()
    return True
"""


@pytest.fixture
def open_lazy(write: Write) -> Open:
    """Return a function that opens a runtime with an integration whose Python code does not return, or look at limits.

    Each has a module of its own, and so calls that nobody has woken yet.
    """
    accounts, numbers = {"lazy": {"default": {}, "permissions": {"write": "allow"}}}, itertools.count()

    @contextmanager
    def opened() -> Iterator[Runtime]:
        with Runtime(accounts, plugins=[write(f"{next(numbers)}/lazy.py", LAZY)], environ={}) as runtime:
            yield runtime
            runtime.limits = Limits()
            runtime.call("lazy.wake")

    return opened


@pytest.mark.slow
def test_python_code_that_does_not_return_is_left_behind(open_lazy: Open) -> None:
    """The script gets the error of a call that takes too long and goes on, and the outcome names the call."""
    source = """
    local ok, err = pcall(app.integrations.lazy.read)
    print("and on")
    return ok, err.code, err.message, app.integrations.lazy.wake()
    """

    def is_left_behind(seconds: float) -> bool:
        with open_lazy() as lazy:
            outcome = lazy.run(source, call_timeout=seconds)
        if outcome.error or not outcome.warnings:  # there was no time for the second call, or to begin the first
            return False
        ok, code, message, is_awake = outcome.result
        assert ok is False
        assert code == "timeout"
        assert is_awake is True
        assert message.startswith(f"lazy.read took longer than {seconds:g} s")
        assert outcome.warnings == ["lazy.read (call 1) did not end in time: its Python code still runs"]
        assert [call["status"] for call in outcome.calls] == ["failed", "ok"]
        return True

    assert in_time(is_left_behind, 0.3)


@pytest.mark.slow
def test_a_write_that_is_left_behind_may_yet_be_done(open_lazy: Open) -> None:
    """Its status is unknown, and the warning says so."""

    def is_in_doubt(seconds: float) -> bool:
        with open_lazy() as lazy:
            outcome = lazy.run("app.integrations.lazy.write()", call_timeout=seconds)
        assert isinstance(outcome.error, CallTimeout)
        if not outcome.warnings:  # there was no time to begin it
            return False
        assert [call["status"] for call in outcome.calls] == ["unknown"]
        assert outcome.warnings == [
            "lazy.write (call 1) did not end in time: its Python code still runs and may still write"
        ]
        return True

    assert in_time(is_in_doubt, 0.3)


@pytest.mark.slow
def test_branches_are_left_behind_one_by_one(open_lazy: Open) -> None:
    """More of them than there are threads for calls: each gets its error, and the answers of the others arrive."""
    source = """
    local list = {}
    for i = 1, 150 do list[i] = i end
    local failed = 0
    local function read() if not pcall(app.integrations.lazy.read) then failed = failed + 1 end end
    parallel.map(list, read, { limit = 100 })
    app.integrations.lazy.wake()
    return failed, app.integrations.lazy.read("after")
    """

    def is_answered(seconds: float) -> bool:
        with open_lazy() as lazy:
            outcome = lazy.run(source, call_timeout=seconds, timeout=120)
        if isinstance(outcome.error, CallTimeout):  # of the calls that are answered
            return False
        assert outcome.error is None
        assert outcome.result == [150, "after"]
        return True

    assert in_time(is_answered, 0.5)


@pytest.mark.slow
def test_a_late_answer_is_dropped(open_lazy: Open, tmp_path: Path) -> None:
    """Code that returns after all changes nothing, neither in the run nor in its recording."""
    source = """
    pcall(app.integrations.lazy.read, "late")
    app.integrations.lazy.wake()
    sleep(0.3)
    return app.integrations.lazy.read("after")
    """

    def is_dropped(seconds: float) -> bool:
        with open_lazy() as lazy:
            outcome = lazy.run(source, call_timeout=seconds, record=tmp_path / f"{seconds}.jsonl")
            if isinstance(outcome.error, CallTimeout):  # of the calls that are answered
                return False
            assert outcome.result == ["after"]
            assert [call["error"] for call in outcome.calls] == ["timeout", None, None]
            assert lazy.replay(outcome.recording).result == ["after"]
        return True

    assert in_time(is_dropped, 0.3)


@pytest.mark.slow
def test_a_call_of_a_program_leaves_python_code_behind(open_lazy: Open) -> None:
    """It does not come back later than the limit, and the next call works."""

    def is_left_behind(seconds: float) -> bool:
        with open_lazy() as lazy:
            lazy.limits = Limits(call_timeout=seconds)
            with pytest.raises(CallTimeout, match=f"lazy.read took longer than {seconds:g} s") as raised:
                lazy.call("lazy.read")
            lazy.limits = Limits()
            assert lazy.call("lazy.wake") is True
            assert lazy.call("lazy.read", {"name": "after"}) == "after"
        return "its Python code cannot be stopped" in str(raised.value)  # unless there was no time to begin it

    assert in_time(is_left_behind, 0.3)


@pytest.mark.slow
def test_what_is_left_behind_does_not_keep_the_program(kosmolua: Program, write: Write) -> None:
    """The command ends with the error, whatever its thread still does."""

    def ends(seconds: float) -> bool:
        options = ("--plugin", write("lazy.py", LAZY), "--call-timeout", seconds)
        called = kosmolua("call", "lazy.read", *options, timeout=120)
        ran = kosmolua("run", "-e", "app.integrations.lazy.read()", *options, timeout=120)
        assert called.returncode == ran.returncode == 1
        assert f"lazy.read took longer than {seconds:g} s" in called.stderr
        if "warning" not in ran.stderr:  # there was no time to begin it
            return False
        assert "warning: lazy.read (call 1) did not end in time" in ran.stderr
        return True

    assert in_time(ends, 0.5)


@pytest.mark.slow
def test_a_limit_names_the_write_that_it_cut_off(runtime: Runtime, tmp_path: Path) -> None:
    """Outcome, journal and message say that it was under way and may have been done."""

    def is_cut_off(seconds: float) -> bool:
        outcome = runtime.run("app.integrations.library.lend({ book = 'b-1' })", timeout=seconds)
        assert isinstance(outcome.error, LimitExceeded)
        if outcome.calls[0]["status"] == "refused":
            return False  # it had not begun
        assert outcome.calls[0]["status"] == "unknown"
        assert outcome.error.fields()["call"] == "library.lend"
        assert "library.lend with default was under way and may have been done: check before you retry" in str(
            outcome.error
        )
        return True

    assert in_time(is_cut_off, 0.5)
    assert statuses(tmp_path)[-1][0] == "unknown"


@pytest.mark.slow
def test_a_limit_names_the_read_that_it_cut_off(runtime: Runtime) -> None:
    """It may be tried again, so nothing is said of looking first."""

    def is_cut_off(seconds: float) -> bool:
        outcome = runtime.run("app.integrations.library.list_books()", timeout=seconds)
        if outcome.calls[0]["status"] == "refused":
            return False
        assert "library.list_books with default was under way" in str(outcome.error)
        assert "check before" not in str(outcome.error)
        return True

    assert in_time(is_cut_off, 0.5)


@pytest.mark.slow
def test_ctrl_c_names_the_calls_that_it_cut_off(tmp_path: Path) -> None:
    """Of several branches, the first few by name."""
    script = """
    local folder = ...
    parallel.map({ 1, 2, 3, 4, 5 }, function(i)
      app.integrations.slow.wait({ file = folder .. "/never", sign = folder .. "/" .. i })
    end)
    """

    def interrupt() -> None:
        if eventually(lambda: len(list(tmp_path.iterdir())) == 5):
            os.kill(os.getpid(), signal.SIGINT)

    with Runtime({}, plugins=[SLOW], environ={}) as runtime:
        threading.Thread(target=interrupt, daemon=True).start()
        outcome = runtime.run(script, args=[str(tmp_path)])
    (tmp_path / "never").touch()
    assert isinstance(outcome.error, Interrupted)
    assert [call["status"] for call in outcome.calls] == ["unknown"] * 5
    named = " and ".join(["slow.wait with default"] * 3)
    assert f"{named} and 2 more were under way" in str(outcome.error)
