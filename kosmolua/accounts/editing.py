"""Edits of an accounts file that keep its comments and the order of its keys."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from kosmolua.errors import ConfigError
from kosmolua.schema.settings import Table

PRIVATE = 0o600


def set_section(path: Path, keys: tuple[str, ...], table: Table) -> None:
    """Write or replace a section; tables inside it are written inline. A missing file is created for its owner alone.

    Raises:
        ConfigError: The file cannot be read or written, or is not TOML, or one of the keys has a value that is not a
            table.
    """
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
    _write(path, tomlkit.dumps(document))


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
    _write(path, tomlkit.dumps(document))
    return True


def _inline(table: Table) -> InlineTable:
    inline = tomlkit.inline_table()
    for key, value in table.items():
        inline[key] = _inline(value) if isinstance(value, dict) else value
    return inline


def _read(path: Path) -> tomlkit.TOMLDocument:
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
        replace(path, text.replace("\n", os.linesep).encode())
    except OSError as error:
        raise ConfigError(f"The accounts file {path} cannot be written: {error.strerror}") from None


def replace(path: Path, content: bytes) -> None:
    """Replace a file in one step, with its permissions, or create it for its owner; a symbolic link is followed.

    Raises:
        OSError: It cannot be written.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else PRIVATE
    descriptor, fresh = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
    with open(descriptor, "wb") as stream:
        stream.write(content)
    os.chmod(fresh, mode)
    os.replace(fresh, path)
