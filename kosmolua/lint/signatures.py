"""Signatures: what models and people are told of functions, parameters, results and accounts."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

from kosmolua.lint.finding import Finding
from kosmolua.lint.source import source_of
from kosmolua.spec.function import Function
from kosmolua.spec.integration import Integration
from kosmolua.spec.names import KEYWORDS
from kosmolua.spec.parameter import Parameter
from kosmolua.spec.types import Type

LONGEST_SUMMARY = 120
_SNAKE = re.compile(r"[a-z][a-z0-9_]*")


def check_integration(integration: Integration) -> Iterator[Finding]:
    """Yield what an integration and its accounts leave unsaid."""
    place, account = integration.origin, integration.account
    module = sys.modules.get(account.__module__)
    if module is not None and not module.__doc__:
        yield Finding(place, "the module has no docstring", "say in its first line what it knows")
    if not integration.about.endswith("."):
        yield Finding(place, "about is not a sentence", "say what the integration is for, and end with a full stop")
    if not account.__doc__ or account.__doc__.startswith(f"{account.__name__}("):
        yield Finding(place, f"{account.__name__} has no docstring", "say what one account is")
    for field in integration.account_fields:
        if field.required and not field.about:
            subject = f"{field.name} of {account.__name__}"
            yield Finding(place, f"{subject} has no sentence", 'write its type as Annotated[..., "where to find it"]')


def check_function(function: Function, prefix: str) -> Iterator[Finding]:
    """Yield what a function's name, docstring and result leave to be desired, and its parameters'."""
    name, place = function.name, function.origin
    source = source_of(function.handler)
    parameters = source.parameter_places if source else {}
    yield from _check_name(place, f"the function {name}", name)
    if prefix and name.startswith(f"{prefix}_"):
        yield Finding(
            place, f"{name} has the prefix in its name", f"its full name is {function.full_name}: leave it out"
        )
    yield from _check_summary(source.docstring_place if source else place, name, function.summary)
    if function.returns is None:
        yield Finding(place, f"{name} does not say what it returns", "annotate the result, best with a TypedDict")
    for parameter in function.parameters:
        yield from _check_parameter(parameters.get(parameter.name, place), name, parameter)


def _check_summary(place: str, function: str, summary: str) -> Iterator[Finding]:
    subject = f"the first line of {function}'s docstring"
    if not summary.endswith("."):
        yield Finding(place, f"{subject} is not a sentence", "end it with a full stop")
    if len(summary) > LONGEST_SUMMARY:
        remedy = f"say it in {LONGEST_SUMMARY}, and the rest below an empty line"
        yield Finding(place, f"{subject} has {len(summary)} characters", remedy)


def _check_parameter(place: str, function: str, parameter: Parameter) -> Iterator[Finding]:
    subject = f"parameter {parameter.name} of {function}"
    yield from _check_name(place, subject, parameter.name)
    if not parameter.about:
        yield Finding(place, f"{subject} has no sentence", 'write its type as Annotated[..., "what it is for"]')
    if _says_nothing(parameter.type):
        yield Finding(place, f"{subject} takes anything", "say what fits, such as dict[str, str] or a TypedDict")


def _check_name(place: str, subject: str, name: str) -> Iterator[Finding]:
    if name in KEYWORDS:
        yield Finding(
            place, f"{subject} is named by a word of Lua", f'scripts would have to write ["{name}"]: rename it'
        )
    elif not _SNAKE.fullmatch(name):
        yield Finding(place, f"{subject} is not in snake case", "use a-z, 0-9 and _")


def _says_nothing(kind: Type) -> bool:
    """Say whether a type is ``Any``, or a list or table of ``Any``."""
    if kind.record or kind.choices or kind.label not in ("any", "array", "object"):
        return False
    return _says_nothing(kind.parts[0]) if kind.label != "any" else not kind.parts
