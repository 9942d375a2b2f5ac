"""The pump of a run: it reads what the guest writes, frame by frame, and has each answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from threading import Lock
from typing import Any, Protocol

from kosmolua import protocol
from kosmolua.errors import CallError, ConfigError, KosmoError
from kosmolua.limits import Limits
from kosmolua.processes.child import Child
from kosmolua.protocol import BadFrame
from kosmolua.runs.crew import Crew, too_much_waits
from kosmolua.runs.ending import Ending, ending_of, ending_of_process, nonsense
from kosmolua.runs.refusals import Refusals
from kosmolua.runs.spool import Spool
from kosmolua.runs.verdict import Verdict

MOST_NAMES, LONGEST_NAME = 16, 32
BYTES_FOR_A_MARK = 60
"""Memory for each comma, colon or opening bracket of JSON; a table with one entry has three of them, in Python 240."""
ROOM_FOR_A_FRAME = 512 * 1024
"""Bytes of a frame beyond the value it carries: its other fields, or a piece of output with every byte escaped."""


class Desk(Protocol):
    """Answers what a script asks for. Each method returns JSON text, or raises a KosmoError.

    A CallError goes to the script; any other error ends the run.
    """

    def describe(self, path: str) -> str:
        """Say what is at a path under ``app``."""

    def call(self, path: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        """Make a call.

        Args:
            path: The function, as :meth:`kosmolua.broker.calls.Dispatcher.call` takes it.
            given: What the script passed.
            fault: What kept the script from passing its arguments, ``where`` and ``problem``; or None.
        """

    def doc(self, verb: str, given: Sequence[Any], fault: dict[str, str] | None) -> str:
        """List, search or read documentation.

        Args:
            verb: ``list``, ``search`` or ``read``.
            given: What the script passed.
            fault: As in :meth:`call`.
        """


class Pump:
    """Answers one guest, in a thread of its own; branches of ``parallel`` are answered in others.

    Args:
        child: A fresh worker.
        limits: The limits of the run.
        desk: Returns what answers the script; asked when it first wants something.
        spool: Takes what the script prints.
        verdict: Told of what ends the run; once it is passed, nothing more is answered.
        isolated: Whether to run nothing where a layer around the child is missing.

    ``isolation`` names the layers that the guest reports, or is None before it has.
    """

    def __init__(
        self,
        child: Child,
        limits: Limits,
        desk: Callable[[], Desk],
        spool: Spool,
        verdict: Verdict,
        *,
        isolated: bool = False,
    ) -> None:
        self._child = child
        self._limits = limits
        self._desk = desk
        self._spool = spool
        self._verdict = verdict
        self._isolated = isolated
        self.isolation: list[str] | None = None
        self._refusals = Refusals()
        self._room = limits.max_output
        self._crew = Crew()
        self._is_abandoned = False
        self._has_ended = False
        self._reading = Lock()
        """Held by the pump but while it is in a call."""

    @property
    def is_busy(self) -> bool:
        """Whether calls of branches wait or are under way."""
        return self._crew.is_busy

    def work(self, job: bytes) -> Ending:
        """Give the guest its job, answer it to its end, and return what became of it.

        What goes wrong in the host is the verdict's, and is not raised.
        """
        with self._reading:
            try:
                self._child.send(job)
                return self._answer_all()
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                self._verdict.fail(error)
                return Ending(error=self._verdict.refusal)
            finally:
                self._has_ended = True

    def abandon(self) -> bool:
        """Read nothing more, where it is in a call, in which it may be stuck; return whether it is."""
        if not self._reading.acquire(blocking=False):
            return False
        self._is_abandoned = True
        self._reading.release()
        return True

    def dismiss(self) -> None:
        """Let the threads that answer branches end."""
        self._crew.dismiss()

    def _answer_all(self) -> Ending:
        handlers = {
            "ready": self._ready,
            "print": self._print,
            "describe": self._describe,
            "doc": self._doc,
        }
        while not self._is_abandoned:
            try:
                line = self._read()
                frame = None if line is None else protocol.decode_from_child(line)
            except BadFrame as error:
                return Ending(error=self._verdict.refusal or nonsense(error))
            if frame is None:
                return self._ending_of_dead()
            if frame["kind"] in ("end", "limit"):
                return self._finish(frame)
            if frame["kind"] == "call":
                self._call(frame, line or b"")
            else:
                handlers[frame["kind"]](frame)
        return Ending(error=self._verdict.refusal)

    def _read(self) -> bytes | None:
        """Return the next line. Only one with a script's result may be that long: as values it takes far more."""
        usual, longest = (size + ROOM_FOR_A_FRAME for size in (self._limits.max_arguments, self._limits.max_result))
        line = self._child.read(max(usual, longest))
        if line is not None and len(line) > usual and not line.startswith(protocol.END):
            raise BadFrame(f"a frame is longer than {usual} bytes")
        return line

    def _ready(self, frame: dict[str, Any]) -> None:
        """Note the layers that a guest reports before it runs a script; what is said later is the script's word."""
        if self.isolation is not None:
            return
        self.isolation = _names(frame["isolation"])
        missing = _names(frame["missing"])
        if self._isolated and missing:
            self._verdict.stop(
                ConfigError(
                    f"This system cannot isolate the sandbox as required: it lacks {', '.join(missing)}",
                    hint="run without --require-isolation, or where these are to be had",
                )
            )

    def _print(self, frame: dict[str, Any]) -> None:
        text = protocol.to_bytes(frame["text"])
        self._spool.add(text[: max(self._room, 0)])
        self._room -= len(text)
        if self._room < 0:
            self._verdict.stop(self._limits.exceeded("output"))

    def _describe(self, frame: dict[str, Any]) -> None:
        self._answer_here(partial(self._answer, frame["id"], lambda: self._desk().describe(frame["path"])))

    def _doc(self, frame: dict[str, Any]) -> None:
        fault = _fault_in(frame)
        given = [] if fault else _arguments(frame)
        self._answer_here(partial(self._answer, frame["id"], lambda: self._desk().doc(frame["verb"], given, fault)))

    def _call(self, frame: dict[str, Any], line: bytes) -> None:
        fault = _fault_in(frame)
        given = [] if fault else _arguments(frame)
        answer = partial(self._answer, frame["id"], lambda: self._desk().call(frame["path"], given, fault))
        if frame.get("branch") is True:
            self._answer_aside(answer, protocol.memory_of(line))
        else:
            self._answer_here(answer)

    def _answer_here(self, answer: Callable[[], None]) -> None:
        """Answer in the pump's thread, which the caller need not wait for meanwhile."""
        self._reading.release()
        try:
            answer()
        finally:
            self._reading.acquire()

    def _answer_aside(self, answer: Callable[[], None], size: int) -> None:
        """Answer a branch of ``parallel`` in another thread."""

        def work() -> None:
            try:
                answer()
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
                self._verdict.fail(error)

        if not self._crew.give(work, size):
            self._verdict.stop(too_much_waits())

    def _answer(self, number: int, ask: Callable[[], str]) -> None:
        if self._has_ended or self._verdict.is_passed:
            return
        try:
            self._child.send(protocol.reply(number, ask()))
        except CallError as error:
            self._refusals.remember(number, error)
            self._child.send(protocol.refusal(number, protocol.encode(error.fields())))
        except KosmoError as error:
            self._verdict.stop(error)

    def _finish(self, frame: dict[str, Any]) -> Ending:
        ending = ending_of(frame, self._limits, self._refusals.of)
        return Ending(error=self._verdict.refusal, usage=ending.usage) if self._verdict.refusal else ending

    def _ending_of_dead(self) -> Ending:
        status = self._child.status()
        return Ending(error=self._verdict.refusal) if self._verdict.refusal else ending_of_process(status, self._limits)


def _fault_in(frame: dict[str, Any]) -> dict[str, str] | None:
    fault = frame.get("fault")
    if not isinstance(fault, dict):
        return None
    return {key: str(fault.get(key, ""))[: protocol.MAX_PATH] for key in ("where", "problem")}


def _arguments(frame: dict[str, Any]) -> list[Any]:
    given = frame.get("args")
    return given if isinstance(given, list) else []


def _names(given: list[Any]) -> list[str]:
    return [name[:LONGEST_NAME] for name in given[:MOST_NAMES] if isinstance(name, str)]
