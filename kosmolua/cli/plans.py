"""Finds and shows plans. A plan lists the writes of a script: ``run --plan`` notes them, and ``apply`` makes them."""

from __future__ import annotations

import os
from typing import TextIO

from kosmolua.cli import console
from kosmolua.folders import plans_folder
from kosmolua.recordings.plans import Plan

STYLES = {"heading": "bold", "destroy": "red", "fault": "red", "read": "dim", "note": "dim"}


def find(named: str) -> str:
    """Return the path of a plan that the user named.

    Args:
        named: A path, or the name of a plan in the user's plans folder. If no plan has this name, it is returned
            unchanged.
    """
    if os.path.exists(named) or os.path.dirname(named):
        return named
    kept = os.path.join(plans_folder(), f"{named}.json")
    return kept if os.path.exists(kept) else named


def show(plan: Plan, stream: TextIO) -> None:
    """Write a plan: its calls, what they replace, and where it depends on what does not exist yet."""
    lines = [(STYLES.get(line.kind), line.text) for line in plan.outline()]
    shown = [console.styled(text, style, stream) if style else text for style, text in lines]
    stream.write("".join(f"{line}\n" for line in shown))
