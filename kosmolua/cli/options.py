"""The options of everything that runs scripts or makes calls, as data, and the quick reading of a plain command line.

click reads every command line, words its refusals and writes its help from this table. Importing it takes longer than
the sandbox takes to boot, so a command line of ``run`` that leaves nothing to refuse is read here instead.
"""

from __future__ import annotations

from kosmolua.limits import MOST, MOST_SECONDS, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


def seconds(text: str) -> float:
    """Return the seconds that a text names; raise ValueError where it names no duration."""
    return float(_checked(text, float, MOST_SECONDS, "a number of seconds"))


def count(text: str) -> int:
    """Return the whole number, from 1 up, that a text names; raise ValueError where it names none."""
    return int(_checked(text, int, MOST, "a whole number"))


def size(text: str) -> int:
    """Return the bytes that a text such as ``64K`` names; raise ValueError where it names no size."""
    value = parse_size(text)
    if not 0 < value <= MOST:
        raise ValueError(f"{text!r} is not a size above 0 and at most {MOST} bytes")
    return value


def _checked(text: str, read: Callable[[str], float], most: float, what: str) -> float:
    try:
        value = read(text)
    except ValueError:
        value = 0
    if not 0 < value <= most:
        raise ValueError(f"{text!r} is not {what} above 0 and at most {most:.0f}")
    return value


def path(text: str) -> str:
    """Return a path as it was written; raise ValueError where it is empty, as from a variable that is not set."""
    if not text:
        raise ValueError("nothing is named (is a variable empty?)")
    return text


def appendable(text: str) -> str:
    """Return the path of a file to append to; raise ValueError where it is empty or standard output."""
    if text == "-":
        raise ValueError("a journal goes to a file, and '-' is none")
    return path(text)


class Option:
    """One option.

    Args:
        names: As they are typed, the long one first.
        help: One sentence; in brackets what holds where it is not given.
        metavar: What stands for the value in the help; None for a flag.
        read: Returns the value of a text, or raises ValueError.
        repeatable: Whether it can be given more than once.
        section: Where the help lists it.
    """

    def __init__(
        self,
        *names: str,
        help: str,
        metavar: str | None = None,
        read: Callable[[str], Any] = str,
        repeatable: bool = False,
        section: str = "",
    ) -> None:
        self.names = names
        self.help = help
        self.metavar = metavar
        self.read = read
        self.repeatable = repeatable
        self.section = section

    @property
    def attribute(self) -> str:
        """The name of its value in :class:`Options`."""
        return self.names[0].removeprefix("--").replace("-", "_")


_HERE, _PERMISSIONS, _LIMITS, _OUTPUT = "Accounts and integrations", "Permissions", "Limits", "Output"
OPTIONS = (
    Option("--accounts", metavar="FILE", read=path, section=_HERE, help="The accounts file."),
    Option(
        "--plugin",
        metavar="PATH",
        read=path,
        repeatable=True,
        section=_HERE,
        help="Load this integration too; repeatable.",
    ),
    Option("--simulate", section=_HERE, help="Use simulators: no network, no credentials, the same data each time."),
    Option("--read-only", section=_PERMISSIONS, help="Deny every write."),
    Option("--yes", "-y", section=_PERMISSIONS, help="Allow what would be asked."),
    Option(
        "--timeout",
        metavar="S",
        read=seconds,
        section=_LIMITS,
        help="Seconds on the wall, waiting for services included [120].",
    ),
    Option("--cpu", metavar="S", read=seconds, section=_LIMITS, help="Seconds of processor time [30]."),
    Option("--memory", metavar="SIZE", read=size, section=_LIMITS, help="Memory of the Lua VM [96MiB]."),
    Option("--max-calls", metavar="N", read=count, section=_LIMITS, help="Calls of functions [1000]."),
    Option("--max-output", metavar="SIZE", read=size, section=_LIMITS, help="Bytes printed [10MiB]."),
    Option(
        "--require-isolation", section=_LIMITS, help="Run no script where the system lacks a layer around the sandbox."
    ),
    Option("--journal", metavar="FILE", read=appendable, section=_OUTPUT, help="Append a JSON line for each call."),
    Option("--trace", section=_OUTPUT, help="Show each call on standard error."),
    Option("--json", section=_OUTPUT, help="Print one JSON object, also on failure."),
)


class Options:
    """What the shared options were set to.

    Args:
        given: Values by the names of :data:`OPTIONS`; the others are as if not given.
    """

    accounts: str | None = None
    plugin: tuple[str, ...] = ()
    simulate: bool = False
    read_only: bool = False
    yes: bool = False
    timeout: float | None = None
    cpu: float | None = None
    memory: int | None = None
    max_calls: int | None = None
    max_output: int | None = None
    require_isolation: bool = False
    journal: str | None = None
    trace: bool = False
    json: bool = False

    def __init__(self, **given: Any) -> None:
        for name, value in given.items():
            setattr(self, name, value)

    def over(self, others: Options) -> Options:
        """Return these options, and where one was not given that of ``others``, which stood earlier on the line."""
        return Options(**vars(others) | {name: value for name, value in vars(self).items() if value})


class Script:
    """What ``run`` is to run.

    Args:
        file: The file, ``-`` for standard input, or None.
        code: The script itself, or None.
        arguments: What the script finds in ``arg``.
    """

    def __init__(self, file: str | None, code: str | None, arguments: Sequence[str]) -> None:
        named = code is None
        self.file = file if named else None
        self.code = code
        self.arguments = tuple(arguments if named or file is None else (file, *arguments))


_CODE = Option("-e", metavar="CODE", help="Run this instead of a file.")
_BY_NAME = {name: option for option in (*OPTIONS, _CODE) for name in option.names}


def read_plainly(typed: Sequence[str]) -> tuple[Script, Options] | None:
    """Read the words after ``run``, or return None where they have to be left to click.

    Every option must stand as its own word, in full, with its value in the next one.
    """
    values: dict[str, Any] = {}
    operands: list[str] = []
    words = iter(typed)
    for word in words:
        if not word.startswith("-") or word == "-":
            operands.append(word)
            continue
        option = _BY_NAME.get(word)
        if option is None or not _take(option, words, values):
            return None
    code = values.pop(_CODE.attribute, None)
    if code is None and not operands:
        return None
    file = operands[0] if operands else None
    return Script(file, code, operands[1:]), Options(**values)


def _take(option: Option, words: Any, values: dict[str, Any]) -> bool:
    if option.metavar is None:
        values[option.attribute] = True
        return True
    text = next(words, None)
    if text is None or (text.startswith("-") and text != "-") or (option is _CODE and _CODE.attribute in values):
        return False
    try:
        value = option.read(text)
    except ValueError:
        return False
    before = values.get(option.attribute, ())
    values[option.attribute] = (*before, value) if option.repeatable else value
    return True
