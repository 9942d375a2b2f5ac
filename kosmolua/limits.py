"""The limits of a run: what each bounds, its default, and the option that raises it."""

from __future__ import annotations

from typing import Generic, TypedDict, TypeVar, overload

from kosmolua.errors import ConfigError, LimitExceeded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

KIB, MIB = 1024, 1024**2
_SIZES = {"": 1, "B": 1, "K": KIB, "KB": KIB, "KIB": KIB, "M": MIB, "MB": MIB, "MIB": MIB, "G": 1024 * MIB}
_SIZES |= {"GB": 1024 * MIB, "GIB": 1024 * MIB}
_DURATIONS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MAX_SECONDS = 1e9
MAX_DEPTH = 300
"""Levels of nesting that Python's own JSON functions handle safely."""
MAX_NUMBER = 2**50
MAX_DIGITS = 18
"""A number of so many digits is less than 2**63."""

Number = TypeVar("Number", bound=float)


def parse_size(text: str) -> int:
    """Return the bytes of a text such as ``64K``, ``96MiB`` or ``1048576``, in powers of 1024.

    Raises:
        ValueError: The text is not a size.
    """
    return int(_parse(text.upper(), _SIZES, "KMGIB ", f"{text!r} is not a size such as 64K, 96MiB or 1048576"))


def parse_duration(text: str) -> float:
    """Return the seconds of a text such as ``90``, ``90s``, ``10m``, ``1.5h``, ``7d`` or ``250ms``.

    Raises:
        ValueError: The text is not a duration.
    """
    return _parse(text.lower(), _DURATIONS, "mshd ", f"{text!r} is not a duration such as 90s, 10m or 1h")


def _parse(text: str, units: Mapping[str, float], letters: str, refusal: str) -> float:
    number = text.strip().rstrip(letters)
    unit = text.strip()[len(number) :].strip()
    if unit not in units or "_" in number:
        raise ValueError(refusal)
    try:
        value = float(number) * units[unit]
        int(value)
    except (ValueError, OverflowError):  # OverflowError: infinity
        raise ValueError(refusal) from None
    return value


def whole_number(text: str) -> int | None:
    """Return the number that a text from elsewhere is, in ASCII digits; None if it is no number or has over 18 digits.

    ``int`` takes the digits of all scripts, and raises an error for thousands of them.
    """
    return int(text) if len(text) <= MAX_DIGITS and text.isascii() and text.isdecimal() else None


def spell_size(size: int) -> str:
    """Return a number of bytes as people write it: ``96 MiB``, ``1.5 KiB``, or ``2,000 bytes`` if it is not round."""
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size * 10 % unit == 0:
            return f"{size / unit:.10g} {name}"
    return f"{size:,} bytes"


class Unit(Generic[Number]):
    """The unit of a limit.

    Args:
        noun: A value in messages, such as "a size".
        metavar: A value in the help of an option.
        read: Returns the value of a text such as ``64K``, unbounded, or raises ValueError.
        spell: Returns a value as text for people.
        maximum: The largest value that makes sense.
        is_whole: Whether a value must be an integer.
    """

    def __init__(
        self,
        noun: str,
        metavar: str,
        read: Callable[[str], Number],
        spell: Callable[[Number], str],
        maximum: float,
        *,
        is_whole: bool,
    ) -> None:
        self.noun = noun
        self.metavar = metavar
        self.read = read
        self.spell = spell
        self.maximum = maximum
        self.is_whole = is_whole

    def parse(self, text: str) -> Number:
        """Return the value of a text such as ``64K`` or ``90s``.

        Raises:
            ValueError: The text is not a value of this unit, or the value is out of bounds.
        """
        value = self.read(text)
        if not 0 < value <= self.maximum:
            raise ValueError(f"{text!r} is not {self.noun} above 0 and at most {self.maximum:.0f}")
        return value


def _parse_count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number above 0 and at most {MAX_NUMBER}") from None


