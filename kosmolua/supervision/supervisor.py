"""One run: a child, a clock, and the pump of frames between the child and whoever answers it.

The pump, and with it every call, has a thread of its own, as the clock has. The thread that called the run calls back,
and a moment after the end it leaves behind what is under way: whatever a call is stuck in, the limit on the wall holds.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import partial
from threading import Lock, Thread
from typing import Any, Protocol

from kosmolua import values, wire
from kosmolua.clock import Clock
from kosmolua.errors import CallError, ConfigError, Interrupted, KosmoError
from kosmolua.limits import Limits
from kosmolua.processes.children import Child
from kosmolua.supervision.caller import Caller
from kosmolua.supervision.crew import Crew, too_much_waits
from kosmolua.supervision.ending import Ending, ending_of, ending_of_process, nonsense
from kosmolua.supervision.refusals import Refusals
from kosmolua.supervision.spool import Spool
from kosmolua.wire import BadFrame

MOST_NAMES, LONGEST_NAME = 16, 32
GRACE = 0.5
"""Seconds that calls under way have to end, once the run has; one that is stuck in its integration gets no more."""
GLANCE = 0.02
"""Seconds between two looks at whether these calls have ended."""
LONGEST_WAIT = 0.1 if sys.platform == "win32" else 3600.0
"""Seconds to wait at a stretch. On Windows Ctrl-C is not noticed before the wait is over."""
ROOM_FOR_A_FRAME = 512 * 1024
"""Bytes of a frame beyond the value it carries: its other fields, or a piece of output with every byte escaped."""


class Desk(Protocol):
    """Answers what a script asks for. Each method returns JSON text, or raises a KosmoError.

    A CallError goes to the script; any other error ends the run.
    """

    def describe(self, path: str) -> str:
        """Say what is at a path under ``app``."""

    def call(self, path: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        """Make a call."""

    def doc(self, verb: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        """List, search or read documentation."""


class Supervision:
    """One run in a child: sends the job, answers what comes, and ends the child when a limit is spent.

    Args:
        child: A fresh worker.
        limits: The limits of the run.
        clock: When the run has to be over.
        caller: The thread that the run is called from.
        desk: Returns what answers the script; asked when it first wants something.
        output: Is given what the script prints, piece by piece, in the caller's thread.
        isolated: Whether to run nothing where a layer around the child is missing.
    """

    def __init__(
        self,
        child: Child,
        limits: Limits,
        clock: Clock,
        caller: Caller,
        desk: Callable[[], Desk],
        output: Callable[[bytes], None],
        *,
        isolated: bool = False,
    ) -> None:
        self._child = child
        self._limits = limits
        self._clock = clock
        self._caller = caller
        self._desk = desk
        self._isolated = isolated
        self._isolation: list[str] | None = None
        self._fatal: KosmoError | None = None
        self._fault: BaseException | None = None
        self._refusals = Refusals()
        self._room = limits.max_output
        self._spool = Spool(caller, output)
        self._crew = Crew()
        self._ending: Ending | None = None
        self._grace: Clock | None = None
        self._given_up = False
        self._pumping = Lock()
        """Held by the pump but while it is in a call, so that nobody else reads what is for it."""

    def run(self, source: bytes, name: str, arguments: Sequence[str]) -> Ending:
        """Run a script to its end, in the thread that the run is called from.

        Args:
            source: Its text.
            name: Its name in messages.
            arguments: What it finds in ``arg`` and ``...``.
        """
        if len(source) > self._limits.max_source:
            self._stop(self._limits.exceeded("source"))
        job = _job(source, name, arguments, self._limits, isolated=self._isolated)
        Thread(target=copy_context().run, args=(self._work, job), name="kosmolua-run", daemon=True).start()
        with self._clock.ringing(lambda: self._stop(self._limits.exceeded("wall"))):
            while not self._is_over:
                self._attend()
        self._child.kill()
        self._caller.leave()
        self._crew.dismiss()
        if self._fault:
            raise self._fault
        ending = self._ending or Ending(error=self._fatal)
        if self._isolation is not None:
            ending.usage["isolation"] = self._isolation
        return ending

    def interrupt(self) -> None:
        """End the run, from any thread."""
        self._stop(Interrupted("The script was interrupted"))

    # The caller's thread

    @property
    def _is_stopped(self) -> bool:
        return bool(self._ending or self._fatal or self._fault)

    @property
    def _is_over(self) -> bool:
        return self._given_up or (self._ending is not None and not self._crew.is_busy)

    def _attend(self) -> None:
        try:
            if self._is_stopped:
                self._wait_for_calls()
            else:
                self._caller.attend(LONGEST_WAIT)
        except BaseException as error:  # noqa: BLE001 - it is raised when the run is over
            self._fail(error)

    def _wait_for_calls(self) -> None:
        """Give calls that are under way a moment to end. The pump, where it is in none, ends as its child does."""
        self._grace = self._grace or Clock(GRACE)
        if not self._caller.attend(GLANCE) and not self._grace.left and self._pumping.acquire(blocking=False):
            self._given_up = True
            self._pumping.release()

    # The pump's thread

    def _work(self, job: bytes) -> None:
        with self._pumping:
            try:
                self._child.send(job)
                ending = self._pump()
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                self._fail(error)
                ending = Ending(error=self._fatal)
        self._clock.run_out()
        self._caller.tell(lambda: self._end(ending))

    def _end(self, ending: Ending) -> None:
        self._ending = ending

    def _pump(self) -> Ending:
        handlers = {
            "ready": self._ready,
            "print": self._print,
            "describe": self._describe,
            "call": self._call,
            "doc": self._doc,
        }
        while not self._given_up:
            try:
                line = self._read()
                frame = None if line is None else wire.decode_from_guest(line)
            except BadFrame as error:
                return Ending(error=self._fatal or nonsense(error))
            if frame is None:
                return self._ending_of_dead()
            if frame["kind"] in ("end", "limit"):
                return self._finish(frame)
            frame["size"] = len(line or b"")
            handlers[frame["kind"]](frame)
        return Ending(error=self._fatal)

    def _read(self) -> bytes | None:
        """Return the next line. Only one with a script's result may be that long: as values it takes far more."""
        usual, longest = (size + ROOM_FOR_A_FRAME for size in (self._limits.max_arguments, self._limits.max_result))
        line = self._child.read(max(usual, longest))
        if line is not None and len(line) > usual and not line.startswith(wire.END):
            raise BadFrame(f"a frame is longer than {usual} bytes")
        return line

    def _ready(self, frame: dict[str, Any]) -> None:
        """Note the layers that a guest reports before it runs a script; what is said later is the script's word."""
        if self._isolation is not None:
            return
        self._isolation = _names(frame["isolation"])
        missing = _names(frame["missing"])
        if self._isolated and missing:
            self._stop(
                ConfigError(
                    f"This system cannot isolate the sandbox as required: it lacks {', '.join(missing)}",
                    hint="run without --require-isolation, or where these are to be had",
                )
            )

    # What a script asks for

    def _print(self, frame: dict[str, Any]) -> None:
        text = wire.to_bytes(frame["text"])
        self._spool.add(text[: max(self._room, 0)])
        self._room -= len(text)
        if self._room < 0:
            self._stop(self._limits.exceeded("output"))

    def _describe(self, frame: dict[str, Any]) -> None:
        self._answer_here(partial(self._answer, frame["id"], lambda: self._desk().describe(frame["path"])))

    def _doc(self, frame: dict[str, Any]) -> None:
        fault = _fault(frame)
        given = [] if fault else _arguments(frame)
        self._answer_here(partial(self._answer, frame["id"], lambda: self._desk().doc(frame["verb"], given, fault)))

    def _call(self, frame: dict[str, Any]) -> None:
        fault = _fault(frame)
        given = [] if fault else _arguments(frame)

        answer = partial(self._answer, frame["id"], lambda: self._desk().call(frame["path"], given, fault))
        if frame.get("branch") is True:
            self._answer_aside(answer, frame["size"])
        else:
            self._answer_here(answer)

    def _answer_here(self, answer: Callable[[], None]) -> None:
        """Answer in the pump's thread, which the caller need not wait for meanwhile."""
        self._pumping.release()
        try:
            answer()
        finally:
            self._pumping.acquire()

    def _answer_aside(self, answer: Callable[[], None], size: int) -> None:
        """Answer a branch of ``parallel`` in another thread."""

        def work() -> None:
            try:
                answer()
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                self._fail(error)

        if not self._crew.give(work, size):
            self._stop(too_much_waits())

    def _answer(self, number: int, ask: Callable[[], str]) -> None:
        if self._is_stopped:
            return
        try:
            self._child.send(wire.reply(number, ask()))
        except CallError as error:
            self._refusals.remember(number, error)
            self._child.send(wire.refusal(number, values.encode(error.fields())))
        except KosmoError as error:
            self._stop(error)

    # How it ends

    def _stop(self, error: KosmoError) -> None:
        self._fatal = self._fatal or error
        self._halt()

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):
            self.interrupt()
            return
        self._fault = self._fault or error
        self._halt()

    def _halt(self) -> None:
        """End the script, let no further call begin, and wake the caller up."""
        self._child.kill()
        self._clock.run_out()
        self._caller.tell(_nothing)

    def _finish(self, frame: dict[str, Any]) -> Ending:
        ending = ending_of(frame, self._limits, self._refusals.of)
        return Ending(error=self._fatal, usage=ending.usage) if self._fatal else ending

    def _ending_of_dead(self) -> Ending:
        status = self._child.status()
        return Ending(error=self._fatal) if self._fatal else ending_of_process(status, self._limits)


def _nothing() -> None:
    """Wake the caller's thread up, so that it looks at what has become of the run."""


def _job(source: bytes, name: str, arguments: Sequence[str], limits: Limits, *, isolated: bool) -> bytes:
    chunk = name if name.startswith("=") else f"@{name}"
    return wire.encode(
        "job",
        source=wire.to_text(source),
        name=wire.to_text(chunk.encode("utf-8", "surrogateescape")),
        args=[wire.to_text(argument.encode("utf-8", "surrogateescape")) for argument in arguments],
        limits=limits.as_dict(),
        isolated=isolated,
    )


def _fault(frame: dict[str, Any]) -> dict[str, str] | None:
    fault = frame.get("fault")
    if not isinstance(fault, dict):
        return None
    return {key: str(fault.get(key, ""))[: wire.LONGEST_PATH] for key in ("where", "problem")}


def _arguments(frame: dict[str, Any]) -> list[Any]:
    given = frame.get("args")
    return given if isinstance(given, list) else []


def _names(given: list[Any]) -> list[str]:
    return [name[:LONGEST_NAME] for name in given[:MOST_NAMES] if isinstance(name, str)]
