"""Finds and shows plans. A plan lists the writes of a script: ``run --plan`` notes them, and ``apply`` makes them."""

from __future__ import annotations

import os
from shutil import get_terminal_size
from textwrap import wrap
from typing import TextIO

from kosmolua.cli import console
from kosmolua.recordings.events import PLAN_ID
from kosmolua.recordings.kept_plans import KeptPlans
from kosmolua.recordings.plans import Plan
from kosmolua.stores.opening import default_store

STYLES = {"heading": "bold", "destroy": "red", "fault": "red", "read": "dim", "note": "dim"}
ARGUMENTS, OTHERS = 7, 4
"""The columns at which a long line of a plan goes on: that of a call, and any other."""
JOINT = "\xa0"
"""A blank at which no line is broken. The text of a plan has it only as an escape."""


def find(named: str) -> Plan:
    """Return the plan that the user named: a file, or the id of a plan in the user's store.

    Raises:
        ConfigError: There is no such plan, or it cannot be read.
    """
    is_id = PLAN_ID.fullmatch(named) and not os.path.exists(named)
    return KeptPlans(default_store()).load(named) if is_id else Plan.load(named)


def show(plan: Plan, stream: TextIO) -> None:
    """Write a plan: its calls, what they replace, and where it depends on what does not exist yet.

    On a terminal, long lines go on below the arguments of their call.
    """
    for kind, text in plan.outline():
        style, pieces = STYLES.get(kind), [text]
        if console.on_terminal(stream):
            indent = " " * (ARGUMENTS if text.startswith(" ") else OTHERS)
            whole = text.replace(" = ", f"{JOINT}={JOINT}").replace(" -> ", f"{JOINT}->{JOINT}")
            pieces = wrap(whole, get_terminal_size().columns - 1, subsequent_indent=indent, break_on_hyphens=False)
        for piece in pieces:
            line = piece.replace(JOINT, " ")
            stream.write(f"{console.styled(line, style, stream) if style else line}\n")
