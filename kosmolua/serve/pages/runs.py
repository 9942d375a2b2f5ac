"""The pages about runs: the list of a tenant's runs, and a page for each run with its calls, output and script."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from starlette.responses import PlainTextResponse, Response

from kosmolua.errors import CheckFailed, KosmoError, ScriptError
from kosmolua.escaping import exposed
from kosmolua.limits import whole_number
from kosmolua.mcp.addresses import PATH
from kosmolua.recordings.answers import Answers, number_of
from kosmolua.recordings.recording import events_of
from kosmolua.recordings.timeline import bars_of
from kosmolua.serve.pages.briefing import ENDED_EARLY, Failure, briefing, source_of
from kosmolua.serve.pages.calls import Axis, reply_of, rows_of, without_waits
from kosmolua.serve.pages.history import DAMAGED, MAX_RUNS, RUNNING, RunEntry
from kosmolua.serve.pages.markup import coloured_lines
from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.serve.pages.rendering import HEADERS
from kosmolua.stores.store import STATUSES, RunFilter

PAGE = 50
"""The number of runs on one page of the list."""
FIELDS = (
    "q",
    "status",
    "mode",
    "person",
    "client",
    "integration",
    "since",
    "until",
    "writes",
    "fleet",
    "order",
    "group",
)
"""The parameters of the URL that filter the list of runs."""
ORDERS = {"time": "Latest first", "worked": "Longest first", "title": "By title", "status": "By status"}
STRIP = 30
"""How many of the latest outcomes of a script the list shows."""
MAX_BARS = 1000
"""The most calls that the page of a run shows."""
MAX_ANSWER = 20_000
"""How many characters of an answer are shown."""


@dataclass(frozen=True)
class RunsOfScript:
    """The runs of one script, the latest first."""

    runs: list[RunEntry] = field(default_factory=list)

    @property
    def latest(self) -> RunEntry:
        """The latest run."""
        return self.runs[0]

    @property
    def failed(self) -> int:
        """How many of them failed."""
        return sum(run.is_failed for run in self.runs)

    @property
    def strip(self) -> list[RunEntry]:
        """The latest runs, whose outcomes are drawn, the oldest first."""
        return self.runs[:STRIP][::-1]


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
        fleet=asked["fleet"],
        order=asked["order"] if asked["order"] in ORDERS else "time",
    )
    start = request.start
    is_grouped = asked["group"] == "script"
    shown, total = request.own.history.find(fitting, *((0, MAX_RUNS) if is_grouped else (start, PAGE)))
    groups = by_script(shown) if is_grouped else []
    if is_grouped:
        total = len(groups)
    if 0 < total <= start:  # such as a bookmark of a page that is gone
        return request.redirect(f"/runs{request.page_from((total - 1) // PAGE * PAGE)}")
    return request.page(
        "runs.html",
        "runs",
        parts=("live",),
        runs=shown[:PAGE],
        groups=groups[start : start + PAGE],
        is_grouped=is_grouped,
        asked=asked,
        orders=ORDERS,
        integrations=request.own.runtime.catalog.names(),
        statuses=STATUSES,
        is_filtered=any(value for name, value in asked.items() if name not in ("order", "group")),
        is_simulated=request.own.runtime.is_simulated,
        address=f"{request.own.tenant.url or str(request.request.base_url).rstrip('/')}{PATH}",
        first=start + 1,
        total=total,
        newer=request.page_from(start - PAGE) if start else None,
        older=request.page_from(start + PAGE) if start + PAGE < total else None,
    )


def by_script(runs: Iterable[RunEntry]) -> list[RunsOfScript]:
    """Return runs, the latest first, by their scripts."""
    found: dict[str, RunsOfScript] = {}
    for run in runs:
        found.setdefault(run.sha256 or run.id, RunsOfScript()).runs.append(run)
    return list(found.values())


def _day(text: str, days: int = 0) -> str:
    """Return the beginning of a day, or of a later one, as times of runs are written; empty if it is none."""
    try:
        return (date.fromisoformat(text) + timedelta(days=days)).isoformat()
    except (ValueError, OverflowError):
        return ""


def shown(request: PageRequest) -> Response:
    """Return the page of one run, with its calls, its script, and the calls that wait for a person."""
    run = _run(request)
    recording = None if run.status == DAMAGED else request.own.store.read(run.id)
    bars = without_waits(bars_of(recording)) if recording else []
    rows, axis = rows_of(bars[:MAX_BARS]), Axis(bars[:MAX_BARS])
    groups = request.own.grouped([call for call in request.own.waiting() if call.run == run.id])
    under_way = Answers(recording).under_way if recording and run.status != RUNNING else ()
    doubtful = [bar for bar in bars if bar.number in {number_of(answer) for answer in under_way}]
    source = source_of(recording)
    lines = coloured_lines(exposed(source).rstrip("\n")) if source else []
    failure = Failure.of(run, bars) if run.status in ENDED_EARLY else None
    return request.page(
        "run.html",
        "runs",
        parts=("live",),
        run=run,
        failure=failure,
        can_stop=request.own.tenant.orders.can_cancel(run.id, run.status),
        around=list(enumerate(lines, start=1))[max(0, failure.line - 3) : failure.line + 2] if failure else [],
        briefing=briefing(run, failure, source, request.own.tenant.name) if failure else "",
        wakes=request.own.tenant.orders.asleep(run.id) if run.status in ("waiting", "failed") else [],
        resumes=sum(1 for _ in events_of(recording, "resumed")) if recording else 0,
        is_refused=isinstance(run.error, CheckFailed),
        is_certain=isinstance(run.error, (CheckFailed, ScriptError)),
        can_go_on=run.can_resume and not groups and not doubtful,
        rows=rows,
        axis=axis,
        unseen=len(bars) - MAX_BARS,
        groups=groups,
        doubtful=doubtful,
        text=source,
        rows_of_text=min(max(len(lines) + 1, 8), 24),
        source=lines,
        wrong_line=run.error.line if run.error else None,
    )


def call(request: PageRequest) -> Response:
    """Return what is known of one call of a run: its arguments, its answer, and its HTTP request."""
    run = _run(request, is_whole=True)
    recording = request.own.store.read(run.id)
    bars = without_waits(bars_of(recording))
    number = request.request.path_params["number"]
    place = next((place for place, bar in enumerate(bars, start=1) if bar.number == number), None)
    if place is None:
        raise NotFound("There is no such call.", f"/runs/{run.id}")
    reply = reply_of(recording, number)
    return request.page(
        "call.html", "runs", parts=("call",), run=run, bar=bars[place - 1], place=place, reply=reply, most=MAX_ANSWER
    )


def answer(request: PageRequest) -> Response:
    """Return the answer to a call as a JSON file."""
    run, number = _run(request, is_whole=True), request.request.path_params["number"]
    value = reply_of(request.own.store.read(run.id), number).value
    return _file(f"run-{run.id}-call-{number}.json", json.dumps(value, ensure_ascii=False, indent=2))


def stopped(request: PageRequest) -> Response:
    """End a run that is active, at whichever server it runs, and redirect to its page."""
    run = _run(request)
    if not request.own.tenant.orders.can_cancel(run.id, run.status):
        return request.error("Nothing was stopped", "This run has ended already.", status=409, back=f"/runs/{run.id}")
    request.own.tenant.orders.cancel(run.id)
    return request.redirect(f"/runs/{run.id}")


def undone(request: PageRequest) -> Response:
    """Plan the calls that undo what a run wrote, of which nothing is sent yet, and redirect to the plan.

    If other values are there now than the run wrote, or it is undone already, the person is asked whether to go on.
    """
    run, doubts = _run(request, is_whole=True), list[str]()

    def accept(doubt: str) -> bool:
        doubts.append(doubt)
        return request.form.get("accept") == "yes"

    back = f"/runs/{run.id}"
    try:
        plan = request.own.undo(run, request.session.person, accept)
    except KosmoError as error:
        if not doubts or request.form.get("accept"):
            return request.failure(error, back)
        retry = "Plan it all the same", f"{back}/undo", "accept"
        return request.error("Nothing was planned", f"{doubts[0]}.", status=409, back=back, retry=retry)
    if not plan.writes:
        why = " ".join(f"{reason[:1].upper()}{reason[1:]}." for reason in plan.lost)
        return request.error("Nothing can be undone", why or "The run has written nothing.", status=409, back=back)
    return request.redirect(f"/plans/{plan.id}")


def text(request: PageRequest) -> Response:
    """Return the whole output of a run as a file, from a replay."""
    run = _run(request, is_whole=True)
    return _file(f"run-{run.id}.txt", request.own.replay(run).output)


def result(request: PageRequest) -> Response:
    """Return what a run returned as a JSON file, from a replay."""
    run = _run(request, is_whole=True)
    values = request.own.replay(run).result
    return _file(f"run-{run.id}.json", json.dumps(values, ensure_ascii=False, indent=2, default=str))


def _file(name: str, text: str) -> Response:
    named = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return PlainTextResponse(text, headers={**HEADERS, **named})


def output(request: PageRequest) -> Response:
    """Replay a run, and return a page with its output and its result, a part of which the page of the run loads."""
    run, is_part = _run(request, is_whole=True), request.part is not None
    outcome = request.own.replay(run)
    return request.page("replay.html", "runs", parts=("outcome",), run=run, outcome=outcome, is_part=is_part)


def resumed(request: PageRequest) -> Response:
    """Resume a run, and redirect to its page.

    In the form, a person has decided about each write that may have been done: it counts as done, or is sent again.
    The form can have another script, which takes the place of the one that failed.
    """
    run = _run(request, is_whole=True)
    named = map(whole_number, request.lists.get("number", ()))
    numbers = [number for number in named if number is not None]
    chosen = {number: request.form.get(f"choice-{number}") for number in numbers}
    request.own.resume(
        run.id,
        request.person,
        request.voter,
        done={number: None for number, answer in chosen.items() if answer == "done"},
        again=[number for number, answer in chosen.items() if answer == "again"],
        **({"script": request.form["source"].replace("\r\n", "\n")} if "source" in request.form else {}),
    )
    return request.redirect(f"/runs/{run.id}")


def _run(request: PageRequest, *, is_whole: bool = False) -> RunEntry:
    """Return the run that the URL names, whose recording, if it has to be whole, is not damaged."""
    run = request.own.history.run(request.request.path_params["run"])
    if run is None or (is_whole and run.status == DAMAGED):
        raise NotFound("There is no such run.", "/runs")
    return run
