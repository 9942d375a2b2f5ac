"""Arguments: what a script passed, bound to the parameters of a function, or everything that is wrong with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kosmolua.errors import BadArguments
from kosmolua.protocol import Json
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.types import Type
from kosmolua.suggestions import as_hint, listed, parameters_meant

REQUIRED = inspect.Parameter.empty

MAX_FAULTS = 6
"""Faults that a message tells, so that a model can correct many names at once. No more names are looked at closely."""
MAX_NAME = 80
"""Characters of an unknown name that a message quotes."""


@dataclass(frozen=True)
class Parameter:
    """One named argument of a function.

    Args:
        name: As Lua writes it.
        type: What fits.
        about: One sentence for the reference.
        default: The function's own default, or :data:`REQUIRED` if it has none.
        unless: The parameter that may be given instead of this required one, or nothing.
        alias: Another spelling that calls may use, such as the service's own, or nothing.
        checked: What a call's value is held to, if that is less than the type says.
        null: True if ``json.null`` is handed on as None; otherwise the parameter then is left out.
        inside: The place in another argument that may hold it instead, such as ``extra``, ``body``, ``name``.
    """

    name: str
    type: Type
    about: str
    default: object = REQUIRED
    unless: str = ""
    alias: str = ""
    checked: Type | None = None
    null: bool = False
    inside: tuple[str, ...] = ()

    @property
    def accept(self) -> Callable[[object], object]:
        """Returns the value to hand to the function for one that fits, and raises :class:`Mismatch` for another."""
        return (self.checked or self.type).accept

    @property
    def required(self) -> bool:
        """True if a call must give it, or the parameter that may be given instead."""
        return self.default is REQUIRED

    @property
    def may_be_absent(self) -> bool:
        """True if a call may leave it out."""
        return not self.required or bool(self.unless)

    def is_inside(self, given: Mapping[str, object]) -> bool:
        """Return True if another argument contains it, or has another value than a table where it would be."""
        around: object = given
        for depth, key in enumerate(self.inside):
            if not isinstance(around, Mapping):
                return depth > 1  # at 1 it is the other argument itself, which has to be a table
            if key not in around:
                return False
            around = around[key]
        return bool(self.inside)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with the arguments of a call.

    Args:
        param: The name it is about.
        problem: What follows its subject, as in ``needs limit, an integer`` or ``must be an integer, not 1.5``.
        subject: The value that does not fit, such as ``tags[2]``; nothing if the subject is the function.
        hint: What to do about it, or nothing.
    """

    param: str
    problem: str
    subject: str = ""
    hint: str = ""

    def clause(self, path: str = "") -> str:
        """Return the fault as a clause that names the function, or as one that follows another after a semicolon."""
        if path:
            return f"{path}: {self.subject} {self.problem}" if self.subject else f"{path} {self.problem}"
        return f"{self.subject or 'it'} {self.problem}"


