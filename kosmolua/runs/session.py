"""Sessions, such as an interactive prompt: one process runs chunks of Lua one after another, and keeps their state."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock, RLock, Timer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from kosmolua import protocol
from kosmolua.errors import Interrupted
from kosmolua.processes import launch
from kosmolua.processes.child import SessionProcess
from kosmolua.protocol import BadFrame
from kosmolua.runs import Outcome

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from kosmolua.calls.contents import Contents
    from kosmolua.flow.memory import SessionMemory
    from kosmolua.runs import Recorder, RunOptions


DRAIN_SIZE = 64 * 1024
"""The maximum size of a message, in bytes, when the unread messages of an ended chunk are read and dropped."""
STOP_TIMEOUT = 5.0
"""Seconds that a session's process has to report the end of a chunk. If it does not, the process is killed."""

State: TypeAlias = Literal["kept", "restored", "lost"]
"""What became of the session's state after a chunk.

``kept``: the changes of the chunk are kept. ``restored``: they are undone. ``lost``: the process has ended, and all
variables of the session with it.
"""


class Chunk:
    """Gives one run access to a session's process, to run the chunk with this number, of which the first is 1.

    It has the methods of a process for a single script, so the code of a run need not know about the session.
    """

    def __init__(self, process: SessionProcess, number: int) -> None:
        self.state: State = "lost"
        self.has_begun = False
        self._process = process
        self._number = number
        self._has_ended = False
        self._is_over = False
        self._status: int | None = None
        self._sending = Lock()
        self._reading = Lock()
        self._lock = RLock()

    def send(self, line: bytes) -> None:
        """Send a message to the process. Do nothing if the chunk was ended before it began."""
        with self._sending:
            if self._begin():
                self._process.send(line)

    def read(self, limit: int) -> bytes | None:
        """Wait for the next frame of the process, of at most ``limit`` bytes; None if chunk or process has ended.

        After the end of the chunk nothing more is read, since further messages belong to the next chunk.
        """
        with self._reading:
            if not self.has_begun or self._has_ended or self._status is not None:
                return None
            line = self._process.read(limit)
            if line is None:
                return None
            self._status = protocol.read_exit_notice(line)
            self._has_ended = line.startswith(protocol.END)
            return line if self._status is None else None

    def kill(self) -> None:
        """End the chunk if it is running. If it has not begun, prevent its start."""
        with self._lock:
            self._is_over = self._is_over or not self.has_begun
        if self.has_begun and not self._has_ended:
            self._process.stop(self._number)

    def insist(self) -> None:
        """Kill all processes of the session. This is for a chunk that :meth:`kill` did not end."""
        self._process.kill()

    def status(self) -> int:
        """Return the exit status of the chunk's process; if a signal ended it, the negative of the signal's number."""
        return -launch.SIGKILL if self._status is None else self._status

    def close(self) -> None:
        """Do nothing, since the session's next chunk uses the process again."""

    def settle(self) -> None:
        """End the chunk, wait until the process is ready for the next one or else kill it, and set ``state``."""
        self.kill()
        timer = Timer(STOP_TIMEOUT, self._process.kill)
        timer.daemon = True
        timer.start()
        try:
            state = self._drain()
        finally:
            timer.cancel()
        with self._sending:
            self._is_over = True
        self.state = state

    def _begin(self) -> bool:
        """Record that the chunk has begun, and return True. If the chunk was ended before it began, return False."""
        with self._lock:
            self.has_begun = self.has_begun or not self._is_over
            return not self._is_over

    def _drain(self) -> State:
        while self.has_begun and not self._has_ended and self._status is None:
            with suppress(BadFrame):
                if self.read(DRAIN_SIZE) is None and self._status is None:
                    return "lost"
        return "kept" if self._has_ended else "restored"


class ChunkResult:
    """What :meth:`Session.evaluate` and :meth:`Session.value` return for a chunk.

    ``text`` shows the values of the chunk; it is None if there are no values. Bytes that are not UTF-8 are lone
    surrogates in it. ``size`` is its length in bytes before it was truncated. ``is_page`` is True for a page of the
    documentation.
    """

    def __init__(self, outcome: Outcome, state: State) -> None:
        self.outcome = outcome
        self.state = state
        shown = first_of(outcome, dict) or {}
        self.text = _text_of(shown)
        self.size = shown["size"] if isinstance(shown.get("size"), int) else 0
        self.is_page = shown.get("page") is True


class Names(NamedTuple):
    """The names in a Lua table of a session, which a prompt can offer for completion, with the Lua types of the values.

    A table inside ``app`` has only a ``path``: its names are those in the catalog.
    """

    types: dict[str, str]
    path: str | None


def _text_of(shown: dict[str, Any]) -> str | None:
    text = shown.get("text")
    if not isinstance(text, str):
        return None
    return protocol.to_text(text.encode("latin-1", "replace")) if shown.get("bytes") is True else text


