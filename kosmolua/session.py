"""A session: one guest that is kept alive, so that each chunk finds the state that the ones before it left."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Timer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias

from kosmolua import launch, wire
from kosmolua.children import Pipes
from kosmolua.errors import Interrupted, WorkerLost
from kosmolua.outcome import Outcome
from kosmolua.wire import KILL, ORDER, BadFrame

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from kosmolua.run_options import RunOptions

CHUNK = "=repl"
CAN_FORK = hasattr(os, "fork")
SIGKILL = 9
SCRAP = 64 * 1024
"""Bytes to read at once of what a chunk left unread."""
PATIENCE = 5.0
"""Seconds in which a guest has to say that it gave up a chunk, before all of it is ended."""

State: TypeAlias = Literal["kept", "restored", "lost"]
"""What a chunk left: its own state, the state from before it, or none, so that a new guest was started."""


class Process(Protocol):
    """A process that was started."""

    pid: int

    def kill(self) -> None:
        """End it."""

    def wait(self) -> int:
        """Wait for its end and return its status."""


Start: TypeAlias = Callable[[str, int, int, int], Process]


class Guest(Pipes):
    """The process that a session lives in; its later ones are forks of the first, in the group that it leads.

    Args:
        start: Starts a process of the sandbox.
        forks: Whether the process can fork; else the end of a chunk that is stopped is the end of it.

    Raises:
        WorkerLost: It cannot be started.
    """

    def __init__(self, start: Start = launch.start, *, forks: bool = CAN_FORK) -> None:
        self._forks = forks
        theirs_in, outgoing = launch.pipe()
        incoming, theirs_out = launch.pipe()
        control, self._control = launch.pipe()
        super().__init__(os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb"))
        try:
            self._process = start("session", theirs_in, theirs_out, control)
        except OSError as error:
            raise WorkerLost(f"The sandbox cannot be started: {error.strerror}") from None
        finally:
            for theirs in (theirs_in, theirs_out, control):
                os.close(theirs)

    def stop(self, number: int) -> None:
        """Have a chunk ended, if it still runs; where the OS cannot fork, the guest ends with it."""
        if not self._forks:
            self._process.kill()
            return
        with suppress(OSError):
            os.write(self._control, ORDER.pack(KILL, number))

    def kill(self) -> None:
        """End all processes of the session at once.

        The first is not waited for until then, so that nobody else can have got the number of its group.
        """
        if not self._forks:
            self._process.kill()
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, SIGKILL)

    def close(self) -> None:
        """End all processes of the session and give up the pipes."""
        self.kill()
        self._process.wait()
        self.close_pipes()
        os.close(self._control)


class Chunk:
    """What a run takes for its worker: a guest, for as long as one chunk runs in it.

    Args:
        guest: The guest.
        number: Which of its chunks this is, counted from 1.
    """

    def __init__(self, guest: Guest, number: int) -> None:
        self.state: State = "lost"
        self.begun = False
        self._guest = guest
        self._number = number
        self._ended = False
        self._over = False
        self._status: int | None = None
        self._sending = Lock()

    def send(self, line: bytes) -> None:
        """Write a frame, unless the chunk is over."""
        with self._sending:
            if not self._over:
                self.begun = True
                self._guest.send(line)

    def read(self, limit: int) -> bytes | None:
        """Return the next frame's line, or None when the chunk's process is gone."""
        line = self._guest.read(limit) if self.begun else None
        if line is None:
            return None
        self._status = wire.read_epitaph(line)
        self._ended = line.startswith(wire.END)
        return line if self._status is None else None

    def kill(self) -> None:
        """Have the chunk ended, if it still runs, or keep it from beginning."""
        if not self.begun:
            self._over = True
        elif not self._ended:
            self._guest.stop(self._number)

    def status(self) -> int:
        """Return how the chunk's process ended: negative for a signal."""
        return -SIGKILL if self._status is None else self._status

    def close(self) -> None:
        """Leave the guest to the next chunk."""

    def settle(self) -> None:
        """Wait until the guest is ready for the next chunk, and note in ``state`` what it has left."""
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

    ``text`` shows the values of the chunk, or is None where it has none; ``size`` is the length in bytes that it would
    have if nothing were cut; ``is_page`` says that it is a page of the documentation.
    """

    def __init__(self, outcome: Outcome, state: State) -> None:
        self.outcome = outcome
        self.state = state
        shown = _first(outcome, dict) or {}
        self.text: str | None = shown["text"] if isinstance(shown.get("text"), str) else None
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

    def __init__(self, run: Runs, start: Callable[[], Guest] = Guest) -> None:
        self._run = run
        self._start = start
        self._guest: Guest | None = None
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
        return _first(self._ask("check", source), bool) is not False

    def names(self, path: str = "") -> Names:
        """Return what there is inside a table, such as ``inventory.books``; the globals where no path is given."""
        found: dict[str, Any] = _first(self._ask("names", path), dict) or {}
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
            outcome = self._run(source if "name" in options else _typed(source), **named)
        finally:
            self._settle(chunk)
        return outcome, chunk.state

    def _settle(self, chunk: Chunk) -> None:
        self._chunks += chunk.begun
        try:
            chunk.settle()
        finally:
            if chunk.state == "lost":
                self.reset()


def _typed(source: str) -> str:
    """Return a chunk that is no file, so that a ``#`` at its beginning is no line for the shell but Lua's operator."""
    return f" {source}" if source.startswith("#") else source


def _first(outcome: Outcome, kind: type) -> Any:
    first = outcome.result[0] if outcome.result else None
    return first if isinstance(first, kind) else None
