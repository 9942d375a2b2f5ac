"""The user's own folders: configuration, state and cache, which need not exist, and their files."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from errno import EFBIG
from functools import partial

from kosmolua.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

ACCOUNTS_VARIABLE = "KOSMOLUA_ACCOUNTS"
JOURNAL = "journal.jsonl"
"""The name of the journal's file in the state folder."""
BLOCK = 1024 * 1024
"""How many bytes of a file to read at a time."""
MAX_SETTINGS = 16 * BLOCK
"""The most bytes of an accounts file."""
MAX_LINE = 64 * BLOCK
"""The most bytes of a line in a journal or an audit. A device such as ``/dev/zero`` is one line without an end."""


def accounts_file(named: str | os.PathLike[str] | None, environ: Mapping[str, str]) -> tuple[str, bool]:
    """Return the path of the accounts file, and whether it must be read, as one that the user named must.

    ``KOSMOLUA_ACCOUNTS`` can name it too. The default file is read only if it exists.

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
    """Return a path with ``~`` or ``~user`` replaced by the home, if that is known."""
    try:
        return os.path.expanduser(path)
    except ValueError:  # no user's name has a zero byte in it
        return os.fspath(path)


def config_folder() -> str:
    """Return the folder of accounts.toml and of the user's integrations."""
    return _folder("config", ".config")


def scripts_folder() -> str:
    """Return the folder of the user's scripts."""
    return os.path.join(config_folder(), "scripts")


def state_folder() -> str:
    """Return the folder of data kept between runs, such as the journal."""
    return _folder("state", ".local/state")


def cache_folder() -> str:
    """Return the folder of data that can be computed again, such as compiled documents."""
    return _folder("cache", ".cache")


def journal_file() -> str:
    return os.path.join(state_folder(), JOURNAL)


def recordings_folder() -> str:
    """Return the folder of recordings for which the user names no file."""
    return os.path.join(state_folder(), "recordings")


def tenants_folder() -> str:
    return os.path.join(state_folder(), "tenants")


def tenant_folder(name: str) -> str:
    return os.path.join(tenants_folder(), name)


def _folder(kind: str, below_home: str) -> str:
    """Return an absolute path of one of the folders, as XDG's base directories, Apple and Microsoft say where it is.

    Without a home, as in some containers, it is below the root. Importing platformdirs would take longer than a tenth
    of a short command.
    """
    if sys.platform in ("darwin", "win32"):
        import platformdirs

        return str(getattr(platformdirs, f"user_{kind}_dir")("kosmolua"))
    home = os.path.expanduser("~")
    folder = os.environ.get(f"XDG_{kind.upper()}_HOME", "")
    if not os.path.isabs(folder):
        folder = os.path.join(home if os.path.isabs(home) else os.sep, below_home)
    return os.path.join(folder, "kosmolua")


def objection_to_writers(path: str) -> str:
    """Return, as a part of a sentence, how others could change a file that is to be used; empty if they cannot.

    As with ssh, the file and its folder must belong to the user or to root, and nobody else may write to them, but for
    the group of the owner alone, and folders such as ``/tmp``. The same applies to the folder of a symbolic link. What
    is no regular file, such as a pipe, is not examined.
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
    """Return True for the group that many systems make for each user, without further members."""
    import grp
    import pwd

    try:
        owner, members = pwd.getpwuid(user), grp.getgrgid(group)
    except KeyError:
        return False
    return members.gr_name == owner.pw_name and {*members.gr_mem} <= {owner.pw_name}


def is_missing(path: str | os.PathLike[str]) -> bool:
    """Return True if nothing is at a path; False also if it is not known, since its folder cannot be searched."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def is_special(path: str | os.PathLike[str]) -> bool:
    """Return True if there is something at a path that is neither a regular file nor a folder, such as a device."""
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def read_within(path: str | os.PathLike[str], most: int, beginning: bytes = b"") -> bytes:
    """Return the content of a file; of one that does not begin with ``beginning``, only as much as shows that.

    Raises:
        OSError: It cannot be read, or has more than ``most`` bytes, as a device such as ``/dev/zero`` has.
    """
    blocks: list[bytes] = []
    left = most
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            blocks.append(block)
            left -= len(block)
            if not blocks[0].startswith(beginning):
                break
            if left < 0:
                raise OSError(EFBIG, os.strerror(EFBIG))
    return b"".join(blocks)


def lines_within(file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a file; raise OSError at one that is longer than :data:`MAX_LINE`."""
    while line := file.readline(MAX_LINE + 1):
        if len(line) > MAX_LINE:
            raise OSError(EFBIG, os.strerror(EFBIG))
        yield line


def replace_file(
    path: str | os.PathLike[str], content: bytes, *, keeps_mode: bool = False, is_private: bool = True
) -> None:
    """Replace a file in one step; a symbolic link is followed. Then only its owner can read it, if it is private.

    With ``keeps_mode``, a file that exists keeps its permissions. What is no regular file, such as ``/dev/null`` or a
    pipe, stays what it is, and is written to.

    Raises:
        OSError: It cannot be written. What was there before is there still.
    """
    if is_special(path):
        with open(path, "wb") as stream:
            stream.write(content)
        return
    path = os.path.realpath(path)
    fresh = f"{path}.{os.urandom(4).hex()}"
    try:
        with open(fresh, "xb", opener=partial(os.open, mode=0o600 if is_private else 0o666)) as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if keeps_mode and os.path.exists(path):
            os.chmod(fresh, os.stat(path).st_mode & 0o7777)
        os.replace(fresh, path)
    except OSError:
        with suppress(OSError):
            os.remove(fresh)
        raise
    if os.name == "posix":
        _sync(os.path.dirname(path))


def _sync(folder: str) -> None:
    """Make the names of the files in a folder survive a power cut, if the system can."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
