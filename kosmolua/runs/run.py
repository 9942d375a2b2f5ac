"""One run of a script: its process, and the outcome that is made of its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from functools import partial
from threading import RLock
from time import monotonic
from typing import TypedDict

from kosmolua.clock import Clock
from kosmolua.concurrency import computed, once
from kosmolua.errors import CallError, Interrupted, KosmoError, ScriptError
from kosmolua.limits import ADJUSTABLE, Limits
from kosmolua.processes.child import Child
from kosmolua.runs.caller import Caller
from kosmolua.runs.ending import Ending
from kosmolua.runs.supervisor import Supervision

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from kosmolua.broker.broker import FrontDesk
    from kosmolua.broker.journal import Record, Watch
    from kosmolua.broker.permissions import Approval, Approve


class Outcome:
    """What became of a script.

    Args:
        result: The values that it returned.
        output: What it printed; bytes that are not UTF-8 are U+FFFD here.
        error: What ended it, or None.
        calls: For each call ``path``, ``account``, ``effect``, ``status``, ``duration_ms`` and ``error``.
        usage: ``wall_ms``, ``cpu_ms``, ``memory_bytes``, ``calls``, ``output_bytes``, and in ``isolation`` the layers
            around the sandbox that were in force; what is not known is left out.
    """

    def __init__(
        self,
        result: list[Any],
        output: str,
        error: KosmoError | None,
        calls: list[dict[str, object]],
        usage: dict[str, Any] | None = None,
    ) -> None:
        self.result = result
        self.output = output
        self.error = error
        self.calls = calls
        self.usage = usage or {}

    def __repr__(self) -> str:
        return f"Outcome({self.to_json()!r})"

    @property
    def ok(self) -> bool:
        """Whether the script ran to its end."""
        return self.error is None

    def to_json(self) -> dict[str, object]:
        """Return the object that ``--json`` prints."""
        return {
            "ok": self.ok,
            "result": self.result,
            "output": self.output,
            "error": self.error.report() if self.error else None,
            "calls": self.calls,
            "usage": self.usage,
        }


_RETURN = re.compile(rb"\breturn\b")
OPTIONS = ("name", "args", "read_only", "approve", "on_output", "watch", "child", *ADJUSTABLE)
"""The keys of :class:`kosmolua.runs.run.RunOptions`, which takes long to import."""


class Run:
    """A script that is ready to run, once.

    Args:
        source: The script's text.
        name: What it is called in messages, such as its path.
        arguments: What it finds in ``arg`` and ``...``.
        limits: What it may use.
        make_desk: Opens the desk that answers the script, when it first asks for something; given the run's clock,
            whom to tell of records, and who asks a person.
        take: Lends a fresh worker. Where it raises Interrupted, that is the outcome.
        on_output: Is given what the script prints. Like ``watch`` and ``approve``, it is called by the thread that
            executes the run, which does one thing at a time.
        watch: Told of each call's record when it starts and when it ends.
        approve: Asks a person about a call.
        isolated: Whether to refuse where a layer around the sandbox is missing.
    """

    def __init__(
        self,
        source: bytes,
        *,
        name: str,
        arguments: Sequence[str],
        limits: Limits,
        make_desk: Callable[[Clock, Watch | None, Approve | None], FrontDesk],
        take: Callable[[], AbstractContextManager[Child]],
        on_output: Callable[[bytes], None],
        watch: Watch | None = None,
        approve: Approve | None = None,
        isolated: bool = False,
    ) -> None:
        self._source = _as_chunk(source)
        self._name = name
        self._arguments = arguments
        self._limits = limits
        self._make_desk = make_desk
        self._take = take
        self._on_output = on_output
        self._watch = watch
        self._approve = approve
        self._isolated = isolated
        self._printed: list[bytes] = []
        self._is_refused = False
        self._supervision: Supervision | None = None
        self._stopped = False
        self._lock = RLock()

    def execute(self) -> Outcome:
        """Run the script in this thread and return its outcome.

        Raises:
            WorkerLost: There is no process for it.
        """
        if self._stopped:
            return Outcome([], "", Interrupted("The script was interrupted before it began"), [])
        with ExitStack() as stack:
            try:
                child = stack.enter_context(self._take())
            except Interrupted as error:
                return Outcome([], "", error, [])
            started = monotonic()
            self._clock, self._caller = Clock(self._limits.timeout), Caller()
            with self._lock:
                self._supervision = self._supervise(child)
                if self._stopped:
                    self._supervision.interrupt()
            try:
                ending = self._supervision.run(self._source, self._name, self._arguments)
                return self._outcome(ending, monotonic() - started)
            finally:
                self._close()

    def _close(self) -> None:
        """Make no more calls, and leave no circle of references."""
        with self._lock:
            self._supervision = None
        if computed(self, "_desk"):
            self._desk.close(None)

    def stop(self) -> None:
        """End the script, from any thread, or keep it from beginning."""
        with self._lock:
            self._stopped = True
            if self._supervision:
                self._supervision.interrupt()

    @once
    def _desk(self) -> FrontDesk:
        watch = self._watch and self._tell
        return self._make_desk(self._clock, watch, self._approve and self._ask)

    def _tell(self, record: Record) -> None:
        assert self._watch
        self._caller.ask(partial(self._watch, record))

    def _ask(self, approval: Approval) -> bool:
        assert self._approve
        approve = self._approve
        allowed = self._caller.ask(lambda: self._clock.left > 0 and approve(approval))
        if not self._clock.left:
            raise Interrupted("The run is over")
        return allowed

    def _supervise(self, child: Child) -> Supervision:
        return Supervision(
            child,
            self._limits,
            self._clock,
            self._caller,
            lambda: self._desk,
            self._output,
            isolated=self._isolated,
        )

    def _output(self, piece: bytes) -> None:
        self._printed.append(piece)
        if self._is_refused:
            return
        try:
            self._on_output(piece)
        except BaseException:
            self._is_refused = True
            raise

    def _outcome(self, ending: Ending, seconds: float) -> Outcome:
        if isinstance(ending.error, (CallError, ScriptError)) and ending.error.line is None:
            ending.error.line = _line_of_only_return(self._source)
        output = b"".join(self._printed)
        asked = computed(self, "_desk")
        calls = self._desk.close(ending.error) if asked else []
        return Outcome(
            result=self._desk.redact(ending.result) if asked else ending.result,
            output=output.decode("utf-8", "replace"),
            error=ending.error,
            calls=calls,
            usage={
                "wall_ms": round(seconds * 1000, 1),
                **ending.usage,
                "calls": len(calls),
                "output_bytes": len(output),
            },
        )


def _line_of_only_return(source: bytes) -> int | None:
    """Return the line of the only ``return`` of a script: once it has returned, there is no frame to ask."""
    lines = [number for number, line in enumerate(source.split(b"\n"), start=1) if _RETURN.search(line)]
    return lines[0] if len(lines) == 1 else None


def _as_chunk(source: bytes) -> bytes:
    """Return a script without a byte order mark, and its first line as a comment where it begins with ``#``.

    ``lua`` reads files like that, ``load`` does not.
    """
    source = source.removeprefix(b"\xef\xbb\xbf")
    return b"--" + source if source.startswith(b"#") else source


def lend(child: Child) -> Callable[[], AbstractContextManager[Child]]:
    """Return a ``take`` for :class:`Run` that lends this one worker, and leaves ending it to its owner."""
    return lambda: nullcontext(child)


class RunOptions(TypedDict, total=False):
    """What can be said of one run; what is not said is as the runtime has it."""

    name: str
    """The script's name in messages and tracebacks."""
    args: Sequence[str]
    """What the script finds in ``arg`` and ``...``."""
    read_only: bool
    """Deny every write of this run."""
    approve: Approve | None
    """Asks a person about a call of this run. The thread that runs it calls this, ``on_output`` and ``watch``, one at a
    time."""
    on_output: Callable[[bytes], None]
    """Is given what the script prints, piece by piece, as it happens."""
    watch: Watch
    """Told of each call's record when it starts and when it ends."""
    child: Child | None
    """A worker that was started earlier, for this script only."""
    timeout: float | None
    """Seconds on the wall; this and the others are explained in :class:`kosmolua.limits.Limits`."""
    call_timeout: float | None
    """Seconds on the wall for one call."""
    cpu: float | None
    """Seconds of processor time."""
    memory: int | None
    """Bytes in the Lua VM."""
    max_calls: int | None
    """Calls of integration functions."""
    max_output: int | None
    """Bytes printed."""
