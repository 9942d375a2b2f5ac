"""How often a test repeats what it tries."""

from __future__ import annotations

import os


def rounds(few: int, many: int) -> int:
    """Return ``many`` if the variable KOSMOLUA_LONG is set, as an operator has it, and else ``few``."""
    return many if os.environ.get("KOSMOLUA_LONG") else few
