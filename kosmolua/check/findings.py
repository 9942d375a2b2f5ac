"""Findings: the problems that the check of a script finds, and how certain they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import NamedTuple

from kosmolua.lua.syntax import Node
from kosmolua.lua.values import Absent, Nil, Undefined

SETUP = "setup"
CODES = {
    "syntax": "The script is not Lua, or its header cannot be read.",
    "fails": "Code that fails when it is executed.",
    "absent": "A name that no integration which is installed here has.",
    SETUP: "A call that the accounts file, or an integration, does not allow for yet: the script itself may be right.",
    "undefined": "A name that nothing defines.",
    "nil": "A use of a value that is nil.",
    "type": "Code that fails if the values have their declared types.",
    "meaning": "Code that does something else than it seems to do.",
    "doubtful": "Code that is probably not what is meant.",
}
"""The kinds of problems that the check finds."""


class Finding(NamedTuple):
    """A certain or a probable problem in a script.

    Args:
        line: The line, counted from 1.
        column: The column, counted from 1.
        severity: ``error`` if the script is certain to fail there, otherwise ``warning``.
        message: What is wrong.
        hint: What to write instead, or an empty string.
        code: The kind of the problem, one of :data:`CODES`.
        end_line: The line in which the part of the script ends that the finding is about; 0 if that is not known.
        end_column: The column behind that part, counted from 1.
    """

    line: int
    column: int
    severity: str
    message: str
    hint: str = ""
    code: str = "syntax"
    end_line: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.advice}"

    def to_json(self) -> dict[str, object]:
        """Return the finding as programs get it."""
        names = ("line", "column", "severity", "message", "hint")
        return {name: getattr(self, name) for name in names}

    @property
    def place(self) -> str:
        """The line and column of the finding, as in ``3:14``."""
        return f"{self.line}:{self.column}"

    @property
    def advice(self) -> str:
        """The message, followed by the hint in parentheses if there is one."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


class Mode(IntEnum):
    """How certain it is that a part of a script runs, and that a failure there ends the script.

    ``POSSIBLE`` parts might not be executed. In ``PROTECTED`` parts, errors are caught.
    """

    CERTAIN = 0
    POSSIBLE = 1
    PROTECTED = 2


class Mistake(NamedTuple):
    """Something that is wrong by the types of the values: an error where a change depends on it.

    The change depends on the value of ``node``, or is between the two offsets ``within``.
    """

    node: Node
    finding: Finding
    within: tuple[int, int] | None = None


