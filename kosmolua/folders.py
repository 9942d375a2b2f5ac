"""The user's own folders: configuration, state and cache."""

from __future__ import annotations

import os

from kosmolua.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ACCOUNTS_VARIABLE = "KOSMOLUA_ACCOUNTS"
JOURNAL = "journal.jsonl"
"""The name of the journal's file in the state folder."""


def accounts_file(named: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> tuple[str, bool]:
    """Return the path of the accounts file, and whether the file must be read.

    A file that the user named must be read, so it is an error if this file is missing. The default file is read only if
    it exists.

    Args:
        named: The file that the user named, or None.
        environ: The environment. Its variable ``KOSMOLUA_ACCOUNTS`` can name the file.

    Raises:
        ConfigError: It is not known whether the default file exists, since its folder cannot be read. The file might
            deny calls that are allowed without it, so it must not be ignored.
    """
    if chosen := os.fspath(named) if named else environ.get(ACCOUNTS_VARIABLE):
        return expanded(chosen), True
    path = os.path.join(config_folder(), "accounts.toml")
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return path, False
    except OSError as error:
        hint = f"make the folder readable, or name another file with --accounts or {ACCOUNTS_VARIABLE}"
        raise ConfigError(f"The accounts file {path} cannot be reached: {error.strerror}", hint=hint) from None
    return path, True


def expanded(path: str | os.PathLike[str]) -> str:
    """Return a path with a leading ``~`` or ``~user`` replaced by the home; unchanged if the home is not known."""
    try:
        return os.path.expanduser(path)
    except ValueError:  # no user's name has a zero byte in it
        return os.fspath(path)


def config_folder() -> str:
    """Return the folder of accounts.toml and of the user's own integrations; it need not exist."""
    from platformdirs import user_config_dir

    return _folder(user_config_dir, ".config")


def scripts_folder() -> str:
    """Return the folder of the user's own scripts; it need not exist."""
    return os.path.join(config_folder(), "scripts")


def state_folder() -> str:
    """Return the folder of data that the program keeps between runs, such as its journal; it need not exist."""
    from platformdirs import user_state_dir

    return _folder(user_state_dir, ".local/state")


def cache_folder() -> str:
    """Return the folder of data that the program can compute again, such as compiled documents; it need not exist."""
    from platformdirs import user_cache_dir

    return _folder(user_cache_dir, ".cache")


def journal_file() -> str:
    """Return the path of the default journal; it need not exist."""
    return os.path.join(state_folder(), JOURNAL)


def recordings_folder() -> str:
    """Return the folder that keeps a recording if the user names no file for it; the folder need not exist."""
    return os.path.join(state_folder(), "recordings")


def tenants_folder() -> str:
    """Return the folder that has a folder for each tenant of a server; it need not exist."""
    return os.path.join(state_folder(), "tenants")


def tenant_folder(name: str) -> str:
    """Return the folder for the files of one tenant of a server; it need not exist."""
    return os.path.join(tenants_folder(), name)


def plans_folder() -> str:
    """Return the folder that keeps a plan if the user names no file for it; the folder need not exist.

    A plan lists the writes that a script would make.
    """
    return os.path.join(state_folder(), "plans")


def _folder(folder_of: Callable[[str], str], below_home: str) -> str:
    """Return one of the program's folders, as an absolute path.

    If the user has no home, as in some containers, the folder is below the root folder. In this case platformdirs
    raises RuntimeError, or returns a path with ``~`` in it, which would be relative.
    """
    try:
        folder = folder_of("kosmolua")
    except RuntimeError:
        folder = ""
    return folder if os.path.isabs(folder) else os.path.join(os.path.abspath(os.sep), below_home, "kosmolua")


def objection_to_writers(path: str) -> str:
    """Return, as a part of a sentence, how others could change a file that is to be used. It is empty if they cannot.

    As with ssh, the file and its folder must belong to the user or to root, and neither the group nor others may write
    to them. If the file is a symbolic link, this also applies to the folder of the link. A folder such as ``/tmp``, in
    which nobody can replace the files of others, is allowed, and so is the group that consists of the owner alone.

    Args:
        path: The file or folder. What is no regular file, such as a pipe, is not examined.
    """
    if os.name != "posix" or not (os.path.isfile(path) or os.path.isdir(path)):
        return ""
    real = os.path.realpath(path)
    folders = dict.fromkeys((os.path.dirname(real), os.path.dirname(os.path.abspath(path))))
    return next(filter(None, map(_objection, (real, *folders))), "")


def _objection(path: str) -> str:
    import stat

    found = os.stat(path)
    if found.st_uid not in (0, os.geteuid()):
        return f"{path} belongs to another user (uid {found.st_uid}); run: chown {os.geteuid()} {path}"
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if others == stat.S_IWGRP and _is_own_group(found.st_gid, found.st_uid):
        return ""
    if not others or (stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX):
        return ""
    return f"others may write to {path} (mode {stat.S_IMODE(found.st_mode):04o}); run: chmod go-w {path}"


def _is_own_group(group: int, user: int) -> bool:
    """Return True if a group is the one that many systems make for each user, without further members."""
    import grp
    import pwd

    try:
        owner, members = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return members.gr_name == owner.pw_name and {*members.gr_mem} <= {owner.pw_name}
