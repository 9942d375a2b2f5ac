"""Asking the person at the terminal whether a call may be made."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from kosmolua.cli import show
from kosmolua.policy import Approval
from kosmolua.spec import wording

QUESTION = "Allow it? [y]es, [n]o, [a]ll calls of this function, [d]eny all from now on{more}: "
ANSWERS = {
    "y": "yes",
    "yes": "yes",
    "n": "no",
    "no": "no",
    "": "no",
    "a": "all",
    "all": "all",
    "d": "deny",
    "deny": "deny",
    "s": "show",
    "show": "show",
}
LONGEST_VALUE, HEAD, TAIL = 1000, 600, 300
"""Characters of an argument that are shown without being asked for; of a longer one, how many at either end."""


class Approver:
    """Asks on standard error, reads from the terminal, and remembers answers that hold for more than one call.

    The end of input and Ctrl-C mean no.
    """

    def __init__(self) -> None:
        self._allowed: set[tuple[str, str]] = set()
        self._denies = False

    def __call__(self, approval: Approval) -> bool:
        """Return whether the person allows the call."""
        if self._denies:
            return False
        if (approval.path, approval.account) in self._allowed:
            return True
        answer = _ask(approval)
        if answer == "all":
            self._allowed.add((approval.path, approval.account))
        self._denies = answer == "deny"
        return answer in ("yes", "all")

    def renew(self) -> None:
        """Ask again where all was denied."""
        self._denies = False


def _ask(approval: Approval) -> str:
    is_cut = any(len(wording.literal(value)) > LONGEST_VALUE for value in approval.arguments.values())
    question = QUESTION.format(more=", [s]how the arguments whole" if is_cut else "")
    _forget_what_was_typed()
    _write(_heading(approval), _arguments(approval.arguments, _shorten))
    while True:
        _write(question)
        answer = ANSWERS.get(_read_line().strip().lower(), "")
        if answer == "show":
            _write(_arguments(approval.arguments, str))
        elif answer:
            return answer


def _heading(approval: Approval) -> str:
    path = show.styled(approval.path, "bold", sys.stderr)
    return f"The script wants to {approval.effect} with {path}, account {show.harmless(approval.account)}:\n"


def _arguments(arguments: Mapping[str, object], spell: Callable[[str], str]) -> str:
    lines = [f"  {name} = {spell(wording.literal(value))}\n" for name, value in arguments.items()]
    return show.harmless("".join(lines)) or "  without arguments\n"


def _shorten(text: str) -> str:
    if len(text) <= LONGEST_VALUE:
        return text
    return f"{text[:HEAD]} ... ({len(text) - HEAD - TAIL:,} more characters) ... {text[-TAIL:]}"


def _write(*texts: str) -> None:
    sys.stderr.write("".join(texts))
    sys.stderr.flush()


def _forget_what_was_typed() -> None:
    """Drop what was typed before the question could be read: it is no answer to it."""
    try:
        import termios
    except ImportError:
        return
    termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _read_line() -> str:
    """Return the line that is typed, or nothing where there is none."""
    try:
        line = sys.stdin.buffer.readline().decode(errors="replace")
    except KeyboardInterrupt:
        line = ""
    if not line.endswith("\n"):
        _write("\n")
    return line
