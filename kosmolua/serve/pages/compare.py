"""The page that compares two runs: their scripts, their calls, and their ends."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from starlette.responses import Response

from kosmolua.escaping import exposed
from kosmolua.recordings.timeline import compared
from kosmolua.serve.pages.briefing import source_of
from kosmolua.serve.pages.history import DAMAGED
from kosmolua.serve.pages.page_request import PageRequest

AROUND = 3
"""How many equal lines are shown around each difference."""
KINDS = {"-": "removed", "+": "added", " ": "equal", "": "skipped"}


class ComparedLine(NamedTuple):
    """A line of a comparison. ``sign`` is ``-`` or ``+`` if one run alone has it, and empty for lines left out."""

    sign: str
    text: str

    @property
    def kind(self) -> str:
        """What the sign means, in a word."""
        return KINDS[self.sign]


def shown(request: PageRequest) -> Response:
    """Return the page that compares the two runs in the URL, the older one first."""
    named = list(dict.fromkeys(request.request.query_params.getlist("run")))
    runs = [run for name in named[:2] if (run := request.own.history.run(name)) and run.status != DAMAGED]
    if len(runs) != 2 or len(named) > 2:
        why = "Choose two runs in the list: a comparison has exactly two."
        return request.error("Nothing to compare", why, status=409 if named else 404, back="/runs")
    runs.sort(key=lambda run: run.started.timestamp() if run.started else 0.0)
    first, second = (request.own.store.read(run.id) for run in runs)
    scripts = [exposed(source_of(each)).splitlines() for each in (first, second)]
    return request.page(
        "compare.html",
        "runs",
        runs=runs,
        script=differences(*scripts),
        calls=differences(compared(first), compared(second)),
    )


def differences(before: Sequence[str], after: Sequence[str]) -> list[ComparedLine]:
    """Return the lines of two texts with signs, without long stretches of equal lines; none if the texts are equal."""
    found: list[ComparedLine] = []
    shown = 0

    def leave_out(until: int) -> None:
        if until > shown:
            found.append(ComparedLine("", f"{until - shown:,} equal {'lines' if until - shown > 1 else 'line'}"))

    for group in SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(AROUND):
        leave_out(group[0][1])
        for kind, begins, ends, begins_after, ends_after in group:
            if kind == "equal":
                found += (ComparedLine(" ", line) for line in before[begins:ends])
            else:
                found += (ComparedLine("-", line) for line in before[begins:ends])
                found += (ComparedLine("+", line) for line in after[begins_after:ends_after])
            shown = ends
    if found:
        leave_out(len(before))
    return found
