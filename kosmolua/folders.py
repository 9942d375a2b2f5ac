"""Where the user's own files are."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNTS_VARIABLE = "KOSMOLUA_ACCOUNTS"


def accounts_file(named: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> tuple[str, bool]:
    """Return the accounts file, and whether it is to be read: a named one in any case, the usual one if it is there.

    Args:
        named: The file that the user named; else ``KOSMOLUA_ACCOUNTS`` names one.
        environ: The environment.
    """
    chosen = os.fspath(named) if named else environ.get(ACCOUNTS_VARIABLE)
    path = expanded(chosen) if chosen else os.path.join(config_folder(), "accounts.toml")
    return path, bool(chosen) or os.path.exists(path)


def expanded(path: str | os.PathLike[str]) -> str:
    """Return a path with ``~`` or ``~user`` at its beginning replaced, or as it is where there is no such home."""
    try:
        return os.path.expanduser(path)
    except ValueError:  # no user's name has a zero byte in it
        return os.fspath(path)


def config_folder() -> str:
    """Return the folder of accounts.toml and of the user's own integrations."""
    from platformdirs import user_config_dir

    return user_config_dir("kosmolua")


def state_folder() -> str:
    """Return the folder of what the program remembers, such as what was typed."""
    from platformdirs import user_state_dir

    return user_state_dir("kosmolua")
