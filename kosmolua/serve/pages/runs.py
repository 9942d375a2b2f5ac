"""The pages about runs: the list of a tenant's runs, and a page for each run with its calls, output and script."""

from __future__ import annotations

from datetime import date, timedelta
from urllib.parse import urlencode

from starlette.responses import Response

from kosmolua import protocol
from kosmolua.escaping import exposed
from kosmolua.recordings.answers import Answers
from kosmolua.recordings.timeline import bars_of
from kosmolua.serve.pages.history import DAMAGED, RUNNING, STATUSES, RunEntry, counts
from kosmolua.serve.pages.markup import coloured_lines
from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.stores.store import RunFilter

PAGE = 50
"""The number of runs on one page of the list."""
FIELDS = ("q", "status", "mode", "person", "client", "integration", "since", "until", "writes", "order")
"""The parameters of the URL that filter the list of runs."""
ORDERS = {"time": "Latest first", "worked": "Longest first", "title": "By title", "status": "By status"}
MAX_BARS = 1000
"""The most calls that the page of a run shows."""


def listed(request: PageRequest) -> Response:
    """Return the page that lists the tenant's runs, beginning with the latest. The URL can have a filter."""
    asked = {name: request.asked(name) for name in FIELDS}
    fitting = RunFilter(
        words=asked["q"],
        status=asked["status"],
        mode=asked["mode"],
        person=asked["person"],
        client=asked["client"],
        integration=asked["integration"],
        since=_day(asked["since"]),
        until=_day(asked["until"], days=1),
        writes=asked["writes"] == "yes",
        order=asked["order"] if asked["order"] in ORDERS else "time",
    )
    given = request.asked("from")
    start = int(given) if given.isascii() and given.isdecimal() and len(given) < 9 else 0
    shown, total = request.own.find_runs(fitting, start, PAGE)

    def leads_to(first: int) -> str:
        kept = {name: value for name, value in {**asked, "from": first or ""}.items() if value}
        return f"{request.root}/runs{'?' if kept else ''}{urlencode(kept)}"

    return request.page(
        "runs.html",
        "runs",
        parts=("live",),
        runs=shown,
        asked=asked,
        orders=ORDERS,
        integrations=request.own.runtime.catalog.names(),
        statuses=STATUSES,
        is_filtered=any(value for name, value in asked.items() if name != "order"),
        is_simulated=request.own.runtime.is_simulated,
        first=start + 1,
        total=total,
        newer=leads_to(max(0, start - PAGE)) if start else None,
        older=leads_to(start + PAGE) if start + PAGE < total else None,
    )


def _day(text: str, days: int = 0) -> str:
    """Return the beginning of a day, or of a later one, as times of runs are written; empty if it is none."""
    try:
        return (date.fromisoformat(text) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return ""


def shown(request: PageRequest) -> Response:
    """Return the page of one run, with its calls, its script, and the calls that wait for a person."""
    run = _run(request)
    recording = None if run.status == DAMAGED else request.own.recording(run.id)
    bars = [bar for bar in bars_of(recording) if counts(vars(bar), run.error)][:MAX_BARS] if recording else []
    groups = request.own.grouped([call for call in request.own.waiting() if call.run == run.id])
    whole = max((bar.begins + bar.duration for bar in bars), default=0.0) or 1.0
    doubtful = [answer.call for answer in Answers(recording).under_way] if recording and run.status != RUNNING else []
    source = protocol.to_bytes(recording.script["source"]).decode("utf-8", "replace") if recording else ""
    source = source.replace("\r\n", "\n")
    return request.page(
        "run.html",
        "runs",
        parts=("live",),
        run=run,
        bars=bars,
        whole=whole,
        groups=groups,
        doubtful=doubtful,
        source=coloured_lines(exposed(source).rstrip("\n")) if source else [],
        wrong_line=run.error.line if run.error else None,
    )


def output(request: PageRequest) -> Response:
    """Replay a run to get its output and result. Return them as HTML, which the page of the run loads."""
    run = _run(request, is_whole=True)
    return request.page(
        "outcome.html", parts=("outcome",), run=run, outcome=request.own.replay(run.id), hides_error=True
    )


def replayed(request: PageRequest) -> Response:
    """Replay a run, and return a page with the output and the result of the replay."""
    run = _run(request, is_whole=True)
    return request.page("replay.html", "runs", run=run, outcome=request.own.replay(run.id))


def resumed(request: PageRequest) -> Response:
    """Resume a run, and redirect to its page.

    In the form, a person has decided about each write that may have been done: it counts as done, or is sent again.
    """
    run = _run(request, is_whole=True)
    numbers = [int(number) for number in request.lists.get("number", ()) if number.isdecimal()]
    chosen = {number: request.form.get(f"choice-{number}") for number in numbers}
    request.own.resume(
        run.id,
        request.person,
        done={number: None for number, answer in chosen.items() if answer == "done"},
        again=[number for number, answer in chosen.items() if answer == "again"],
    )
    return request.redirect(f"/runs/{run.id}")


def _run(request: PageRequest, *, is_whole: bool = False) -> RunEntry:
    """Return the run that the URL names, whose recording, if it has to be whole, is not damaged."""
    run = request.own.find(request.request.path_params["run"])
    if run is None or (is_whole and run.status == DAMAGED):
        raise NotFound("There is no such run.", "/runs")
    return run
