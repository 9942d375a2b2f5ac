"""A property that is computed once, also when several threads ask for it at the same time."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, TypeVar

_Value = TypeVar("_Value")
LOCK = "_once"
"""The attribute that an instance keeps its lock in; a fork drops it, since who held it may not be there."""


class once(Generic[_Value]):
    """Like ``functools.cached_property``, with a lock, which that lost in Python 3.12: one for each instance."""

    def __init__(self, compute: Callable[[Any], _Value]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> _Value:
        if instance is None:
            return self  # type: ignore[return-value]  # as every descriptor that is looked at on the class
        kept: dict[str, Any] = instance.__dict__
        with kept.setdefault(LOCK, RLock()):
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
        value: _Value = kept[self._name]
        return value


def computed(instance: object, name: str) -> bool:
    """Say whether a property of this name was asked for already."""
    return name in instance.__dict__
