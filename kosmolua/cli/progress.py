"""The live line: how a long run goes, below everything else on the terminal. It leaves nothing behind."""

from __future__ import annotations

import codecs
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from threading import Event as Flag
from threading import Lock, RLock, Thread
from typing import Any, TextIO

from kosmolua.broker.approvals import Approval
from kosmolua.broker.records import CallStarted, Event, Watch
from kosmolua.cli import console
from kosmolua.cli.approval import Approver
from kosmolua.cli.streams import standard
from kosmolua.escaping import harmless
from kosmolua.runs.run import Outcome

_PASSES = re.compile(r"(\x1b\[[0-9;]{0,40}m|\r)")
"""Colours, and the return to the beginning of a line, which is the script's own."""
_BEGUN = re.compile(r"\x1b(\[[0-9;]{0,40})?\Z")
PLAIN = "\x1b[0m"


class Printed:
    """Writes it: to a pipe or a file as it is; to a terminal as text and colours, with all else spelled out."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._begun = ""
        self._coloured = False
        self.mid_line = False
        """Whether a line on a terminal has not ended."""

    def write(self, piece: bytes) -> None:
        """Write a piece, but for a character or a colour at its end that the next piece may complete."""
        if standard.is_shown:
            self._show(self._begun + self._decoder.decode(piece))
        else:
            standard.write(piece)

    def settle(self) -> None:
        """Show what was begun, and end the line and its colours, before something else is on the terminal."""
        rest = self._begun + self._decoder.decode(b"", final=True)
        end = PLAIN * self._coloured + "\n" * (self.mid_line or bool(rest))
        standard.write((harmless(rest) + end).encode())
        self._begun, self._coloured, self.mid_line = "", False, False

    def _show(self, text: str) -> None:
        begun = _BEGUN.search(text)
        self._begun = begun[0] if begun else ""
        whole = text[: len(text) - len(self._begun)]
        tame = _tame(whole)
        standard.write(tame.encode())
        self._coloured = self._coloured or "\x1b" in tame
        self.mid_line = not tame.endswith("\n") if tame else self.mid_line


def _tame(text: str) -> str:
    parts = _PASSES.split(text)
    parts[::2] = map(harmless, parts[::2])
    return "".join(parts)


ERASE = "\r\x1b[2K"
USUAL_WIDTH = 80


class Live:
    """Shows the line, once the run has lasted for a while, until its ``with`` block ends.

    Args:
        terminal: Where it is drawn.
        printed: Writes what the script prints.
        after: Seconds before it first shows.
        every: Seconds from one drawing to the next.
        clock: Tells the time in seconds.
    """

    def __init__(
        self,
        terminal: TextIO,
        printed: Printed,
        *,
        after: float = 1.0,
        every: float = 0.2,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._terminal = terminal
        self._printed = printed
        self._after = after
        self._every = every
        self._clock = clock
        self._started = clock()
        self._done = 0
        self._under_way: set[int] = set()
        self._shown = False
        self._asides = 0
        self._lock = RLock()
        self._over = Flag()
        self._thread = Thread(target=self._keep_drawing, name="kosmolua-live", daemon=True)

    def __enter__(self) -> Live:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with self._lock:
            self._erase()

    def note(self, event: Event) -> None:
        """Count a call that starts or ends."""
        with self._lock:
            if isinstance(event, CallStarted):
                self._under_way.add(event.number)
            else:
                self._under_way.discard(event.record.number)
                self._done += 1

    def write(self, piece: bytes) -> None:
        """Write what the script prints, where the line is not."""
        with self._lock:
            self._erase()
            self._printed.write(piece)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Keep the line away while something else is written or asked."""
        with self._lock:
            self._erase()
            self._asides += 1
        try:
            yield
        finally:
            with self._lock:
                self._asides -= 1

    def draw(self) -> None:
        """Draw the line anew, where it may be seen now."""
        with self._lock:
            if self._asides or self._printed.mid_line or self._clock() - self._started < self._after:
                return
            text = console.styled(self._text()[: _width(self._terminal) - 1], "dim", self._terminal)
            self._write(ERASE + text)
            self._shown = True

    def _keep_drawing(self) -> None:
        while not self._over.wait(self._every):
            self.draw()

    def _text(self) -> str:
        calls = "1 call done" if self._done == 1 else f"{self._done} calls done"
        return f"{calls}, {len(self._under_way)} under way, {_spell(self._clock() - self._started)}"

    def _erase(self) -> None:
        if self._shown:
            self._write(ERASE)
            self._shown = False

    def _write(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()


def _spell(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _width(terminal: TextIO) -> int:
    try:
        return os.get_terminal_size(terminal.fileno()).columns or USUAL_WIDTH
    except (OSError, ValueError):
        return USUAL_WIDTH


COLOURS = {"ok": "green", "failed": "red", "refused": "yellow", "unknown": "red"}


class Trace:
    """Writes a line when a call starts and one when it ends, and counts."""

    def __init__(self) -> None:
        self._totals = {"ok": 0, "failed": 0, "refused": 0}  # and "unknown", if there are any
        self._lock = Lock()

    def note(self, event: Event) -> None:
        """Write the line of a call that starts or ends."""
        with self._lock:
            if isinstance(event, CallStarted):
                _write(harmless(f"-> {event.path} [{event.account}, {event.effect}]"), "dim")
                return
            record = event.record
            self._totals[record.status] = self._totals.get(record.status, 0) + 1
            requests = ", ".join(str(status or "no answer") for status in record.attempts) or "nothing sent"
            subject = f"{record.path} [{record.account or '?'}, {record.effect or '?'}]"
            line = (
                f"<- {subject} {record.status} {record.duration_ms:.0f} ms ({requests}) {record.error or ''}".rstrip()
            )
            _write(harmless(line.rstrip()), COLOURS[record.status])

    def tell_of_the_sandbox(self, usage: Mapping[str, Any]) -> None:
        """Write what a run took in the sandbox, and what was around that, as an outcome's usage has it."""
        took = f"{usage.get('cpu_ms', 0):.0f} ms of processor time, {usage.get('memory_bytes', 0) / 1024:,.0f} KiB"
        layers = ", ".join(usage.get("isolation", ())) or "unknown"
        _write(f"sandbox: {took}; isolation: {layers}", "bold")

    def sum_up(self) -> None:
        """Write how many calls ended in which way."""
        _write("calls: " + ", ".join(f"{count} {status}" for status, count in self._totals.items()), "bold")


@contextmanager
def tracer(wanted: bool) -> Iterator[Watch]:  # noqa: FBT001 - the value of an option
    """Yield what is told of each call; it writes nothing unless it is wanted."""
    if not wanted:
        yield lambda event: None
        return
    trace = Trace()
    yield trace.note
    trace.sum_up()


def _write(line: str, style: str) -> None:
    sys.stderr.write(console.styled(line, style, sys.stderr) + "\n")
    sys.stderr.flush()


class Watching:
    """The callbacks of one run, as :class:`kosmolua.runs.run.RunOptions` names them.

    Args:
        approver: Asks about calls; None where nobody can be asked.
        trace: Shows each call; None where that is not wanted.
        printed: Writes what the script prints.
        live: The line that shows how a long run goes; None where there is no terminal for it.
    """

    def __init__(self, approver: Approver | None, trace: Trace | None, printed: Printed, live: Live | None) -> None:
        self.approve = self._approve if approver else None
        self.write: Callable[[bytes], None] = live.write if live else printed.write
        self._approver = approver
        self._trace = trace
        self._printed = printed
        self._live = live

    def watch(self, event: Event) -> None:
        """Note a call that starts or ends."""
        if self._live:
            self._live.note(event)
        if self._trace:
            with self._aside():
                self._trace.note(event)

    def end(self, outcome: Outcome) -> Outcome:
        """Note what became of the run, and return it."""
        if self._trace:
            with self._aside():
                self._trace.tell_of_the_sandbox(outcome.usage)
        return outcome

    def _approve(self, approval: Approval) -> bool:
        assert self._approver
        with self._aside():
            return self._approver(approval)

    @contextmanager
    def _aside(self) -> Iterator[None]:
        with self._live.aside() if self._live else nullcontext():
            self._printed.settle()
            yield


@contextmanager
def watching(*, trace: bool, approver: Approver | None = None) -> Iterator[Watching]:
    """Yield what watches one run, and clear it away afterwards.

    Args:
        trace: Whether each call is shown.
        approver: Asks about calls; by default one for this run, where somebody can be asked.
    """
    if approver is None and console.somebody_is_there():
        approver = Approver()
    traces, printed = Trace() if trace else None, Printed()
    with ExitStack() as stack:
        stack.callback(printed.settle)
        live = stack.enter_context(Live(sys.stderr, printed)) if console.draws_on(sys.stderr) else None
        yield Watching(approver, traces, printed, live)
    if traces:
        traces.sum_up()
