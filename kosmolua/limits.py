"""The limits of a run: what each bounds, its default, and the option that raises it."""

from __future__ import annotations

from kosmolua.errors import ConfigError, LimitExceeded

KIB, MIB = 1024, 1024**2
_UNITS = {"": 1, "B": 1, "K": KIB, "KB": KIB, "KIB": KIB, "M": MIB, "MB": MIB, "MIB": MIB, "G": 1024 * MIB}
_UNITS |= {"GB": 1024 * MIB, "GIB": 1024 * MIB}
MOST_SECONDS = 1e9
MOST_DEPTH = 300
"""Levels of nesting that Python's own functions for JSON take without fail."""
MOST = 2**50


class Limits:
    """What one run may use. The host owns them; no script can raise them.

    Args:
        given: Any of the names below, in place of its default.

    Raises:
        ConfigError: A value is no number, not whole where it has to be, not more than 0, or beyond all sense.
        TypeError: There is no limit of a name.
    """

    timeout: float = 120.0
    """Seconds on the wall, waiting for services included; the clock stands still while a person is asked."""
    cpu: float = 30.0
    """Seconds of processor time in the sandbox."""
    call_timeout: float = 30.0
    """Seconds that one call may take."""
    memory: int = 96 * MIB
    """Bytes in the Lua VM. Below 80 MiB deep recursion reports memory instead of "stack overflow"."""
    max_calls: int = 1000
    """Calls of integration functions, refused ones included."""
    max_lookups: int = 10_000
    """Questions to the host that are no calls: for names under ``app``, and for documentation."""
    max_output: int = 10 * MIB
    """Bytes printed."""
    max_result: int = 16 * MIB
    """Bytes, as JSON, of one reply and of what the script returns."""
    max_arguments: int = MIB
    """Bytes, as JSON, of one call's arguments."""
    max_depth: int = 100
    """Nesting of tables in any value that crosses."""
    max_source: int = 4 * MIB
    """Bytes of the script."""

    def __init__(self, **given: float) -> None:
        for name, value in given.items():
            if name not in NAMES:
                raise TypeError(f"there is no limit {name!r}")
            setattr(self, name, _checked(name, value))

    def __repr__(self) -> str:
        return f"Limits({', '.join(f'{name}={value}' for name, value in self.as_dict().items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Limits) and self.as_dict() == other.as_dict()

    __hash__ = None  # type: ignore[assignment]

    def as_dict(self) -> dict[str, float]:
        """Return every limit by its name."""
        return {name: getattr(self, name) for name in NAMES}

    def spell(self, name: str) -> str:
        """Return a limit as people write it, such as ``96 MiB``."""
        return _spell(name, getattr(self, name))

    def but(self, **changes: float | None) -> Limits:
        """Return these limits with some replaced; None changes nothing."""
        given = {name: value for name, value in changes.items() if value is not None}
        return Limits(**{**self.as_dict(), **given}) if given else self

    def exceeded(self, name: str, ended: str = "script") -> LimitExceeded:
        """Return the error for a limit, which names it, its value, and the option or key that raises it.

        Args:
            name: A key of :data:`REPORTED`, such as ``wall``.
            ended: What it ended.
        """
        attribute, what, remedy = REPORTED[name]
        value = getattr(self, attribute)
        return LimitExceeded(
            f"The {ended} was stopped: {what.format(value=_spell(attribute, value))}",
            limit=name,
            value=value,
            hint=remedy,
        )


NAMES = tuple(Limits.__annotations__)
SECONDS = ("timeout", "cpu", "call_timeout")
COUNTS = ("max_calls", "max_lookups", "max_depth")
BYTES = tuple(name for name in NAMES if name not in (*SECONDS, *COUNTS))
ADJUSTABLE = ("timeout", "cpu", "call_timeout", "memory", "max_calls", "max_output")
"""Those that one run, or the command line, may set."""

REPORTED = {
    "wall": ("timeout", "it ran longer than {value}", "raise it with --timeout"),
    "cpu": ("cpu", "it used more than {value} of processor time", "raise it with --cpu"),
    "memory": ("memory", "it needed more than {value} of memory", "raise it with --memory"),
    "calls": ("max_calls", "it made more than {value} calls", "raise it with --max-calls"),
    "lookups": (
        "max_lookups",
        "it asked for names and documentation more than {value} times",
        "keep what it found, or raise max_lookups in [kosmolua.limits]",
    ),
    "output": ("max_output", "it printed more than {value}", "raise it with --max-output"),
    "result": (
        "max_result",
        "one result, or the returned value, is larger than {value}",
        "ask for less, or raise max_result in [kosmolua.limits]",
    ),
    "arguments": (
        "max_arguments",
        "the arguments of one call are larger than {value}",
        "send less, or raise max_arguments in [kosmolua.limits]",
    ),
    "depth": (
        "max_depth",
        "a value is nested deeper than {value} levels",
        "flatten it, or raise max_depth in [kosmolua.limits]",
    ),
    "source": ("max_source", "its source is larger than {value}", "raise max_source in [kosmolua.limits]"),
}
"""For each limit as errors name it: the attribute of :class:`Limits`, what happened, and what to do."""


def _checked(name: str, value: float) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ConfigError(f"the limit {name} must be a number, not {value!r}")
    most = MOST_SECONDS if name in SECONDS else MOST_DEPTH if name == "max_depth" else MOST
    if not 0 < value <= most:
        raise ConfigError(f"the limit {name} must be more than 0 and at most {most:.0f}, not {value}")
    if name in SECONDS:
        return value
    if value != int(value):
        raise ConfigError(f"the limit {name} must be a whole number, not {value}")
    return int(value)


def parse_size(text: str) -> int:
    """Return the bytes that ``64K``, ``96MiB`` or ``1048576`` stands for; units are powers of 1024.

    Raises:
        ValueError: It is no such size.
    """
    digits = text.strip().upper().rstrip("KMGIB ")
    unit = text.strip().upper()[len(digits) :].strip()
    if unit not in _UNITS:
        raise ValueError(f"{text!r} is not a size such as 64K, 96MiB or 1048576")
    try:
        return int(float(digits) * _UNITS[unit])
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not a size such as 64K, 96MiB or 1048576") from None


def _spell(attribute: str, value: float) -> str:
    if attribute in SECONDS:
        return f"{value:g} s"
    if attribute in COUNTS:
        return f"{value:,}"
    return spell_size(int(value))


def spell_size(size: int) -> str:
    """Return a number of bytes as people write it: ``96 MiB``, ``1.5 KiB``, and ``2,000 bytes`` for no round number."""
    for unit, name in ((MIB, "MiB"), (KIB, "KiB")):
        if size >= unit and size * 10 % unit == 0:
            return f"{size / unit:.10g} {name}"
    return f"{size:,} bytes"
