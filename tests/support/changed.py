"""Runs the program with other values of constants: ``changed.py MODULE VALUES PYTHON -m kosmolua ARGUMENT...``."""

from __future__ import annotations

import importlib
import json
import runpy
import sys
from typing import Any


def change(module: str, values: dict[str, Any]) -> None:
    """Give constants of a module other values, also where they have been imported by now."""
    constants = vars(importlib.import_module(module))
    for name, value in values.items():
        former = constants[name]
        for each in [each for key, each in sys.modules.items() if key.startswith("kosmolua.")]:
            if vars(each).get(name) is former:
                setattr(each, name, value)


if __name__ == "__main__":
    change(sys.argv[1], json.loads(sys.argv[2]))
    sys.argv = sys.argv[5:]
    runpy.run_module("kosmolua", run_name="__main__", alter_sys=True)
