"""Approvals: the calls that wait for a person, and what the person decides."""

from __future__ import annotations

from starlette.responses import Response

from kosmolua.serve.pages.rendering import render
from kosmolua.serve.pages.visits import Visit, waiting_runs

ANSWERS = ("approve", "deny")


def waiting(visit: Visit) -> Response:
    """Show the runs that wait."""
    runs = waiting_runs(visit.own)
    return visit.page("approvals.html", "approvals", parts=("live",), waiting=runs)


def count(visit: Visit) -> Response:
    """Return how many runs wait, for the navigation."""
    return render("count.html", {"count": len(waiting_runs(visit.own))})


def decide(visit: Visit) -> Response:
    """Let a run go on with what was decided of its calls; what was neither approved nor denied waits on."""
    name = visit.request.path_params["run"]
    run = visit.own.history.run(name)
    if run is None:
        return visit.error("Not found", "There is no such run.", status=404)
    shown = {int(number) for number in visit.lists.get("number", ()) if number.isdecimal()}
    calls = {call["number"]: call for call in run.waiting if call["number"] in shown}
    decision = visit.form.get("decision", "")
    chosen = {number: decision if decision in ANSWERS else visit.form.get(f"choice-{number}", "") for number in calls}
    approved = [number for number, answer in chosen.items() if answer == "approve"]
    denied = [number for number, answer in chosen.items() if answer == "deny"]
    if run.is_expired or not (approved or denied):
        why = "It waited too long." if run.is_expired else "No call that still waits was approved or denied."
        return visit.error("Nothing was decided", why, status=409)
    subjects = {(calls[number]["path"], calls[number]["account"]) for number in approved}
    for number, call in calls.items():
        subject = call["path"], call["account"]
        if visit.form.get(f"always-{number}") and subject in subjects and call["effect"] != "destroy":
            visit.own.tenant.grants.add(*subject)
    visit.own.resume(name, approve=approved, deny=denied)
    return visit.redirect(f"/runs/{name}")
