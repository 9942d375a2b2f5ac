"""``--trace``, and the line that shows how a long run goes."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from pathlib import Path

import pytest
from conftest import Program
from support.records import record, started
from support.terminal import Terminal

from kosmolua.calls.records import CallEnded
from kosmolua.cli.progress import OutputPrinter, StatusLine

CALLS = """
local render = app.integrations.render2
render.production.list_services({ limit = 1 })
pcall(render.get_service, "srv-nothing")
pcall(render.suspend_service, "srv-cabc12345678")
pcall(render.list_services, { limit = 1000 })
"""
TRACED = """\
-> 1 render2.list_services [production, read]
<- 1 render2.list_services [production, read] ok N ms (200)
-> 2 render2.get_service [default, read]
<- 2 render2.get_service [default, read] failed N ms (404) api_error
<- 3 render2.suspend_service [default, write] refused N ms (nothing sent) denied
<- 4 render2.list_services [default, read] refused N ms (nothing sent) bad_arguments
"""
needs_terminal = pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")


def in_terminal(environment: dict[str, str], *arguments: str, **variables: str) -> Terminal:
    """Return the program in a terminal."""
    return Terminal([sys.executable, "-m", "kosmolua", *arguments], {**environment, **variables}, columns=100)


# Calls


def test_each_call_is_traced_as_it_starts_and_ends(kosmolua: Program) -> None:
    """Path, account, effect, what became of it, milliseconds, the statuses of its requests; then the sums."""
    done = kosmolua("run", "--simulate", "--no-check", "--trace", "-e", CALLS)
    lines = re.sub(r"\d+ ms", "N ms", done.stderr)
    assert lines.startswith(TRACED)
    assert lines.endswith("calls: 1 ok, 1 failed, 2 refused\n")
    assert done.stdout == ""


def test_the_trace_says_what_was_around_the_sandbox(kosmolua: Program) -> None:
    """Processor time, memory, and the layers of isolation that were in force."""
    traced = kosmolua("run", "--simulate", "--trace", "-e", "return 1").stderr
    found = re.search(r"^sandbox: \d+ ms of processor time, [\d,]+ KiB; isolation: (.*)$", traced, re.MULTILINE)
    assert found
    assert found[1]


def test_a_trace_in_a_pipe_is_plain(kosmolua: Program) -> None:
    """No sequence of a terminal is in it."""
    assert "\x1b" not in kosmolua("run", "--simulate", "--trace", "-e", CALLS).stderr


@pytest.mark.slow
@needs_terminal
def test_a_trace_on_a_terminal_is_coloured(environment: dict[str, str]) -> None:
    """A read that went well is dim, what failed red, what was refused yellow; NO_COLOR takes the colours away."""
    with in_terminal(environment, "run", "--simulate", "--read-only", "--trace", "-e", CALLS) as terminal:
        assert terminal.wait() == 0
        assert b"\x1b[2m<- 1 render2.list_services" in terminal.raw
        assert b"\x1b[31m<- 2 render2.get_service" in terminal.raw
        assert b"\x1b[33m<- 3 render2.suspend_service" in terminal.raw
    with in_terminal(environment, "run", "--simulate", "--read-only", "--trace", "-e", CALLS, NO_COLOR="1") as terminal:
        assert terminal.wait() == 0
        assert not re.search(rb"\x1b\[[\d;]*m", terminal.raw)  # a line of a slow machine's status may be erased


def test_what_a_script_names_cannot_steer_a_terminal(kosmolua: Program) -> None:
    """A path is the script's own text until the catalog knows better."""
    script = "pcall(function() return app.integrations['\\27[2J'].x() end)"
    traced = kosmolua("run", "--simulate", "--trace", "-e", script + " app.integrations.render2.x('\\27')")
    assert "\x1b" not in traced.stderr


def test_call_traces_too(kosmolua: Program) -> None:
    """One call without Lua has the same lines."""
    done = kosmolua("call", "--simulate", "--trace", "render2.get_current_user")
    assert "-> 1 render2.get_current_user [default, read]" in done.stderr
    assert done.stderr.endswith("calls: 1 ok, 0 failed, 0 refused\n")


# The live line

SLOW = Path(__file__).parent / "plugins" / "slow.py"
LONG = """
local wait = app.integrations.slow.wait
print("begun")
wait()
parallel.all({ function() wait({ file = arg[1] }) end, function() wait({ file = arg[1] }) end })
print("ended")
"""
FAILS_LATE = "app.integrations.slow.wait({ file = arg[1] }) print('late') error('failed')"


