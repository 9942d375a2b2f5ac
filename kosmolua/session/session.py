"""A session: one guest that is kept alive, so that each chunk finds the state that the ones before it left."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from kosmolua.errors import Interrupted
from kosmolua.outcome import Outcome
from kosmolua.session.answer import Answer, Names, first_of
from kosmolua.session.chunk import Chunk, State
from kosmolua.session.guest import Guest

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from kosmolua.run_options import RunOptions

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
            outcome = self._run(source if "name" in options else _typed(source), **named)
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


def _typed(source: str) -> str:
    """Return a chunk that is no file, so that a ``#`` at its beginning is no line for the shell but Lua's operator."""
    return f" {source}" if source.startswith("#") else source
