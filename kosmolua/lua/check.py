"""The check of a script before it runs: what is certain to fail, what is likely to, and what it may do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from kosmolua.errors import CheckFailed, NotConfigured, PluginFault, ScriptError
from kosmolua.lua import idioms
from kosmolua.lua.fields import Catalog, Charge
from kosmolua.lua.findings import Finding
from kosmolua.lua.header import read_header
from kosmolua.lua.reading import Reading
from kosmolua.lua.syntax import SyntaxProblem, parse
from kosmolua.lua.values import Secrets, Value

MAX_FINDINGS = 50
"""Findings of one script; those that follow are left out."""
MAX_LINE = 1_000
"""Characters of a line that are searched for the idiom of another language."""

_COMMENT = re.compile(r"--(?!\s*$).*")
"""A comment of Lua; ``n--`` at the end of a line is a decrement of another language."""
_BLOCK = re.compile(r"(?:if|for|while|repeat|do|(?:local\s+)?function)\b")


class Report(NamedTuple):
    """The result of a check.

    Args:
        findings: In the order of the source.
        bill: What the script may do, each once, in the order of the source.
        is_lua: Whether it could be parsed. A run leaves the error to Lua itself if it could not.
        is_read: False for a script that is too long or too deeply nested to be read.
        unconfigured: The errors of calls with accounts that are not configured, or integrations that cannot be loaded,
            by place.
        dropped: The functions whose results the script uses nowhere, such as ``render2.list_services``.
        session: What is known of the globals after it, for the next chunk of a session.
        is_read_only: Whether it certainly changes nothing; False also if that cannot be proved.
    """

    findings: list[Finding]
    bill: list[Charge]
    is_lua: bool = True
    is_read: bool = True
    unconfigured: Mapping[str, NotConfigured | PluginFault] = MappingProxyType({})
    dropped: frozenset[str] = frozenset()
    session: Mapping[str, Value] = MappingProxyType({})
    is_read_only: bool = False

    @property
    def errors(self) -> list[Finding]:
        """The findings that are certain to fail."""
        return [finding for finding in self.findings if finding.severity == "error"]

    def refusal(self) -> CheckFailed | NotConfigured | PluginFault | None:
        """Return the error of a script that is certain to fail, or None.

        If all that is wrong is what the user has to set up, an account or a plugin, it is the error that the call would
        raise: it says what to do.
        """
        if not self.errors:
            return None
        if all(error.place in self.unconfigured for error in self.errors):
            error = self.unconfigured[self.errors[0].place]
            error.line = self.errors[0].line
            return error
        return CheckFailed(
            "; ".join(f"{error.place}: {error.advice}" for error in self.errors),
            findings=[finding._asdict() for finding in self.findings],
            line=self.errors[0].line,
        )

    def summary(self) -> str:
        """Return the bill in a line: ``reads render2.list_services (production); ...``; nothing if it is empty."""
        parts = []
        for effect in dict.fromkeys(charge.effect for charge in self.bill):
            calls = ", ".join(f"{each.path} ({each.account})" for each in self.bill if each.effect == effect)
            parts.append(f"{effect}s {calls}")
        return "; ".join(parts)


def syntax_hint(source: bytes, message: str) -> str:
    """Return what Lua has for the idiom of another language that keeps a source from being Lua; nothing if unknown.

    Args:
        source: The source.
        message: What Lua says of it.
    """
    if "jumps into the scope of" in message:
        return "put the lines between goto and label into do ... end, or declare the local before"
    script = parse(source)
    if script is None or not script.problems:
        return ""
    hint = _misspelt(script.problems[0], source.decode("utf-8", "replace").split("\n")).hint
    if not hint and "'end' expected (to close" in message:
        return "each function, if, for and while has an end of its own: one further in lacks it"
    return hint


class Checker:
    """Checks scripts against the installed integrations.

    Args:
        catalog: The integrations and accounts.
        secrets: The secrets that the scripts may use, or None if that is not known.
    """

    def __init__(self, catalog: Catalog, secrets: Secrets | None = None) -> None:
        self._catalog = catalog
        self._secrets = secrets

    def check(self, source: str | bytes, known: Mapping[str, Value] | None = None) -> Report:
        """Return the problems of a script and what it may do, without running it.

        A script that is too long or too deeply nested to be read has an empty report.

        Args:
            source: The script.
            known: The globals of a session, each with what it is known to be, if it is a chunk of one. Since earlier
                chunks may have changed what there is, hardly anything is certain then.
        """
        script = parse(source)
        if script is None:
            return Report([], [], is_read=False)
        if script.problems:
            lines = script.root.source.decode("utf-8", "replace").split("\n")
            return Report([_misspelt(script.problems[0], lines)], [], is_lua=False)
        try:
            header = read_header(script.root.source)
        except ScriptError as error:
            return Report([Finding(error.line or 1, 1, "error", error.what.split(": ", 1)[-1])], [])
        try:
            reading = Reading(self._catalog, script.root, header.params, known, self._secrets)
            if held := reading.held():  # what a variable holds that changes is known at the end, so it is read again
                reading = Reading(self._catalog, script.root, header.params, known, self._secrets, held)
        except RecursionError:
            return Report([], [], is_read=False)
        return Report(
            list(reading.findings)[:MAX_FINDINGS],
            list(reading.fields.bill),
            unconfigured=reading.fields.unconfigured,
            dropped=frozenset(reading.dropped - reading.kept),
            session={} if known is None else reading.session(),
            is_read_only=reading.is_read_only,
        )


def _misspelt(problem: SyntaxProblem, lines: list[str]) -> Finding:
    """Return the finding of a syntax error; of an idiom of another language, with what Lua has for it."""
    last = min(max(problem.last_line, problem.line + 1), len(lines))
    numbers = range(problem.line, last + 1) if problem.missing[:1] != "]" else ()
    for number in numbers:
        text = lines[number - 1]
        if len(text) > MAX_LINE:
            first = max(0, problem.column - MAX_LINE // 2) if number == problem.line else 0
            text = text[first : first + MAX_LINE]
        hint = idioms.hint_for_syntax(_COMMENT.sub("", text))
        if hint:
            is_first = number == problem.line
            column = problem.column if is_first else len(text) - len(text.lstrip()) + 1
            near = problem.near if is_first else text.strip()[:30]
            return Finding(number, column, "error", f"syntax error near '{near}'", hint)
    if problem.missing:
        message = f"syntax error: '{problem.missing}' is missing"
    elif problem.last_line > problem.line or _BLOCK.match(problem.near):
        message = "syntax error: what begins here has no end"
    else:
        message = f"syntax error near '{problem.near}'"
    return Finding(problem.line, problem.column, "error", message)
