"""The options shared by all commands that run scripts or make calls, and a fast parser for simple ``run`` lines.

:class:`Options` declares each option once: click's parameters, the help, shell completion and the fast parser are made
from these declarations. The options that set limits are made from :mod:`kosmolua.limits`. click takes longer to import
than the sandbox takes to boot, so a simple and correct ``run`` command line is parsed here, without click.
"""

from __future__ import annotations

import os
from typing import Generic, TypeVar, overload

from kosmolua.expressions import regex
from kosmolua.limits import ADJUSTABLE, LIMITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

Value = TypeVar("Value")
PREFIX = "KOSMOLUA_"
_NAME = regex(r"[A-Za-z_][A-Za-z0-9_]*")
_COUNT = regex(r"0*[1-9][0-9]{0,8}")
SHORT_FOR = {"--simulate": "--simulate-state", "--record": "--record-file", "--plan": "--plan-file"}
"""Flags that accept a file after an equals sign, each with the option that names the file."""
INPUT_FORMATS = ("json", "jsonl", "csv", "toml", "text")
SECTIONS = PLACES, PERMISSIONS, LIMITATIONS, OUTPUT = "Accounts and integrations", "Permissions", "Limits", "Output"
"""The headings of the help, in order."""


def path(text: str) -> str:
    """Return a path unchanged. Raise ValueError if the path is empty, as it is if a shell variable is not set."""
    if not text:
        raise ValueError("the value is empty (is a shell variable unset?)")
    return text


def appendable(text: str) -> str:
    """Return the path of a journal unchanged. Raise ValueError if it is empty, or ``-`` (standard output)."""
    if text == "-":
        raise ValueError("a journal goes to a file, not to standard output")
    return path(text)


def failure(text: str) -> str:
    """Check a value of ``--simulate-fail``, FUNCTION=OUTCOME, and return it. Raise ValueError if it is none."""
    function, equals, outcome = text.partition("=")
    if not (equals and outcome and "." in function):
        raise ValueError(f"{text!r} is not FUNCTION=OUTCOME, such as render2.trigger_deploy=build_failed")
    return text


def input_format(text: str) -> str:
    """Return the name of a format unchanged. Raise ValueError if there is no such format."""
    if text not in INPUT_FORMATS:
        raise ValueError(f"{text!r} is not one of {', '.join(INPUT_FORMATS)}")
    return text


def secret(text: str) -> str:
    """Check a value of ``--secret``, NAME=SOURCE, and return it. Raise ValueError if it is none."""
    name, equals, source = text.partition("=")
    if not (equals and _NAME.fullmatch(name)):
        raise ValueError("give NAME=SOURCE, such as token=env:API_TOKEN")
    if source != "ask":
        from kosmolua.accounts.sources import source_of

        try:
            source_of(source)
        except ValueError as error:
            raise ValueError(f"give NAME=SOURCE; the text after {name}= is not a source: {error}") from None
    return text


def number_of_runs(text: str) -> int:
    """Return the number in a text such as ``20``. Raise ValueError unless it is a whole number of at least 1."""
    if not _COUNT.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def spelled_out(typed: Sequence[str], *, takes_value: Callable[[str], bool]) -> list[str]:
    """Return a command line with ``--simulate --simulate-state FILE`` for ``--simulate=FILE``, and the like.

    The value of an option, before which ``takes_value`` is true, is never replaced.
    """
    words: list[str] = []
    is_value = False
    for place, word in enumerate(typed):
        if word == "--" and not is_value:
            return words + list(typed[place:])
        name, equals, value = word.partition("=")
        is_short = equals and name in SHORT_FOR and not is_value
        words += [name, SHORT_FOR[name], value] if is_short else [word]
        is_value = not is_value and takes_value(word)
    return words


