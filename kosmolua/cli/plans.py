"""Finds and shows plans. A plan lists the writes of a script: ``run --plan`` notes them, and ``apply`` makes them."""

from __future__ import annotations

import os
from typing import TextIO

from kosmolua.cli import console
from kosmolua.recordings.events import PLAN_ID
from kosmolua.recordings.kept_plans import KeptPlans
from kosmolua.recordings.plans import Plan
from kosmolua.stores.opening import default_store

STYLES = {"heading": "bold", "destroy": "red", "fault": "red", "read": "dim", "note": "dim"}


def find(named: str) -> Plan:
    """Return the plan that the user named: a file, or the id of a plan in the user's store.

    Raises:
        ConfigError: There is no such plan, or it cannot be read.
    """
    is_id = PLAN_ID.fullmatch(named) and not os.path.exists(named)
    return KeptPlans(default_store()).load(named) if is_id else Plan.load(named)


def show(plan: Plan, stream: TextIO) -> None:
    """Write a plan: its calls, what they replace, and where it depends on what does not exist yet."""
    lines = [(STYLES.get(line.kind), line.text) for line in plan.outline()]
    shown = [console.styled(text, style, stream) if style else text for style, text in lines]
    stream.write("".join(f"{line}\n" for line in shown))
