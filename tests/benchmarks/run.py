"""Run every benchmark, or those named, and print one table of ratios: ``python tests/benchmarks/run.py [NAME...]``."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from compileall import compile_dir
from datetime import date
from pathlib import Path

from peers import versions
from ratio import HEADER

import kosmolua
from kosmolua.catalog.plugins import bundled_folder

HERE = Path(__file__).parent
ROWS = "import {0}\nfor ratio in {0}.ratios(): print(ratio.row(), flush=True)"


def main(names: list[str]) -> None:
    """Print the table as each benchmark ends. Our modules are compiled first, as those of the peers were by pip.

    Each benchmark is a process of its own, so that none is measured with the memory of those before it.
    """
    known = sorted(file.stem.removeprefix("bench_") for file in HERE.glob("bench_*.py"))
    if unknown := [name for name in names if name not in known]:
        sys.exit(f"There is no benchmark called {unknown[0]}. Name some of: {', '.join(known)}")
    for folder in (kosmolua.__path__[0], bundled_folder()):
        compile_dir(str(folder), quiet=2)  # a checkout may have no bytecode
    system = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores"
    print(f"{date.today()}: {platform.python_implementation()} {platform.python_version()}, {system}, {versions()}")
    print(HEADER, flush=True)
    for name in names or known:
        subprocess.run([sys.executable, "-c", ROWS.format(f"bench_{name}")], cwd=HERE, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
