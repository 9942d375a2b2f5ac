"""The pages about runs: the list of a tenant's runs, and a page for each run with its calls, output and script."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.responses import Response

from kosmolua import protocol
from kosmolua.escaping import exposed
from kosmolua.recordings.answers import Answers
from kosmolua.recordings.timeline import bars_of
from kosmolua.serve.pages.history import DAMAGED, RUNNING, STATUSES, Run, counts
from kosmolua.serve.pages.markup import coloured_lines
from kosmolua.serve.pages.visits import Visit

PAGE = 50
"""The number of runs on one page of the list."""
MAX_BARS = 1000
"""The most calls that the page of a run shows."""


def listed(visit: Visit) -> Response:
    """Return the page that lists the tenant's runs, beginning with the latest. The URL can have a filter."""
    asked = {name: visit.asked(name) for name in ("q", "status", "mode")}
    fitting = [run for run in visit.own.runs() if run.fits(asked["q"], asked["status"], asked["mode"])]
    given = visit.asked("from")
    start = min(int(given), len(fitting)) if given.isascii() and given.isdecimal() and len(given) < 9 else 0
    shown = fitting[start : start + PAGE]

    def leads_to(first: int) -> str:
        kept = {name: value for name, value in {**asked, "from": first or ""}.items() if value}
        return f"{visit.root}/runs{'?' if kept else ''}{urlencode(kept)}"

    return visit.page(
        "runs.html",
        "runs",
        parts=("live",),
        runs=shown,
        asked=asked,
        statuses=STATUSES,
        is_filtered=any(asked.values()),
        first=start + 1,
        total=len(fitting),
        newer=leads_to(max(0, start - PAGE)) if start else None,
        older=leads_to(start + PAGE) if start + PAGE < len(fitting) else None,
    )


def shown(visit: Visit) -> Response:
    """Return the page of one run, with its calls, its script, and the calls that wait for a person."""
    run = _run(visit)
    if run is None:
        return _no_such_run(visit)
    recording = None if run.status == DAMAGED else visit.own.recording(run.id)
    bars = [bar for bar in bars_of(recording) if counts(vars(bar), run.error)][:MAX_BARS] if recording else []
    asking = visit.own.asking(run.id)
    whole = max((bar.begins + bar.duration for bar in bars), default=0.0) or 1.0
    doubtful = [answer.call for answer in Answers(recording).under_way] if recording and run.status != RUNNING else []
    source = protocol.to_bytes(recording.script["source"]).decode("utf-8", "replace") if recording else ""
    source = source.replace("\r\n", "\n")
    return visit.page(
        "run.html",
        "runs",
        parts=("live",),
        run=run,
        bars=bars,
        whole=whole,
        asking=asking,
        doubtful=doubtful,
        source=coloured_lines(exposed(source).rstrip("\n")) if source else [],
        wrong_line=run.error.line if run.error else None,
    )


def output(visit: Visit) -> Response:
    """Replay a run to get its output and result. Return them as HTML, which the page of the run loads."""
    run = _run(visit)
    if run is None or run.status == DAMAGED:
        return _no_such_run(visit)
    return visit.page("outcome.html", parts=("outcome",), run=run, outcome=visit.own.replay(run.id), hides_error=True)


def replayed(visit: Visit) -> Response:
    """Replay a run, and return a page with the output and the result of the replay."""
    run = _run(visit)
    if run is None or run.status == DAMAGED:
        return _no_such_run(visit)
    return visit.page("replay.html", "runs", run=run, outcome=visit.own.replay(run.id))


def resumed(visit: Visit) -> Response:
    """Resume a run, and redirect to its page.

    In the form, a person has decided about each write that may have been done: it counts as done, or is sent again.
    """
    run = _run(visit)
    if run is None or run.status == DAMAGED:
        return _no_such_run(visit)
    numbers = [int(number) for number in visit.lists.get("number", ()) if number.isdecimal()]
    chosen = {number: visit.form.get(f"choice-{number}") for number in numbers}
    visit.own.resume(
        run.id,
        done={number: None for number, answer in chosen.items() if answer == "done"},
        again=[number for number, answer in chosen.items() if answer == "again"],
    )
    return visit.redirect(f"/runs/{run.id}")


def _run(visit: Visit) -> Run | None:
    return visit.own.find(visit.request.path_params["run"])


def _no_such_run(visit: Visit) -> Response:
    return visit.error("Not found", "There is no such run.", status=404, back="/runs")
