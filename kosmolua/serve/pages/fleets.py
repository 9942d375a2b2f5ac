"""The pages of fleets: the list, and a fleet as a grid with a square for each of its runs."""

from __future__ import annotations

from starlette.responses import Response

from kosmolua.serve.pages.history import MAX_RUNS
from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.serve.pages.rendering import thousands
from kosmolua.stores.store import FleetSummary, RunFilter

MAX_LISTED = 100
"""How many fleets are listed, and how many runs of one that did not end well."""


def listed(request: PageRequest) -> Response:
    """Return the list of fleets, the latest first."""
    fleets = request.own.store.fleets()[:MAX_LISTED]
    return request.page("fleets.html", "fleets", parts=("live",), fleets=fleets, tally=tally)


def shown(request: PageRequest) -> Response:
    """Return the page of a fleet, with a square for each of its runs in the order in which they began."""
    asked = request.request.path_params["fleet"]
    fleet = next((each for each in request.own.store.fleets() if each.name.id == asked), None)
    if fleet is None:
        raise NotFound("There is no such fleet.", "/fleets")
    runs, _ = request.own.history.find(RunFilter(fleet=asked), 0, MAX_RUNS)
    left = [run for run in runs if run.status not in ("done", "running")]
    missing = max(0, fleet.name.size - fleet.begun)
    return request.page(
        "fleet.html",
        "fleets",
        parts=("live",),
        fleet=fleet,
        tally=tally(fleet),
        runs=runs[::-1],
        unseen=fleet.begun - len(runs),
        missing=min(missing, MAX_RUNS),
        left=left[:MAX_LISTED],
        unlisted=max(0, len(left) - MAX_LISTED),
    )


def tally(fleet: FleetSummary) -> str:
    """Return how many of a fleet's runs there are with each status."""
    size = f" of {thousands(fleet.name.size)} begun" if fleet.begun < fleet.name.size else ""
    counts = (f"{thousands(number)} {status}" for status, number in sorted(fleet.statuses.items()))
    return f"{thousands(fleet.begun)}{size}: {', '.join(counts)}"