@pytest.mark.slow
@needs_terminal
def test_a_long_run_shows_how_it_goes_and_leaves_no_mess(environment: dict[str, str], tmp_path: Path) -> None:
    """After a second, a line says what is done and under way, and for how long; in the end only the output is there."""
    gate = tmp_path / "gate"
    with in_terminal(environment, "run", "--plugin", str(SLOW), "-e", LONG, str(gate)) as terminal:
        screen = terminal.until("1 call done, 2 under way")
        assert re.fullmatch(r"1 call done, 2 under way, \d+\.\d s", screen[-1])
        gate.touch()
        assert terminal.wait() == 0
        assert terminal.screen() == ["begun", "ended"]


@pytest.mark.slow
@needs_terminal
def test_output_and_errors_stand_where_the_line_was(environment: dict[str, str], tmp_path: Path) -> None:
    """A line is never written over, nor mixed with the live one."""
    gate = tmp_path / "gate"
    with in_terminal(environment, "run", "--plugin", str(SLOW), "-e", FAILS_LATE, str(gate)) as terminal:
        terminal.until("under way")
        gate.touch()
        assert terminal.wait() == 1
        assert terminal.screen()[:2] == ["late", "kosmolua: (command line):1: failed"]


@pytest.mark.slow
@needs_terminal
def test_an_interrupt_leaves_no_mess_either(environment: dict[str, str]) -> None:
    """Ctrl-C while the line is there: it is gone, and the status is 130."""
    with in_terminal(environment, "run", "-e", "while true do end") as terminal:
        terminal.until("under way")
        terminal.send("\x03")
        assert terminal.wait() == 130
        assert not any("under way" in line.replace("^C", "") for line in terminal.screen()[1:])
        assert terminal.screen()[-1] == "kosmolua: The script was interrupted"


@pytest.mark.slow
@needs_terminal
def test_a_short_run_shows_no_line(environment: dict[str, str]) -> None:
    """Nothing is drawn for what is over at once."""
    started = time.monotonic()
    with in_terminal(environment, "run", "-e", "print(1)") as terminal:
        assert terminal.wait() == 0
        assert terminal.raw == b"1\r\n" or time.monotonic() - started > 1


@pytest.mark.slow
@needs_terminal
@pytest.mark.parametrize("variables", [{"TERM": "dumb"}], ids=["dumb"])
def test_a_dumb_terminal_shows_no_line(environment: dict[str, str], variables: dict[str, str]) -> None:
    """Where a line cannot be taken back, none is drawn."""
    script = "local t = os.clock() while os.clock() - t < 1.5 do end"
    with in_terminal(environment, "run", "-e", script, **variables) as terminal:
        assert terminal.wait() == 0
        assert terminal.raw == b""


@pytest.mark.slow
def test_a_long_run_in_a_pipe_shows_no_line(kosmolua: Program) -> None:
    """Standard error is for errors there."""
    done = kosmolua("run", "-e", "local t = os.clock() while os.clock() - t < 1.3 do end")
    assert done.stderr == ""


# The line itself, on a clock of its own


class Clock:
    """Time as a test says it is."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands at 0."""
    return Clock()


@pytest.fixture
def terminal() -> io.StringIO:
    """What is drawn on."""
    return io.StringIO()


@pytest.fixture
def live(terminal: io.StringIO, clock: Clock) -> StatusLine:
    """A live line that is drawn by hand."""
    return StatusLine(terminal, OutputPrinter(), after=1.0, clock=clock)


def test_the_line_waits_for_its_time(live: StatusLine, terminal: io.StringIO, clock: Clock) -> None:
    """Before a second is over, there is none."""
    clock.now = 0.9
    live.draw()
    assert terminal.getvalue() == ""


def test_the_line_counts(live: StatusLine, terminal: io.StringIO, clock: Clock) -> None:
    """Calls are under way from their start to their end; one that is refused was never under way."""
    live.note(started(1))
    live.note(started(2))
    live.note(CallEnded(record(number=2)))
    live.note(CallEnded(record(number=3, status="refused")))
    clock.now = 75.2
    live.draw()
    assert terminal.getvalue() == "\r\x1b[2K2 calls done, 1 under way, 1 min 15 s"


def test_the_line_keeps_away_from_a_question(live: StatusLine, terminal: io.StringIO, clock: Clock) -> None:
    """It is erased before something else is written, and not drawn until that is over."""
    clock.now = 2.0
    live.draw()
    with live.aside():
        assert terminal.getvalue().endswith("2.0 s\r\x1b[2K")
        terminal.truncate(0)
        live.draw()
        assert terminal.getvalue() == ""
    live.draw()
    assert terminal.getvalue().endswith("2.0 s")
