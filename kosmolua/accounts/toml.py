"""The sections of accounts.toml: what stands in the file, and what is refused in it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from kosmolua.accounts.sources import check_secret, warn_of_readers
from kosmolua.errors import ConfigError
from kosmolua.limits import BYTES, LIMITS, NAMES, SECONDS, Limits, spell_size
from kosmolua.schema.integration import placeholder
from kosmolua.schema.types import Mismatch, quoted
from kosmolua.suggestions import did_you_mean

if TYPE_CHECKING:
    from kosmolua.schema.integration import AccountField, Integration


Permission: TypeAlias = Literal["allow", "ask", "deny"]
Table: TypeAlias = dict[str, Any]

PERMISSIONS = ("allow", "ask", "deny")
_EFFECTS = ("read", "write")
_OWN = "kosmolua"
_IGNORED = re.compile(r"[\s\"']")


class Sections:
    """What an accounts file says. A section is checked as a whole before anything in it is used.

    Args:
        tables: The content of the file; empty where there is none.
        path: The file, or where it would be.
        warn: Told, as one sentence, where others can read a file that holds a secret itself.

    Raises:
        ConfigError: Something in it is no section.
    """

    def __init__(self, tables: Table, path: Path, warn: Callable[[str], None] = lambda sentence: None) -> None:
        self.path = path
        self._tables = tables
        self._warn = warn
        self._is_looked_at = False
        self._checked: set[str] = set()
        self._check_shape()

    def names(self) -> list[str]:
        """Return the integrations that the file speaks of."""
        return [name for name in self._tables if name != _OWN]

    def of(self, integration: Integration) -> Table:
        """Return the section of an integration, empty where there is none.

        Raises:
            ConfigError: An account is named like a function, a key is unknown, or a value does not fit, anywhere in the
                section. A typo must not widen what a script may do.
        """
        section: Table = self._tables.get(integration.name, {})
        if integration.name not in self._checked:
            for key, value in section.items():
                self._check_entry(integration, key, value)
            self._checked.add(integration.name)
        return section

    def limits(self, base: Limits) -> Limits:
        """Return limits with what ``[kosmolua.limits]`` says.

        Raises:
            ConfigError: A key is unknown, or a value does not fit.
        """
        table = self._tables.get(_OWN, {}).get("limits", {})
        return base.but(**{name: self._limit(name, value) for name, value in table.items()})

    def wrong(self, what: str, *keys: str, hint: str | None = None) -> ConfigError:
        """Return the refusal of what stands under some keys, one inside the other."""
        return ConfigError(f"{self.place(*keys)}: {what}", hint=hint)

    def place(self, *keys: str) -> str:
        """Return the file, with the line of the innermost of these keys that is written in it."""
        lines = dict(reversed(list(_lines(self.path))))
        wanted = (_bare(".".join(keys[:depth])) for depth in range(len(keys), 0, -1))
        line = next((lines[key] for key in wanted if key in lines), None)
        return f"{self.path}:{line}" if line else str(self.path)

    def _check_shape(self) -> None:
        for name, table in self._tables.items():
            if not isinstance(table, dict):
                raise self.wrong(f"{name} must be a table, such as [{name}.production]", name)
        for key, value in self._tables.get(_OWN, {}).items():
            if key != "limits" or not isinstance(value, dict):
                hint = "its only table is [kosmolua.limits]"
                raise self.wrong(f"[{_OWN}] has no key {key!r}", _OWN, key, hint=hint)

    def _check_entry(self, integration: Integration, key: str, value: object) -> None:
        name = integration.name
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
            hint = "single brackets make it one"
            raise self.wrong(f"[[{name}.{key}]] is a list of tables, and an account is a table", name, key, hint=hint)
        if key == "permissions":
            self._check_permissions(value, name)
        elif isinstance(value, dict):
            self._check_account(integration, key, value)
        elif key != "default":
            instead = f"an account is a table, such as [{name}.production]"
            hint = did_you_mean(key, ["default", "permissions"]) or instead
            raise self.wrong(f"[{name}] has no key {key!r}", name, key, hint=hint)
        elif not isinstance(value, str):
            raise self.wrong(f'[{name}] default must be a string, such as "production"', name, key)

    def _check_account(self, integration: Integration, account: str, table: Table) -> None:
        self._check_name(integration, account)
        self._check_keys(integration, account, table)
        for field in integration.account_fields:
            if field.name in table:
                self._check_value(field, table[field.name], integration.name, account)
        self._check_permissions(table.get("permissions", {}), integration.name, account)

    def _check_name(self, integration: Integration, account: str) -> None:
        name = integration.name
        if integration.function(account):
            what = f"[{name}.{account}]: an account cannot be named like a function"
            raise self.wrong(what, name, account)
        if "." in account or not account.isprintable() or not account:
            what = f"[{name}.{account!r}]: an account's name cannot hold a dot or be empty"
            raise self.wrong(what, name, account)

    def _check_keys(self, integration: Integration, account: str, table: Table) -> None:
        known = [*(field.name for field in integration.account_fields), "permissions"]
        for key in table:
            if key not in known:
                hint = did_you_mean(key, known) or f"its keys are {', '.join(known)}"
                what = f"[{integration.name}.{account}] has no key {key!r}"
                raise self.wrong(what, integration.name, account, key, hint=hint)

    def _check_value(self, field: AccountField, value: object, *where: str) -> None:
        check = check_secret if field.secret else field.type.accept
        try:
            check(value)
        except Mismatch as mismatch:
            what = f"[{'.'.join(where)}] {field.name}{mismatch.where} {mismatch.problem}"
            raise self.wrong(what, *where, field.name) from None
        if field.secret and isinstance(value, str) and not self._is_looked_at:
            self._is_looked_at = True
            warn_of_readers(self.path, self._warn)

    def _check_permissions(self, permissions: object, *where: str) -> None:
        said, keys = f"[{'.'.join(where)}] permissions", (*where, "permissions")
        if not isinstance(permissions, dict):
            raise self.wrong(f'{said} must be a table, such as {{ write = "ask" }}', *keys)
        for effect, value in permissions.items():
            if effect not in _EFFECTS:
                hint = did_you_mean(effect, _EFFECTS) or "its keys are read and write"
                raise self.wrong(f"{said} has no key {effect!r}", *keys, effect, hint=hint)
            if value not in PERMISSIONS:
                what = f'{said}: {effect} must be "allow", "ask" or "deny", not {quoted(value)}'
                raise self.wrong(what, *keys, effect)

    def _limit(self, name: str, value: object) -> float:
        keys = (_OWN, "limits", name)
        if name not in NAMES:
            hint = did_you_mean(name, NAMES) or f"its keys are {', '.join(NAMES)}"
            raise self.wrong(f"[kosmolua.limits] has no key {name!r}", *keys, hint=hint)
        try:
            if isinstance(value, str) and name in (*BYTES, *SECONDS):
                given: float = LIMITS[name].unit.read(value)
            else:
                given = _number(name, value)
            Limits(**{name: given})
        except (ValueError, ConfigError) as error:
            raise self.wrong(f"[kosmolua.limits] {name}: {error}", *keys) from None
        return given


def _number(name: str, value: object) -> float:
    whole = name not in SECONDS
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise ValueError(f"it must be a {'whole ' if whole else ''}number, not {quoted(value)}")
    return cast("float", value)


def parse(path: str | os.PathLike[str]) -> Table:
    """Return the tables of an accounts file.

    Raises:
        ConfigError: The file cannot be read, or it is not TOML.
    """
    import tomli

    try:
        return tomli.loads(Path(path).read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is not UTF-8 text") from None
    except (ValueError, RecursionError) as error:
        place = f"{path}:{error.lineno}" if isinstance(error, tomli.TOMLDecodeError) else path
        raise ConfigError(f"{place}: this is not TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"The accounts file {path} cannot be read: {error.strerror}") from None


def _lines(path: Path) -> Iterator[tuple[str, int]]:
    """Yield each table and key of a file that has a line of its own, as in ``render2.production``, and that line."""
    text = path.read_text(encoding="utf-8-sig") if path.is_file() else ""
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


_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_HEAD = """\
# Accounts for KosmoLua. Copy this to the file that `kosmolua accounts` reads, keep what you need, and name accounts as
# you like: [render2.staging] is app.integrations.render2.staging in a script. With several, say which one is meant
# where none is named: [render2] default = "production".
#
# A secret is the string itself, { env = "NAME" }, { file = "PATH" }, { command = ["PROGRAM", "ARGUMENT"] } or
# { keyring = "NAME" }. An account or a whole integration may have permissions = { read = "allow", write = "ask" },
# which is what holds where nothing is said; each is allow, ask or deny."""


