"""Inverses of writes: the calls that take a write back, or a sentence that says what is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kosmolua.schema.effects import is_final
from kosmolua.secret import MASK

if TYPE_CHECKING:
    from kosmolua.schema.function import Function, Step


class Later(dict[str, Any]):
    """The result of a write that was not made yet: each of its fields is such a value too."""

    def __missing__(self, key: object) -> Later:
        return Later()


def inverse_of(function: Function, arguments: Mapping[str, Any], before: Any, result: Any) -> Sequence[Step] | str:
    """Return the calls that take a write back, in order, or a sentence that says what is lost.

    ``before`` is the answer to the read that the function names so; None if there was nothing yet. The result can be
    :class:`Later`.
    """
    if function.undo is None:
        return "this function does not say how it is undone"
    if isinstance(function.undo, str):
        return function.undo
    try:
        found = function.undo(arguments, before, result)
    except Exception as error:  # noqa: BLE001 - the code of an integration can raise anything
        if before is None and function.before is not None:
            return "what it replaces does not exist"
        return f"its inverse could not be found, since undo failed with {type(error).__name__}"
    if not isinstance(found, str) and _is_masked([step[1] for step in found]):
        return "its inverse needs a secret that was not kept (kosmolua[undo] keeps such secrets, sealed)"
    return found


def replaced_by(
    function: Function, arguments: Mapping[str, Any], before: Any, inverse: Sequence[Step] | str, *, exists: bool = True
) -> dict[str, Any]:
    """Return the values that a write replaces, by parameter; None for one that nothing had yet.

    They are the arguments with which the inverse calls the same function. Without such a call, they are the fields of
    ``before`` that have the names of parameters. For a write that changes nothing, they are all of its arguments: its
    inverse is nothing or the write itself, or it destroys what is not there. ``exists`` is False if nothing was read.
    """
    reads = function.before(arguments) if function.before else None
    if reads is None:
        return {}
    given = {name: value for name, value in arguments.items() if value is not None}
    is_idle = not isinstance(inverse, str) and all(
        (step[0], dict(step[1])) == (function.name, given) for step in inverse
    )
    if exists and (is_idle or (before is None and is_final(function.effect))):
        return dict(arguments)
    set_anew = [name for name, value in arguments.items() if name not in reads[1] and value is not None]
    if before is None:
        return dict.fromkeys(set_anew)
    again = [step[1] for step in inverse if step[0] == function.name] if not isinstance(inverse, str) else []
    fields = again[0] if again else before
    if not again and isinstance(fields, Mapping) and len(fields) == 1:
        (fields,) = fields.values()  # as in { service = { ... } }
    if not isinstance(fields, Mapping):
        return {}
    if set_anew and all(name in fields and fields[name] == arguments[name] for name in set_anew):
        return dict(arguments)
    return {name: fields[name] for name in arguments if name in fields and fields[name] != arguments[name]}


def changes_nothing(arguments: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Return True if a write with these arguments, and with what it replaces as ``before``, changes nothing.

    A secret looks like any other, so that one alone counts as changed.
    """
    known = [name for name, value in arguments.items() if not _is_masked(value)]
    return bool(known) and arguments.keys() <= before.keys() and all(before[name] == arguments[name] for name in known)


def _is_masked(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_is_masked, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(_is_masked, value))
    return isinstance(value, str) and MASK in value
