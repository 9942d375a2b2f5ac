"""Arguments: what a script passed, bound to the parameters of a function, or everything that is wrong with it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kosmolua.errors import BadArguments
from kosmolua.protocol import Json
from kosmolua.schema.types import Mismatch, Type
from kosmolua.suggestions import as_hint, parameters_meant

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One named argument of a function.

    Args:
        name: As Lua writes it.
        type: What fits.
        about: One sentence for the reference.
        default: What the function takes when nothing is given; :data:`REQUIRED` where something must be.
        unless: The parameter that may be given in place of this required one, or nothing.
    """

    name: str
    type: Type
    about: str
    default: object = REQUIRED
    unless: str = ""

    @property
    def required(self) -> bool:
        """Whether a call must give it, or what may stand in its place."""
        return self.default is REQUIRED

    @property
    def may_be_absent(self) -> bool:
        """Whether there are calls without it."""
        return not self.required or bool(self.unless)


MOST_FAULTS = 6
"""How many a message tells at most: a script of wrong names is repaired in one go."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the arguments of a call.

    Args:
        param: The name it is about.
        problem: What follows its subject, as in ``needs limit, an integer`` or ``must be an integer, not 1.5``.
        subject: The value that does not fit, such as ``tags[2]``; nothing where it is the function that refuses.
        hint: What to do about it, or nothing.
    """

    param: str
    problem: str
    subject: str = ""
    hint: str = ""

    def clause(self, path: str = "") -> str:
        """Return it as a clause: one that names the function, or one that follows another with a semicolon."""
        if path:
            return f"{path}: {self.subject} {self.problem}" if self.subject else f"{path} {self.problem}"
        return f"{self.subject or 'it'} {self.problem}"


class Binder:
    """Binds the arguments of calls to parameters.

    Args:
        parameters: In declared order, which is that of positional arguments.
        usage: What to do where arguments are missing or too many, as in ``call it as get({ id })``.
    """

    def __init__(self, parameters: Sequence[Parameter], usage: str) -> None:
        self._parameters = parameters
        self._names = [parameter.name for parameter in parameters]
        self._usage = usage

    def bind(self, path: str, given: Sequence[Json]) -> dict[str, object]:
        """Return the arguments by name, in declared order, checked and converted.

        Args:
            path: How the caller named the function, for messages.
            given: What Lua passed: nothing, one table of named arguments, or values in declared order.

        Raises:
            BadArguments: Names are unknown, values do not fit, or required ones are missing; it tells them all.
        """
        named = self._by_name(path, given)
        values = {each.name: _fitted(each, named[each.name]) for each in self._parameters if each.name in named}
        misfits = [value for value in values.values() if isinstance(value, Fault)]
        if faults := [*self._absent(named), *misfits]:
            raise self._refusal(path, faults)
        left_out = {parameter.name: None for parameter in self._parameters if parameter.unless}
        return left_out | values

    def _by_name(self, path: str, given: Sequence[Json]) -> dict[str, Json]:
        while given and given[-1] is None:
            given = given[:-1]
        if len(given) == 1 and isinstance(given[0], Mapping):
            return {str(name): value for name, value in given[0].items() if value is not None}
        if any(isinstance(value, Mapping) for value in given):
            problem = "takes one table of named arguments, or plain values in order, not both"
            raise BadArguments(f"{path} {problem}", hint=self._usage)
        if any(isinstance(value, list) for value in given):
            raise BadArguments(f"{path} takes a list by its name only", hint=self._usage)
        if len(given) > len(self._parameters):
            raise BadArguments(
                f"{path} takes at most {len(self._parameters)} arguments, not {len(given)}", hint=self._usage
            )
        pairs = zip(self._names, given, strict=False)
        return {name: value for name, value in pairs if value is not None}

    def _absent(self, named: Mapping[str, Json]) -> Iterator[Fault]:
        """Yield the missing parameters that no wrong name seems to mean, and the wrong names."""
        unknown = {name: parameters_meant(name, self._names) for name in named if name not in self._names}
        meant = {likely[0] for likely in unknown.values() if likely}
        for parameter in self._parameters:
            if parameter.required and not {parameter.name, parameter.unless} & (named.keys() | meant):
                instead = f", or {parameter.unless}" if parameter.unless else ""
                problem = f"needs {parameter.name}, {parameter.type.words}{instead}"
                yield Fault(parameter.name, problem, hint=self._usage)
        for name, likely in unknown.items():
            hint = as_hint(likely) or f"it takes {', '.join(self._names) or 'no arguments'}"
            yield Fault(name[:80], f"has no parameter {name[:80]!r}", hint=hint)

    def _refusal(self, path: str, faults: Sequence[Fault]) -> BadArguments:
        first = faults[0]
        if len(faults) == 1:
            return BadArguments(first.clause(path), param=first.param, hint=first.hint or None)
        told = "; ".join(self._clauses(path, faults[:MOST_FAULTS]))
        more = f"; and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        return BadArguments(told + more, param=first.param, hint=self._usage)

    def _clauses(self, path: str, faults: Sequence[Fault]) -> Iterator[str]:
        """Yield a clause for each fault, with its hint unless it was given before, or goes for all."""
        given = {"", self._usage}
        for number, fault in enumerate(faults):
            hint = "" if fault.hint in given else f" ({fault.hint})"
            given.add(fault.hint)
            yield fault.clause("" if number else path) + hint


def _fitted(parameter: Parameter, value: Json) -> object:
    """Return the value to hand to the function, or what is wrong with it."""
    try:
        return parameter.type.accept(value)
    except Mismatch as mismatch:
        return Fault(parameter.name, mismatch.problem, subject=f"{parameter.name}{mismatch.where}")
    except RecursionError:
        return Fault(parameter.name, "is nested too deeply", subject=parameter.name)
