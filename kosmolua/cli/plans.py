"""Finds and shows plans. A plan lists the writes of a script: ``run --plan`` notes them, and ``apply`` makes them."""

from __future__ import annotations

import os
import sys

from kosmolua.cli import console
from kosmolua.errors import ConfigError
from kosmolua.escaping import exposed, shortened
from kosmolua.folders import plans_folder
from kosmolua.recordings.plans import Plan, PlannedCall
from kosmolua.schema import luacats
from kosmolua.schema.effects import changes, is_final

MAX_ARGUMENTS, HEAD, TAIL = 160, 110, 40
"""How many characters of a call's arguments are shown; of longer ones, how many at the beginning and at the end."""
EFFECT_WIDTH = len("destroys")


def kept_file(id: str) -> str:
    """Return the path of the plan with an id in the plans folder of the user. Create the folder if needed.

    Raises:
        ConfigError: The folder cannot be created.
    """
    folder = plans_folder()
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        hint = "name another file with --plan=FILE"
        raise ConfigError(f"The folder for plans, {folder}, cannot be created: {error.strerror}", hint=hint) from None
    return os.path.join(folder, f"{id}.json")


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


def show(plan: Plan) -> None:
    """Write a plan to standard error: its calls, and where the script looks at results, which do not exist yet.

    Consecutive calls of the same integration and account are listed under one heading.
    """
    count = len(plan.writes)
    lines = [f"the plan has {count or 'no'} {'write' if count == 1 else 'writes'}"]
    last = ""
    for call in plan.calls:
        integration, _, function = call.path.rpartition(".")
        if (group := f"{integration} [{call.account}]") != last:
            lines.append(console.styled(exposed(group), "bold", sys.stderr))
            last = group
        lines.append(_row(call, function))
    lines += _decisions(plan)
    sys.stderr.write("".join(f"{line}\n" for line in [f"kosmolua: {lines[0]}", *lines[1:]]))


def _row(call: PlannedCall, function: str) -> str:
    arguments = ", ".join(f"{exposed(key)} = {exposed(luacats.literal(each))}" for key, each in call.arguments.items())
    if len(arguments) > MAX_ARGUMENTS:
        arguments = shortened(arguments, HEAD, TAIL)
    row = f"{call.number:>5}  {call.effect + 's':<{EFFECT_WIDTH}}  {exposed(function)}  {arguments}".rstrip()
    if call.depends_on:
        row += f"  (takes the result of {_listed(call.depends_on)})"
    style = "red" if is_final(call.effect) else None if changes(call.effect) else "dim"
    return console.styled(row, style, sys.stderr) if style else row


def _decisions(plan: Plan) -> list[str]:
    """Return a sentence for each planned call whose result the script looks at.

    A planned call has no real result yet, so the script may do something else when the plan is applied. The sentence
    names the first line of the script that looks at the result, and the fields that this line looks at.
    """
    lines = []
    for number in dict.fromkeys(seen["number"] for seen in plan.decisions):
        seen = [each for each in plan.decisions if each["number"] == number]
        keys = ", ".join(dict.fromkeys(str(each["key"]) for each in seen))
        what = f"the result of {seen[0]['path']} (call {number}): {exposed(keys)}"
        lines.append(f"from line {seen[0]['line']} on it depends on {what}")
    return lines


def _listed(numbers: list[int]) -> str:
    return f"call {numbers[0]}" if len(numbers) == 1 else f"calls {', '.join(map(str, numbers))}"
