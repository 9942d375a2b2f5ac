"""The conversation: a chunk is read, run and answered, until there are no more."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from kosmolua.cli import show
from kosmolua.cli.approval import Approver
from kosmolua.cli.arguments import Options
from kosmolua.cli.repl.answers import show_answer
from kosmolua.cli.repl.candidates import Candidates
from kosmolua.cli.repl.commands import Commands, Quit, files_that_begin_with
from kosmolua.cli.repl.readers import Reader, is_command
from kosmolua.cli.watching import watching
from kosmolua.errors import Interrupted, UsageError
from kosmolua.runtime import Runtime
from kosmolua.session import CHUNK, Session

if TYPE_CHECKING:
    from kosmolua.run_options import RunOptions


class Conversation:
    """What is said in one session.

    Args:
        runtime: Answers the calls of the chunks.
        session: Runs the chunks.
        options: What was asked for on the command line.
    """

    def __init__(self, runtime: Runtime, session: Session, options: Options) -> None:
        self._runtime = runtime
        self._session = session
        self._options = options
        self._approver = Approver() if show.somebody_is_there() else None
        self._calls: list[dict[str, object]] = []
        self._commands = Commands(runtime, load=self._load, reset=self._reset, calls=lambda: self._calls)
        self.candidates = Candidates(runtime.catalog, session.names, self._commands.names, files_that_begin_with)

    def is_whole(self, chunk: str) -> bool:
        """Say whether a chunk needs no further line."""
        return self._session.is_whole(chunk)

    def hold(self, reader: Reader) -> None:
        """Answer each chunk of a reader.

        Raises:
            KeyboardInterrupt: The user interrupted chunks that nobody types.
        """
        while (chunk := reader.read()) is not None:
            try:
                self._answer(chunk)
            except KeyboardInterrupt:
                if not reader.is_typed:
                    raise
            except Quit:
                return

    def _answer(self, chunk: str) -> None:
        if is_command(chunk):
            self._commands.do(chunk)
        elif chunk.strip():
            self._evaluate(chunk)

    def _evaluate(self, source: str, name: str | None = None) -> None:
        with watching(trace=self._options.trace, approver=self._approver) as watched:
            telling: RunOptions = {"watch": watched.watch, "approve": watched.approve}
            if name is not None:
                telling["name"] = name
            telling["on_output"] = _ignore if self._options.json else watched.write
            evaluate = self._session.value if self._options.json else self._session.evaluate
            try:
                answer = evaluate(source, **telling)
            finally:
                self._begin_anew()
        self._calls += answer.outcome.calls
        if self._options.json:
            show.line(json.dumps({**answer.outcome.to_json(), "state": answer.state}, ensure_ascii=False))
        else:
            show_answer(answer, name or CHUNK)
        if isinstance(answer.outcome.error, Interrupted):
            raise KeyboardInterrupt

    def _begin_anew(self) -> None:
        self.candidates.forget()
        if self._approver:
            self._approver.renew()

    def _load(self, path: Path) -> None:
        try:
            source = path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            raise UsageError(f"The script {path} cannot be read: {error.strerror}") from None
        self._evaluate(source, path.name)

    def _reset(self) -> None:
        self._session.reset()
        self.candidates.forget()
        show.complain("a new session begins")


def _ignore(_: object) -> None:
    return
