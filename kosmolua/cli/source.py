"""The source of a script: what stands in a file, or on standard input, as far as the limit on it lets anybody read."""

from __future__ import annotations

import os
import sys

from kosmolua.cli.streams import standard
from kosmolua.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO, NoReturn

SURPLUS = 4
"""Bytes read beyond the limit: a byte order mark, which does not count, and one that shows that there are too many."""
PIECE = 1024 * 1024
_UTF_16 = b"\xff\xfe", b"\xfe\xff"


def name_of(path: str | Path) -> str:
    """Return what messages call the script in a file: its name, with U+FFFD for bytes that are not UTF-8."""
    return os.fsencode(os.path.basename(path)).decode("utf-8", "replace")


def read_file(path: str | Path, most: int) -> bytes:
    """Return the script in a file, and of one that is too long as much as shows that.

    Args:
        path: The file.
        most: Bytes that a script may have.

    Raises:
        UsageError: It cannot be read, or is no text.
    """
    if path == "":
        raise UsageError("No script is named (is a variable empty?)")
    try:
        with open(path, "rb") as stream:
            return _read(stream, f"The script {path}", most)
    except OSError as error:
        _refuse(f"The script {path}", error.strerror)
    except ValueError:
        _refuse(f"The script {path}", "it is no path")


def read_input(most: int) -> bytes:
    """Return the script on standard input, as :func:`read_file` does from a file."""
    if sys.stdin is None:
        raise UsageError("Standard input is closed, so there is no script to read")
    try:
        return _read(standard.reader, "Standard input", most)
    except OSError as error:
        _refuse("Standard input", error.strerror)


def _read(stream: BinaryIO, what: str, most: int) -> bytes:
    read = bytearray()
    while len(read) < most + SURPLUS and (piece := stream.read(min(PIECE, most + SURPLUS - len(read)))):
        read += piece
    source = bytes(read)
    if len(source) <= most and not _is_text(source):
        _refuse(what, "it is not UTF-8 text")
    return source


def _is_text(source: bytes) -> bool:
    """Say whether a source may be Lua, which may hold any byte, but not in its first line: there they mean UTF-16."""
    return not source.startswith(_UTF_16) and b"\0" not in source.partition(b"\n")[0]


def _refuse(what: str, reason: str | None) -> NoReturn:
    raise UsageError(f"{what} cannot be read: {reason}")
