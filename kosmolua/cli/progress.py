"""Shows a run on a terminal: the script's output, a trace of its calls, and a status line at the bottom."""

from __future__ import annotations

import codecs
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from threading import Event as Flag
from threading import Lock, RLock, Thread
from typing import TextIO, TypeVar

from kosmolua.calls.approvals import Asker
from kosmolua.calls.records import CallStarted, Event, Waiting, Watch
from kosmolua.cli import console, terminal
from kosmolua.cli.approval import TerminalApprover
from kosmolua.cli.streams import standard
from kosmolua.escaping import harmless
from kosmolua.runs import Outcome

_T = TypeVar("_T")
PLAIN, ERASE = "\x1b[0m", "\r\x1b[2K"
_ALLOWED = re.compile(r"(\x1b\[[0-9;]{0,40}m|\r)")
"""Matches the control sequences that a script is allowed to send to a terminal: colours, and carriage returns."""
_INCOMPLETE = re.compile(r"\x1b(\[[0-9;]{0,40})?\Z")


class OutputPrinter:
    """Writes the output of a script to standard output.

    A pipe gets the output unchanged. For a terminal, control characters are escaped, but not colours.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._incomplete = ""
        self._is_coloured = False
        self.mid_line = False
        """True if the last line on the terminal is incomplete."""

    def write(self, piece: bytes) -> None:
        """Write a piece of the output. An incomplete character or colour code at its end waits for the next piece."""
        if not standard.is_shown:
            standard.write(piece)
            return
        text = self._incomplete + self._decoder.decode(piece)
        found = _INCOMPLETE.search(text)
        self._incomplete = found[0] if found else ""
        parts = _ALLOWED.split(text.removesuffix(self._incomplete))
        parts[::2] = map(harmless, parts[::2])
        shown = "".join(parts)
        standard.write(shown.encode())
        self._is_coloured = self._is_coloured or "\x1b" in shown
        self.mid_line = not shown.endswith("\n") if shown else self.mid_line

    def settle(self) -> None:
        """Write what :meth:`write` has kept, reset colours, and end the line, before something else is written."""
        rest = self._incomplete + self._decoder.decode(b"", final=True)
        end = PLAIN * self._is_coloured + "\n" * (self.mid_line or bool(rest))
        standard.write((harmless(rest) + end).encode())
        self._incomplete, self._is_coloured, self.mid_line = "", False, False


class StatusLine:
    """A status line at the bottom of the terminal, which shows the progress of a run until the ``with`` block ends.

    A run gets it ``after`` so many seconds, drawn again ``every`` few. ``printed`` writes the script's output above.
    """

    def __init__(
        self,
        terminal: TextIO,
        printed: OutputPrinter,
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
        self._waits_until = 0.0
        self._shown = False
        self._asides = 0
        self._lock = RLock()
        self._over = Flag()
        self._thread = Thread(target=self._keep_drawing, name="kosmolua-live", daemon=True)

    def __enter__(self) -> StatusLine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with self._lock:
            self._erase()

    def note(self, event: Event) -> None:
        """Record an event of the run: a call starts or ends, or the script begins to wait."""
        with self._lock:
            if isinstance(event, CallStarted):
                self._under_way.add(event.number)
            elif isinstance(event, Waiting):
                self._waits_until = max(self._waits_until, self._clock() + event.seconds)
            else:
                self._under_way.discard(event.record.number)
                self._done += 1

    def write(self, piece: bytes) -> None:
        """Erase the status line, and write a piece of the script's output in its place."""
        with self._lock:
            self._erase()
            self._printed.write(piece)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Hide the status line during the ``with`` block, which writes something else to the terminal."""
        with self._lock:
            self._erase()
            self._asides += 1
        try:
            yield
        finally:
            with self._lock:
                self._asides -= 1

    def draw(self) -> None:
        """Draw the status line, unless it is hidden, the output is in the middle of a line, or the run just began."""
        with self._lock:
            if self._asides or self._printed.mid_line or self._clock() - self._started < self._after:
                return
            text = terminal.status_line(self._text(), self._terminal)
            self._write(ERASE + text)
            self._shown = True

    def _keep_drawing(self) -> None:
        while not self._over.wait(self._every):
            self.draw()

    def _text(self) -> str:
        calls = "1 call done" if self._done == 1 else f"{self._done} calls done"
        left = self._waits_until - self._clock()
        waits = f", waiting {terminal.spelled(left * 1000)}" if left > 0 else ""
        lasted = terminal.spelled((self._clock() - self._started) * 1000)
        return f"{calls}, {len(self._under_way)} under way{waits}, {lasted}"

    def _erase(self) -> None:
        if self._shown:
            self._write(ERASE)
            self._shown = False

    def _write(self, text: str) -> None:
        self._terminal.write(text)
        self._terminal.flush()


class Trace:
    """Writes a line to standard error when a call starts and when it ends, and counts the calls."""

    def __init__(self) -> None:
        self._totals = {"ok": 0, "failed": 0, "refused": 0}  # "unknown" is added if there are any
        self._lock = Lock()

    def note(self, event: Event) -> None:
        """Write a line about an event of the run: a call starts or ends, or the script begins to wait."""
        with self._lock:
            if isinstance(event, Waiting):
                _write(f"-- waits {event.seconds:g} s", "dim")
                return
            if isinstance(event, CallStarted):
                _write(f"-> {event.number} {event.path} [{event.account}, {event.effect}]", "dim")
                return
            record = event.record
            self._totals[record.status] = self._totals.get(record.status, 0) + 1
            requests = ", ".join(str(status or "no answer") for status in record.attempts) or "nothing sent"
            requests += "".join(f", redirected to {place}" for place in record.redirects)
            subject = f"{record.number} {record.path} [{record.account or '?'}, {record.effect or '?'}]"
            ending = f"{record.status} {record.duration_ms:.0f} ms ({requests}) {record.error or ''}"
            is_ok = record.status == "ok"
            _write(f"<- {subject} {ending}".rstrip(), (record.effect or "") if is_ok else record.status)

    def note_end(self, outcome: Outcome) -> None:
        """Write the facts about a run, the processor time and memory that it used, and its isolation layers."""
        for fact in outcome.facts:
            _write(f"fact: {fact}", "bold")
        usage = outcome.usage
        used = f"{usage.cpu_ms or 0:.0f} ms of processor time, {(usage.memory_bytes or 0) / 1024:,.0f} KiB"
        layers = ", ".join(usage.isolation or ()) or "unknown"
        _write(f"sandbox: {used}; isolation: {layers}", "bold")

    def sum_up(self) -> None:
        """Write how many calls of the run ended with each status, such as ``ok`` or ``failed``."""
        _write("calls: " + ", ".join(f"{count} {status}" for status, count in self._totals.items()), "bold")


@contextmanager
def tracer(wanted: bool) -> Iterator[Watch]:
    """Yield a callback that writes a trace of the events of runs, if that is wanted, and totals at the end."""
    if not wanted:
        yield lambda event: None
        return
    trace = Trace()
    yield trace.note
    trace.sum_up()


def _write(line: str, role: str) -> None:
    text = terminal.fitted(harmless(line), sys.stderr, "   ")
    sys.stderr.write(terminal.styled(text, role, sys.stderr) + "\n")
    sys.stderr.flush()


class Watching:
    """The callbacks that show one run at a terminal: ``approve``, ``write`` and ``watch``.

    ``approve`` asks a person about calls, ``write`` gets the script's output, and ``watch`` gets the events of the run.
    Without an approver, nobody can be asked; without ``live``, there is no status line.
    """

    def __init__(
        self, approver: TerminalApprover | None, trace: Trace | None, printed: OutputPrinter, live: StatusLine | None
    ) -> None:
        self.approve = Asker(approver, self._ask) if approver else None
        self.write: Callable[[bytes], None] = live.write if live else printed.write
        self._trace = trace
        self._printed = printed
        self._live = live

    def watch(self, event: Event) -> None:
        """Pass an event of the run, such as the start of a call, to the status line and the trace."""
        if self._live:
            self._live.note(event)
        if self._trace:
            with self._aside():
                self._trace.note(event)

    def end(self, outcome: Outcome) -> Outcome:
        """If there is a trace, write facts about the run, and its resources. Return the outcome unchanged."""
        if self._trace:
            with self._aside():
                self._trace.note_end(outcome)
        return outcome

    def _ask(self, ask: Callable[[], _T]) -> _T:
        with self._aside():
            return ask()

    @contextmanager
    def _aside(self) -> Iterator[None]:
        with self._live.aside() if self._live else nullcontext():
            self._printed.settle()
            yield


@contextmanager
def watching(*, trace: bool, approver: TerminalApprover | None = None) -> Iterator[Watching]:
    """Yield the callbacks that show one run at a terminal. When the ``with`` block ends, the status line disappears.

    By default a new approver asks about calls, if there is a terminal to ask at.
    """
    if approver is None and console.can_ask():
        approver = TerminalApprover()
    traces, printed = Trace() if trace else None, OutputPrinter()
    with ExitStack() as stack:
        stack.callback(printed.settle)
        live = stack.enter_context(StatusLine(sys.stderr, printed)) if terminal.draws_on(sys.stderr) else None
        yield Watching(approver, traces, printed, live)
    if traces:
        traces.sum_up()
