"""The pages of plans: the list, and a plan with the form that applies or denies it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import NamedTuple

from starlette.responses import Response

from kosmolua.errors import ConfigError, KosmoError, Stale
from kosmolua.recordings.outlines import PlannedCall, numbers_in
from kosmolua.recordings.plans import Plan
from kosmolua.schema.effects import is_final
from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.serve.pages.rendering import advice

MAX_CALLS = 50
"""How many calls a page shows."""
PLACE = re.compile(r"all|([0-9]{1,9})\.([0-9]{1,9})")
"""Which function's calls to show, and from which on; or those of all functions."""


class CallsOfFunction(NamedTuple):
    """The calls of a function with an account, of which a page shows at most ``most``, from the place ``start`` on."""

    place: int
    all: Sequence[PlannedCall]
    start: int
    most: int

    @property
    def shown(self) -> Sequence[PlannedCall]:
        """The calls that the page shows."""
        return self.all[self.start : self.start + self.most]

    @property
    def end(self) -> int:
        """The place behind the last call that the page shows."""
        return self.start + len(self.shown)

    @property
    def earlier(self) -> str:
        """The name by which a form asks for the calls before those that are shown; empty if there are none."""
        return f"{self.place}.{max(0, self.start - MAX_CALLS)}" if self.start else ""

    @property
    def later(self) -> str:
        """The name by which a form asks for the calls after those that are shown; empty if there are none."""
        return f"{self.place}.{self.end}" if self.end < len(self.all) else ""


def listed(request: PageRequest) -> Response:
    """Return the list of plans, the latest first."""
    return request.page("plans.html", "plans", parts=("live",), plans=request.own.runtime.plans.all())


def shown(request: PageRequest) -> Response:
    """Return the page of a plan; with ``call`` in the URL, that of one call of it, with its whole arguments."""
    plan, number = _plan(request), request.asked("call")
    if not number:
        return _page(request, plan)
    call = next((each for each in plan.calls if str(each.number) == number), None)
    if call is None:
        raise NotFound("There is no such call.", f"/plans/{plan.id}")
    return request.page("planned_call.html", "plans", plan=plan, call=call)


def decided(request: PageRequest) -> Response:
    """Apply a plan, without the calls whose numbers the form has, or deny it; or show more of its calls.

    The form then has the place of these calls, and the numbers are kept.
    """
    plan, back = _plan(request), f"/plans/{request.request.path_params['plan']}"
    if request.form.get("decision") == "deny":
        request.own.runtime.plans.remove(plan.id)
        return request.redirect("/plans")
    without = numbers_in(" ".join(request.lists.get("without", ())))
    if without is not None and (show := PLACE.fullmatch(request.form.get("show", ""))):
        return _page(request, plan, int(show[1]) if show[1] else None, int(show[2] or 0), without)
    if request.form.get("decision") != "apply" or without is None:
        why = "The calls to leave out are numbers, such as 3, 7. Nothing was sent."
        return request.error("Nothing was decided", why, status=409, back=back)
    outcome = request.own.apply(plan, request.session.person, without)
    if outcome.recording and outcome.run:
        return request.redirect(f"/runs/{outcome.run}")
    error = outcome.error or KosmoError("What became of it was not recorded")
    said, hint = f"{error.what.removesuffix('.')}. {error.sent}", advice(error)
    if isinstance(error, Stale):
        said, hint = f"{error.what}. Nothing was sent. Make a new plan.", "; ".join(error.differences)
    return request.error("The plan was not applied", said, hint=hint, status=409, back=back)


def _page(
    request: PageRequest, plan: Plan, group: int | None = None, start: int = 0, without: Sequence[int] = ()
) -> Response:
    """Return the page of a plan with the first calls of every function, or with those of one from a place on."""
    *lines, total = plan.outline()
    groups: dict[tuple[str, str], list[PlannedCall]] = {}
    for call in plan.calls:
        groups.setdefault((call.path, call.account), []).append(call)
    most = MAX_CALLS if group is not None else max(1, MAX_CALLS // max(1, len(groups)))
    parts = [
        CallsOfFunction(place, calls, start, most)
        for place, calls in enumerate(groups.values())
        if group in (None, place)
    ]
    here = {call.number for part in parts for call in part.shown}
    recording = PurePath((plan.applied or {}).get("recording") or "").stem
    return request.page(
        "plan.html",
        "plans",
        parts=("live",),
        plan=plan,
        is_first=request.request.method == "GET",
        parts_of_plan=parts,
        is_whole=group is None,
        is_undecided=plan.status in ("planned", "open"),
        destroys=any(is_final(call.effect) for call in plan.calls),
        run=request.own.history.run(recording),
        without={*without},
        elsewhere=sorted({*without} - here),
        remarks=[line for line in lines if line.kind in ("fault", "note")],
        total=total.text,
    )


def _plan(request: PageRequest) -> Plan:
    try:
        return request.own.runtime.plans.load(request.request.path_params["plan"])
    except ConfigError:
        raise NotFound("There is no such plan.", "/plans") from None
