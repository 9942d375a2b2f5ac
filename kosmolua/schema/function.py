"""A function of an integration, made from the signature and docstring of a Python function."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, NamedTuple, TypeAlias, get_args, get_origin

from kosmolua.errors import PluginError
from kosmolua.protocol import Json
from kosmolua.schema.annotations import Uncarriable, optional, sentence, type_of
from kosmolua.schema.arguments import REQUIRED, Binder, Parameter
from kosmolua.schema.bounds import Unless
from kosmolua.schema.effects import Effect
from kosmolua.schema.labels import DECLARED, NONE, Labels
from kosmolua.schema.mismatch import Mismatch
from kosmolua.schema.names import objection_to_function
from kosmolua.schema.types import ANY, STRING, Record, Scalar, Type, Union, has_secrets
from kosmolua.secret import SecretText

FULL = "full"
"""The value of the parameter :attr:`Function.reply` for a whole result."""

POINTERS = {"cursor": "cursor", "next_page": "page", "next_end_time": "end_time"}
"""The keys of a result whose values lead to the next part of a list, each with the parameter that takes its value."""
OF_PARTS = frozenset({"all", "cursor", "limit", "page", "per_page", "most"})
"""The usual parameters that say which part of a list is meant. The other arguments of a call are filters."""

Step: TypeAlias = "tuple[str, Mapping[str, Any]]"
"""A call of the same integration and account: the name of the function, and its arguments."""
Before: TypeAlias = "Callable[[Mapping[str, Any]], Step | None]"
Undo: TypeAlias = "Callable[[Mapping[str, Any], Any, Any], Sequence[Step] | str]"


class NewSession(NamedTuple):
    """What the function returns that begins a session: the credentials, by the account's fields."""

    credentials: Mapping[str, SecretText]


class Paging(NamedTuple):
    """How a function returns a list in parts.

    Args:
        key: The key of a result whose value leads to the next part; empty if there is none.
        parameter: The parameter that takes this value.
        takes_all: Whether the function can return the whole list.
    """

    key: str
    parameter: str
    takes_all: bool


@dataclass(frozen=True)
class Function:
    """A function that scripts can call.

    Args:
        name: The short name.
        full_name: The name with the integration's prefix.
        effect: What it does to the service.
        handler: The Python function, called with the opened account, and the arguments by name.
        parameters: In the order of positional arguments.
        doc: The whole docstring; its first line is the summary.
        returns: The type of the result; None if nothing is declared.
        origin: The file and line of the Python function.
        is_foreign: Whether the description is a service's own document, which does not say which values are secrets.
        has_credentials: Whether results can contain credentials although the description is foreign.
        idempotency: The header in which the service takes a key, so that it carries out requests with equal keys only
            once. None if it takes none.
        was_done: Called like ``handler``; reads whether this write was done, and returns its result, or None if it was
            not. None if this cannot be read.
        before: Returns the read that shows what a write with these arguments is about to change.
        undo: Returns the calls that take a write back, or a sentence that says what is lost; or this sentence itself.
            None if nothing is known.
        assume: What a plan assumes of the outcome of a write, by field, such as ``deploy.status``.
        labels: Who can write what it returns, and where it sends its arguments, as far as this is declared.
        reply: The parameter that makes a result whole, with status and headers around what ``returns`` describes; empty
            if there is none.
        acts_as: Returns, for the arguments of a call as they were passed, the functions that it amounts to: it has the
            strictest of their permissions, and the gravest of their effects. None for a call that is only itself.
        extra: Checks the argument ``extra`` of a call, by the function's path, for a function whose requests it adds to
            although no parameter says so; None if the function has no such argument.
        former: The tool of an MCP server as it was before a change that nobody has accepted.
    """

    name: str
    full_name: str
    effect: Effect
    handler: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    doc: str
    returns: Type | None
    origin: str
    is_foreign: bool = False
    has_credentials: bool = False
    idempotency: str | None = None
    was_done: Callable[..., Any] | None = None
    before: Before | None = None
    undo: Undo | str | None = None
    assume: Mapping[str, Json] | None = None
    labels: Labels = NONE
    reply: str = ""
    acts_as: Callable[[Sequence[Json]], Sequence[str]] | None = None
    extra: Callable[[str, Json], object] | None = None
    former: Function | None = None

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return self.doc.partition("\n")[0]

    @property
    def signature(self) -> str:
        """How to call it in Lua, such as ``get({ id, days? })``; a question mark follows an optional parameter."""
        names = [parameter.name + ("" if parameter.required else "?") for parameter in self.parameters]
        return f"{self.name}({{ {', '.join(names)} }})" if names else f"{self.name}()"

    @cached_property
    def returns_secrets(self) -> bool:
        """Whether results of the declared type can contain secrets."""
        return self.has_credentials or (not self.is_foreign and has_secrets(self.returns))

    def returned(self, arguments: Mapping[str, object]) -> Type | None:
        """Return the type of a call's result in which secrets are looked for; None if it can have none."""
        kind = self.returns if self.returns_secrets else None
        if self.has_credentials and not isinstance(kind, Scalar):  # what a document leaves out can be one, too
            kind = Union((kind, ANY)) if kind else ANY
        if self.reply and arguments.get(self.reply) == FULL:
            return Record("Reply", {"body": kind or STRING}, extra=ANY)
        return kind

    @cached_property
    def credentials(self) -> frozenset[str]:
        """The names of the parameters that are credentials."""
        return frozenset(each.name for each in self.parameters if _is_credential(each.type))

    @cached_property
    def paging(self) -> Paging | None:
        """How the function returns a list in parts, by the names of its parameters; None if it does not."""
        names = {parameter.name for parameter in self.parameters}
        fields = self.returns.fields if isinstance(self.returns, Record) else {}
        pointers = [key for key in POINTERS if key in fields or key != "next_end_time"]
        key = next((key for key in pointers if POINTERS[key] in names), "")
        return None if names.isdisjoint(OF_PARTS) else Paging(key, POINTERS.get(key, ""), "all" in names)

    @cached_property
    def bind(self) -> Callable[[str, Sequence[Json]], dict[str, object]]:
        """See :meth:`kosmolua.schema.arguments.Binder.bind`."""
        return Binder(self.parameters, f"call it as {self.signature}", self.extra).bind


