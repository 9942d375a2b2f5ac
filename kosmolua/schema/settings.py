"""Settings: the tables of TOML files, checked key by key, and the line of each mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from kosmolua.errors import ConfigError
from kosmolua.expressions import regex
from kosmolua.folders import MAX_SETTINGS, objection_to_writers, read_within
from kosmolua.limits import COUNT, LIMITS, Unit
from kosmolua.schema.bounds import Range
from kosmolua.schema.labels import objection_to_origin
from kosmolua.schema.mismatch import MAX_QUOTED, Mismatch, must_be, quoted
from kosmolua.schema.types import Choice, Scalar
from kosmolua.secret import Redactor, Secret, looks_like_key
from kosmolua.suggestions import key_hint

Table: TypeAlias = dict[str, Any]
Check: TypeAlias = Callable[[Any], Any]
"""Takes the value of a key, and returns it as the settings have it; raises a Mismatch if it is not valid."""
_IGNORED = regex(r"[\s\"']")


class SettingsFile:
    """A TOML file with settings; ``path`` need not exist, if the tables come from elsewhere."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def read(self, table: object, known: Mapping[str, Check], *keys: str, shown: str = "") -> Table:
        """Return the values of a table, checked and converted.

        ``known`` has a check for each key; ``keys`` lead to the table in the file, and name it in messages unless
        ``shown`` does.

        Raises:
            ConfigError: It is no table, a key is unknown, or a value is not valid.
        """
        name = shown or ".".join(keys)
        if not isinstance(table, dict):
            raise self.wrong(f"{name} must be a table, such as [{name}], not {quoted(table)}", *keys)
        place = f"[{name}] " if name else ""
        checked: Table = {}
        for key, value in table.items():
            if key not in known:
                what = f"unknown key {unknown(key)}{f' in [{name}]' if name else ''}"
                raise self.wrong(what, *keys, key, hint=key_hint(key, known))
            try:
                checked[key] = known[key](value)
            except Mismatch as mismatch:
                inner = re.findall(r"\.([^.\[:]+)", mismatch.where)
                problem = without_keys(mismatch.problem, value)
                raise self.wrong(f"{place}{key}{mismatch.where} {problem}", *keys, key, *inner) from None
        return checked

    def wrong(self, what: str, *keys: str, hint: str | None = None) -> ConfigError:
        """Return the error for a mistake at these nested keys, with its place."""
        return ConfigError(f"{self.place(*keys)}: {what}", hint=hint)

    def place(self, *keys: str) -> str:
        """Return ``PATH:LINE`` of nested keys, or the path."""
        line = line_of(self.path, *keys)
        return f"{self.path}:{line}" if line else str(self.path)


def unknown(key: str) -> str:
    """Return a key for the message that it is unknown."""
    return "*** (hidden, since it looks like a secret)" if looks_like_key(key) else repr(key[:80])


def without_keys(problem: str, value: object) -> str:
    """Return what is wrong with a value, with ``***`` for each text in it that looks like a secret."""
    redactor = Redactor()
    unseen = [value]
    while unseen:
        each = unseen.pop()
        if isinstance(each, (dict, list)):
            unseen += each.values() if isinstance(each, dict) else each
        elif isinstance(each, str) and looks_like_key(each):
            redactor.learn(Secret(each))
            redactor.learn(Secret(each[:MAX_QUOTED]))
    return redactor.text(problem)


def anything(value: object) -> object:
    """Take any value."""
    return value


def text(value: object) -> str:
    """Check for a string that is not empty."""
    if not isinstance(value, str) or not value:
        raise must_be("a string", value)
    return value


def texts(value: object) -> tuple[str, ...]:
    """Check for a string or a list of strings."""
    return (text(value),) if isinstance(value, str) else tuple(list_of("a list of strings")(value))


def list_of(words: str, check: Check = text) -> Check:
    """Return a check for a list whose items pass a check; ``words`` describe it."""

    def check_all(value: object) -> list[Any]:
        if not isinstance(value, list):
            raise must_be(words, value)
        return [check(each) for each in value]

    return check_all


def fitting(objection: Callable[[str], str | None]) -> Check:
    """Return a check for a string to which there is no objection, which follows the string in messages."""

    def check(value: object) -> str:
        if problem := objection(text(value)):
            raise Mismatch(f"{value!r} {problem}", ":")
        return str(value)

    return check


def flag(value: object) -> bool:
    """Check for a boolean."""
    if not isinstance(value, bool):
        raise must_be("true or false", value)
    return value


count: Check = Scalar("integer", (Range(1),)).accept
"""Checks for an integer above 0."""
above_zero: Check = Scalar("number", (Range(0, exclusive_minimum=True),)).accept
"""Checks for a number above 0."""


def choice(choices: Collection[str]) -> Check:
    """Return a check for one of these strings."""
    return Choice(tuple(choices)).accept


