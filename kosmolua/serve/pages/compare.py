"""The page that compares two runs: their scripts, their calls, and their ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import NamedTuple

from starlette.responses import Response

from kosmolua.escaping import exposed
from kosmolua.recordings.timeline import compared
from kosmolua.serve.pages.briefing import source_of
from kosmolua.serve.pages.history import DAMAGED, RunEntry
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
        script=differences(*scripts) if scripts[0] != scripts[1] else [],
        calls=differences(compared(first), compared(second)),
    )


def differences(before: Sequence[str], after: Sequence[str]) -> list[ComparedLine]:
    """Return the lines of two texts with signs; long stretches of equal lines are left out."""
    return list(_differences(before, after))


def _differences(before: Sequence[str], after: Sequence[str]) -> Iterator[ComparedLine]:
    for kind, begins, ends, begins_after, ends_after in SequenceMatcher(
        None, before, after, autojunk=False
    ).get_opcodes():
        if kind != "equal":
            yield from (ComparedLine("-", line) for line in before[begins:ends])
            yield from (ComparedLine("+", line) for line in after[begins_after:ends_after])
            continue
        head = 0 if begins == 0 else AROUND
        tail = 0 if ends == len(before) and ends_after == len(after) else AROUND
        lines = before[begins:ends]
        if len(lines) <= head + tail + 1:
            yield from (ComparedLine(" ", line) for line in lines)
            continue
        yield from (ComparedLine(" ", line) for line in lines[:head])
        yield ComparedLine("", f"{len(lines) - head - tail:,} equal lines")
        yield from (ComparedLine(" ", line) for line in lines[len(lines) - tail :])


def groups_of(runs: Sequence[RunEntry]) -> list[list[RunEntry]]:
    """Return runs, the latest first, by their scripts."""
    found: dict[str, list[RunEntry]] = {}
    for run in runs:
        found.setdefault(run.sha256 or run.id, []).append(run)
    return list(found.values())
