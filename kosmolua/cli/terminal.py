"""Text for a person at a terminal: colours by role, marks, widths, times, and lines that are broken between words."""

from __future__ import annotations

import os
import re
import sys

from kosmolua.cli.streams import standard
from kosmolua.expressions import regex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import TextIO

DEFAULT_WIDTH = 80
GAP = "  "
"""What separates the columns of a table."""
SHORT = 16
"""How many characters a cell of a table has at most that is never broken."""
JOINT = "\xa0"
"""A blank at which no line is broken."""
ROLES = {
    **dict.fromkeys(("bold", "heading"), "1"),
    **dict.fromkeys(("dim", "read", "same", "note", "simulated", "replayed"), "2"),
    **dict.fromkeys(("destroy", "danger", "failed", "fault", "unknown", "damaged"), "31"),
    "error": "1;31",
    **dict.fromkeys(("ok", "done", "create"), "32"),
    **dict.fromkeys(("warning", "refused", "paused", "waiting", "planned", "limit", "interrupted"), "33"),
    **dict.fromkeys(("write", "change"), "94"),
}
"""What a text can be, and its code of ECMA-48's Select Graphic Rendition on a dark terminal."""
ON_LIGHT = {"94": "34"}
"""The codes that are too bright for a light terminal, and those in their place."""
MARKS = {"ok": "✓+", "done": "✓+", "failed": "✗x", "error": "✗x", "damaged": "✗x", "unknown": "??", "bar": "█#"}
"""The mark of each role, and the one in its place where the encoding lacks it. A role without a mark has ``!``."""
_WIDTH = regex(r"0*[1-9][0-9]{0,3}")
_ESCAPE = regex(r"\x1b\[[\d;]*m")
_NUMBER = regex(r"(?!0\d)[\d,.]+( (ms|s|min|h|d|ago))?|")


def on_terminal(stream: TextIO | None = None) -> bool:
    """Return True if a stream (by default standard output) is a terminal that can show colours and styles."""
    is_terminal = stream.isatty() if stream else standard.is_shown
    return is_terminal and os.environ.get("TERM", "windows" if os.name == "nt" else "") not in ("", "dumb")


def draws_on(stream: TextIO | None = None) -> bool:
    """Return True if a stream is a terminal that understands escape codes, so that a line can be drawn again."""
    return os.name != "nt" and on_terminal(stream)


def is_light() -> bool:
    """Return True if the terminal says in COLORFGBG, as some do, that its background is light."""
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")


def styled(text: str, role: str, stream: TextIO | None = None) -> str:
    """Return text in the colour of one of :data:`ROLES`; unchanged for another, for no terminal, and for NO_COLOR."""
    code = ROLES.get(role)
    if not (code and text) or os.environ.get("NO_COLOR") or not draws_on(stream):
        return text
    return f"\x1b[{ON_LIGHT.get(code, code) if is_light() else code}m{text}\x1b[0m"


def mark(role: str) -> str:
    """Return the mark of a role, such as a tick for ``ok``."""
    signs = MARKS.get(role, "!!")
    try:
        signs.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return signs[1]
    return signs[0]


def bar(done: float, whole: float, size: int = 10) -> str:
    """Return a bar of so many columns that shows how much is done."""
    filled = round(min(done / whole, 1) * size) if whole else size
    return mark("bar") * filled + "." * (size - filled)


def marked(role: str) -> str:
    """Return a role behind its mark, as a table has it."""
    return f"{mark(role)} {role}"


def role_of(cell: str) -> str:
    """Return the role that a cell of a table is, whether it is marked or not."""
    return cell[2:] if cell[1:2] == " " else cell


def width(stream: TextIO | None = None) -> int:
    """Return how many columns the terminal has that a stream (by default standard output) goes to."""
    try:
        return os.get_terminal_size(stream.fileno() if stream else standard.output).columns or DEFAULT_WIDTH
    except (OSError, ValueError):
        columns = os.environ.get("COLUMNS", "")
        return int(columns) if _WIDTH.fullmatch(columns) else DEFAULT_WIDTH


def measured(text: str) -> int:
    """Return how many columns a text takes, in which colours take none and the letters of some scripts two."""
    if "\x1b" in text:
        text = _ESCAPE.sub("", text)
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    from unicodedata import combining, east_asian_width

    return 0 if combining(character) else 2 if east_asian_width(character) in ("W", "F") else 1


def on_one_line(text: str, room: int) -> str:
    """Return a text without colours, or only its beginning if it takes more than ``room`` columns."""
    for place, character in enumerate(text):
        room -= _columns_of(character)
        if room < 0:
            return text[:place]
    return text


def status_line(text: str, stream: TextIO) -> str:
    """Return a text as a line that is drawn again and again, in one row of the terminal."""
    return styled(on_one_line(text, width(stream) - 1), "dim", stream)


def broken(text: str, columns: int, indent: str = "") -> list[str]:
    """Return the lines of a text, of which long ones are broken between words and go on behind ``indent``.

    A line that begins with blanks goes on behind as many. A word that is longer than a line stays whole.
    """
    return [each.replace(JOINT, " ") for line in text.split("\n") for each in _broken(line, columns, indent)]


