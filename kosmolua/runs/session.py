"""A session: one guest that is kept alive, so that each chunk finds the state that the ones before it left."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Lock, RLock, Timer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from kosmolua import protocol
from kosmolua.errors import Interrupted
from kosmolua.processes import launch
from kosmolua.processes.child import SessionProcess
from kosmolua.protocol import BadFrame
from kosmolua.runs.run import Outcome

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from kosmolua.runs.run import RunOptions


SCRAP = 64 * 1024
"""Bytes to read at once of what a chunk left unread."""
PATIENCE = 5.0
"""Seconds in which a guest has to say that it gave up a chunk, before all of it is ended."""

State: TypeAlias = Literal["kept", "restored", "lost"]
"""What a chunk left: its own state, the state from before it, or none, so that a new guest was started."""


class Chunk:
    """What a run takes for its worker: a guest, for as long as one chunk runs in it.

    Args:
        guest: The guest.
        number: Which of its chunks this is, counted from 1.
    """

    def __init__(self, guest: SessionProcess, number: int) -> None:
        self.state: State = "lost"
        self.begun = False
        self._guest = guest
        self._number = number
        self._ended = False
        self._over = False
        self._status: int | None = None
        self._sending = Lock()
        self._reading = Lock()
        self._lock = RLock()

    def send(self, line: bytes) -> None:
        """Write a frame, unless the chunk is over."""
        with self._sending:
            if self._goes_on():
                self._guest.send(line)

    def read(self, limit: int) -> bytes | None:
        """Return the next frame's line, or None when the chunk's process is gone, or the chunk has ended.

        What comes then is for the next chunk, whoever still reads for this one.
        """
        with self._reading:
            if not self.begun or self._ended or self._status is not None:
                return None
            line = self._guest.read(limit)
            if line is None:
                return None
            self._status = protocol.read_exit_notice(line)
            self._ended = line.startswith(protocol.END)
            return line if self._status is None else None

    def kill(self) -> None:
        """Have the chunk ended, if it still runs, or keep it from beginning."""
        with self._lock:
            self._over = self._over or not self.begun
        if self.begun and not self._ended:
            self._guest.stop(self._number)

    def insist(self) -> None:
        """End all processes of the session: the one that should end this chunk does not seem to hear."""
        self._guest.kill()

    def status(self) -> int:
        """Return how the chunk's process ended: negative for a signal."""
        return -launch.SIGKILL if self._status is None else self._status

    def close(self) -> None:
        """Leave the guest to the next chunk."""

    def settle(self) -> None:
        """Wait until the guest is ready for the next chunk, and note in ``state`` what it has left."""
        self.kill()
        patience = Timer(PATIENCE, self._guest.kill)
        patience.daemon = True
        patience.start()
        try:
            state = self._drain()
        finally:
            patience.cancel()
        with self._sending:
            self._over = True
        self.state = state

    def _goes_on(self) -> bool:
        """Say whether the chunk has begun, which it does now at the latest, unless it is over."""
        with self._lock:
            self.begun = self.begun or not self._over
            return not self._over

    def _drain(self) -> State:
        while self.begun and not self._ended and self._status is None:
            with suppress(BadFrame):
                if self.read(SCRAP) is None and self._status is None:
                    return "lost"
        return "kept" if self._ended else "restored"


class Answer:
    """What came of a chunk.

    Args:
        outcome: As of any script; its calls and its output are the chunk's.
        state: What state the session is in now.

    ``text`` shows the values of the chunk, or is None where it has none; bytes that are not UTF-8 are lone surrogates
    in it, as Python's ``surrogateescape`` has them. ``size`` is the length in bytes that it would have if nothing were
    cut; ``is_page`` says that it is a page of the documentation.
    """

    def __init__(self, outcome: Outcome, state: State) -> None:
        self.outcome = outcome
        self.state = state
        shown = first_of(outcome, dict) or {}
        self.text = _text_of(shown)
        self.size = shown["size"] if isinstance(shown.get("size"), int) else 0
        self.is_page = shown.get("page") is True


