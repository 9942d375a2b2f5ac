"""TOML: the tables of a file, the lines of its keys, and example sections to paste into it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kosmolua.errors import ConfigError
from kosmolua.folders import objection_to_writers
from kosmolua.limits import BYTES, Limits, spell_size
from kosmolua.schema.integration import placeholder
from kosmolua.schema.names import section_of

if TYPE_CHECKING:
    from kosmolua.schema.integration import AccountField, Integration

Table: TypeAlias = dict[str, Any]

_IGNORED = re.compile(r"[\s\"']")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# Accounts for KosmoLua. Copy this to the file that `kosmolua accounts` reads, keep what you need, and name accounts as
# you like: [render2.staging] is app.integrations.render2.staging in a script. If an integration has several accounts,
# choose the one for calls that name no account: [render2] default = "production".
#
# A secret is the string itself or a source: { env = "NAME" }, { file = "PATH" }, { keyring = "NAME" } or
# { command = ["PROGRAM", "ARGUMENT"] }. An account or a whole integration can have permissions, which are "allow",
# "ask" or "deny". The default is permissions = { read = "allow", write = "ask", destroy = "ask" }; destroy is for
# functions whose effect cannot be undone. Single functions (restart_service = "allow") and patterns
# ("*_env_var" = "deny") can have permissions too."""


def parse(path: str | os.PathLike[str]) -> Table:
    """Return the tables of a TOML file.

    Raises:
        ConfigError: The file cannot be read, is not TOML, or others could change it.
    """
    try:
        if objection := objection_to_writers(os.fspath(path)):
            raise ConfigError(f"The accounts file {path} is not used, since {objection}")
        return parsed(Path(path).read_text(encoding="utf-8-sig"), path)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is not UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"The accounts file {path} cannot be read: {error.strerror}") from None


def parsed(text: str, path: str | os.PathLike[str]) -> Table:
    """Return the tables of a text, which the file at ``path`` has.

    Raises:
        ConfigError: The text is not TOML.
    """
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
    """Return the line that defines a nested key, else that of the innermost table around it, or None."""
    text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
    lines = dict(reversed(list(_lines(text))))
    wanted = (_bare(".".join(keys[:depth])) for depth in range(len(keys), 0, -1))
    return next((lines[key] for key in wanted if key in lines), None)


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


def stanza(integration: Integration, account: str = "default") -> str:
    """Return a section for an account, to paste, with optional keys commented out."""
    section = section_of(integration.name, account)
    head = f"[{section}]" if section == integration.name else f"[{_key(integration.name)}.{_key(account)}]"
    return "\n".join([head, *(_line(integration, field) for field in integration.account_fields)])


def example_file(integrations: Iterable[Integration]) -> str:
    """Return an example of accounts.toml: an account for each integration, and limits as comments."""
    accounts = (f"{_comment(integration.about)}\n{stanza(integration)}" for integration in integrations)
    defaults = Limits().as_dict().items()
    limits = (f"# {name} = {_toml(spell_size(int(value)) if name in BYTES else value)}" for name, value in defaults)
    return "\n\n".join([_HEAD, *accounts, "\n".join(["# [kosmolua.limits]", *limits])]) + "\n"


def _line(integration: Integration, field: AccountField) -> str:
    if field.secret:
        value: object = {"env": integration.variable(field)}
        value = {"NAME": value} if field.many else value
    elif field.required or field.default is None:
        value = placeholder(integration.name, field)
    else:
        value = field.default
    line = f"{_key(field.name)} = {_toml(value)}"
    note = f"  {_comment(field.about)}" if field.about else ""
    return (line if field.required else f"# {line}") + note


def assignments(table: Table) -> str:
    """Return a table as lines ``KEY = VALUE``."""
    return "".join(f"{_key(key)} = {_toml(value)}\n" for key, value in table.items())


def _comment(sentence: str) -> str:
    return f"# {' '.join(sentence.split())}"


def _toml(value: object) -> str:
    """Return a value in TOML, which has no None."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    if isinstance(value, dict):
        pairs = [f"{_key(key)} = {_toml(each)}" for key, each in value.items() if each is not None]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_toml(each) for each in value if each is not None)}]"
    return str(value) if isinstance(value, int) else _string(str(value))


def _key(name: str) -> str:
    return name if _BARE_KEY.fullmatch(name) else _string(name)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