DURATION = Unit("a number of seconds", "S", parse_duration, lambda value: f"{value:g} s", MAX_SECONDS, is_whole=False)
SIZE = Unit("a size", "SIZE", parse_size, spell_size, MAX_NUMBER, is_whole=True)
COUNT = Unit("a whole number", "N", _parse_count, lambda value: f"{value:,}", MAX_NUMBER, is_whole=True)


class Limit(Generic[Number]):
    """One limit. :class:`Limits` declares them all.

    Args:
        default: The default.
        unit: The unit of the value.
        about: What is limited, for the documentation.
        code: Its name in an error; empty if exceeding it does not end the script.
        exceeded: What a script did, for messages, with ``{value}``.
        instead: What to do instead of raising the limit.
        option: The help of the option; empty if the limit is set only under ``[kosmolua.limits]``.
        maximum: The largest value that makes sense, if below the unit's.
    """

    name = ""

    def __init__(
        self,
        default: Number,
        unit: Unit[Number],
        about: str,
        *,
        code: str = "",
        exceeded: str = "",
        instead: str = "",
        option: str = "",
        maximum: float | None = None,
    ) -> None:
        self.default = default
        self.unit = unit
        self.code = code
        self.exceeded = exceeded
        self.option = option
        self.maximum = maximum or unit.maximum
        self.instead = instead
        self.__doc__ = about

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, limits: None, owner: type) -> Limit[Number]: ...
    @overload
    def __get__(self, limits: Limits, owner: type) -> Number: ...
    def __get__(self, limits: Limits | None, owner: type) -> Limit[Number] | Number:
        return self if limits is None else self.default

    @property
    def remedy(self) -> str:
        """What to do about a script that exceeds the limit, and how to raise it."""
        way = f"raise {self.name} in [kosmolua.limits]"
        if self.option:
            way = f"raise it with --{self.name.replace('_', '-')}"
        return f"{self.instead}, or {way}" if self.instead else way

    def check(self, value: float) -> float:
        """Return a value for this limit, as an integer if it requires one.

        Raises:
            ConfigError: The value is not a number, not an integer where one is required, not positive, or too large.
        """
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise ConfigError(f"the limit {self.name} must be a number, not {value!r}")
        if not 0 < value <= self.maximum:
            raise ConfigError(f"the limit {self.name} must be more than 0 and at most {self.maximum:.0f}, not {value}")
        if not self.unit.is_whole:
            return value
        if value != int(value):
            raise ConfigError(f"the limit {self.name} must be a whole number, not {value}")
        return int(value)


