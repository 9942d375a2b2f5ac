"""Draws docs/terminal.svg, the console blocks of docs/tour.md as they run now, moving: ``python docs/picture.py``."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
COLUMNS, LETTER, LINE, TOP = 100, 8.4, 21, 56
TYPED, READ, REST = 28, 0.35, 6.0
"""Letters typed in a second, and seconds for reading a line, and for looking at all of it."""
STYLE = """\
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#c9d1d9;white-space:pre}
.typed{fill:#fff;font-weight:600}.said{fill:#f0a8a0}.prompt{fill:#6cc67f}.title{fill:#8b949e;text-anchor:middle}
@media (prefers-reduced-motion:reduce){text{animation:none!important}}"""


class Row(NamedTuple):
    """A line of the terminal: its text, its style, when it begins to appear, and the seconds that this takes."""

    text: str
    style: str
    begins: float
    lasts: float = 0.0


def commands(page: str) -> list[str]:
    """Return the commands that a page shows with what they print."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def rows() -> Iterator[Row]:
    """Run the tour's commands in a folder with its scripts, and yield what is seen."""
    page = (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    now = 0.5
    with tempfile.TemporaryDirectory() as folder:
        for name, script in re.findall(r"^```lua\n(?=-- (\w+\.lua))(.*?)^```$", page, re.DOTALL | re.MULTILINE):
            Path(folder, name).write_text(script, encoding="utf-8")
        for command in commands(page):
            words = [sys.executable, "-m", "kosmolua", *shlex.split(command)[1:]]
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
            yield Row(command, "typed", now, len(command) / TYPED)
            now += len(command) / TYPED + 0.6
            for style, output in (("", done.stdout.expandtabs(20)), ("said", done.stderr)):
                for line in output.splitlines():
                    for part in textwrap.wrap(line, COLUMNS, drop_whitespace=False):
                        yield Row(part, style, now)
                        now += READ
            yield Row("", "", now)
            now += 1.2


def draw() -> str:
    """Return the picture: each line appears at its time, and all of it begins again after a rest."""
    seen = list(rows())
    total = seen[-1].begins + REST
    style, body = [STYLE], []
    for number, row in enumerate(seen):
        if not row.text:
            continue
        style.append(_appears(f"l{number}", row.begins / total, total, row.lasts / total, letters=len(row.text)))
        height, left = TOP + LINE * number, 20 + 2 * LETTER * bool(row.lasts)
        if row.lasts:
            body.append(f'<text id="p{number}" x="20" y="{height}" class="prompt">$</text>')
            style.append(_appears(f"p{number}", max(0.0, row.begins - 0.4) / total, total))
        body.append(f'<text id="l{number}" x="{left:g}" y="{height}" class="{row.style}">{escape(row.text)}</text>')
    wide, high = round(40 + COLUMNS * LETTER), TOP + LINE * len(seen)
    dots = "".join(
        f'<circle cx="{22 + 20 * place}" cy="20" r="6" fill="{colour}"/>'
        for place, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">\n'
        f"<style>{chr(10).join(style)}</style>\n"
        f'<rect width="{wide}" height="{high}" rx="9" fill="#161b22"/>{dots}\n'
        f'<text x="{wide // 2}" y="25" class="title">kosmolua</text>\n{chr(10).join(body)}\n</svg>\n'
    )


def _appears(name: str, begins: float, total: float, lasts: float = 0.0, letters: int = 1) -> str:
    """Return the style of an element that appears at a part of the time, letter by letter if that lasts."""
    if not lasts:
        frames = f"0%{{opacity:0}}{begins:.2%},100%{{opacity:1}}"
    else:
        hidden = "clip-path:inset(0 100% 0 0)"
        typed = f"{begins:.2%}{{{hidden};animation-timing-function:steps({letters})}}"
        frames = f"0%{{{hidden}}}{typed}{begins + lasts:.2%},100%{{clip-path:inset(0)}}"
    return f"@keyframes {name}{{{frames}}}#{name}{{animation:{name} {total:.1f}s step-end infinite}}"


if __name__ == "__main__":
    (ROOT / "docs" / "terminal.svg").write_text(draw(), encoding="utf-8")