class Option(Generic[Value]):
    """The declaration of a command line option: an attribute of :class:`Options`, or an option that sets a limit.

    The option is named after the attribute: ``read_only`` declares ``--read-only``. In an instance of
    :class:`Options`, the attribute is the option's value.

    Args:
        default: The value if neither the command line nor the user's defaults set the option. If it is a tuple, the
            option can occur more than once.
        section: The heading under which the help lists the option.
        metavar: The placeholder for the value in the help; None for a flag, which has no value.
        help: The sentence about the option in the help, with the default in brackets.
        read: A function that converts a text to a value, or raises ValueError.
        name: The name of the limit that the option sets; empty for an option that is declared in :class:`Options`.
        short: The short name of the option, such as ``-y``.
        separator: The text between several values in the environment variable of the option.
    """

    def __init__(
        self,
        default: Value,
        section: str,
        metavar: str | None,
        help: str,
        read: Callable[[str], Any] = str,
        *,
        name: str = "",
        short: str | None = None,
        separator: str = os.pathsep,
    ) -> None:
        self.default = default
        self.section = section
        self.help = help
        self.attribute = name
        self.metavar = metavar
        self.read = read
        self.is_repeatable = isinstance(default, tuple)
        self.separator = separator
        self._short = short

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name

    @overload
    def __get__(self, options: None, owner: type) -> Option[Value]: ...
    @overload
    def __get__(self, options: Options, owner: type) -> Value: ...
    def __get__(self, options: Options | None, owner: type) -> Option[Value] | Value:
        return self if options is None else options.defaults.get(self.attribute, self.default)

    @property
    def variable(self) -> str:
        """The environment variable that sets the default of the option, such as ``KOSMOLUA_TIMEOUT``."""
        return f"{PREFIX}{self.attribute.upper()}"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the option on the command line, the long one first: ``("--yes", "-y")``."""
        long = f"--{self.attribute.replace('_', '-')}"
        return (long, self._short) if self._short else (long,)


def _flag(section: str, help: str, short: str | None = None) -> Option[bool]:
    return Option(False, section, None, help, short=short)  # noqa: FBT003 - the default


def _text(section: str, metavar: str, help: str, read: Callable[[str], str] = path) -> Option[str | None]:
    return Option[str | None](None, section, metavar, help, read)


def _texts(
    section: str, metavar: str, help: str, read: Callable[[str], str] = path, separator: str = os.pathsep
) -> Option[tuple[str, ...]]:
    return Option[tuple[str, ...]]((), section, metavar, help, read, separator=separator)


class Options:
    """The values of the options that commands share.

    ``defaults`` are those that the user has set, by attribute, see :mod:`kosmolua.cli.defaults`.
    """

    accounts = _text(PLACES, "FILE", "The accounts file.")
    plugin = _texts(PLACES, "PATH", "Load this integration too; repeatable.")
    server = _texts(PLACES, "NAME=COMMAND|URL", "Use this MCP server too; repeatable.")
    scripts = _text(PLACES, "DIR", "The folder of the scripts that other scripts find in app.scripts.")
    simulate = _flag(PLACES, "Use simulators: no network, no credentials, the same data each time.")
    simulate_state = _text(PLACES, "FILE", "Keep the simulators' state in a file; short: --simulate=FILE.")
    simulate_fail = _texts(
        PLACES,
        "FUNCTION=OUTCOME",
        "Let a simulated function fail, as in render2.trigger_deploy=build_failed; repeatable.",
        failure,
    )
    secret = _texts(
        PLACES,
        "NAME=SOURCE",
        "A secret that scripts use, from env:VAR, file:PATH, command:PROGRAM, keyring:NAME or ask; repeatable.",
        secret,
        separator="\n",
    )
    input = _text(PLACES, "FILE", "The file for the script's input: JSON, CSV, TOML or text; - is standard input.")
    input_format = _text(
        PLACES,
        "FORMAT",
        "Read the input as json, jsonl, csv, toml or text, whatever its name or content says.",
        input_format,
    )
    read_only = _flag(PERMISSIONS, "Deny every write.")
    yes = _flag(PERMISSIONS, "Allow calls that need an approval, unless they destroy.", "-y")
    allow = _texts(PERMISSIONS, "PATTERN", "Allow these functions, such as render2.delete_service; repeatable.")
    deny = _texts(PERMISSIONS, "PATTERN", "Deny these functions, whatever else allows them; repeatable.")
    allow_flow = _texts(
        PERMISSIONS, "PATTERN", "Let texts by others decide where these functions send something; repeatable."
    )
    plan = _flag(PERMISSIONS, "Note the script's writes instead of sending them.")
    plan_file = _text(PERMISSIONS, "FILE", "Write the plan to this file, for kosmolua apply; short: --plan=FILE.")
    require_isolation = _flag(LIMITATIONS, "Run no script if the system lacks an isolation layer.")
    reuse = Option(1, LIMITATIONS, "N", "Runs that one process serves, each in a fresh VM [1].", number_of_runs)
    no_check = _flag(LIMITATIONS, "Run a script even if the check finds that it will fail.")
    journal = _text(OUTPUT, "FILE", "Append a JSON line for each call.", appendable)
    record = _flag(OUTPUT, "Keep a recording of the run, for replay and resume.")
    record_file = _text(OUTPUT, "FILE", "Keep the recording in this file; short: --record=FILE.")
    trace = _flag(OUTPUT, "Show each call on standard error.")
    debug = _flag(OUTPUT, "Show the Python traceback of an integration that fails.")
    json = _flag(OUTPUT, "Print JSON, even on failure.")

    def __init__(self, defaults: dict[str, Any] | None = None, **given: Any) -> None:
        self.defaults = defaults or {}
        self.given: dict[str, Any] = {
            name: value for name, value in given.items() if value not in (None, ()) and value is not False
        }
        for name, value in self.given.items():
            setattr(self, name, value)

    @property
    def limits(self) -> dict[str, Any]:
        """The value of each limit by name, from the command line or the user's defaults; None if neither sets it."""
        return {name: self.given.get(name, self.defaults.get(name)) for name in ADJUSTABLE}

    @property
    def limits_given(self) -> dict[str, Any]:
        """The limits on the command line, which alone replace those of a recorded run that goes on."""
        return {name: self.given[name] for name in ADJUSTABLE if name in self.given}

    def over(self, others: Options) -> Options:
        """Return these options combined with earlier ones, which these override. The defaults are these."""
        return Options(self.defaults, **others.given | self.given)


