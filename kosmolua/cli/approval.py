"""Asks the person at the terminal whether calls are allowed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

from kosmolua.calls.approvals import Approval, Approver, Consent, Reply, grouped, shown_arguments
from kosmolua.cli import terminal
from kosmolua.cli.streams import standard
from kosmolua.escaping import exposed, shortened
from kosmolua.schema import luacats
from kosmolua.schema.effects import is_final

RESET = "\x18\x1b\\\x1b[0m"
"""Ends escape sequences and colours that earlier output on the same terminal has left open."""
CHOICES = {
    "y": (Consent.YES, "[y]es", "make it"),
    "n": (Consent.NO, "[N]o", "do not make it; the default"),
    "o": (Consent.EACH, "[o]ne by one", "ask about each of these calls"),
    "a": (Consent.ALWAYS, "[a]ll such calls", "make it, and ask no more about this function and account in this run"),
    "d": (Consent.NEVER, "[d]eny all calls", "do not make it, nor any other call that would have to be asked about"),
    "s": (Consent.MORE, "[s]how the arguments in full", "show them, and ask again"),
}
"""The answers that a person can type: what each means, how it is offered, and what it does."""
WORDS = {"yes": "y", "no": "n", "": "n", "show": "s", "one": "o", "all": "a", "deny": "d"}
INDENT = "  "
"""Where a long line of a question goes on."""
MAX_VALUE, HEAD, TAIL = 1000, 600, 300
"""How many characters of an argument are shown; of a longer one, how many at its beginning and at its end."""
MAX_ROW, ROW_HEAD, ROW_TAIL = 300, 200, 80
"""The same numbers for the arguments of a call in a list."""


class TerminalApprover(Approver):
    """Asks the person at the terminal.

    Questions go to standard error, and answers are read from the terminal. The end of input counts as no. Ctrl-C ends
    the run: its later calls raise KeyboardInterrupt without a question. If ``is_single``, the person typed a single
    call, so answers which cover other calls are not offered.
    """

    def __init__(self, *, is_single: bool = False) -> None:
        super().__init__()
        self._is_single = is_single
        self._is_interrupted = False

    @property
    def name(self) -> str:  # type: ignore[override]
        """The name under which the journal records the person who allowed a call, such as ``ada at the terminal``."""
        from getpass import getuser

        try:
            return f"{getuser()} at the terminal"
        except (OSError, KeyError, ImportError):
            return "the person at the terminal"

    def approve_many(self, approvals: Sequence[Approval]) -> list[Reply]:
        """Ask about calls, unless earlier answers apply, and return for each whether it is allowed.

        Raises:
            KeyboardInterrupt: The person pressed Ctrl-C, at this question or at an earlier one.
        """
        if self._is_interrupted:
            raise KeyboardInterrupt
        return super().approve_many(approvals)

    def renew(self) -> None:
        """Forget Ctrl-C and "deny all calls", so that the person is asked again in the next run."""
        self.denies_all = self._is_interrupted = False

    def ask(self, approvals: Sequence[Approval]) -> Consent:
        """Ask one question about calls, on lines of its own, even if other programs wrote to the terminal."""
        _discard_typed_input()
        _write(RESET if terminal.draws_on(sys.stderr) else "", "\n")
        try:
            return self._ask_one(approvals[0]) if len(approvals) == 1 else self._ask_many(approvals)
        except KeyboardInterrupt:
            self._is_interrupted = True
            raise

    def _ask_one(self, approval: Approval) -> Consent:
        lines = _lines_of(approval)
        letters = ("yn" if self._is_single else "ynad") + "s" * any(len(each) > MAX_VALUE for each in lines.values())
        subject = "You are about" if self._is_single else "The script wants"
        _write(f"{subject} to {_phrase(approval)}:\n", _sentence(approval), _arguments(lines, _shorten))
        question = f"Allow {terminal.styled(approval.path, 'bold', sys.stderr)} with {exposed(approval.account)}?"
        while (answer := _answer(question, letters)) is Consent.MORE:
            _write(_arguments(lines, str))
        return answer

    def _ask_many(self, approvals: Sequence[Approval]) -> Consent:
        letters = "ynoad" + "s" * any(len(_row(approval)) > MAX_ROW for approval in approvals)
        _write(f"The script wants to make {len(approvals)} calls:\n", _list(approvals, _shorten_row))
        while (answer := _answer(f"Allow these {len(approvals)} calls?", letters)) is Consent.MORE:
            _write(_list(approvals, str))
        return answer


def described(call: Mapping[str, Any], *, in_full: bool = False) -> str:
    """Return one line about a recorded call: number, effect, function, account, and arguments, short or in full."""
    lines = shown_arguments(call, luacats.literal).items()
    shown = ", ".join(exposed(f"{name} = {value}") for name, value in lines)
    shown = shown if in_full else _shorten_row(shown)
    return f"call {call['number']}: {call['effect']} {call['path']} [{call['account']}] {shown}".rstrip()


def _phrase(approval: Approval) -> str:
    """Return the effect, function and account of a call as a phrase that says whether the call can be undone."""
    path, account = terminal.styled(approval.path, "bold", sys.stderr), exposed(approval.account)
    phrase = f"{approval.effect} with {path}, account {account}"
    said = exposed(approval.way_back)
    is_lost = is_final(approval.effect) and not approval.undoable
    warning = terminal.styled(said, "danger", sys.stderr) if is_lost else said
    return f"{phrase} ({warning})" if said else phrase


def _sentence(approval: Approval) -> str:
    about = f"  {terminal.styled(exposed(approval.about), 'dim', sys.stderr)}\n" if approval.about else ""
    return about + "".join(f"  {terminal.styled(exposed(each), 'danger', sys.stderr)}\n" for each in approval.notes)


def _lines_of(approval: Approval) -> dict[str, str]:
    """Return the text of each argument of a call, by name, with what it replaces and with the name behind an id."""
    return {
        exposed(name): exposed(shown) for name, shown in shown_arguments(approval._asdict(), luacats.literal).items()
    }


def _row(approval: Approval) -> str:
    return ", ".join(f"{name} = {value}" for name, value in _lines_of(approval).items()) or "without arguments"


def _list(approvals: Sequence[Approval], shorten: Callable[[str], str]) -> str:
    """Return calls as numbered lines, with a heading for each function and account."""
    lines: list[str] = []
    numbers, width = count(1), len(str(len(approvals)))
    for group in grouped(approvals):
        lines.append(f"{_phrase(group[0])}:\n{_sentence(group[0])}")
        lines += [f"  {next(numbers):>{width}}. {shorten(_row(approval))}\n" for approval in group]
    return "".join(lines)


def _answer(question: str, letters: str) -> Consent:
    """Ask until the person types one of the letters, or the word for it, and return its meaning."""
    offered = f"{question} {', '.join(CHOICES[each][1] for each in letters)}, [?]:"
    while True:
        typed = _reply_to(terminal.fitted(offered, sys.stderr) + " ").strip().lower()
        typed = WORDS.get(typed, typed)
        if typed in (*letters,):
            return CHOICES[typed][0]
        _write("".join(f"  {each} = {CHOICES[each][2]}\n" for each in letters))


def _arguments(lines: Mapping[str, str], shorten: Callable[[str], str]) -> str:
    return "".join(f"  {name} = {shorten(value)}\n" for name, value in lines.items()) or "  without arguments\n"


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_VALUE else shortened(text, HEAD, TAIL)


def _shorten_row(text: str) -> str:
    return text if len(text) <= MAX_ROW else shortened(text, ROW_HEAD, ROW_TAIL)


def _write(*texts: str) -> None:
    sys.stderr.write(terminal.fitted("".join(texts), sys.stderr, INDENT))
    sys.stderr.flush()


def _discard_typed_input() -> None:
    """Discard what was typed before the question was shown, since it cannot be an answer to the question."""
    try:
        import termios
    except ImportError:
        return
    if standard.answers is not None:
        termios.tcflush(standard.answers, termios.TCIFLUSH)


def _reply_to(question: str) -> str:
    """Show a question and return the line that the person types, or an empty string at the end of input."""
    try:
        with _shown(question):
            line = standard.read_answer().decode(errors="replace")
    except KeyboardInterrupt:
        _write("\n")
        raise
    if not line.endswith("\n"):
        _write("\n")
    return line


@contextmanager
def _shown(question: str) -> Iterator[None]:
    """Write a question. Until the ``with`` block ends, write it again each time the program resumes after Ctrl-Z."""
    _write(question)
    if not hasattr(signal, "SIGCONT"):
        yield
        return
    before = signal.signal(signal.SIGCONT, lambda *_: _write(question))
    try:
        yield
    finally:
        signal.signal(signal.SIGCONT, before or signal.SIG_DFL)
