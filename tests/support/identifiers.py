"""Identifiers of parametrized tests, the same in every process that collects them."""

from __future__ import annotations

import re
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def stable(value: Any) -> str:
    """Return a value as ``str`` has it, but with the name of a function and without the address of an object."""
    return str(getattr(value, "name", _ADDRESS.sub("", str(value))))
