"""A property that is computed once, also when several threads ask for it at the same time."""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Generic, TypeVar

_Value = TypeVar("_Value")


class once(Generic[_Value]):
    """Like ``functools.cached_property``, with the lock that this lost in Python 3.12.

    All instances share the lock, so one of them computes at a time.
    """

    def __init__(self, compute: Callable[[Any], _Value]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self._lock = RLock()
        self.__doc__ = compute.__doc__

    def __get__(self, instance: Any, owner: type | None = None) -> _Value:
        if instance is None:
            return self  # type: ignore[return-value]  # as every descriptor that is looked at on the class
        kept: dict[str, Any] = instance.__dict__
        with self._lock:
            if self._name not in kept:
                kept[self._name] = self._compute(instance)
        value: _Value = kept[self._name]
        return value


def computed(instance: object, name: str) -> bool:
    """Say whether a property of this name was asked for already."""
    return name in instance.__dict__
