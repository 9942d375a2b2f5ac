"""The linter for plugins: checks the functions, the hand-written page, and the Lua examples in both."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kosmolua.authoring.findings import Defect, source_of
from kosmolua.authoring.lint_functions import check_effect, check_function, check_integration
from kosmolua.authoring.lint_undo import check_declared, check_undo
from kosmolua.catalog.plugins import Plugin, Plugins
from kosmolua.check.checker import Checker, syntax_hint
from kosmolua.check.findings import SETUP
from kosmolua.docs import markdown
from kosmolua.runtime import Runtime
from kosmolua.schema.integration import Integration
from kosmolua.suggestions import did_you_mean

_LIKE_A_FUNCTION = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
_FENCED = re.compile(r"^```lua[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_MESSAGE = re.compile(r"example:(\d+): (.*)", re.DOTALL)
_FAILING = frozenset({"fails", "type"})
_COMPILE = """
local messages = {}
for index, source in ipairs(arg) do
  local chunk, message = load(source, "=example")
  messages[index] = chunk and "" or message
end
return messages
"""


def check_page(integration: Integration, prose: str | None, file: str) -> Iterator[Defect]:
    """Yield findings about the hand-written page: missing, without title, or sections that do not fit functions."""
    if prose is None:
        remedy = f"write {integration.name}.md beside this file, with what the signatures do not say"
        yield Defect(integration.origin, "there is no page", remedy, note=True)
        return
    document = markdown.read(prose)
    if not document.title:
        yield Defect(f"{file}:1", "the page has no title", "begin with '# NAME'")
    spoken_of = {function.name for heading in document.sections if (function := integration.function(heading))}
    for name in integration.functions.own:
        if name not in spoken_of:
            yield Defect(f"{file}:1", f"{name} has no section", f"add '## {name}' with what its signature does not say")
    for heading in document.sections:
        if _LIKE_A_FUNCTION.fullmatch(heading) and not integration.function(heading):
            hint = did_you_mean(heading, integration.functions) or "remove the section, or name it after a function"
            yield Defect(f"{file}:{_line_of(prose, heading)}", f"the section {heading} is about no function", hint)


def _line_of(prose: str, heading: str) -> int:
    pattern = re.compile(rf"##\s+`?{re.escape(heading)}`?\s*")
    return next(number for number, line in enumerate(prose.splitlines(), 1) if pattern.fullmatch(line))


def check(plugin: Plugin) -> list[Defect]:
    """Return all findings, by file and line, suggestions last."""
    return sorted(_found(plugin), key=lambda finding: finding.order)


def _found(plugin: Plugin) -> Iterator[Defect]:
    integration, prose = plugin.integration, plugin.prose()
    page = str(Path(integration.origin.rpartition(":")[0]).parent / f"{integration.name}.md")
    yield from check_integration(integration)
    for function in integration.functions.own.values():
        yield from check_function(function, integration.prefix)
        yield from check_effect(function)
        yield from check_undo(function, integration)
    yield from check_declared(integration)
    yield from check_page(integration, prose, page)
    examples = [*examples_in(prose or "", page), *_in_docstrings(integration)]
    if examples:
        with Runtime({}, plugins=Plugins(integration), simulate=True, workers=1, environ={}) as runtime:
            yield from check_syntax(examples, runtime)
            yield from check_calls(examples, Checker(runtime.catalog))
    yield from _notes(integration)


def _in_docstrings(integration: Integration) -> Iterator[Example]:
    for function in integration.functions.own.values():
        source = source_of(function.handler)
        if source:
            file, _, line = source.docstring_place.rpartition(":")
            yield from examples_in(function.doc, file, int(line))


def _notes(integration: Integration) -> Iterator[Defect]:
    if integration.simulate is None:
        remedy = "write one with @integration.simulator, so that scripts can be tried"
        yield Defect(integration.origin, "there is no simulator for --simulate", remedy, note=True)
    if integration.identify is None and any(field.secret for field in integration.account_fields):
        remedy = "write @integration.identifies with one cheap request"
        yield Defect(integration.origin, "accounts check cannot tell whom an account belongs to", remedy, note=True)


@dataclass(frozen=True)
class Example:
    """An example in Lua, from line ``first`` of a file."""

    file: str
    first: int
    text: str

    def place_of(self, line: int) -> str:
        """Return ``file:line`` for a line of the example, at most its last."""
        last = len(self.text.splitlines())
        return f"{self.file}:{self.first + min(line, last) - 1}"


def examples_in(text: str, file: str, first: int = 1) -> Iterator[Example]:
    """Yield each block of Lua in Markdown that begins at line ``first``."""
    for block in _FENCED.finditer(text):
        yield Example(file, first + text.count("\n", 0, block.start(1)), block[1])


def check_syntax(examples: Sequence[Example], runtime: Runtime) -> Iterator[Defect]:
    """Yield a finding for each example that does not compile."""
    outcome = runtime.run(_COMPILE, args=[example.text for example in examples])
    if outcome.error:
        raise outcome.error
    messages = outcome.result[0]
    assert isinstance(messages, list)
    for example, message in zip(examples, map(str, messages), strict=True):
        said = _MESSAGE.match(message)
        if message:
            line, problem = (int(said[1]), said[2]) if said else (1, message)
            hint = syntax_hint(example.text.encode(), message) or "correct it"
            yield Defect(example.place_of(line), f"the example is not Lua: {problem}", hint)


def check_calls(examples: Sequence[Example], checker: Checker) -> Iterator[Defect]:
    """Yield what the check of scripts finds in each example that is Lua. What would not fail is a note."""
    for example in examples:
        report = checker.check(example.text)
        for found in report.findings if report.is_lua else ():
            if found.code not in (SETUP, "undefined"):  # an example can be a part of a script
                yield Defect(example.place_of(found.line), found.message, found.hint, note=found.code not in _FAILING)