class Names:
    """What there is inside a table of the session.

    Args:
        types: Each name with the type of its value.
        path: The path of the table under ``app``, if that is where it is; its names are for the catalog to say.
    """

    def __init__(self, types: dict[str, str], path: str | None) -> None:
        self.types = types
        self.path = path


def _text_of(shown: dict[str, Any]) -> str | None:
    text = shown.get("text")
    if not isinstance(text, str):
        return None
    return protocol.to_text(text.encode("latin-1", "replace")) if shown.get("bytes") is True else text


def first_of(outcome: Outcome, kind: type) -> Any:
    """Return the first value of an outcome, or None where there is none of this type."""
    first = outcome.result[0] if outcome.result else None
    return first if isinstance(first, kind) else None


CHUNK = "=repl"


class Runs(Protocol):
    """Runs a script, as :meth:`kosmolua.runtime.Runtime.run` does."""

    def __call__(self, source: str, **options: Unpack[RunOptions]) -> Outcome:
        """Run it and return the outcome."""


class Session:
    """Chunk after chunk in one guest, which is started with the first. One thread at a time may use it.

    Limits hold for each chunk, memory for the whole.

    Args:
        run: Runs each chunk.
        start: Starts a guest.
    """

    def __init__(self, run: Runs, start: Callable[[], SessionProcess] = SessionProcess) -> None:
        self._run = run
        self._start = start
        self._guest: SessionProcess | None = None
        self._chunks = 0

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def evaluate(self, source: str, **options: Unpack[RunOptions]) -> Answer:
        """Run a chunk and show its values as text; an expression is a chunk too.

        The first of the values is in ``_`` afterwards.

        Args:
            source: Its text.
            options: As for any run. A chunk that is given a name is read like a file.
        """
        return Answer(*self._work("evaluate", source, options))

    def value(self, source: str, **options: Unpack[RunOptions]) -> Answer:
        """Run a chunk like :meth:`evaluate`, with its values in the outcome as they are."""
        return Answer(*self._work("value", source, options))

    def is_whole(self, source: str) -> bool:
        """Say whether a chunk can run as it is, or is wrong however it goes on; else the next line belongs to it."""
        return first_of(self._ask("check", source), bool) is not False

    def names(self, path: str = "") -> Names:
        """Return what there is inside a table, such as ``inventory.books``; the globals where no path is given."""
        found: dict[str, Any] = first_of(self._ask("names", path), dict) or {}
        pairs, under_app = found.get("names") or [], found.get("path")
        types = {str(pair[0]): str(pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2}
        return Names(types, under_app if isinstance(under_app, str) else None)

    def reset(self) -> None:
        """Forget all state."""
        guest, self._guest, self._chunks = self._guest, None, 0
        if guest:
            guest.close()

    def close(self) -> None:
        """End the guest."""
        self.reset()

    def _ask(self, verb: str, source: str) -> Outcome:
        outcome, _ = self._work(verb, source, {})
        if isinstance(outcome.error, Interrupted):
            raise KeyboardInterrupt
        return outcome

    def _work(self, verb: str, source: str, options: RunOptions) -> tuple[Outcome, State]:
        self._guest = self._guest or self._start()
        chunk = Chunk(self._guest, self._chunks + 1)
        named: RunOptions = {"name": CHUNK, **options, "args": [verb], "child": chunk}
        try:
            outcome = self._run(source if "name" in options else _typed(source, verb), **named)
        finally:
            self._settle(chunk)
        return outcome, chunk.state

    def _settle(self, chunk: Chunk) -> None:
        try:
            chunk.settle()
        finally:
            self._chunks += chunk.begun
            if chunk.state == "lost":
                self.reset()


def _typed(source: str, verb: str) -> str:
    """Return a chunk that was typed: its top-level locals are kept, and a ``#`` in front is Lua's operator."""
    if verb in ("evaluate", "value") and "local" in source:
        from kosmolua.lua.session import with_session_variables

        source = with_session_variables(source)
    return f" {source}" if source.startswith("#") else source
