"""The text of an accounts file: examples to paste, values, and edits that keep comments and the order of keys."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from kosmolua.errors import ConfigError
from kosmolua.expressions import regex
from kosmolua.folders import replace_file
from kosmolua.limits import BYTES, Limits, spell_size
from kosmolua.schema.integration import placeholder
from kosmolua.schema.names import section_of
from kosmolua.schema.settings import Table

if TYPE_CHECKING:
    from pathlib import Path

    from tomlkit import TOMLDocument
    from tomlkit.items import InlineTable

    from kosmolua.schema.integration import AccountField, Integration

_BARE_KEY = regex(r"[A-Za-z0-9_-]+")
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


def stanza(integration: Integration, account: str = "default") -> str:
    """Return a section for an account, to paste, with optional keys commented out."""
    section = section_of(integration.name, account)
    head = f"[{section}]" if section == integration.name else f"[{_key(integration.name)}.{_key(account)}]"
    return "\n".join([head, *(_line(integration, field) for field in integration.account_fields)])


def example_file(integrations: Iterable[Integration]) -> str:
    """Return an example of accounts.toml: an account for each integration, and limits as comments."""
    accounts = (f"{_comment(integration.about)}\n{stanza(integration)}" for integration in integrations)
    defaults = vars(Limits()).items()
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


def quoted_keys(*keys: str) -> str:
    """Return nested keys as the name of a section."""
    return ".".join(map(_key, keys))


def _comment(sentence: str) -> str:
    return f"# {' '.join(sentence.split())}"


def _toml(value: object) -> str:
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


def set_section(path: Path, keys: tuple[str, ...], table: Table) -> None:
    """Write or replace a section; tables inside it are written inline. A missing file is created for its owner alone.

    Raises:
        ConfigError: The file cannot be read or written, or is not TOML, or one of the keys has a value that is not a
            table.
    """
    import tomlkit

    document = _read(path)
    parent: Any = document
    for key in keys[:-1]:
        if key not in parent:
            parent[key] = tomlkit.table(is_super_table=True)
        parent = parent[key]
        if not isinstance(parent, dict):
            raise ConfigError(f"{path}: {key} must be a table, such as [{'.'.join(keys)}]")
    section = tomlkit.table()
    for key, value in table.items():
        section[key] = _inline(value) if isinstance(value, dict) else value
    parent[keys[-1]] = section
    _write(path, document.as_string())


def remove_section(path: Path, keys: tuple[str, ...]) -> bool:
    """Remove a section and return True; return False if the file has no such section.

    Raises:
        ConfigError: The file cannot be read or written, or is not TOML.
    """
    document = _read(path)
    parent: Any = document
    for key in keys[:-1]:
        parent = parent.get(key)
        if not isinstance(parent, dict):
            return False
    if keys[-1] not in parent:
        return False
    del parent[keys[-1]]
    _write(path, document.as_string())
    return True


def _inline(table: Table) -> InlineTable:
    from tomlkit import inline_table

    inline = inline_table()
    for key, value in table.items():
        inline[key] = _inline(value) if isinstance(value, dict) else value
    return inline


def _read(path: Path) -> TOMLDocument:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    try:
        return tomlkit.parse(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return tomlkit.document()
    except (TOMLKitError, ValueError) as error:
        raise ConfigError(f"{path}: this is not TOML: {error}") from None
    except OSError as error:
        raise ConfigError(f"The accounts file {path} cannot be read: {error.strerror}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        replace_file(path, text.replace("\n", os.linesep).encode(), keeps_mode=True)
    except OSError as error:
        raise ConfigError(f"The accounts file {path} cannot be written: {error.strerror}") from None
