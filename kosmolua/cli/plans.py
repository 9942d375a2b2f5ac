"""Finds and shows plans. A plan lists the writes of a script: ``run --plan`` notes them, and ``apply`` makes them."""

from __future__ import annotations

import os
from typing import TextIO

from kosmolua.cli import terminal
from kosmolua.cli.terminal import JOINT
from kosmolua.recordings.kept_plans import KeptPlans
from kosmolua.recordings.outlines import MARKS
from kosmolua.recordings.plans import Plan
from kosmolua.stores.opening import default_store

ARGUMENTS, OTHERS = 7, 4
"""The columns at which a long line of a plan goes on: that of a call, and any other."""


def find(named: str) -> Plan:
    """Return the plan that the user named: a file, or the id of a plan in the user's store.

    Raises:
        ConfigError: There is no such plan, or it cannot be read.
    """
    return Plan.load(named) if os.path.exists(named) else KeptPlans(default_store()).load(named)


def show(plan: Plan, stream: TextIO) -> None:
    """Write a plan: its calls, what they replace, and where it depends on what does not exist yet.

    On a terminal, long lines go on below the arguments of their call.
    """
    for kind, text in plan.outline():
        whole = f"{MARKS[kind]}{text[1:]}" if kind in MARKS else text
        whole = whole.replace(" = ", f"{JOINT}={JOINT}").replace(" -> ", f"{JOINT}->{JOINT}")
        lines = terminal.fitted(whole, stream, " " * (ARGUMENTS if kind in MARKS else OTHERS)).replace(JOINT, " ")
        stream.writelines(f"{terminal.styled(each, kind, stream)}\n" for each in lines.split("\n"))
