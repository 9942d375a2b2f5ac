"""What users see: text for people, JSON for programs, complaints on standard error."""

from __future__ import annotations

import json
import os
import re
import sys

from kosmolua.errors import KosmoError

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def complain(sentence: str) -> None:
    """Write one sentence to standard error."""
    sys.stderr.write(f"kosmolua: {harmless(sentence)}\n")


def warn(sentence: str) -> None:
    """Write one warning to standard error."""
    complain(f"warning: {sentence}")


def complain_of(error: KosmoError, script: str | None = None) -> None:
    """Write an error to standard error: its place, its message, its traceback and what to do.

    Args:
        error: What happened.
        script: The name of the script that it ended, if it did.
    """
    place = f"{script}:{error.line}: " if script and error.line and not error.message.startswith(f"{script}:") else ""
    complain(place + error.message)
    if error.traceback and error.code == "script_error":
        sys.stderr.write(harmless(error.traceback) + "\n")
    if error.hint and "\n" in error.hint:
        sys.stderr.write("\n" + "\n".join("    " + line for line in harmless(error.hint).splitlines()) + "\n")


def harmless(text: str) -> str:
    """Return text without the control characters that a terminal would obey; line ends and tabs stay."""
    visible = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return visible.encode("utf-8", "backslashreplace").decode()


def write(data: bytes) -> None:
    """Write to standard output, at once and whole."""
    while data:
        data = data[os.write(sys.stdout.fileno(), data) :]


def line(text: str) -> None:
    """Write a line to standard output."""
    write(text.encode("utf-8", "replace") + b"\n")


def as_json(value: object) -> None:
    """Write a value to standard output as indented JSON."""
    line(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def on_terminal() -> bool:
    """Say whether standard output is a terminal that shows more than plain text."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def somebody_is_there() -> bool:
    """Say whether a person at a terminal can be asked."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Write a table: by rich on a terminal, tab-separated in a pipe."""
    if not on_terminal():
        for row in rows:
            line("\t".join(cell.replace("\n", " ") for cell in row))
        return
    from rich.console import Console
    from rich.table import Table

    drawn = Table(*columns, title=title, title_justify="left", box=None, pad_edge=False)
    for row in rows:
        drawn.add_row(*row)
    Console().print(drawn)