class Limits:
    """The limits of one run. The host enforces them, and no script can raise them.

    Args:
        given: Values that replace the defaults, by the names of the limits.

    Raises:
        ConfigError: A value is not a positive number, not an integer where one is required, or too large.
        TypeError: There is no limit with one of these names.
    """

    timeout = Limit(
        120.0,
        DURATION,
        "Seconds of elapsed time, including waits for services; the clock is paused while a person is asked.",
        code="wall",
        exceeded="it ran longer than {value}",
        option="Elapsed time, including waits for services",
    )
    call_timeout = Limit(
        30.0,
        DURATION,
        "Seconds of elapsed time for one call; a call that takes longer raises ``timeout``, which a script can catch.",
        option="Time for one call; one that takes longer raises timeout",
    )
    cpu = Limit(
        30.0,
        DURATION,
        "Seconds of processor time in the sandbox.",
        code="cpu",
        exceeded="it used more than {value} of processor time",
        option="Processor time",
    )
    memory = Limit(
        96 * MIB,
        SIZE,
        'Bytes in the Lua VM. Below 80 MiB deep recursion reports memory instead of "stack overflow".',
        code="memory",
        exceeded="it needed more than {value} of memory",
        option="Memory of the Lua VM",
    )
    max_calls = Limit(
        1000,
        COUNT,
        "Calls of integration functions, including refused ones.",
        code="calls",
        exceeded="it made more than {value} calls",
        option="Calls of functions",
    )
    max_lookups = Limit(
        10_000,
        COUNT,
        "Requests to the host that are not calls: for names under ``app``, and for documentation.",
        code="lookups",
        exceeded="it looked up names and documentation more than {value} times",
        instead="keep the answers in variables",
    )
    max_output = Limit(
        10 * MIB,
        SIZE,
        "Bytes printed.",
        code="output",
        exceeded="it printed more than {value}",
        option="Bytes printed",
    )
    max_result = Limit(
        16 * MIB,
        SIZE,
        "Bytes, as JSON, of one reply and of what the script returns.",
        code="result",
        exceeded="one result, or the returned value, is larger than {value}",
        instead="ask for less",
    )
    max_arguments = Limit(
        MIB,
        SIZE,
        "Bytes, as JSON, of one call's arguments.",
        code="arguments",
        exceeded="the arguments of one call are larger than {value}",
        instead="send less",
    )
    max_depth = Limit(
        100,
        COUNT,
        "Nesting of tables in any value that passes between host and sandbox.",
        code="depth",
        exceeded="a value is nested deeper than {value} levels",
        instead="flatten it",
        maximum=MAX_DEPTH,
    )
    max_source = Limit(
        4 * MIB,
        SIZE,
        "Bytes of the script.",
        code="source",
        exceeded="its source is larger than {value}",
    )
    task_timeout = Limit(
        3600.0,
        DURATION,
        "Seconds: the largest ``timeout`` that an MCP client can request for a script that runs as a task.",
    )

    def __init__(self, **given: float) -> None:
        values = {name: limit.default for name, limit in LIMITS.items()}
        for name, value in given.items():
            if name not in LIMITS:
                raise TypeError(f"there is no limit called {name!r}")
            values[name] = LIMITS[name].check(value)
        vars(self).update(values)

    def __repr__(self) -> str:
        return f"Limits({', '.join(f'{name}={value}' for name, value in vars(self).items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limits) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def spell(self, name: str) -> str:
        """Return the value of the limit with this name as people write it, such as ``96 MiB``."""
        return str(LIMITS[name].unit.spell(getattr(self, name)))

    def but(self, **changes: float | None) -> Limits:
        """Return a copy of these limits with the values in ``changes``. A value of None leaves its limit unchanged."""
        given = {name: value for name, value in changes.items() if value is not None}
        return Limits(**{**vars(self), **given}) if given else self

    def stricter(self, other: Limits) -> Limits:
        """Return limits of which each is the lower one of these limits and ``other``."""
        return Limits(**{name: min(value, getattr(other, name)) for name, value in vars(self).items()})

    def exceeded(self, code: str, ended: str = "script") -> LimitExceeded:
        """Return the error for a limit, by its ``code`` such as ``wall``, that ended a ``script`` or ``call``."""
        name, exceeded, remedy = REPORTED[code]
        return LimitExceeded(
            f"The {ended} was stopped: {exceeded.format(value=self.spell(name))}",
            limit=code,
            value=getattr(self, name),
            hint=remedy,
        )


class LimitOptions(TypedDict, total=False):
    """The limits that an option of the command line can set for one run. :class:`Limits` explains them."""

    timeout: float | None
    call_timeout: float | None
    cpu: float | None
    memory: int | None
    max_calls: int | None
    max_output: int | None


LIMITS: dict[str, Limit[Any]] = {name: limit for name, limit in vars(Limits).items() if isinstance(limit, Limit)}
NAMES = tuple(LIMITS)
SECONDS = tuple(name for name, limit in LIMITS.items() if limit.unit is DURATION)
BYTES = tuple(name for name, limit in LIMITS.items() if limit.unit is SIZE)
ADJUSTABLE = tuple(name for name, limit in LIMITS.items() if limit.option)
"""The names in :class:`LimitOptions`."""
REPORTED = {limit.code: (name, limit.exceeded, limit.remedy) for name, limit in LIMITS.items() if limit.code}
"""For each name of a limit in an error: the attribute of :class:`Limits`, what happened, and what to do."""