def read_function(handler: Callable[..., Any], effect: Effect, prefix: str) -> Function:
    """Make a function for scripts from a Python function's signature and docstring.

    Raises:
        PluginError: The name cannot be used in Lua, the Python function has no docstring or is async, an annotation is
            missing or cannot be used, or the signature is not ``(opened, /, *, name: type, ...)``.
    """
    origin, name = origin_of(handler), handler.__name__
    if objection := objection_to_function(name):
        raise PluginError(f"a function cannot be called {name!r}", origin=origin, hint=objection)
    doc = inspect.getdoc(handler)
    if not doc:
        raise PluginError(f"{name} has no docstring", origin=origin, hint="say in one sentence what it does")
    if inspect.iscoroutinefunction(handler):
        raise PluginError(f"{name} is async, but calls are made in threads", origin=origin, hint="write it with def")
    parameters = [*inspect.signature(handler).parameters.values()]
    kinds = [parameter.kind for parameter in parameters]
    expected = [inspect.Parameter.POSITIONAL_ONLY] + [inspect.Parameter.KEYWORD_ONLY] * (len(kinds) - 1)
    if kinds != expected:
        raise PluginError(
            f"{name} must take the opened account before /, then the script's arguments after *",
            origin=origin,
            hint=f"write it as def {name}(api, /, *, first: type, second: type = default)",
        )
    try:
        hints = {key: _as_written(hint) for key, hint in typing.get_type_hints(handler, include_extras=True).items()}
    except (NameError, TypeError) as error:
        raise PluginError(f"an annotation of {name} cannot be evaluated: {error}", origin=origin) from None
    result = hints.get("return")
    read: list[Parameter] = []
    mistakes: list[PluginError] = []
    for parameter in parameters[1:]:
        try:
            read.append(_read_parameter(parameter, hints, name, origin))
        except PluginError as mistake:
            mistakes.append(mistake)
    if mistakes:
        raise PluginError.all_of(mistakes)
    return Function(
        name=name,
        full_name=f"{prefix}_{name}" if prefix else name,
        effect=effect,
        handler=handler,
        parameters=tuple(read),
        doc=doc,
        returns=None if result in (None, type(None)) else _type(result, "the result", name, origin),
        origin=origin,
    )


def with_declared(function: Function, **given: Any) -> Function:
    """Return a function with what its author declares: the keys of ``Declared`` and ``Labelled``.

    Raises:
        PluginError: A label is not valid.
    """
    labels = Labels(**{name: given.pop(name) for name in DECLARED if name in given})
    if objection := labels.objection():
        raise PluginError(f"{function.name}: {objection}", origin=function.origin)
    return replace(function, labels=labels if labels != NONE else function.labels, **given)


def _is_credential(kind: Type) -> bool:
    if isinstance(kind, Union):
        return any(map(_is_credential, kind.members))
    return isinstance(kind, Scalar) and (kind.kind == "secret" or kind.format == "password")


def origin_of(handler: Callable[..., Any]) -> str:
    """Return the file and first line of a Python function, as in ``plugin.py:12``."""
    code = inspect.unwrap(handler).__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _as_written(hint: Any) -> Any:
    """Return an annotation without the ``Optional`` that Python 3.10 adds for a default of None."""
    inner = [argument for argument in get_args(hint) if argument is not type(None)]
    wrapped = get_origin(hint) is typing.Union and len(inner) == 1 and get_origin(inner[0]) is Annotated
    return inner[0] if wrapped else hint


def _read_parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], function: str, origin: str) -> Parameter:
    subject = f"parameter {parameter.name} of {function}"
    if parameter.name not in hints:
        raise PluginError(f"{subject} has no annotation", origin=origin)
    annotation, default = hints[parameter.name], parameter.default
    extras = get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    instead = next((extra.other for extra in extras if isinstance(extra, Unless)), "")
    if default is REQUIRED and optional(annotation) and not instead:
        raise PluginError(f"{subject} allows None but has no default", origin=origin, hint="add = None")
    kind = _type(annotation, parameter.name, function, origin)
    if default is not REQUIRED and default is not None:
        try:
            kind.accept(default)
        except Mismatch as mismatch:
            raise PluginError(f"the default of {subject} {mismatch.problem}", origin=origin) from None
    return Parameter(parameter.name, kind, sentence(annotation), default, instead)


def _type(annotation: object, subject: str, function: str, origin: str) -> Type:
    try:
        return type_of(annotation)
    except Uncarriable as error:
        raise PluginError(f"{subject} of {function}: {error}", origin=origin, hint=error.hint) from None


def taken_by(function: Callable[..., object], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of some named options that a function takes."""
    parameters = inspect.signature(function).parameters.values()
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
    return {name: value for name, value in options.items() if takes_all or name in {each.name for each in parameters}}
