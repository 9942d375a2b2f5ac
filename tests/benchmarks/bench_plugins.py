"""Installed integrations: a script that uses one of 600 against the same script where it is the only one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ratio import Ratio, compare, timed

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.catalogs import write_plugin

MANY = 600
"""Integrations, of 70 functions each."""
SCRIPT = 'return app.integrations.service0.list_invoice({ invoice_id = "1" })'


def ratios() -> Iterator[Ratio]:
    """Yield the ratio for integrations in the user's own folder, and for those of installed packages."""
    program = shutil.which("kosmolua", path=str(Path(sys.executable).parent))
    command = [program] if program else [sys.executable, "-m", "kosmolua"]
    for kind, install in (("in a folder", _in_folder), ("as packages", _as_package)):
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as many:
            yield compare(
                f"`kosmolua run` with {MANY} integrations {kind}",
                "with one",
                _run([*command, "run", "-e", SCRIPT], install, Path(many), MANY),
                _run([*command, "run", "-e", SCRIPT], install, Path(one), 1),
                goal=1.1,
                rounds=25,
            )


def _run(command: list[str], install: Callable[[Path, str], None], home: Path, count: int) -> Callable[[], float]:
    for number in range(count):
        install(home, f"service{number}")
    paths = [str(home / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "PYTHONPATH": os.pathsep.join(paths)}
    return timed(lambda: subprocess.run(command, env=environment, check=True))


def _in_folder(home: Path, name: str) -> None:
    folder = home / "kosmolua" / "integrations"
    folder.mkdir(parents=True, exist_ok=True)
    write_plugin(folder, name)


def _as_package(home: Path, name: str) -> None:
    site = home / "site"
    info = site / f"kosmolua_{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: kosmolua-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[kosmolua.integrations]\n{name} = kosmolua_{name}\n")
    write_plugin(site, name).rename(site / f"kosmolua_{name}.py")
