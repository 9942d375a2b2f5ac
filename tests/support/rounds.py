"""How much a test tries."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")


def rounds(few: T, many: T) -> T:
    """Return ``many`` if the variable KOSMOLUA_LONG is set, as an operator has it, and else ``few``."""
    return many if os.environ.get("KOSMOLUA_LONG") else few
