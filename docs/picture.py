"""Draws docs/terminal.svg, the commands of the README's console blocks as they run now: ``python docs/picture.py``."""

from __future__ import annotations

import io
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parent.parent


def commands(readme: str) -> list[str]:
    """Return the commands that the README shows with what they print."""
    blocks = re.findall(r"^```console\n(.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def draw() -> str:
    """Run the commands in a folder with the README's script, and return the picture."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"^```lua\n(-- deploys\.lua.*?)^```$", readme, re.DOTALL | re.MULTILINE)
    console = Console(record=True, width=100, file=io.StringIO())
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "deploys.lua").write_text(script, encoding="utf-8")
        for command in commands(readme):
            words = [sys.executable, "-m", "kosmolua", *shlex.split(command)[1:]]
            done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
            console.print(Text.assemble(("$ ", "green"), (command, "bold")))
            console.print(Text(done.stdout.expandtabs(24) + done.stderr))
    picture = console.export_svg(title="kosmolua", unique_id="terminal")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)  # a picture asks no other server for anything


if __name__ == "__main__":
    (ROOT / "docs" / "terminal.svg").write_text(draw(), encoding="utf-8")
