"""The pages about runs: the list of a tenant's runs, and a page for each run with its calls, output and script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from urllib.parse import urlencode

from starlette.responses import PlainTextResponse, Response

from kosmolua import protocol
from kosmolua.escaping import exposed
from kosmolua.recordings.answers import Answers
from kosmolua.recordings.timeline import Bar, bars_of
from kosmolua.schema.effects import changes
from kosmolua.serve.pages.history import DAMAGED, RUNNING, STATUSES, RunEntry, counts
from kosmolua.serve.pages.markup import coloured_lines
from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.serve.pages.rendering import HEADERS
from kosmolua.stores.store import RunFilter

PAGE = 50
"""The number of runs on one page of the list."""
FIELDS = ("q", "status", "mode", "person", "client", "integration", "since", "until", "writes", "order")
"""The parameters of the URL that filter the list of runs."""
ORDERS = {"time": "Latest first", "worked": "Longest first", "title": "By title", "status": "By status"}
PAUSED, ENDED_EARLY = "paused", ("failed", "limit", "interrupted")
FATES = {"ok": "Done", "failed": "Failed", "refused": "Not sent", "unknown": "May have been done"}
"""What became of a write, by the status of its call."""
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
    every = [bar for bar in bars_of(recording) if counts(vars(bar), run.error)] if recording else []
    bars = without_waits(every)[:MAX_BARS]
    groups = request.own.grouped([call for call in request.own.waiting() if call.run == run.id])
    whole = max((bar.begins + bar.duration for bar in bars), default=0.0) or 1.0
    doubtful = [answer.call for answer in Answers(recording).under_way] if recording and run.status != RUNNING else []
    source = protocol.to_bytes(recording.script["source"]).decode("utf-8", "replace") if recording else ""
    source = source.replace("\r\n", "\n")
    lines = coloured_lines(exposed(source).rstrip("\n")) if source else []
    wrong = run.error.line if run.error and run.status != PAUSED else None
    failed = [bar for bar in every if run.error and bar.status == "failed" and bar.error == run.error.code]
    return request.page(
        "run.html",
        "runs",
        parts=("live",),
        run=run,
        fates=fates_of(every) if run.status in ENDED_EARLY else {},
        around=list(enumerate(lines, start=1))[max(0, wrong - 3) : wrong + 2] if wrong else [],
        culprit=failed[-1] if failed and wrong else None,
        bars=bars,
        whole=whole,
        groups=groups,
        doubtful=doubtful,
        source=lines,
        wrong_line=run.error.line if run.error else None,
    )


def without_waits(bars: Sequence[Bar]) -> list[Bar]:
    """Return the bars as if no time had passed while people were asked; what they took is in ``waited``."""
    waits = sorted((bar.begins, bar.begins + bar.waited) for bar in bars if bar.waited)

    def worked(moment: float) -> float:
        gone, reached = 0.0, 0.0
        for begins, ends in waits:
            gone += max(0.0, min(ends, moment) - max(begins, reached))
            reached = max(reached, ends)
        return moment - gone

    for bar in bars:
        bar.begins, bar.duration = worked(bar.begins + bar.waited), max(0.0, bar.duration - bar.waited)
    return sorted(bars, key=lambda bar: (bar.begins, bar.number))


def fates_of(bars: Sequence[Bar]) -> dict[str, Counter[str]]:
    """Return how many writes of each function were done, failed, were not sent, and may have been done."""
    found: dict[str, Counter[str]] = {}
    for bar in bars:
        if changes(bar.effect) and bar.status in FATES:
            found.setdefault(FATES[bar.status], Counter())[bar.path] += 1
    return found


def stopped(request: PageRequest) -> Response:
    """End a run that is active, at whichever server it runs, and redirect to its page."""
    run = _run(request)
    if run.status != RUNNING:
        return request.error("Nothing was stopped", "This run has ended already.", status=409, back=f"/runs/{run.id}")
    request.own.tenant.orders.cancel(run.id)
    return request.redirect(f"/runs/{run.id}")


def text(request: PageRequest) -> Response:
    """Return the whole output of a run as a file, from a replay."""
    run = _run(request, is_whole=True)
    named = {"Content-Disposition": f'attachment; filename="run-{run.id}.txt"', "Cache-Control": "no-store"}
    return PlainTextResponse(request.own.replay(run.id).output, headers={**HEADERS, **named})


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
