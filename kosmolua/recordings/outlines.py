"""The outline of a plan for people: its calls by function, what they replace, and how many there are of each kind."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kosmolua.calls.approvals import shown_arguments, way_back
from kosmolua.calls.inverses import changes_nothing
from kosmolua.escaping import exposed, shortened
from kosmolua.limits import whole_number
from kosmolua.schema.effects import changes, is_final

MAX_CALLS, MAX_GROUPS, MAX_NOTES = 24, 8, 4
"""How many calls, headings and notes of each kind an outline has at most. What is left out is counted."""
MAX_ARGUMENTS, HEAD, TAIL = 160, 110, 40
"""How many characters of a call's arguments are shown; of longer ones, which begin with the shortest
argument, how many at the beginning and at the end."""
MARKS = {"create": "+", "change": "~", "destroy": "-", "read": " ", "same": " "}
"""What a line about a call begins with, by what the call does."""
CREATING = frozenset({"create", "add", "new", "insert", "register", "import", "upload", "fork", "clone"})
"""The words in the name of a function that creates something."""


@dataclass
class PlannedCall:
    """A call in a plan; :class:`kosmolua.calls.approvals.Approval` explains the fields that it has too.

    ``line`` is the line of the script that makes the call; 0 if it is not known. ``effect`` is ``read`` for a read that
    was not made because its arguments contain the result of a planned call, and ``depends_on`` has the numbers of the
    planned calls whose results are in the arguments.
    """

    number: int
    line: int
    path: str
    account: str
    effect: str
    arguments: dict[str, Any]
    depends_on: list[int] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    undoable: bool = False
    lost: str = ""
    flows: list[str] = field(default_factory=list)
    why: str = ""


class Line(NamedTuple):
    """A line of an outline. ``kind`` is what it says: ``heading``, ``create``, ``change``, ``destroy``, ``read``,
    ``same``, ``note``, ``fault`` or ``sum``."""

    kind: str
    text: str


def kind_of(call: PlannedCall) -> str:
    """Return what a planned call does: ``create``, ``change``, ``destroy`` or ``read``, or ``same`` for no change."""
    if changes(call.effect) and changes_nothing(call.arguments, call.before):
        return "same"
    if is_final(call.effect) or not changes(call.effect):
        return call.effect
    words = call.path.rpartition(".")[2].split("_")
    return "change" if CREATING.isdisjoint(words) else "create"


def outline(calls: Sequence[PlannedCall], faults: Sequence[str], notes: Sequence[str]) -> list[Line]:
    """Return the outline of a plan. However many calls the plan has, it has at most 60 lines.

    ``faults`` keep it from being applied as it is; ``notes`` say what it assumes and depends on.
    """
    groups: dict[str, list[PlannedCall]] = {}
    for call in calls:
        groups.setdefault(exposed(f"{call.path} [{call.account}]"), []).append(call)
    shown = dict(list(groups.items())[:MAX_GROUPS])
    each = max(1, MAX_CALLS // max(1, len(shown)))
    lines = [line for heading, members in shown.items() for line in _group(heading, members, each)]
    if len(groups) > len(shown):
        left = sum(len(members) for heading, members in groups.items() if heading not in shown)
        lines.append(Line("note", f"and {left:,} more calls of {len(groups) - len(shown):,} more functions"))
    for kind, said in (("fault", faults), ("note", notes)):
        lines += [Line(kind, exposed(each)) for each in said[:MAX_NOTES]]
        lines += [Line("note", f"and {len(said) - MAX_NOTES:,} more")] if len(said) > MAX_NOTES else []
    kinds = [kind_of(call) for call in calls]
    counted = ", ".join(f"{kinds.count(kind):,} to {kind}" for kind in ("create", "change", "destroy"))
    return [*lines, Line("sum", f"Plan: {counted}.")]


def markdown(lines: Sequence[Line], end: str) -> str:
    """Return an outline as Markdown, with a sentence at its end."""
    shown = [(line.kind, line.text.replace("```", "'''")) for line in lines[:-1]]
    body = [f"{MARKS.get(kind, '#')} {text.strip() if kind in MARKS else text}" for kind, text in shown]
    return "\n".join([f"### {lines[-1].text}", "", "```diff", *body, "```", "", end, ""])


def described(call: PlannedCall) -> str:
    """Return the arguments of a planned call as text, with the names behind ids, and the values that they replace."""
    return ", ".join(_arguments(call)) or "without arguments"


def _arguments(call: PlannedCall) -> list[str]:
    return [exposed(f"{name} = {value}") for name, value in shown_arguments(vars(call), literal).items()]


def numbers_in(text: str) -> tuple[int, ...] | None:
    """Return the numbers of calls that a person wrote, such as ``3, 7``; None for a text that is something else."""
    found = [whole_number(word) for word in text.replace(",", " ").split()]
    return None if None in found else tuple(each for each in found if each is not None)


def _group(heading: str, calls: Sequence[PlannedCall], most: int) -> Iterator[Line]:
    times = f"{len(calls):,} x " if len(calls) > 1 else ""
    yield Line("heading", f"{times}{heading}, {calls[0].effect}s{_undoing(calls)}")
    shown = calls if len(calls) <= most + 1 else calls[:most]
    for call in shown:
        text = described(call)
        if len(text) > MAX_ARGUMENTS:
            text = shortened(", ".join(sorted(_arguments(call), key=len)), HEAD, TAIL)
        takes = f"  (takes the result of {_listed(call.depends_on)})" if call.depends_on else ""
        kind = kind_of(call)
        yield Line(kind, f"{call.number:>5}  {text}{', no change' if kind == 'same' else ''}{takes}")
    if len(calls) > len(shown):
        yield Line("note", f"       and {len(calls) - len(shown):,} more")


def _undoing(calls: Sequence[PlannedCall]) -> str:
    if not changes(calls[0].effect):
        return ""
    count, lost = sum(call.undoable for call in calls), next((call.lost for call in calls if call.lost), "")
    if 0 < count < len(calls):
        return f", {count:,} can be undone"
    said = way_back(calls[0].effect, lost, is_undoable=count > 0)
    return f", {exposed(said)}" if said else ""


def literal(value: object) -> str:
    """Return a value as JSON, with invisible characters escaped."""
    return exposed(json.dumps(value, ensure_ascii=False, default=str))


def _listed(numbers: Sequence[int]) -> str:
    return f"call {numbers[0]}" if len(numbers) == 1 else f"calls {', '.join(map(str, numbers))}"