class Binder:
    """Binds the arguments of calls to parameters.

    Args:
        parameters: In declared order, which is that of positional arguments.
        usage: What to do if arguments are missing or too many, as in ``call it as get({ id })``.
    """

    def __init__(self, parameters: Sequence[Parameter], usage: str) -> None:
        self._parameters = parameters
        self._usage = usage
        self._accepts = [(parameter.name, parameter.accept) for parameter in parameters]
        self._aliases = {parameter.alias: parameter.name for parameter in parameters if parameter.alias}
        self._nulls = {parameter.name for parameter in parameters if parameter.null}
        self._required = [(each.name, each.unless, each.is_inside) for each in parameters if each.required]
        self._left_out = dict.fromkeys(parameter.name for parameter in parameters if parameter.unless)

    def bind(self, path: str, given: Sequence[Json]) -> dict[str, object]:
        """Return the arguments by name, in declared order, checked and converted.

        Args:
            path: The function as the caller named it, for messages.
            given: What Lua passed: nothing, one table of named arguments, or values in declared order.

        Raises:
            BadArguments: Names are unknown, values do not fit, or required ones are missing; it tells them all.
        """
        named = self._by_name(path, given) if given else {}
        try:
            values = {name: accept(named[name]) for name, accept in self._accepts if name in named}
        except (Mismatch, RecursionError):
            raise self._refusal(path, named) from None
        if len(values) < len(named):
            raise self._refusal(path, named)
        for name, instead, is_inside in self._required:
            if name not in values and instead not in values and not is_inside(values):
                raise self._refusal(path, named)
        return self._left_out | values if self._left_out else values

    def _by_name(self, path: str, given: Sequence[Json]) -> dict[str, Json]:
        while given and given[-1] is None:
            given = given[:-1]
        if len(given) == 1 and isinstance(given[0], (dict, Mapping)):
            named = {self._aliases.get(str(name), str(name)): value for name, value in given[0].items()}
            return {name: value for name, value in named.items() if value is not None or name in self._nulls}
        if any(isinstance(value, (dict, Mapping)) for value in given):
            problem = "takes one table of named arguments, or plain values in order, not both"
            raise BadArguments(f"{path} {problem}", hint=self._usage)
        if any(isinstance(value, list) for value in given):
            raise BadArguments(f"{path} takes a list by its name only", hint=self._usage)
        if len(given) > len(self._parameters):
            most = len(self._parameters)
            raise BadArguments(f"{path} takes at most {most} arguments, not {len(given)}", hint=self._usage)
        pairs = zip(self._parameters, given, strict=False)
        return {parameter.name: value for parameter, value in pairs if value is not None}

    def _refusal(self, path: str, named: Mapping[str, Json]) -> BadArguments:
        """Return the error that tells the first faults, each hint once."""
        known = [parameter.name for parameter in self._parameters]
        unknown = [name for name in named if name not in known]
        likely = {name: parameters_meant(name, known) for name in unknown[:MAX_FAULTS]}
        faults = [*self._missing(named, likely), *self._unknown(likely, known), *self._misfits(named)]
        first, count = faults[0], len(faults) + len(unknown) - len(likely)
        if count == 1:
            return BadArguments(first.clause(path), param=first.param, hint=first.hint)
        clauses: list[str] = []
        told = {"", self._usage}
        for fault in faults[:MAX_FAULTS]:
            clauses.append(fault.clause("" if clauses else path) + ("" if fault.hint in told else f" ({fault.hint})"))
            told.add(fault.hint)
        more = f"; and {count - MAX_FAULTS} more" if count > MAX_FAULTS else ""
        return BadArguments("; ".join(clauses) + more, param=first.param, hint=self._usage)

    def _missing(self, named: Mapping[str, Json], likely: Mapping[str, Sequence[str]]) -> Iterator[Fault]:
        """Yield the required parameters that are missing, unless an unknown name is likely meant for one."""
        there = named.keys() | {names[0] for names in likely.values() if names}
        for parameter in self._parameters:
            is_given = {parameter.name, parameter.unless} & there or parameter.is_inside(named)
            if parameter.required and not is_given:
                instead = f", or {parameter.unless}" if parameter.unless else ""
                problem = f"needs {parameter.name}, {parameter.type.words}{instead}"
                yield Fault(parameter.name, problem, hint=self._usage)

    def _unknown(self, likely: Mapping[str, Sequence[str]], known: Sequence[str]) -> Iterator[Fault]:
        for name, names in likely.items():
            hint = as_hint(names) or f"it takes {listed(known, 40) or 'no arguments'}"
            yield Fault(name[:MAX_NAME], f"has no parameter {name[:MAX_NAME]!r}", hint=hint)

    def _misfits(self, named: Mapping[str, Json]) -> Iterator[Fault]:
        for name, accept in self._accepts:
            try:
                if name in named:
                    accept(named[name])
            except Mismatch as mismatch:
                yield Fault(name, mismatch.problem, subject=f"{name}{mismatch.where}")
            except RecursionError:
                yield Fault(name, "is nested too deeply", subject=name)


def unsendable(subject: str, fault: Mapping[str, str]) -> BadArguments:
    """Return the refusal of arguments that could not leave the sandbox.

    Args:
        subject: What was called.
        fault: ``where`` in the arguments, and the ``problem``.
    """
    where = fault["where"]
    param = where.partition(".")[0].partition("[")[0] or None
    return BadArguments(f"{subject}: {where or 'an argument'} {fault['problem']}", param=param)
