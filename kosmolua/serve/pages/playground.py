"""The playground: a page on which a person writes, checks, plans and runs scripts. Calls are simulated by default."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import urlencode

from starlette.responses import JSONResponse, Response

from kosmolua.authoring.completion import Candidates, signature
from kosmolua.authoring.names_in import names_in
from kosmolua.check.checked import Checked
from kosmolua.errors import KosmoError
from kosmolua.escaping import exposed
from kosmolua.limits import whole_number
from kosmolua.recordings.timeline import bars_of
from kosmolua.runs.job import chunk_of
from kosmolua.schema.luacats import literal
from kosmolua.serve.pages.briefing import source_of
from kosmolua.serve.pages.calls import Axis, rows_of, without_waits
from kosmolua.serve.pages.examples import EXAMPLES
from kosmolua.serve.pages.history import DAMAGED, PAUSED
from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.serve.pages.rendering import HEADERS

MAX_OFFERED = 200
"""The most completions that the editor gets."""
DEEDS = ("check", "plan", "run")


def opened(request: PageRequest) -> Response:
    """Return the playground page. Its editor shows the code, the run's script or the example that the URL names."""
    source = request.request.query_params.get("source", "")
    if name := request.asked("run"):
        if request.own.history.run(name) is None:
            raise NotFound("There is no such run.", "/runs")
        source = source_of(request.own.store.read(name))
    example = request.asked("example")
    is_given = bool(source or example)
    return _page(request, exposed(source.replace("\r\n", "\n")) or _example(request, example), is_given=is_given)


def used(request: PageRequest) -> Response:
    """Check, plan or run the script in the form. Answer with the page of the run or of the plan, or with this one.

    The editor asks for a part instead: then the address of the run or plan is in a header.
    """
    source, simulate, deed = _source(request), _is_simulated(request), request.form.get("deed", "run")
    problem, place = None, ""
    try:
        if deed == "run":
            place = f"/runs/{request.own.run(source, request.session.person, simulate=simulate)}"
        elif deed == "plan":
            outcome = request.own.plan(source, request.session.person, simulate=simulate)
            place, problem = f"/plans/{outcome.plan['id']}" if outcome.plan else "", outcome.error
    except KosmoError as error:
        problem = error
    if not place:
        return _page(request, source, report=_checked(request, source), problem=problem)
    if request.part is None:
        return request.redirect(place)
    shown = place.replace("/runs/", "/playground/runs/").replace("/plans/", "/playground/plans/")
    return Response(status_code=204, headers={**HEADERS, "X-Shows": f"{request.root}{shown}"})


def checked(request: PageRequest) -> Response:
    """Check the script in the form. Return the findings as HTML, which replaces a part of the playground page."""
    return _page(request, "", report=_checked(request, _source(request)))


def completed(request: PageRequest) -> Response:
    """Return what could stand at the cursor, and the function whose arguments are typed there, as JSON.

    The form has the script and the place ``at`` of the cursor, in units of UTF-16, as browsers count.
    """
    source, at = _source(request), whole_number(request.form.get("at", "")) or 0
    before = source.encode("utf-16-le", "surrogatepass")[: 2 * at]
    text = before.decode("utf-16-le", "replace")
    catalog = _runtime(request).catalog
    candidates = Candidates(catalog, lambda base: names_in(source, base), {}, lambda _: ())
    function = candidates.function_at(text)
    found = [(each.text, -each.start, each.about) for each in candidates.of(text)[:MAX_OFFERED]]
    known = {"found": found, "signature": signature(function) if function else ""}
    return JSONResponse(known, headers={**HEADERS, "Cache-Control": "no-store"})


def run(request: PageRequest) -> Response:
    """Return a run as the playground shows it: what waits, its calls, and its output once it has ended."""
    run = request.own.history.run(request.request.path_params["run"])
    if run is None or run.status == DAMAGED:
        raise NotFound("There is no such run.", "/playground")
    bars = without_waits(bars_of(request.own.store.read(run.id)))
    return request.page(
        "trial.html",
        "playground",
        parts=("trial",),
        run=run,
        groups=request.own.grouped([call for call in request.own.waiting() if call.run == run.id]),
        rows=rows_of(bars),
        axis=Axis(bars),
        outcome=request.own.replay(run) if run.ends_again and run.status != PAUSED else None,
    )


def plan(request: PageRequest) -> Response:
    """Return a plan as the playground shows it beside the script."""
    found = request.own.runtime.plans.load(request.request.path_params["plan"])
    return request.page("trial_plan.html", "playground", parts=("trial",), plan=found, lines=found.outline())


def _runtime(request: PageRequest) -> Any:
    return request.own.tenant.simulated if _is_simulated(request) else request.own.runtime


def _checked(request: PageRequest, source: str) -> Checked:
    text, runtime = source.encode("utf-8", "replace"), _runtime(request)
    report = runtime.checker(is_complete=False).check(chunk_of(text))
    masked = [
        each._replace(message=runtime.redact(each.message), hint=runtime.redact(each.hint)) for each in report.findings
    ]
    return Checked(text, report._replace(findings=masked))


def _example(request: PageRequest, name: str) -> str:
    example = EXAMPLES.get(name) or next(iter(EXAMPLES.values()))
    accounts = request.own.runtime.catalog.accounts("render2") if "ACCOUNTS" in example.source else ()
    return example.source.replace("ACCOUNTS", literal([*accounts] or ["default"]))


def _source(request: PageRequest) -> str:
    """Return the script in the form. The CR LF that browsers send at the ends of lines is replaced by LF."""
    return request.form.get("source", "").replace("\r\n", "\n")


def _is_simulated(request: PageRequest) -> bool:
    return request.form.get("simulate") == "yes" and not request.own.runtime.is_simulated


def _page(request: PageRequest, source: str, **shown: Any) -> Response:
    simulate = request.request.method == "GET" or request.form.get("simulate") == "yes"
    frame: dict[str, Any] = {"report": None, "problem": None, "is_given": True}
    return request.page(
        "playground.html",
        "playground",
        parts=("findings", "problem"),
        nonce=secrets.token_urlsafe(16),
        source=source,
        simulate=simulate,
        is_simulated=request.own.runtime.is_simulated,
        examples=[(name, each.title, urlencode({"example": name})) for name, each in EXAMPLES.items()],
        **{**frame, **shown},
    )
