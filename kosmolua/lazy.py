"""What is made when it is first used: made by each import, it would be a fifth of the start of a command."""

from __future__ import annotations

from _thread import RLock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
    from re import Pattern
    from typing import Any, AnyStr, NoReturn


class _Pattern:
    def __init__(self, source: object, flags: int) -> None:
        self._source, self._flags = source, flags

    def __getattr__(self, name: str) -> object:
        import re

        compiled = re.compile(self._source, self._flags)  # type: ignore[call-overload]
        found = vars(self)[name] = getattr(compiled, name)
        return found


def regex(source: AnyStr, flags: int = 0) -> Pattern[AnyStr]:
    """Return what ``re.compile`` returns; it is compiled when its first method is used."""
    return _Pattern(source, flags)  # type: ignore[return-value]


if not TYPE_CHECKING:

    def dataclass(cls: type | None = None, /, **options: bool) -> Any:
        """Do what ``dataclasses.dataclass`` does, when the first object is made or somebody asks for the fields.

        It compiles up to seven methods, which takes half a millisecond, and most classes have no object in a run.
        """
        if cls is None:
            return lambda decorated: dataclass(decorated, **options)
        if "slots" in options or "init" in options:
            from dataclasses import dataclass as dataclass_at_once

            return dataclass_at_once(cls, **options)
        pending = _PendingClass(cls, options)

        def __init__(self: Any, *args: Any, **given: Any) -> None:
            pending.complete()
            cls.__init__(self, *args, **given)

        def __setstate__(self: Any, state: dict[str, Any]) -> None:
            pending.complete()
            vars(self).update(state)

        cls.__init__, cls.__setstate__, cls.__signature__ = __init__, __setstate__, _PendingSignature(pending)
        cls.__dataclass_fields__ = pending
        return cls


class _PendingClass:
    """Stands for the fields of a dataclass until they are known."""

    def __init__(self, cls: Any, options: dict[str, bool]) -> None:
        self._cls, self._options = cls, options

    def __get__(self, instance: object, owner: Any) -> object:
        self.complete()
        return owner.__dataclass_fields__

    def complete(self) -> None:
        """Make the class a dataclass, unless another thread has."""
        with _COMPLETING:
            if vars(self._cls)["__dataclass_fields__"] is self:
                self._take_over(self._twin())

    def _twin(self) -> type:
        """Return a copy of the class as a dataclass. Threads can use the class itself meanwhile."""
        import dataclasses

        cls = self._cls
        copied = {name: each for name, each in vars(cls).items() if name not in _OF_THE_CLASS_ALONE}
        copy = type(cls)(cls.__name__, cls.__bases__, copied)
        copy.__qualname__ = cls.__qualname__
        return dataclasses.dataclass(**self._options)(copy)

    def _take_over(self, twin: type) -> None:
        cls = self._cls
        made = {name: each for name, each in vars(twin).items() if vars(cls).get(name, self) is not each}
        if self._options.get("frozen"):
            made["__setattr__"], made["__delattr__"] = _refusals(cls, made["__dataclass_fields__"])
        for name in vars(cls).keys() - vars(twin).keys():
            delattr(cls, name)
        init = made.pop("__init__")
        for name in made.keys() - {"__dict__", "__weakref__"}:
            setattr(cls, name, made[name])
        cls.__init__ = init


class _PendingSignature:
    """Stands for the signature of such a class."""

    def __init__(self, pending: _PendingClass) -> None:
        self._pending = pending

    def __get__(self, instance: object, owner: type) -> NoReturn:
        self._pending.complete()
        raise AttributeError("__signature__")  # inspect then asks the constructor


def _refusals(cls: Any, fields: Any) -> tuple[object, object]:
    """Return methods of a frozen class, which those of its twin are not, as they ask for the class of the object."""
    from dataclasses import FrozenInstanceError

    def __setattr__(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in fields:
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: object, name: str) -> None:
        if type(self) is cls or name in fields:
            raise FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return __setattr__, __delattr__


_OF_THE_CLASS_ALONE = {"__dict__", "__weakref__", "__init__", "__setstate__", "__signature__", "__dataclass_fields__"}
_COMPLETING = RLock()
