"""One run: a child, a clock, and the pump of frames between the child and whoever answers it."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from threading import Lock, Timer
from typing import TYPE_CHECKING, Any, Protocol

from kosmolua import values, wire
from kosmolua.children import Child
from kosmolua.errors import CallError, ConfigError, Interrupted, KosmoError, ScriptError, WorkerLost
from kosmolua.limits import MIB, REPORTED, Limits
from kosmolua.wire import BadFrame

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

MOST_THREADS = 64
MOST_ERRORS = 1000
MOST_WAITING = 64 * MIB
"""Bytes of call frames that may wait for a thread. A guest cannot be made to wait with them: while it writes it does
not read, and the threads could not get rid of their replies."""
MOST_NAMES, LONGEST_NAME = 16, 32
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

    def doc(self, verb: str, given: Sequence[Any]) -> str:
        """List, search or read documentation."""


class Ending:
    """What became of a script.

    Args:
        result: What it returned.
        error: What ended it instead.
        usage: ``cpu_ms``, ``memory_bytes`` and ``isolation``, as far as they are known.
    """

    def __init__(
        self,
        result: list[Any] | None = None,
        error: KosmoError | None = None,
        usage: dict[str, Any] | None = None,
    ) -> None:
        self.result = result or []
        self.error = error
        self.usage = usage or {}


class Waiting:
    """Counts the bytes of calls that wait for a thread or are under way in one."""

    def __init__(self) -> None:
        self._bytes = 0
        self._lock = Lock()

    def add(self, size: int) -> bool:
        """Count a call, unless there would be too many bytes; say whether it was counted."""
        with self._lock:
            if self._bytes + size > MOST_WAITING:
                return False
            self._bytes += size
            return True

    def remove(self, size: int) -> None:
        """Count a call no longer."""
        with self._lock:
            self._bytes -= size


class Supervision:
    """One run in a child: sends the job, answers what comes, and ends the child when a limit is spent.

    Args:
        child: A fresh worker.
        limits: The limits of the run.
        desk: Returns what answers the script; asked when it first wants something.
        output: Is given what the script prints, piece by piece.
        isolated: Whether to run nothing where a layer around the child is missing.
    """

    def __init__(
        self,
        child: Child,
        limits: Limits,
        desk: Callable[[], Desk],
        output: Callable[[bytes], None],
        *,
        isolated: bool = False,
    ) -> None:
        self._child = child
        self._limits = limits
        self._desk = desk
        self._output = output
        self._isolated = isolated
        self._isolation: list[str] | None = None
        self._fatal: KosmoError | None = None
        self._errors: dict[int, KosmoError] = {}
        self._room = limits.max_output
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = Waiting()
        self._fault: BaseException | None = None

    def run(self, source: bytes, name: str, arguments: Sequence[str]) -> Ending:
        """Run a script to its end.

        Args:
            source: Its text.
            name: Its name in messages.
            arguments: What it finds in ``arg`` and ``...``.
        """
        if len(source) > self._limits.max_source:
            self._stop(self._limits.exceeded("source"))
        clock = Timer(self._limits.timeout, self._expire)
        clock.daemon = True
        clock.start()
        try:
            self._child.send(_job(source, name, arguments, self._limits, isolated=self._isolated))
            ending = self._pump()
        except KeyboardInterrupt:
            ending = Ending(error=Interrupted("The script was interrupted"))
        finally:
            clock.cancel()
            self._child.kill()
            if self._pool:
                self._pool.shutdown(wait=self._fatal is not None)
        if self._fault:
            raise self._fault
        if self._isolation is not None:
            ending.usage["isolation"] = self._isolation
        return ending

    def interrupt(self) -> None:
        """End the run from another thread."""
        self._stop(Interrupted("The script was interrupted"))

    def _pump(self) -> Ending:
        handlers = {
            "ready": self._ready,
            "print": self._print,
            "describe": self._describe,
            "call": self._call,
            "doc": self._doc,
        }
        while True:
            try:
                line = self._read()
                frame = None if line is None else wire.decode_from_guest(line)
            except BadFrame as error:
                return Ending(error=self._fatal or WorkerLost(f"The sandbox spoke nonsense and was stopped: {error}"))
            if frame is None:
                return self._post_mortem()
            if frame["kind"] in ("end", "limit"):
                return self._finish(frame)
            frame["size"] = len(line or b"")
            handlers[frame["kind"]](frame)

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
        self._output(text[: max(self._room, 0)])
        self._room -= len(text)
        if self._room < 0:
            self._stop(self._limits.exceeded("output"))

    def _describe(self, frame: dict[str, Any]) -> None:
        self._answer(frame["id"], lambda: self._desk().describe(frame["path"]))

    def _doc(self, frame: dict[str, Any]) -> None:
        fault = _fault(frame)
        given = [] if fault else _arguments(frame)
        self._answer(frame["id"], lambda: self._desk().doc(frame["verb"], given))

    def _call(self, frame: dict[str, Any]) -> None:
        fault = _fault(frame)
        given = [] if fault else _arguments(frame)

        def answer() -> None:
            self._answer(frame["id"], lambda: self._desk().call(frame["path"], given, fault))

        if frame.get("branch") is True:
            self._answer_aside(answer, frame["size"])
        else:
            answer()

    def _answer_aside(self, answer: Callable[[], None], size: int) -> None:
        """Answer a branch of ``parallel`` in another thread; what fails there is raised in this one."""

        def work() -> None:
            try:
                answer()
            except BaseException as error:  # noqa: BLE001 - the run raises it when it ends
                self._fault = error
                self._child.kill()
            finally:
                self._waiting.remove(size)

        if self._waiting.add(size):
            self._threads().submit(work)
        else:
            self._stop(self._limits.exceeded("arguments"))

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pool = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="kosmolua-call")
        return self._pool

    def _answer(self, number: int, ask: Callable[[], str]) -> None:
        if self._fatal:
            return
        try:
            self._child.send(wire.reply(number, ask()))
        except CallError as error:
            self._remember(number, error)
            self._child.send(wire.refusal(number, values.encode(error.fields())))
        except KosmoError as error:
            self._stop(error)

    def _remember(self, number: int, error: KosmoError) -> None:
        """Keep an error, in case it ends the script; of a script that collects them only the latest."""
        self._errors[number] = error
        if len(self._errors) > MOST_ERRORS:
            self._errors.pop(next(iter(self._errors)), None)

    # How it ends

    def _stop(self, error: KosmoError) -> None:
        self._fatal = self._fatal or error
        self._child.kill()

    def _expire(self) -> None:
        self._stop(self._limits.exceeded("wall"))

    def _finish(self, frame: dict[str, Any]) -> Ending:
        ending = Ending(usage=_usage(frame["usage"]))
        if self._fatal:
            ending.error = self._fatal
        elif frame["kind"] == "limit":
            ending.error = self._limit(frame["limit"])
        elif isinstance(frame.get("error"), dict):
            ending.error = self._script_error(frame["error"])
        elif isinstance(frame.get("result"), list):
            ending.result = frame["result"]
        else:
            ending.error = WorkerLost("The sandbox spoke nonsense and was stopped: an end without a result")
        return ending

    def _limit(self, name: str) -> KosmoError:
        if name not in REPORTED:
            return WorkerLost("The sandbox spoke nonsense and was stopped: a limit of no known name")
        return self._limits.exceeded(name)

    def _script_error(self, fields: dict[str, Any]) -> KosmoError:
        number = fields.get("call")
        error = self._errors.get(number) if isinstance(number, int) else None
        error = error or ScriptError(str(fields.get("message", "the script failed")))
        line, trace = fields.get("line"), fields.get("traceback")
        error.line = line if isinstance(line, int) else None
        error.traceback = trace if isinstance(trace, str) and trace else None
        return error

    def _post_mortem(self) -> Ending:
        status = self._child.status()
        if self._fatal:
            return Ending(error=self._fatal)
        if -status in _CPU_SIGNALS:
            return Ending(error=self._limits.exceeded("cpu"))
        return Ending(error=WorkerLost(f"The sandbox died: {_describe_status(status)}", hint="run the script again"))


_CPU_SIGNALS = {int(getattr(signal, name)) for name in ("SIGPROF", "SIGXCPU") if hasattr(signal, name)}


def _describe_status(status: int) -> str:
    if status >= 0:
        return f"its process ended with status {status}"
    try:
        return f"its process was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"its process was ended by signal {-status}"


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


def _usage(given: dict[str, Any]) -> dict[str, Any]:
    names = ("cpu_ms", "memory_bytes")
    return {name: given[name] for name in names if isinstance(given.get(name), (int, float))}
