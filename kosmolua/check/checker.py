"""Checks a script before it runs: finds what will or might fail, and which effects the script can have."""

from __future__ import annotations

from collections.abc import Mapping

from kosmolua.check.builtins import CALLS, check_dropped, check_string
from kosmolua.check.calls import check_call
from kosmolua.check.conditions import check_binary, check_branches, check_choice, check_end, check_length
from kosmolua.check.evaluator import CheckRules
from kosmolua.check.fields import CatalogView
from kosmolua.check.findings import Finding
from kosmolua.check.globals import CheckInput
from kosmolua.check.report import Report as Report
from kosmolua.check.settled import Settled
from kosmolua.check.tables import (
    check_changes,
    check_defaults,
    check_for,
    check_index,
    check_last_page,
    check_lists,
    check_names,
    check_pages,
    check_use,
)
from kosmolua.errors import ScriptError
from kosmolua.expressions import regex
from kosmolua.lua import idioms
from kosmolua.lua.header import read_header
from kosmolua.lua.syntax import SyntaxProblem, parse
from kosmolua.lua.values import Secrets, Value

MAX_FINDINGS = 50
"""The most findings for one script. Further findings are left out."""
MAX_LINE = 1_000
"""Only this many characters of a line are searched for syntax of another language."""

_RULES = CheckRules(
    nodes={
        "assignment_statement": (check_changes, check_defaults),
        "binary_expression": (check_choice, check_binary),
        "bracket_index_expression": (check_index,),
        "for_statement": (check_for,),
        "function_call": (check_call, check_dropped),
        "if_statement": (check_branches,),
        "repeat_statement": (check_end, check_pages),
        "string": (check_string,),
        "unary_expression": (check_length,),
        "variable_declaration": (check_defaults,),
        "while_statement": (check_branches, check_last_page, check_end, check_pages),
    },
    calls=CALLS,
    whole=(check_use, check_lists, check_names),
)
"""What is looked for at each kind of node, at calls of built-in functions, and at the end."""
_COMMENT = regex(r"--(?!\s*$).*")
"""Matches a comment, except ``n--`` at the end of a line, which is a decrement in other languages."""
_BLOCK = regex(r"(?:if|for|while|repeat|do|(?:local\s+)?function)\b")


def syntax_hint(source: bytes, message: str) -> str:
    """Return a hint on how to correct a syntax error, such as Lua's spelling of something from another language.

    The hint is empty if the cause of the error is not known.
    """
    if "jumps into the scope of" in message:
        return "put the lines between goto and label into do ... end, or declare the local before the goto"
    script = parse(source)
    if script is None or not script.problems:
        return ""
    hint = _syntax_finding(script.problems[0], source.decode("utf-8", "replace").split("\n")).hint
    if not hint and "'end' expected (to close" in message:
        return "each function, if, for and while needs an end of its own: one inside this one lacks it"
    return hint


class Checker:
    """Checks scripts against the installed integrations."""

    def __init__(self, catalog: CatalogView, secrets: Secrets | None = None) -> None:
        self._catalog = catalog
        self._secrets = secrets

    def check(self, source: str | bytes, known: Mapping[str, Value] | None = None) -> Report:
        """Check a script without running it, and report its problems and the effects that it can have.

        If the script is too long or too deeply nested to be checked, the report has no findings and ``is_read`` is
        False.

        Args:
            source: The text of the script.
            known: None for a script. For a chunk of a session, what is known about the values of globals after the
                previous chunk. Earlier chunks could also have changed built-in functions or fields of tables, which
                ``known`` does not say, so only few findings are then certain.
        """
        script = parse(source)
        if script is None:
            return Report([], [], is_read=False)
        if script.problems:
            lines = script.root.source.decode("utf-8", "replace").split("\n")
            return Report([_syntax_finding(script.problems[0], lines)], [], is_lua=False)
        try:
            header = read_header(script.root.source)
        except ScriptError as error:
            return Report([Finding(error.line or 1, 1, "error", error.what.split(": ", 1)[-1])], [])
        try:
            found = Settled(CheckInput(self._catalog, script.root, header.params, known, self._secrets), _RULES)
        except RecursionError:
            return Report([], [], is_read=False)
        evaluated = found.evaluated
        return Report(
            list(evaluated.findings)[:MAX_FINDINGS],
            evaluated.fields.bill,
            unconfigured=evaluated.fields.unconfigured,
            dropped=evaluated.uses.dropped,
            session={} if known is None else found.session(),
            is_read_only=found.is_read_only,
            sites=found.sites(),
            flows=found.flows(),
        )


def _syntax_finding(problem: SyntaxProblem, lines: list[str]) -> Finding:
    """Return the finding for a syntax error.

    If a line at the error has the syntax of another language, the finding is about that line, and the hint says how to
    write it in Lua.
    """
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
        message = "syntax error: the part that begins here has no end"
    else:
        message = f"syntax error near '{problem.near}'"
    return Finding(problem.line, problem.column, "error", message)
