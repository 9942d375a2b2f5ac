"""The approvals page: the calls that wait for a person, and the form in which a person approves or denies them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from starlette.responses import Response

from kosmolua.schema.effects import is_final
from kosmolua.serve.pages.page_request import NotFound, PageRequest
from kosmolua.serve.pages.rendering import render
from kosmolua.stores.store import Decision, WaitingCall

PAGE = 50
"""How many calls a page of the list has."""
ANSWERS = {"approve": True, "deny": False}


def waiting(request: PageRequest) -> Response:
    """Return a page of the list of runs with calls that wait for a person, the longest waiting first."""
    calls = request.own.waiting()
    asked = request.asked("page")
    pages = max(1, -(-len(calls) // PAGE))
    page = min(int(asked), pages) if asked.isdecimal() and int(asked) else 1
    shown = calls[(page - 1) * PAGE : page * PAGE]
    return request.page(
        "approvals.html",
        "approvals",
        parts=("live",),
        waiting=request.own.by_run(shown),
        first=(page - 1) * PAGE + 1,
        last=(page - 1) * PAGE + len(shown),
        total=len(calls),
        older=f"?page={page - 1}" if page > 1 else "",
        newer=f"?page={page + 1}" if page < pages else "",
    )


def shown(request: PageRequest) -> Response:
    """Return the page of one call that waits for a person, with the whole of its arguments."""
    call = next((each for each in request.own.waiting() if each.id == request.request.path_params["call"]), None)
    if call is None:
        raise NotFound("This call does not wait any more.", "/approvals")
    return request.page("approval.html", "approvals", call=call, asking=request.own.by_run([call])[0])


def count(request: PageRequest) -> Response:
    """Return the number of calls that wait for a person, as HTML. The navigation shows this number."""
    return render("count.html", {"count": len(request.own.waiting())})


def decide(request: PageRequest) -> Response:
    """Record the decisions in the form about calls that wait, and redirect to a page that shows the result.

    Paused runs are resumed with the decisions. Calls without a decision continue to wait.
    """
    shown = request.lists.get("call", ())
    calls = [call for call in request.own.waiting() if call.id in shown]
    answers = {call.id: answer for call in calls if (answer := _answer(request.form, call.id)) is not None}
    if not answers:
        why = "You have approved or denied no call that is still waiting."
        return request.error("Nothing was decided", why, status=409)
    _keep_grants(request, calls, answers)
    decided = [call for call in calls if call.id in answers]
    for call in decided:
        if call.is_live:
            request.own.runtime.store.decide(call.id, Decision(answers[call.id], request.person))
            if call.run:
                request.own.follow(call.run)
    _resume(request, [call for call in decided if not call.is_live], answers)
    run = decided[0].run
    return request.redirect(f"/runs/{run}" if run else "/approvals")


def _answer(form: Mapping[str, str], call: str) -> bool | None:
    decision = form.get("decision", "")
    return ANSWERS.get(decision if decision in ANSWERS else form.get(f"choice-{call}", ""))


def _keep_grants(request: PageRequest, calls: Iterable[WaitingCall], answers: Mapping[str, bool]) -> None:
    """Allow for good each function with an approved call and a tick at "always allow"."""
    subjects = {(call.call["path"], call.call["account"]) for call in calls if answers.get(call.id)}
    for call in calls:
        subject = call.call["path"], call.call["account"]
        if request.form.get(f"always-{call.id}") and subject in subjects and not is_final(call.call["effect"]):
            request.own.tenant.grants.add(*subject)


def _resume(request: PageRequest, calls: Iterable[WaitingCall], answers: Mapping[str, bool]) -> None:
    """Resume the paused runs of calls about which a person has decided."""
    runs: dict[str, tuple[list[int], list[int]]] = {}
    for call in calls:
        assert call.run, "a run that is paused is recorded"
        approved, denied = runs.setdefault(call.run, ([], []))
        (approved if answers[call.id] else denied).append(call.call["number"])
    for run, (approved, denied) in runs.items():
        request.own.resume(run, request.person, approve=approved, deny=denied)