def _option_for(name: str) -> Option[Any]:
    """Return the option that sets the limit with this name."""
    limit = LIMITS[name]
    default = limit.unit.spell(limit.default).replace(" ", "").replace(",", "")
    return Option(None, LIMITATIONS, limit.unit.metavar, f"{limit.option} [{default}].", limit.unit.parse, name=name)


_DECLARED = [each for each in vars(Options).values() if isinstance(each, Option)]
OPTIONS: tuple[Option[Any], ...] = tuple(
    sorted([*map(_option_for, ADJUSTABLE), *_DECLARED], key=lambda option: SECTIONS.index(option.section))
)


class ScriptArgument:
    """The script that a ``run`` command line names.

    The file is ``-`` for standard input. With ``code``, the text of the option ``-e``, it is the first argument of the
    script instead. ``params`` are the values of the parameters that the header of the script declares.
    """

    def __init__(
        self, file: str | None, code: str | None, arguments: Sequence[str], params: dict[str, Any] | None = None
    ) -> None:
        self.file = file if code is None else None
        self.code = code
        self.params = params or {}
        self.arguments = tuple(arguments if code is None or file is None else (file, *arguments))


FOR_FLEETS = ("reuse",)
"""The options that only ``kosmolua fleet`` has, which runs one script many times."""
_CODE = Option[str | None](None, "", "CODE", "", name="e")
_BY_NAME = {name: each for each in OPTIONS if each.attribute not in FOR_FLEETS for name in each.names} | {"-e": _CODE}


def read_plainly(typed: Sequence[str]) -> tuple[ScriptArgument, Options] | None:
    """Parse the words after ``run``, or return None if click has to parse them.

    That is so unless each option is written with its full name, its value is the next word, and all values are valid.
    """
    values: dict[str, Any] = {}
    operands: list[str] = []
    words = iter(spelled_out(typed, takes_value=_takes_value))
    for word in words:
        if not word.startswith("-") or word == "-":
            operands.append(word)
        elif (option := _BY_NAME.get(word)) is None or not _read_value(option, words, values):
            return None
    code = values.pop(_CODE.attribute, None)
    if code is None and not operands:
        return None
    file = operands[0] if operands else None
    return ScriptArgument(file, code, operands[1:]), Options(**values)


def _takes_value(word: str) -> bool:
    option = _BY_NAME.get(word)
    return option is not None and option.metavar is not None


def _read_value(option: Option[Any], words: Iterator[str], values: dict[str, Any]) -> bool:
    """Read the value of an option. Return False if the value is missing or not valid: click then reports the error."""
    name = option.attribute
    if option.metavar is None:
        values[name] = True
        return True
    text = next(words, None)
    if text is None or (text.startswith("-") and text != "-") or (option is _CODE and name in values):
        return False
    try:
        value = option.read(text)
    except ValueError:
        return False
    values[name] = (*values.get(name, ()), value) if option.is_repeatable else value
    return True