def origin_of_values(value: object) -> object:
    """Check for an origin: see :data:`kosmolua.schema.labels.Origin`."""
    if problem := objection_to_origin(value):
        raise Mismatch(problem)
    return value


def measure(unit: Unit[Any], words: str, *, bare: bool = True) -> Check:
    """Return a check for the text of a measure such as ``90s``, or a ``bare`` number; ``words`` describe it."""
    allowed = (str, *(() if not bare else (int,) if unit.is_whole else (int, float)))

    def check(value: object) -> Any:
        try:
            if isinstance(value, bool) or not isinstance(value, allowed):
                raise ValueError
            return unit.parse(str(value))
        except ValueError:
            raise must_be(words, value) from None

    return check


def table_of(
    words: str, known: Mapping[str, Check] | None = None, needs: Collection[str] = (), each: Check | None = None
) -> Check:
    """Return a check for a table.

    ``words`` say what it must be. Its keys are those in ``known``, each with its check; None for any. It must have
    those in ``needs``, and every value must pass the check ``each``.
    """

    def check(value: object) -> Table:
        if not isinstance(value, dict):
            raise must_be(words, value)
        checks = dict.fromkeys(value, each or anything) if known is None else known
        for key in [key for key in value if key not in checks]:
            raise Mismatch(f"has the unknown key {unknown(key)} ({key_hint(key, checks)})")
        for key in [key for key in needs if key not in value]:
            raise Mismatch(f"must have the key {key}")
        return {key: _inside(checks[key], item, key) for key, item in value.items()}

    return check


def _inside(check: Check, value: object, key: str) -> Any:
    try:
        return check(value)
    except Mismatch as mismatch:
        raise mismatch.inside(f".{key[:80]}") from None


def limit(name: str) -> Check:
    """Return a check for the value of a limit; a duration or a size can be a text such as ``90s``."""
    unit = LIMITS[name].unit

    def check(value: object) -> float:
        try:
            if isinstance(value, str) and unit is not COUNT:
                value = unit.read(value)
            elif isinstance(value, bool) or not isinstance(value, int if unit.is_whole else (int, float)):
                raise ValueError(f"it must be a {'whole ' if unit.is_whole else ''}number, not {quoted(value)}")
            return LIMITS[name].check(value)  # type: ignore[arg-type]
        except (ValueError, ConfigError) as error:
            raise Mismatch(str(error), ":") from None

    return check


LIMIT_CHECKS = {name: limit(name) for name in LIMITS}
"""The check for each limit, by its name."""


def parse(path: str | os.PathLike[str]) -> Table:
    """Return the tables of a TOML file.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or others could change it.
    """
    try:
        if objection := objection_to_writers(os.fspath(path)):
            raise ConfigError(f"The accounts file {path} is not used, since {objection}")
        return parsed(read_within(path, MAX_SETTINGS).decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"The accounts file {path} cannot be read: {error.strerror}") from None


def parsed(text: str, path: str | os.PathLike[str]) -> Table:
    """Return the tables of a text, which the file at ``path`` has; raise ConfigError if the text is not TOML."""
    import tomli

    try:
        return tomli.loads(text)
    except (ValueError, RecursionError) as error:
        line = error.lineno if isinstance(error, tomli.TOMLDecodeError) else None
        place = f"{path}:{line}" if line else path
        if line and (name := _integration_with_two_defaults(text, line)):
            raise ConfigError(
                f"{place}: [{name}] uses the word default twice: for a key and for the account [{name}.default]",
                hint="remove the key, which an account called default does not need; or rename the account",
            ) from None
        raise ConfigError(f"{place}: this is not TOML: {error}") from None


def _integration_with_two_defaults(text: str, line: int) -> str | None:
    """Return the integration whose ``default`` a line with an error defines again, as key or as account, or None."""
    keys = {key for key, number in _lines(text) if number != line}
    at_fault = [key for key, number in _lines(text) if number == line]
    name, _, word = at_fault[0].rpartition(".") if at_fault else ("", "", "")
    return name if word == "default" and f"{name}.default" in keys else None


def line_of(path: Path, *keys: str) -> int | None:
    """Return the first line of a nested key, else that of the innermost table around it, or None."""
    text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    lines = list(_lines(text))
    wanted = (_bare(".".join(keys[:depth])) for depth in range(len(keys), 0, -1))
    return next((number for each in wanted for key, number in lines if f"{key}.".startswith(f"{each}.")), None)


def _lines(text: str) -> Iterator[tuple[str, int]]:
    """Yield each table and key, such as ``render2.production``, with its line."""
    table = ""
    for number, line in enumerate(map(_bare, text.split("\n")), start=1):
        if line.startswith("["):
            table = line.lstrip("[").partition("]")[0]
            yield table, number
        elif "=" in line:
            key = line.partition("=")[0]
            yield f"{table}.{key}" if table else key, number


def _bare(text: str) -> str:
    return _IGNORED.sub("", text)