def first_of(outcome: Outcome, kind: type) -> Any:
    """Return the first value that a script returned. Return None if there is none, or if it is not of type ``kind``."""
    first = outcome.result[0] if outcome.result else None
    return first if isinstance(first, kind) else None


CHUNK = "=repl"
EVALUATE, VALUE = "evaluate", "value"
"""How a session returns the values of a chunk: as text, or as they are."""


class Session:
    """Runs chunks of Lua in one process, so that each chunk can use the variables of earlier chunks.

    The first chunk starts the process. The limits apply to each chunk, but the memory limit applies to the whole
    session. Only one thread at a time can use a session.

    Args:
        run: A function that runs a script. It is called for each chunk.
        start: A function that starts the session's process and returns it.
        input: The value of the variable ``input``, until a chunk assigns to it.

    The attribute ``recorder`` records the chunks, or is None.
    """

    def __init__(
        self, run: Callable[..., Outcome], start: Callable[[], SessionProcess] = SessionProcess, *, input: object = None
    ) -> None:
        self._run = run
        self._start = start
        self.input = input
        self._has_input = False
        self.recorder: Recorder | None = None
        self._process: SessionProcess | None = None
        self._chunks = 0
        self._contents: Contents | None = None
        self._seen: SessionMemory | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def evaluate(self, source: str, **options: Unpack[RunOptions]) -> ChunkResult:
        """Run a chunk, which can also be a single expression, and return its values as text.

        The chunk's first value is then in the Lua variable ``_``.

        Args:
            source: The text of the chunk.
            options: The options of a run. With the option ``name``, the chunk is run like the file of a script: its
                local variables are not kept for the next chunk.
        """
        return ChunkResult(*self._work(EVALUATE, source, options))

    def value(self, source: str, **options: Unpack[RunOptions]) -> ChunkResult:
        """Run a chunk like :meth:`evaluate`, but return its values in the outcome's ``result`` instead of as text."""
        return ChunkResult(*self._work(VALUE, source, options))

    def is_whole(self, source: str) -> bool:
        """Return False if the text of a chunk is incomplete, so that a prompt has to read another line."""
        return first_of(self._ask("check", source), bool) is not False

    def names(self, path: str = "") -> Names:
        """Return the names in the Lua table at a path such as ``inventory.books``; by default the globals."""
        found: dict[str, Any] = first_of(self._ask("names", path), dict) or {}
        pairs, under_app = found.get("names") or [], found.get("path")
        types = {str(pair[0]): str(pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2}
        return Names(types, under_app if isinstance(under_app, str) else None)

    def reset(self) -> None:
        """Discard the state of the session by ending its process. The next chunk starts a new process."""
        process, self._process, self._chunks = self._process, None, 0
        self._contents = None
        self._has_input = False
        if self.recorder:
            self.recorder.reset()
        if process:
            process.close()

    def close(self) -> None:
        """End the session's process, and its recording if there is one."""
        self.end_recording()
        self.reset()

    def end_recording(self) -> None:
        """End the recording of the session, if there is one. Later chunks are not recorded."""
        recorder, self.recorder = self.recorder, None
        if recorder:
            recorder.close()

    def _ask(self, verb: str, source: str) -> Outcome:
        outcome, _ = self._work(verb, source, {})
        if isinstance(outcome.error, Interrupted):
            raise KeyboardInterrupt
        return outcome

    def _work(self, verb: str, source: str, options: RunOptions) -> tuple[Outcome, State]:
        from kosmolua.calls.contents import Contents
        from kosmolua.flow.memory import SessionMemory

        known = self.names().types.keys() if options.get("check") else None
        self._process = self._process or self._start()
        chunk = Chunk(self._process, self._chunks + 1)
        self._contents = self._contents or Contents()
        self._seen = self._seen or SessionMemory()
        named: RunOptions = {
            "name": CHUNK,
            "seen": self._seen,
            **options,
            "args": [verb],
            "child": chunk,
            "contents": self._contents,
            "known": known,
        }
        if not self._has_input:
            named["input"] = self.input
        if self.recorder and verb in (EVALUATE, VALUE):
            named["recorder"] = self.recorder
        try:
            outcome = self._run(source if "name" in options else _typed(source, verb), **named)
        finally:
            self._settle(chunk)
        return outcome, chunk.state

    def _settle(self, chunk: Chunk) -> None:
        try:
            chunk.settle()
        finally:
            self._chunks += chunk.has_begun
            self._has_input = self._has_input or chunk.state == "kept"
            if chunk.state == "lost":
                self.reset()


def _typed(source: str, verb: str) -> str:
    """Return what to run for a typed chunk: it keeps top-level locals, and a ``#`` at its start is an operator."""
    if verb in (EVALUATE, VALUE) and "local" in source:
        from kosmolua.lua.session import with_session_variables

        source = with_session_variables(source)
    return f" {source}" if source.startswith("#") else source
