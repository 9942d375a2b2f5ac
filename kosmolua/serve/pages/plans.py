"""The pages of plans: the list, and a plan with the form that applies or denies it."""

from __future__ import annotations

from starlette.responses import Response

from kosmolua.errors import ConfigError, Stale
from kosmolua.recordings.outlines import PlannedCall, numbers_in
from kosmolua.recordings.plans import Plan
from kosmolua.serve.pages.page_request import NotFound, PageRequest


def listed(request: PageRequest) -> Response:
    """Return the list of plans, the latest first."""
    return request.page("plans.html", "plans", plans=request.own.runtime.plans.all())


def shown(request: PageRequest) -> Response:
    """Return the page of a plan."""
    plan = _plan(request)
    *lines, total = plan.outline()
    groups: dict[tuple[str, str], list[PlannedCall]] = {}
    for call in plan.calls:
        groups.setdefault((call.path, call.account), []).append(call)
    remarks = [line for line in lines if line.kind in ("fault", "note")]
    return request.page("plan.html", "plans", plan=plan, groups=[*groups.values()], remarks=remarks, total=total.text)


def decided(request: PageRequest) -> Response:
    """Apply a plan, without the calls whose numbers the form has, or deny it."""
    plan, back = _plan(request), f"/plans/{request.request.path_params['plan']}"
    if request.form.get("decision") == "deny":
        request.own.runtime.plans.remove(plan.id)
        return request.redirect("/plans")
    without = numbers_in(" ".join(request.lists.get("without", ())))
    if request.form.get("decision") != "apply" or without is None:
        why = "The calls to leave out are numbers, such as 3, 7. Nothing was sent."
        return request.error("Nothing was decided", why, status=409, back=back)
    outcome = request.own.apply(plan, without)
    if outcome.recording and outcome.run:
        return request.redirect(f"/runs/{outcome.run}")
    error = outcome.error
    said = [error.message if error else "", *(error.differences if isinstance(error, Stale) else ())]
    return request.error("The plan was not applied", " ".join(said), status=409, back=back)


def _plan(request: PageRequest) -> Plan:
    try:
        return request.own.runtime.plans.load(request.request.path_params["plan"])
    except ConfigError:
        raise NotFound("There is no such plan.", "/plans") from None
