"""Conditions of permissions: the arguments with which a call is allowed, as accounts files write them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kosmolua.schema.arguments import Parameter
from kosmolua.schema.bounds import MAX_MATCHED, Length, Pattern, Range
from kosmolua.schema.mismatch import Mismatch, must_be
from kosmolua.schema.types import Choice, List, Map, Record, Scalar, Type
from kosmolua.suggestions import did_you_mean, list_of

OTHERWISE = ("ask", "deny")
"""What a permission with a condition can be for other arguments."""
_BOUNDS = ("min", "max", "pattern")


class Condition:
    """What the parameters of a call must be, by name: an exact value, a list of values, or bounds of the value.

    Raises:
        Mismatch: A parameter has no values or bounds, or they are not valid.
    """

    def __init__(self, parameters: object) -> None:
        if not isinstance(parameters, Mapping) or not parameters:
            raise must_be("a table of parameters, such as { num_instances = { max = 3 } }", parameters)
        self.parameters = parameters
        self._types = {name: _within(name, given) for name, given in parameters.items()}

    def __str__(self) -> str:
        return " and ".join(
            f"{name} is {_listed(kind) if isinstance(kind, Choice) else kind.words}"
            for name, kind in self._types.items()
        )

    def unmet(self, arguments: Mapping[str, object]) -> str:
        """Return why the arguments do not meet the condition, as a clause; empty if they do.

        What ``extra`` adds to a request can replace any parameter, so it has to be a part of the condition itself.
        """
        for name, given in arguments.items():  # a function with a parameter "extra" of its own has "extra_"
            if name.rstrip("_") == "extra" and given is not None and name not in self._types:
                return f"{name} can change what is sent"
        for name, kind in self._types.items():
            try:
                if arguments.get(name) is None:
                    return f"{name} is not given"
                kind.accept(arguments[name])
            except Mismatch as mismatch:
                return f"{name}{mismatch.where} {mismatch.problem}"
        return ""

    def check(self, functions: Sequence[Sequence[Parameter]]) -> None:
        """Raise a Mismatch unless a function has each parameter, and the parameter can have these values.

        ``functions`` are the parameters of each function that the condition is for.
        """
        for name, kind in self._types.items():
            found = [each for parameters in functions for each in parameters if each.name == name]
            if not found and name != "extra":
                known = sorted({each.name for parameters in functions for each in parameters})
                raise Mismatch(f"has no parameter {name!r} ({did_you_mean(name, known) or list_of('it has', known)})")
            for each in found:
                _compare(each, kind)


def _within(name: str, given: object) -> Type:
    if not isinstance(given, Mapping):
        values: list[Any] = given if isinstance(given, list) else [given]
        if not values:
            raise Mismatch("must be a value, or a list of at least one", f".{name}")
        return Choice(tuple(values))
    unknown = [key for key in given if key not in _BOUNDS]
    if unknown or not given or ("pattern" in given and len(given) > 1):
        raise Mismatch(
            f"takes min, max or both, or pattern, not {', '.join(unknown or given) or 'nothing'}", f".{name}"
        )
    if "pattern" in given:
        try:
            re.compile(given["pattern"])
        except (re.error, TypeError):
            raise must_be("a regular expression", given["pattern"]).inside(f".{name}.pattern") from None
        return Scalar("string", (Length(maximum=MAX_MATCHED), Pattern(given["pattern"])))
    for key, end in given.items():
        if isinstance(end, bool) or not isinstance(end, (int, float)):
            raise must_be("a number", end).inside(f".{name}.{key}")
    return Scalar("number", (Range(given.get("min"), given.get("max")),))


def _compare(parameter: Parameter, wanted: Type) -> None:
    """Raise a Mismatch if a parameter can never have a wanted value."""
    kind = parameter.checked or parameter.type
    if isinstance(wanted, Choice):
        for value in wanted.values:
            try:
                kind.accept(value)
            except Mismatch as mismatch:
                raise Mismatch(mismatch.problem, f".{parameter.name}{mismatch.where}") from None
        return
    is_number = isinstance(wanted, Scalar) and wanted.kind == "number"
    others = ("string", "boolean", "secret") if is_number else ("integer", "number", "boolean")
    if isinstance(kind, (List, Map, Record)) or (isinstance(kind, Scalar) and kind.kind in others):
        bounds = "min and max are for numbers" if is_number else "pattern is for texts"
        raise Mismatch(f"is {kind.words}, and {bounds}", f".{parameter.name}")


def _listed(kind: Choice) -> str:
    values: list[Any] = [json.dumps(value, ensure_ascii=False, default=str) for value in kind.values]
    return " or ".join(filter(None, [", ".join(values[:-1]), values[-1]]))