def stanza(integration: Integration, account: str = "default") -> str:
    """Return what to paste into accounts.toml for one account: required keys live, optional ones as comments."""
    head = f"[{integration.name}.{_key(account)}]"
    return "\n".join([head, *(_line(integration, field) for field in integration.account_fields)])


def example_file(integrations: Iterable[Integration]) -> str:
    """Return a whole accounts.toml to start from: an account of each integration, and the limits as comments."""
    accounts = (f"{_comment(integration.about)}\n{stanza(integration)}" for integration in integrations)
    defaults = Limits().as_dict().items()
    limits = (f"# {name} = {_toml(spell_size(int(value)) if name in BYTES else value)}" for name, value in defaults)
    return "\n\n".join([_HEAD, *accounts, "\n".join(["# [kosmolua.limits]", *limits])]) + "\n"


def _line(integration: Integration, field: AccountField) -> str:
    line = f"{_key(field.name)} = {_toml(_shown(integration, field))}"
    note = f"  {_comment(field.about)}" if field.about else ""
    return (line if field.required else f"# {line}") + note


def _shown(integration: Integration, field: AccountField) -> object:
    if field.secret:
        return {"env": integration.variable(field)}
    return placeholder(integration.name, field) if field.required or field.default is None else field.default


def _comment(sentence: str) -> str:
    return f"# {' '.join(sentence.split())}"


def _toml(value: object) -> str:
    """Return a value as TOML spells it; None has no spelling there, and is left out of lists and tables."""
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
