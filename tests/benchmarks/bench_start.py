"""From the shell to the end of a script that makes no call, against an interpreter that does nothing."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ratio import Ratio, compare, timed


def ratios() -> Iterator[Ratio]:
    """Yield the ratio of a whole ``kosmolua run``."""
    program = shutil.which("kosmolua", path=str(Path(sys.executable).parent))
    command = [program] if program else [sys.executable, "-m", "kosmolua"]
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "hello.lua"
        script.write_text('print("hello")\n')
        yield compare(
            "`kosmolua run hello.lua`",
            "`python -c pass`",
            timed(lambda: subprocess.run([*command, "run", str(script)], stdout=subprocess.DEVNULL, check=True)),
            timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True)),
            goal=3.3,
            rounds=25,
        )
