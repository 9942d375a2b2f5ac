"""The pages of schedules and hooks: the list, and one of them with its history and its buttons."""

from __future__ import annotations

from starlette.responses import Response

from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.serve.work import overview
from kosmolua.serve.work.overview import Entry
from kosmolua.stores.tasks import SCHEDULE, begin_by_hand


def listed(request: PageRequest) -> Response:
    """Return the list of schedules and hooks."""
    return request.page("schedules.html", "schedules", parts=("live",), entries=_entries(request))


def shown(request: PageRequest) -> Response:
    """Return the page of a schedule or hook, with its latest runs."""
    entry = _entry(request)
    runs = overview.history(request.own.store, entry.kind, entry.name)
    return request.page(
        "schedule.html",
        "schedules",
        parts=("live",),
        entry=entry,
        runs=runs,
        by_whom=overview.by_whom,
        has_run=overview.has_run,
    )


def decided(request: PageRequest) -> Response:
    """Run a schedule now, pause it or a hook, or let it run again."""
    entry, store = _entry(request), request.own.store
    decision = request.form.get("decision")
    if entry.kind == SCHEDULE and decision == "run":
        begin_by_hand(store.tasks, entry.name)
    elif decision in ("pause", "end"):
        overview.pause(store, entry.kind, entry.name, ends=decision == "end")
    return request.redirect(f"/schedules/{entry.kind}/{entry.name}")


def _entries(request: PageRequest) -> list[Entry]:
    tenant = request.own.tenant
    return overview.entries(tenant.name, tenant.work, tenant.runtime.store)


def _entry(request: PageRequest) -> Entry:
    asked = request.request.path_params
    for each in _entries(request):
        if (each.kind, each.name) == (asked["kind"], asked["name"]):
            return each
    raise NotFound("There is no such schedule or hook.", "/schedules")
