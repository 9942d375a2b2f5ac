"""Binds the arguments of a script's call to a function's parameters, or says what is wrong with the arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from kosmolua.errors import BadArguments
from kosmolua.protocol import Json
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.types import List, Type
from kosmolua.suggestions import as_hint, listed, parameters_meant

REQUIRED = inspect.Parameter.empty

MAX_FAULTS = 6
"""The most faults that one message lists. It lists several, so that a language model can correct them all at once."""
MAX_NAME = 80
"""The most characters of an unknown name that a message quotes."""


class Parameter(NamedTuple):
    """A parameter of a function that scripts can call.

    Args:
        name: The name in Lua.
        type: The type that the documentation shows.
        about: One sentence for the documentation.
        default: The default, or :data:`REQUIRED`.
        unless: A parameter that a call can pass instead of this required one, or an empty string.
        alias: Another name by which calls can pass it, such as the service's own; empty if there is none.
        checked: The type that values are checked against, if it differs from ``type``.
        null: Whether ``json.null`` is passed on as None; otherwise it counts as left out.
        inside: Where inside another argument a call can pass the value instead, such as ``("extra", "body", "name")``;
            empty if nowhere.
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
        """What checks and converts an argument, and raises :class:`Mismatch` for a wrong one."""
        return (self.checked or self.type).accept

    @property
    def required(self) -> bool:
        """Whether a call has to pass this parameter, or that of :attr:`unless`."""
        return self.default is REQUIRED

    @property
    def may_be_absent(self) -> bool:
        return not self.required or bool(self.unless)

    def is_inside(self, given: Mapping[str, object]) -> bool:
        """Return True if a call passes the value at :attr:`inside`, or if that is no table, which is reported
        elsewhere.
        """
        around: object = given
        for depth, key in enumerate(self.inside):
            if not isinstance(around, Mapping):
                return depth > 1  # at depth 1 it is the other argument itself, which has to be a table
            if key not in around:
                return False
            around = around[key]
        return bool(self.inside)


class ArgumentFault(NamedTuple):
    """One thing that is wrong with the arguments of a call.

    Args:
        param: The name of the parameter.
        problem: The sentence after its subject, such as ``must be an integer, not 1.5``.
        subject: The place of the wrong value, such as ``tags[2]``; empty if the function is the subject.
        hint: What to do about it, or an empty string.
    """

    param: str
    problem: str
    subject: str = ""
    hint: str = ""

    def clause(self, path: str = "") -> str:
        """Return the fault as a clause of a message; the first clause begins with the function's ``path``."""
        if path:
            return f"{path}: {self.subject} {self.problem}" if self.subject else f"{path} {self.problem}"
        return f"{self.subject or 'it'} {self.problem}"


class Binder:
    """Binds the arguments of a call to a function's parameters.

    ``usage`` is the hint for missing or too many arguments; ``extra`` checks the argument ``extra``, if calls can pass
    it besides.
    """

    def __init__(
        self, parameters: Sequence[Parameter], usage: str, extra: Callable[[str, Json], object] | None = None
    ) -> None:
        self._extra = extra
        self._parameters = parameters
        self._usage = usage
        self._takes_list = bool(parameters) and isinstance(parameters[0].type, List)
        self._accepts = [(parameter.name, parameter.accept) for parameter in parameters]
        self._aliases = {parameter.alias: parameter.name for parameter in parameters if parameter.alias}
        self._nulls = {parameter.name for parameter in parameters if parameter.null}
        self._required = [(each.name, each.unless, each.is_inside) for each in parameters if each.required]
        self._left_out = dict.fromkeys(parameter.name for parameter in parameters if parameter.unless)

    def bind(self, path: str, given: Sequence[Json]) -> dict[str, object]:
        """Check and convert the arguments of a call. Return them by name, in the order of the parameters.

        ``path`` is the one by which the script called the function; ``given`` is nothing, one table of named arguments,
        or values in the order of the parameters.

        Raises:
            BadArguments: A name is unknown, a value does not fit, or a required argument is missing. The message lists
                up to ``MAX_FAULTS`` such faults.
        """
        named = self._by_name(path, given) if given else {}
        if self._extra and "extra" in named:
            rest = {name: value for name, value in named.items() if name != "extra"}
            return self.bind(path, [rest]) | {"extra": self._extra(path, named["extra"])}
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
        if len(given) == 1 and isinstance(given[0], list) and self._takes_list:
            return {self._parameters[0].name: given[0]}
        if any(isinstance(value, list) for value in given):
            raise BadArguments(f"{path} takes a list only as a named argument", hint=self._usage)
        if len(given) > len(self._parameters):
            most = len(self._parameters)
            raise BadArguments(f"{path} takes at most {most} arguments, not {len(given)}", hint=self._usage)
        pairs = zip(self._parameters, given, strict=False)
        return {parameter.name: value for parameter, value in pairs if value is not None}

    def _refusal(self, path: str, named: Mapping[str, Json]) -> BadArguments:
        """Return an error with the first :data:`MAX_FAULTS` faults, and each hint once."""
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

    def _missing(self, named: Mapping[str, Json], likely: Mapping[str, Sequence[str]]) -> Iterator[ArgumentFault]:
        """Yield a fault for each missing required parameter, unless it was probably passed under a wrong name."""
        there = named.keys() | {names[0] for names in likely.values() if names}
        for parameter in self._parameters:
            is_given = {parameter.name, parameter.unless} & there or parameter.is_inside(named)
            if parameter.required and not is_given:
                instead = f", or {parameter.unless}" if parameter.unless else ""
                problem = f"needs {parameter.name}, {parameter.type.words}{instead}"
                yield ArgumentFault(parameter.name, problem, hint=self._usage)

    def _unknown(self, likely: Mapping[str, Sequence[str]], known: Sequence[str]) -> Iterator[ArgumentFault]:
        for name, names in likely.items():
            hint = as_hint(names) or (f"its parameters are {listed(known, 40)}" if known else "it takes no arguments")
            yield ArgumentFault(name[:MAX_NAME], f"has no parameter {name[:MAX_NAME]!r}", hint=hint)

    def _misfits(self, named: Mapping[str, Json]) -> Iterator[ArgumentFault]:
        for name, accept in self._accepts:
            try:
                if name in named:
                    accept(named[name])
            except Mismatch as mismatch:
                yield ArgumentFault(name, mismatch.problem, f"{name}{mismatch.where}", mismatch.hint)
            except RecursionError:
                yield ArgumentFault(name, "is nested too deeply", subject=name)


def unsendable(subject: str, fault: Mapping[str, str]) -> BadArguments:
    """Return the error for an argument that cannot be sent as JSON, such as a function.

    ``fault`` has the keys ``where``, such as ``tags[2]``, and ``problem``.
    """
    where = fault["where"]
    param = where.partition(".")[0].partition("[")[0] or None
    return BadArguments(f"{subject}: {where or 'an argument'} {fault['problem']}", param=param)
