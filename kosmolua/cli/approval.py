"""Approval of calls by the person at the terminal."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from kosmolua.broker.approvals import Approval
from kosmolua.cli import console
from kosmolua.cli.streams import standard
from kosmolua.escaping import exposed, shortened
from kosmolua.schema import luacats

RESET = "\x18\x1b\\\x1b[0m"
"""Ends any escape sequence that other output on the same terminal has begun, and its colours."""
ANSWERS = {"y": "yes", "yes": "yes", "n": "no", "no": "no", "": "no", "s": "show", "show": "show"}
ANSWERS_OF_MANY = {**ANSWERS, "a": "all", "all": "all", "d": "deny", "deny": "deny"}
MAX_VALUE, HEAD, TAIL = 1000, 600, 300
"""Characters of an argument that are shown at once; if it is longer, how many at its beginning and its end."""


class Approver:
    """Asks on standard error, reads from the terminal, and remembers answers that hold for several calls.

    The end of input means no. Ctrl-C ends the run: nothing else is asked in it.

    Args:
        is_single: Whether there is only one call, which the person wrote.
    """

    def __init__(self, *, is_single: bool = False) -> None:
        self._is_single = is_single
        self._allowed: set[tuple[str, str]] = set()
        self._denies_all = False
        self._is_interrupted = False

    def __call__(self, approval: Approval) -> bool:
        """Return True if the person allows the call.

        Raises:
            KeyboardInterrupt: The person pressed Ctrl-C, at this question or at an earlier one.
        """
        if self._is_interrupted:
            raise KeyboardInterrupt
        if self._denies_all:
            return False
        if (approval.path, approval.account) in self._allowed:
            return True
        try:
            answer = self._ask(approval)
        except KeyboardInterrupt:
            self._is_interrupted = True
            raise
        if answer == "all":
            self._allowed.add((approval.path, approval.account))
        self._denies_all = answer == "deny"
        return answer in ("yes", "all")

    def renew(self) -> None:
        """Ask again in the next run, also if this one was denied all calls or interrupted."""
        self._denies_all = self._is_interrupted = False

    def _ask(self, approval: Approval) -> str:
        lines = {exposed(name): exposed(luacats.literal(value)) for name, value in approval.arguments.items()}
        choices, answers = "[y]es, [n]o", ANSWERS
        if not self._is_single:
            choices, answers = f"{choices}, [a]ll such calls, [d]eny all calls", ANSWERS_OF_MANY
        if any(len(value) > MAX_VALUE for value in lines.values()):
            choices += ", [s]how the arguments whole"
        subject = "You are about" if self._is_single else "The script wants"
        path, account = console.styled(approval.path, "bold", sys.stderr), exposed(approval.account)
        _discard_typed_input()
        # A question starts on a new line, also if something else wrote to the terminal.
        _write(RESET if console.draws_on(sys.stderr) else "", "\n")
        _write(f"{subject} to {approval.effect} with {path}, account {account}:\n", _arguments(lines, _shorten))
        while True:
            line = _reply_to(f"Allow {approval.path} with {account}? {choices}: ")
            answer = answers.get(line.strip().lower())
            if answer == "show":
                _write(_arguments(lines, str))
            elif answer:
                return answer
            else:
                _write(f"Please answer {'y or n' if self._is_single else 'y, n, a or d'}.\n")


def _arguments(lines: Mapping[str, str], shorten: Callable[[str], str]) -> str:
    return "".join(f"  {name} = {shorten(value)}\n" for name, value in lines.items()) or "  without arguments\n"


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_VALUE else shortened(text, HEAD, TAIL)


def _write(*texts: str) -> None:
    sys.stderr.write("".join(texts))
    sys.stderr.flush()


def _discard_typed_input() -> None:
    """Discard what was typed before the question could be read: it does not answer it."""
    try:
        import termios
    except ImportError:
        return
    termios.tcflush(standard.input, termios.TCIFLUSH)


def _reply_to(question: str) -> str:
    """Return the line that is typed, or an empty string at the end of input."""
    try:
        with _shown(question):
            line = standard.read_line().decode(errors="replace")
    except KeyboardInterrupt:
        _write("\n")
        raise
    if not line.endswith("\n"):
        _write("\n")
    return line


@contextmanager
def _shown(question: str) -> Iterator[None]:
    """Write a question, and again each time the program continues after a stop, until the ``with`` block ends."""
    _write(question)
    if not hasattr(signal, "SIGCONT"):
        yield
        return
    before = signal.signal(signal.SIGCONT, lambda *_: _write(question))
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before or signal.SIG_DFL)
