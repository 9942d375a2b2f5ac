"""A docstring in parts: what a function does, and sections such as ``Returns:``."""

from __future__ import annotations

import inspect
import re

_HEADING = re.compile(r"([A-Z][a-z]+):")


def split(doc: str) -> tuple[str, dict[str, str]]:
    """Return a docstring's text, and each section with its own indentation taken off.

    Args:
        doc: As :func:`inspect.getdoc` returns it: its text starts at the margin. A section is a line such as
            ``Returns:`` with the indented lines below it.
    """
    heading = ""
    parts: dict[str, list[str]] = {"": []}
    for line in doc.splitlines():
        found = _HEADING.fullmatch(line)
        if found:
            heading = found[1]
        elif line[:1].strip():
            heading = ""
        if not found:
            parts.setdefault(heading, []).append(line)
    text, *bodies = (inspect.cleandoc("\n" + "\n".join(lines)) for lines in parts.values())
    return text, dict(zip(list(parts)[1:], bodies, strict=True))
