"""The check of a whole plugin: everything that there is to find, sorted by place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kosmolua.lint.effects import check_effect
from kosmolua.lint.examples import Example, check_calls, check_syntax, examples_in
from kosmolua.lint.finding import Finding
from kosmolua.lint.page import check_page
from kosmolua.lint.signatures import check_function, check_integration
from kosmolua.lint.source import source_of
from kosmolua.plugins import Plugin, Plugins
from kosmolua.runtime import Runtime
from kosmolua.spec.integration import Integration


def check(plugin: Plugin) -> list[Finding]:
    """Return what could be better about a plugin that is loaded: the findings by file and line, then the notes."""
    return sorted(_found(plugin), key=lambda finding: finding.order)


def _found(plugin: Plugin) -> Iterator[Finding]:
    integration, prose = plugin.integration, plugin.prose()
    page = str(Path(integration.origin.rpartition(":")[0]).parent / f"{integration.name}.md")
    yield from check_integration(integration)
    for function in integration.functions.values():
        yield from check_function(function, integration.prefix)
        yield from check_effect(function)
    yield from check_page(integration, prose, page)
    examples = [*examples_in(prose or "", page), *_in_docstrings(integration)]
    for example in examples:
        yield from check_calls(example, integration)
    yield from _misspelt(examples)
    yield from _notes(integration)


def _in_docstrings(integration: Integration) -> Iterator[Example]:
    for function in integration.functions.values():
        source = source_of(function.handler)
        if source:
            file, _, line = source.docstring_place.rpartition(":")
            yield from examples_in(function.doc, file, int(line))


def _misspelt(examples: list[Example]) -> Iterator[Finding]:
    if examples:
        with Runtime({}, plugins=Plugins(places=(), entry_points=dict), workers=1, environ={}) as runtime:
            yield from check_syntax(examples, runtime)


def _notes(integration: Integration) -> Iterator[Finding]:
    if integration.simulate is None:
        remedy = "write one with @integration.simulator, so that scripts can be tried"
        yield Finding(integration.origin, "there is no simulator for --simulate", remedy, note=True)
    if integration.identify is None and any(field.secret for field in integration.account_fields):
        remedy = "write @integration.identifies with one cheap request"
        yield Finding(integration.origin, "accounts check cannot say whose an account is", remedy, note=True)
