"""Workflow runs of the simulated GitHub: listing, reading, rerunning and cancelling them."""

from __future__ import annotations

from ..wire import Thing
from .call import Answer, Call, Listed, Refusal, demand_token, found, routes
from .operations import repo
from .world import World, stamp


@routes.on("GET", "/repos/{owner}/{repo}/actions/runs")
def runs(world: World, call: Call) -> Listed:
    wanted = [each for each in world.runs_of(repo(world, call)) if _is_wanted(each, call.query)]
    return Listed(wanted, call.path, key="workflow_runs")


@routes.on("GET", "/repos/{owner}/{repo}/actions/runs/{run_id}")
def run(world: World, call: Call) -> Thing:
    known = world.runs_of(repo(world, call))
    return found(next((each for each in known if str(each["id"]) == call.segments["run_id"]), None))


@routes.on("POST", "/repos/{owner}/{repo}/actions/runs/{run_id}/rerun")
@routes.on("POST", "/repos/{owner}/{repo}/actions/runs/{run_id}/rerun-failed-jobs")
def rerun(world: World, call: Call) -> Answer:
    """Queue a completed workflow run again: all its jobs, or only the failed ones."""
    demand_token(call)
    again = run(world, call)
    if again["status"] != "completed":
        raise Refusal(403, "This workflow is already running")
    if call.path.endswith("rerun-failed-jobs") and again["conclusion"] == "success":
        raise Refusal(403, "The workflow run does not have any failed jobs")
    attempt = again["run_attempt"] + 1
    again |= {"status": "queued", "conclusion": None, "run_attempt": attempt, "updated_at": stamp(0)}
    return Answer(201, {})


@routes.on("POST", "/repos/{owner}/{repo}/actions/runs/{run_id}/cancel")
def cancel(world: World, call: Call) -> Answer:
    demand_token(call)
    stopped = run(world, call)
    if stopped["status"] == "completed":
        raise Refusal(409, "Cannot cancel a workflow run that is completed.")
    stopped |= {"status": "completed", "conclusion": "cancelled", "updated_at": stamp(0)}
    return Answer(202, {})


def _is_wanted(run: Thing, query: dict[str, str]) -> bool:
    return (
        query.get("branch") in (None, run["head_branch"])
        and query.get("event") in (None, run["event"])
        and query.get("status") in (None, run["status"], run["conclusion"])
        and query.get("actor") in (None, run["actor"]["login"])
        and query.get("head_sha") in (None, run["head_sha"])
    )
