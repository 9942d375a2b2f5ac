"""Print the lowest version of each dependency that pyproject.toml allows, as constraints for pip.

Tools for development are left out: they are newer where tests run.
"""

import re
from pathlib import Path

import tomli

project = tomli.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = [extra for name, extra in project["optional-dependencies"].items() if name not in ("dev", "test")]
for requirement in [*project["dependencies"], *(each for extra in extras for each in extra)]:
    if bound := re.match(r"([\w-]+)(?:\[[\w,]+\])?>=([\w.]+)", requirement):
        print("==".join(bound.groups()))