class Findings:
    """Collects findings while a script is checked.

    All methods take the node that is wrong, what is wrong, and a hint on what to write instead. ``mode`` is that of the
    part of the script that is being checked. ``mistakes`` contains what is wrong by the types, by its place.
    """

    def __init__(self) -> None:
        self.mode = Mode.CERTAIN
        self._found: dict[tuple[int, int], Finding] = {}
        self._told: set[tuple[int, str]] = set()  # lines and messages
        self._grave: set[tuple[int, int]] = set()
        self.mistakes: dict[tuple[int, int], Mistake] = {}

    def __iter__(self) -> Iterator[Finding]:
        return iter(sorted(self._found.values(), key=lambda each: (each.line, each.column)))

    def warn(self, node: Node, message: str, hint: str = "") -> None:
        """Add a warning about something that is probably wrong, unless the node has a finding, or its line this one."""
        self._warn(node, message, hint, "doubtful")

    def fail(self, node: Node, message: str, hint: str = "", *, mode: Mode | None = None, code: str = "fails") -> None:
        """Add a finding about code that fails when it is executed: an error if that is certain, otherwise a warning.

        ``mode`` says how certain the failure is, if not as the code that is being checked.
        """
        if (self.mode if mode is None else mode) is not Mode.CERTAIN:
            self._warn(node, message, hint, code)
            if mode is None:
                self.fails_if_reached(node)
            return
        self._told.add((node.line, message))
        found = self._found.get((node.start, node.end))
        if found is None or found.severity == "warning":
            self._found[node.start, node.end] = _finding(node, "error", message, hint, code)

    def doubt(self, node: Node, message: str, hint: str = "") -> None:
        """Add a warning about code that fails if the values at run time have their declared types."""
        self._warn(node, message, hint, "type")
        self.fails_if_reached(node)

    def mistake(self, node: Node, message: str, hint: str = "") -> None:
        """Add a warning about something that is wrong by the types: an error where a change depends on it."""
        self._warn(node, message, hint, "meaning")
        self.mistakes[node.start, node.end] = Mistake(node, _finding(node, "warning", message, hint, "meaning"))

    def suspect(self, node: Node, message: str, hint: str = "", *, within: tuple[int, int] | None = None) -> None:
        """Note something that only matters where a change depends on it, or is ``within`` two offsets."""
        mistake = Mistake(node, _finding(node, "warning", message, hint, "meaning"), within)
        self.mistakes.setdefault((node.start, node.end), mistake)

    def refuse(self, mistake: Mistake) -> None:
        """Turn a mistake into an error, unless there is an error about the same part of the script."""
        place = mistake.node.start, mistake.node.end
        if place not in self._found or self._found[place].severity == "warning":
            self._found[place] = mistake.finding._replace(severity="error")

    def harden(self) -> None:
        """Turn warnings about code that fails when it is executed into errors.

        This is for scripts that change something: it is better to refuse such a script than to let it fail halfway.
        """
        for place in self._grave & self._found.keys():
            self._found[place] = self._found[place]._replace(severity="error")

    def soften(self, dead: Sequence[Node]) -> None:
        """Turn errors inside nodes that certainly never run into warnings."""
        for place, found in self._found.items() if dead else ():
            if any(node.start <= place[0] < node.end for node in dead):
                self._found[place] = found._replace(severity="warning")

    def fails_if_reached(self, node: Node) -> None:
        """Record that the warning about a node, if there is one, is about code that fails or never ends."""
        if self.mode is not Mode.PROTECTED:
            self._grave.add((node.start, node.end))

    def fail_on_nil(self, node: Node, value: Nil, verb: str) -> None:
        """Add a finding about an operation that fails because its operand is nil, such as ``call`` or ``index``."""
        if isinstance(value, Absent):
            self.fails_if_reached(value.node)
        elif isinstance(value, Undefined):
            message = f"nothing defines '{value.name}': it is nil, and Lua cannot {verb} nil"
            self.fail(node, message, value.hint, code="undefined")
        elif value.what != "nil":
            self.fail(node, f"there is no {value.what}: it is nil, and Lua cannot {verb} nil", value.hint, code="nil")

    def undefined(self, node: Node, value: Undefined) -> None:
        """Add a finding about a name that nothing defines: an error for ``await`` and ``async``, else a warning."""
        mode = Mode.CERTAIN if value.name in ("await", "async") else Mode.POSSIBLE
        self.fail(node, f"nothing defines '{value.name}', so it is nil", value.hint, mode=mode, code="undefined")

    def _warn(self, node: Node, message: str, hint: str, code: str) -> None:
        if (node.line, message) not in self._told:
            self._told.add((node.line, message))
            self._found.setdefault((node.start, node.end), _finding(node, "warning", message, hint, code))

    @contextmanager
    def at_least(self, mode: Mode) -> Iterator[None]:
        """Set the mode of the code that is checked in the ``with`` block, unless its mode is less certain already."""
        before, self.mode = self.mode, max(self.mode, mode)
        try:
            yield
        finally:
            self.mode = before


def _finding(node: Node, severity: str, message: str, hint: str, code: str) -> Finding:
    text = node.source[node.start : node.end]
    ends = node.line + text.count(b"\n")
    behind = len(text) - text.rfind(b"\n") if ends > node.line else node.column + len(text)
    return Finding(node.line, node.column, severity, message, hint, code, ends, behind)
