"""The inbox: the calls that wait for a person, and the forms in which a person approves or denies them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from kosmolua.limits import whole_number
from kosmolua.schema.effects import is_final
from kosmolua.serve.links import QuestionLink
from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.serve.tenant import Voter
from kosmolua.stores.store import RUN_ID, Decision, WaitingCall

PAGE = 200
"""How many calls a page of the list has."""
ANSWERS = {"approve": True, "deny": False}
TOO_LATE = "Somebody else has answered before."
TOLD = ("decided", "count", "run")
"""The parameters of the URL that say what the person has just decided."""


def waiting(request: PageRequest) -> Response:
    """Return a page of the calls that wait, by function and account; the group that waits longest comes first."""
    calls = request.own.waiting()
    start = min(request.start, max(0, len(calls) - 1) // PAGE * PAGE)
    shown = calls[start : start + PAGE]
    return request.page(
        "approvals.html",
        "approvals",
        parts=("live",),
        groups=request.own.grouped(shown),
        told=_told(request),
        first=start + 1,
        shown=len(shown),
        total=len(calls),
        newer=request.page_from(start - PAGE, TOLD) if start else None,
        older=request.page_from(start + PAGE, TOLD) if start + PAGE < len(calls) else None,
    )


def shown(request: PageRequest) -> Response:
    """Return the page of one call that waits for a person, with the whole of its arguments."""
    call = next((each for each in request.own.waiting() if each.name == request.request.path_params["call"]), None)
    if call is None:
        raise NotFound("This call does not wait any more.", "/approvals")
    return request.page("approval.html", "approvals", group=request.own.grouped([call])[0])


def linked(request: PageRequest, link: QuestionLink, person: str) -> Response:
    """Return the page of the one question that a link is for, or record the answer in its form as that of a person."""
    call = next((each for each in request.own.waiting() if link.is_about(each)), None)
    answer = ANSWERS.get(request.form.get("decision", ""))
    if call is None:
        return _said(request, "Nothing waits here", "This call was answered, or its time is over.", status=410)
    if request.request.method == "GET" or answer is None:
        return request.page("link.html", call=call, person=link.person, tenant="", waiting_count=0)
    voter = (link.person, "") if link.person else request.voter
    if not _record(request, [call], person, voter, is_approved=answer):
        return _said(request, "Nothing was decided", TOO_LATE, status=409)
    return _said(request, "Approved" if answer else "Denied", "You can close this page.", status=200)


def _said(request: PageRequest, title: str, message: str, *, status: int) -> Response:
    return request.error(title, message, status=status, back="", tenant="", waiting_count=0)


def decide(request: PageRequest) -> Response:
    """Record the decision in the form about calls that wait, and redirect to the page that the form came from.

    Paused runs are resumed with the decision. A call that destroys is never approved together with one that does not,
    and several of them only with their number. What is always allowed from now on is approved wherever it waits.
    """
    chosen, answer = request.lists.get("call", ()), ANSWERS.get(request.form.get("decision", ""))
    waiting = request.own.waiting()
    calls = [call for call in waiting if call.name in chosen]
    if answer is None or not calls:
        why = "You have approved or denied no call that is still waiting."
        return request.error("Nothing was decided", why, status=409)
    destroys = sum(is_final(call.call["effect"]) for call in calls)
    if answer and destroys and (destroys < len(calls) or not _is_meant(request, destroys)):
        why = f"To approve the {destroys} calls that destroy, and no others, type {destroys} beside the button."
        return request.error("Nothing was decided", why, status=409)
    several = any(request.own.tenant.people_for(call.call["effect"]) > 1 for call in calls)
    if answer and not destroys and not several and request.form.get("always"):
        calls += _always(request, calls, waiting)
    count = _record(request, calls, request.person, request.voter, is_approved=answer)
    if not count:
        return request.error("Nothing was decided", TOO_LATE, status=409)
    runs = {call.run for call in calls}
    only = next(iter(runs)) if len(runs) == 1 else None
    if only and request.form.get("back") == "run":
        return request.redirect(f"/runs/{only}")
    return request.redirect("/approvals", decided=request.form["decision"], count=str(count), run=only or "")


def _is_meant(request: PageRequest, destroys: int) -> bool:
    return destroys == 1 or request.form.get("count", "").strip() == str(destroys)


def _always(request: PageRequest, calls: Sequence[WaitingCall], waiting: Sequence[WaitingCall]) -> list[WaitingCall]:
    """Allow the functions of calls for good, and return the other calls that wait for the same; not those of trials."""
    runs = request.own.named([*calls, *waiting])
    calls, waiting = (
        [call for call in each if not request.own.is_trial(runs.get(call.run or ""))] for each in (calls, waiting)
    )
    subjects = {(call.call["path"], call.call["account"]) for call in calls}
    for subject in subjects:
        request.own.tenant.grants.add(*subject)
    same = (call for call in waiting if (call.call["path"], call.call["account"]) in subjects)
    return [call for call in same if call not in calls and not call.call.get("flows")]


def _record(request: PageRequest, calls: Sequence[WaitingCall], person: str, voter: Voter, *, is_approved: bool) -> int:
    """Record a person's decision about calls, with which their runs go on; return how many were not decided before."""
    own, paused, count = request.own, dict[str, list[int]](), 0
    for call in calls:
        if call.is_live:
            count += own.tenant.approvals.answer(call, Decision(is_approved, person), *voter)
        else:
            assert call.run, "a run that is paused is recorded"
            paused.setdefault(call.run, []).append(call.call["number"])
    for run in {call.run for call in calls if call.is_live and call.run}:
        own.follow(run)
    own.resume_all(paused, person, voter, is_approved=is_approved)
    return count + sum(map(len, paused.values()))


def _told(request: PageRequest) -> dict[str, str] | None:
    """Return what the person has just decided, as the URL says, or None."""
    decided, count, run = (request.asked(name) for name in TOLD)
    if decided not in ANSWERS or whole_number(count) is None:
        return None
    return {
        "decided": "Approved" if ANSWERS[decided] else "Denied",
        "count": count,
        "run": run * bool(RUN_ID.fullmatch(run)),
    }
