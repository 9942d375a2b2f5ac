"""Asking the person at the terminal whether a call may be made."""

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
"""Ends whatever sequence other output on the same terminal has begun, and its colours."""
QUESTION = "Allow {path} with {account}? [y]es, [n]o{more}: "
OF_MANY = ", [a]ll such calls, [d]eny all calls"
ANSWERS = {
    "y": "yes",
    "yes": "yes",
    "n": "no",
    "no": "no",
    "": "no",
    "s": "show",
    "show": "show",
}
ANSWERS_OF_MANY = {**ANSWERS, "a": "all", "all": "all", "d": "deny", "deny": "deny"}
LONGEST_VALUE, HEAD, TAIL = 1000, 600, 300
"""Characters of an argument that are shown without being asked for; of a longer one, how many at either end."""


class Approver:
    """Asks on standard error, reads from the terminal, and remembers answers that hold for more than one call.

    The end of input means no, and so does Ctrl-C, which ends the run too.

    Args:
        single: Whether there is one call only, which the person wrote.
    """

    def __init__(self, *, single: bool = False) -> None:
        self._single = single
        self._allowed: set[tuple[str, str]] = set()
        self._denies = False

    def __call__(self, approval: Approval) -> bool:
        """Return whether the person allows the call.

        Raises:
            KeyboardInterrupt: The person typed Ctrl-C.
        """
        if self._denies:
            return False
        if (approval.path, approval.account) in self._allowed:
            return True
        answer = _ask(approval, single=self._single)
        if answer == "all":
            self._allowed.add((approval.path, approval.account))
        self._denies = answer == "deny"
        return answer in ("yes", "all")

    def renew(self) -> None:
        """Ask again where all was denied."""
        self._denies = False


def _ask(approval: Approval, *, single: bool) -> str:
    lines = {exposed(name): exposed(luacats.literal(value)) for name, value in approval.arguments.items()}
    is_cut = any(len(value) > LONGEST_VALUE for value in lines.values())
    question = _question(approval, ("" if single else OF_MANY) + ", [s]how the arguments whole" * is_cut)
    answers = ANSWERS if single else ANSWERS_OF_MANY
    _forget_what_was_typed()
    subject = "You are about" if single else "The script wants"
    _write(_fresh_line(), _heading(subject, approval), _arguments(lines, _cut))
    while True:
        answer = answers.get(_reply_to(question).strip().lower(), "")
        if answer == "show":
            _write(_arguments(lines, str))
        elif answer:
            return answer
        else:
            _write("That is none of the answers.\n")


def _question(approval: Approval, more: str) -> str:
    return QUESTION.format(path=approval.path, account=exposed(approval.account), more=more)


def _fresh_line() -> str:
    """Return what begins a line on which nothing but the question is, whatever else wrote to the terminal."""
    return (RESET if console.draws_on(sys.stderr) else "") + "\n"


def _heading(subject: str, approval: Approval) -> str:
    path = console.styled(approval.path, "bold", sys.stderr)
    return f"{subject} to {approval.effect} with {path}, account {exposed(approval.account)}:\n"


def _arguments(lines: Mapping[str, str], cut: Callable[[str], str]) -> str:
    return "".join(f"  {name} = {cut(value)}\n" for name, value in lines.items()) or "  without arguments\n"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else shortened(text, HEAD, TAIL)


def _write(*texts: str) -> None:
    sys.stderr.write("".join(texts))
    sys.stderr.flush()


def _forget_what_was_typed() -> None:
    """Drop what was typed before the question could be read: it is no answer to it."""
    try:
        import termios
    except ImportError:
        return
    termios.tcflush(standard.input, termios.TCIFLUSH)


@contextmanager
def _written_again(question: str) -> Iterator[None]:
    """Show a question now, and anew whenever the program was suspended and goes on, until the ``with`` block ends."""
    _write(question)
    if not hasattr(signal, "SIGCONT"):
        yield
        return
    before = signal.signal(signal.SIGCONT, lambda *_: _write(question))
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before or signal.SIG_DFL)


def _reply_to(question: str) -> str:
    """Return the line that is typed, or nothing where there is none."""
    try:
        with _written_again(question):
            line = standard.read_line().decode(errors="replace")
    except KeyboardInterrupt:
        _write("\n")
        raise
    if not line.endswith("\n"):
        _write("\n")
    return line
