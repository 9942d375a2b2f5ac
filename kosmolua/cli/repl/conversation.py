"""The read-eval-print loop: reads a chunk, runs it and shows the result, until the input ends."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kosmolua import protocol
from kosmolua.authoring.completion import Candidates, is_command
from kosmolua.calls.records import CallRecord
from kosmolua.cli import console, terminal
from kosmolua.cli.approval import TerminalApprover
from kosmolua.cli.console import status_of
from kosmolua.cli.options import Options
from kosmolua.cli.progress import watching
from kosmolua.cli.repl.commands import Commands, Quit, files_that_begin_with
from kosmolua.cli.repl.readers import ChunkReader
from kosmolua.cli.scripts import name_of, read_file, where_it_is
from kosmolua.cli.streams import standard
from kosmolua.errors import ConfigError, Interrupted, KosmoError, UsageError
from kosmolua.escaping import harmless
from kosmolua.lua.environment import GLOBALS
from kosmolua.runs import Outcome
from kosmolua.runs.session import CHUNK, ChunkResult, Session
from kosmolua.runtime import Runtime
from kosmolua.schema.names import APP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kosmolua.check.checker import Report
    from kosmolua.lua.values import Value
    from kosmolua.runs import RunOptions
    from kosmolua.runs.session import State


REMARKS = {
    "restored": "the session's state is as it was before this chunk",
    "lost": "the session's state is lost; a new session begins",
}


def show_answer(answer: ChunkResult, name: str = CHUNK) -> None:
    """Show the result of a chunk: values on standard output, and errors and remarks on standard error."""
    error = answer.outcome.error
    if error and answer.outcome.exit is None:
        console.complain_of(error, name.removeprefix("="))
    if answer.state in REMARKS:
        console.complain(REMARKS[answer.state])
    if answer.text is None:
        return
    if answer.is_page:
        console.markdown(answer.text)
    else:
        _show_values(answer.text, answer.size)


def _show_values(text: str, size: int) -> None:
    whole = protocol.to_bytes(text)
    shown = _on_screen(whole) if standard.is_shown else whole
    standard.write(shown + b"\n")
    if len(shown) < len(whole) or len(whole) < size:
        remark = f"... {size - len(shown):,} more bytes; print(_) shows the first value whole"
        sys.stderr.write(terminal.styled(remark, "dim", sys.stderr) + "\n")


def _on_screen(whole: bytes) -> bytes:
    text = harmless(whole.decode("utf-8", "backslashreplace"))
    return (console.fit(text) if terminal.on_terminal() else text).encode()


MAX_NAMES = 5
WORDS = {"exit": ":quit", "quit": ":quit", "help": ":help"}
"""Words with which users leave other REPLs, or ask for help, each with the command that does this here."""
UNDER_APP = re.compile(rf"{APP}(\.\w+)*")


class Conversation:
    """The read-eval-print loop of one session, which runs the chunks one after another with the same globals."""

    def __init__(self, runtime: Runtime, session: Session, options: Options) -> None:
        self._runtime = runtime
        self._session = session
        self._options = options
        self._approver = TerminalApprover() if console.can_ask() else None
        self._calls: list[CallRecord] = []
        self._known: Mapping[str, Value] = {}
        self.status = 0
        """The highest exit status of the failures so far."""
        self._commands = Commands(
            runtime,
            load=self._load,
            record=self._record,
            reset=self._reset,
            calls=lambda: self._calls,
            for_people=not options.json,
        )
        self.candidates = Candidates(runtime.catalog, session.names, self._commands.names, files_that_begin_with)

    def is_whole(self, chunk: str) -> bool:
        """Return True if a chunk is complete, and False if further lines must follow, as after ``if x then``."""
        return self._session.is_whole(_lua(chunk))

    def hold(self, reader: ChunkReader) -> None:
        """Run each chunk that a reader returns, and show its result, until the input ends or the user leaves.

        Raises:
            KeyboardInterrupt: The user pressed Ctrl-C while chunks were read from a pipe.
        """
        while (chunk := _next(reader)) is not None:
            try:
                self._answer(chunk)
            except KeyboardInterrupt:
                if not reader.is_typed:
                    raise
            except Quit:
                return

    def _answer(self, chunk: str) -> None:
        if is_command(chunk):
            self._do(chunk)
        elif command := self._command_meant(chunk):
            self._do(command)
        elif chunk.strip():
            self._evaluate(_lua(chunk))

    def _command_meant(self, chunk: str) -> str | None:
        """Return the command that a chunk such as ``exit`` means, unless a global variable has its name, or None."""
        word = chunk.strip().removesuffix("()")
        if word not in WORDS or self._options.json:
            return None
        kind = self._session.names().types.get(word)
        is_free = kind is None or (word == "exit" and kind == "function")  # a function that every script has
        return WORDS[word] if is_free else None

    def _do(self, line: str) -> None:
        try:
            self._commands.do(line)
        except KosmoError as error:
            self._refuse(error)

    def _show_json(self, outcome: Outcome, state: State) -> None:
        console.as_json({**outcome.to_json(), "state": state}, indent=None)

    def _note(self, error: KosmoError | None) -> None:
        self.status = max(self.status, status_of(error))

    def _evaluate(self, source: str, name: str | None = None) -> None:
        report = self._checked(source)
        if report and (refusal := report.refusal()):
            self._refuse(refusal, (name or CHUNK).removeprefix("="))
            return
        answer = self._run(source, name, report)
        after = report.session if report else {}
        is_kept = answer.outcome.ok and answer.state == "kept"
        unchanged = {name: value for name, value in self._known.items() if after.get(name) is value}
        self._known = after if is_kept else unchanged

    def _checked(self, source: str) -> Report | None:
        """Check a chunk, and return the report; None if the check is switched off or cannot be done."""
        if self._options.no_check:
            return None
        from kosmolua.lua.values import UNKNOWN

        checker, there = self._runtime.checker(), self._session.names().types
        known = {name: self._known.get(name, UNKNOWN) for name in there}
        try:
            report = checker.check(source, known)
            if not report.is_lua or source.startswith("#"):  # an expression
                report = checker.check(f"return\n{source}", known)
                found = [each._replace(line=each.line - 1) for each in report.findings]
                sites = [each._replace(line=each.line - 1) for each in report.sites]
                report = report._replace(findings=found, sites=sites)
        except ConfigError:
            return None  # the first call will report it
        return report if report.is_lua else None  # Lua itself reports other mistakes

    def _refuse(self, error: KosmoError, script: str | None = None) -> None:
        self._note(error)
        if self._options.json:
            self._show_json(Outcome([], "", error, []), "kept")
        else:
            console.complain_of(error, script)

    def _run(self, source: str, name: str | None, report: Report | None) -> ChunkResult:
        with watching(trace=self._options.trace, approver=self._approver) as watched:
            telling: RunOptions = {"watch": watched.watch, "approve": watched.approve}
            if report:
                telling["sites"] = report.sites
            if name is not None:
                telling["name"] = name
            if not self._options.json:
                telling["on_output"] = watched.write
            evaluate = self._session.value if self._options.json else self._session.evaluate
            try:
                answer = evaluate(source, **telling)
            finally:
                self._begin_anew()
        self._calls += answer.outcome.calls
        self._note(answer.outcome.error)
        if answer.outcome.ok:
            answer.outcome.warnings += [f"{each.place}: {each.advice}" for each in (report.findings if report else ())]
        if self._options.json:
            self._show_json(answer.outcome, answer.state)
        else:
            show_answer(answer, name or CHUNK)
            self._explain(answer)
            for warning in answer.outcome.warnings:
                console.warn(warning)
        if isinstance(answer.outcome.error, Interrupted):
            raise KeyboardInterrupt
        if answer.outcome.exit is not None:
            self.status = answer.outcome.exit
            raise Quit
        return answer

    def _explain(self, answer: ChunkResult) -> None:
        """If the result of a chunk is a table under ``app``, such as an integration, list the names in the table."""
        if terminal.on_terminal() and UNDER_APP.fullmatch(answer.text or ""):
            names = " ".join(each.text for each in self.candidates.of(f"{answer.text}."))
            console.say(f"  {names}")

    def _begin_anew(self) -> None:
        self.candidates.forget()
        if self._approver:
            self._approver.renew()

    def _load(self, path: Path) -> None:
        source = read_file(path, self._runtime.limits.max_source)
        self._evaluate(source.decode("utf-8", "surrogateescape"), name_of(path))

    def _record(self, path: Path | None) -> None:
        """Begin to record the session. If it is already being recorded, end the recording and show its path."""
        if recorder := self._session.recorder:
            if path:
                hint = ":record without a file ends that recording"
                raise UsageError(f"This session is already being recorded, in {recorder.path}", hint=hint)
            self.end_recording()
            return
        own = sorted(self._session.names().types.keys() - GLOBALS - {"_"})
        file = self._runtime.record_session(self._session, path)
        if self._options.json:
            self._show_json(_recorded(file), "kept")
            return
        console.complain(f"recording to {file}; :record ends it")
        if own:
            names = ", ".join(own[:MAX_NAMES]) + (" and others" if len(own) > MAX_NAMES else "")
            console.complain(f"the recording lacks what was set before: {names} (:reset first records everything)")

    def end_recording(self) -> None:
        """End the recording of the session, if there is one, and show the path of the recording."""
        recorder = self._session.recorder
        if recorder is None:
            return
        self._session.end_recording()
        if self._options.json:
            self._show_json(_recorded(recorder.path), "kept")
        else:
            console.complain(where_it_is(recorder.path, can_go_on=False))

    def _reset(self) -> None:
        self._session.reset()
        self.candidates.forget()
        if self._options.json:
            self._show_json(Outcome([], "", None, []), "lost")
        else:
            console.complain("a new session begins")


def _recorded(path: str) -> Outcome:
    outcome = Outcome([], "", None, [])
    outcome.recording = path
    return outcome


def _lua(chunk: str) -> str:
    """Return the Lua code of a chunk. Like Lua's own REPL, accept ``= x`` for ``return x``."""
    return f"return {chunk[1:]}" if chunk.startswith("=") else chunk


def _next(reader: ChunkReader) -> str | None:
    with standard.given_back():
        return reader.read()
