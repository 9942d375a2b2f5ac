"""Run every benchmark, or those named, and print one table of ratios: ``python tests/benchmarks/run.py [NAME...]``."""

from __future__ import annotations

import compileall
import importlib
import os
import platform
import sys
from compileall import compile_dir
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from peers import versions
from ratio import HEADER

import kosmolua
from kosmolua.catalog.plugins import bundled_folder

PACKAGE = Path(__file__).parents[2] / "kosmolua"


def main(names: list[str]) -> None:
    """Print the table as each benchmark ends. Our modules are compiled first, as those of the peers were by pip."""
    for folder in (kosmolua.__path__[0], bundled_folder()):
        compile_dir(str(folder), quiet=2)
    compileall.compile_dir(PACKAGE, quiet=1)  # an installed package has its bytecode, and a checkout may have none
    files = sorted(Path(__file__).parent.glob("bench_*.py"))
    chosen = [file.stem for file in files if not names or file.stem.removeprefix("bench_") in names]
    system = f"{platform.system()} {platform.release()}, {os.cpu_count()} cores"
    print(f"{date.today()}: {platform.python_implementation()} {platform.python_version()}, {system}, {versions()}")
    print(HEADER)
    for name in chosen:
        for ratio in importlib.import_module(name).ratios():
            print(ratio.row(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