def _broken(line: str, columns: int, indent: str) -> list[str]:
    if measured(line) <= columns:
        return [line]
    begin = line[: len(line) - len(line.lstrip(" "))]
    if any(measured(begin + indent + word) > columns for word in line.split(" ")):
        line = line.replace(JOINT, " ")
    lines, current = [], begin
    for blanks, word in re.findall(r"( *)([^ ]+)", line[len(begin) :]):
        size = measured(word)
        fits_below = len(begin) + len(indent) + size <= columns or measured(current) > columns
        if current.strip() and fits_below and measured(current) + len(blanks) + size > columns:
            lines.append(current)
            current = begin + indent + word
        else:
            current += blanks + word
    return [*lines, current]


def fitted(text: str, stream: TextIO | None = None, indent: str = "") -> str:
    """Return a text as a terminal shows it best: with its long lines broken. A pipe gets it unchanged."""
    return "\n".join(broken(text, width(stream) - 1, indent)) if on_terminal(stream) else text


def spelled(milliseconds: float) -> str:
    """Return a duration for a person, such as ``0.4 ms``, ``12 ms``, ``3.1 s`` or ``2 min 5 s``."""
    seconds = milliseconds / 1000
    if seconds < 1:
        return f"{milliseconds:.1f} ms" if milliseconds < 1 else f"{milliseconds:.0f} ms"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:,} min {rest} s" if minutes else f"{seconds:.1f} s"


def between(begun: object, ended: object) -> str:
    """Return the duration between two times in RFC 3339; an empty text if one is missing or something else."""
    first, last = _read(begun), _read(ended)
    return spelled((last - first).total_seconds() * 1000) if first and last else ""


def moment(time: object) -> str:
    """Return how a time is shown, which is in RFC 3339 or missing: to the second, in the local zone."""
    known = _read(time) if time else None
    return f"{known.astimezone():%Y-%m-%d %H:%M:%S}" if known else str(time or "")[:19].replace("T", " ")


def both(time: object) -> str:
    """Return a time in RFC 3339 as :func:`moment` does, with UTC behind it if that differs."""
    local, other = moment(time), str(time or "")[:19].replace("T", " ")
    return local if local == other else f"{local} ({other[11:]} UTC)"


def _read(time: object) -> datetime | None:
    """Return a time in RFC 3339, or None for what another program wrote in its place."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(str(time).replace("Z", "+00:00"))
    except (ValueError, OverflowError):
        return None


def age(time: object, now: float) -> str:
    """Return how long ago a time in RFC 3339 was, such as ``4 min ago``; the local day if it was over a week ago.

    ``now`` is in seconds since 1970.
    """
    begun = _read(time)
    if not begun:
        return str(time or "")
    seconds = now - begun.timestamp()
    for size, unit, most in ((1, "s", 60), (60, "min", 60), (3600, "h", 24), (86400, "d", 8)):
        if seconds / size < most:
            return f"{max(seconds, 0) // size:.0f} {unit} ago"
    return begun.astimezone().strftime("%Y-%m-%d")


def tabulated(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], spare: Sequence[str]) -> list[str]:
    """Return the lines of a table. Numbers stand at the right, and a cell that is a role has its colour.

    If the longest words of the cells do not fit beside each other, the columns in ``spare`` are left out, one after
    the other. If that is not enough, each row is a list.
    """
    kept, room = [*columns], width()
    for name in [*spare, ""]:
        places = [columns.index(each) for each in kept]
        cells = [[row[place] for place in places] for row in rows]
        least = [max(map(_longest, column)) for column in zip(kept, *cells, strict=True)]
        if sum(least) + len(GAP) * (len(least) - 1) <= room:
            return [styled(title, "bold"), *_beside(kept, cells, least, room)]
        kept = [each for each in kept if each != name]
    return [styled(title, "bold"), *_below(columns, rows, room)]


def _longest(cell: str) -> int:
    """Return how many columns a cell needs: those of its longest word, but all of a short one, such as ``18 s ago``."""
    return measured(cell) if len(cell) <= SHORT else max(map(measured, cell.split()))


def _beside(columns: Sequence[str], rows: Sequence[Sequence[str]], least: Sequence[int], room: int) -> list[str]:
    widths = [max(map(measured, column)) for column in zip(columns, *rows, strict=True)]
    while (excess := sum(widths) + len(GAP) * (len(widths) - 1) - room) > 0:
        widest = max((each for each in range(len(widths)) if widths[each] > least[each]), key=widths.__getitem__)
        widths[widest] = max(least[widest], widths[widest] - excess)
    numeric = [all(map(_NUMBER.fullmatch, column)) for column in zip(*rows, strict=True)] or [False] * len(columns)
    lines = []
    for row in [columns, *rows]:
        is_head = row is columns
        cells = [broken(cell, size) for cell, size in zip(row, widths, strict=True)]
        for height in range(max(map(len, cells))):
            parts = []
            for cell, whole, size, is_number in zip(cells, row, widths, numeric, strict=True):
                text = cell[height] if height < len(cell) else ""
                space = " " * (size - measured(text))
                shown = styled(text, "bold" if is_head else role_of(whole))
                parts.append(space + shown if is_number else shown + space)
            lines.append(GAP.join(parts).rstrip())
    return lines


def _below(columns: Sequence[str], rows: Sequence[Sequence[str]], room: int) -> list[str]:
    size = max(map(measured, columns))
    lines = []
    for row in rows:
        for name, cell in zip(columns, row, strict=True):
            first, *more = broken(cell, room - size - len(GAP))
            if cell:
                lines.append(f"{styled(name.ljust(size), 'bold')}{GAP}{styled(first, role_of(cell))}")
                lines += [" " * size + GAP + each for each in more]
        lines.append("")
    return lines
