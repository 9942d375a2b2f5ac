"""Workflow runs of GitHub Actions (https://docs.github.com/en/rest/actions/workflow-runs)."""

from typing import Annotated, Literal, TypedDict

from kosmolua.plugin import between

from .account import integration
from .hub import Hub
from .paging import All, Limit, Number, Page
from .parameters import Login, RepoName, parts_of
from .wire import shaper, thing_of

_RUNS = "/repos/{owner}/{repo}/actions/runs"
_RUN = _RUNS + "/{run_id}"

RunId = Annotated[int, "The run's id, which differs from its number.", between(1, 2**53)]
Progress = Literal["queued", "in_progress", "completed", "requested", "waiting", "pending"]
Outcome = Literal[
    "success",
    "failure",
    "neutral",
    "cancelled",
    "skipped",
    "timed_out",
    "action_required",
    "startup_failure",
    "stale",
]


class WorkflowRun(TypedDict):
    """A run of a workflow. Text fields are never nil: conclusion is empty until the run is completed."""

    id: int
    number: Annotated[int, "Its position among the runs of its workflow, starting at 1."]
    attempt: int
    workflow: Annotated[str, "The workflow's name."]
    title: str
    event: Annotated[str, "What started the run, such as push."]
    status: Annotated[Progress, "The progress."]
    conclusion: Annotated[Outcome | Literal[""], "The outcome; empty until the run is completed."]
    branch: str
    sha: str
    actor: str
    url: Annotated[str, "The URL of its page."]
    created_at: str
    updated_at: str


class WorkflowRunPage(TypedDict):
    runs: list[WorkflowRun]
    next_page: int | None


class AcceptedRun(TypedDict):
    """GitHub accepted a request; get_workflow_run shows its effect."""

    run_id: int
    accepted: bool


@integration.reads
def list_workflow_runs(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    branch: Annotated[str | None, "Return only runs on this branch."] = None,
    event: Annotated[str | None, "Return only runs that this event started, such as push."] = None,
    status: Annotated[Progress | Outcome | None, "Return only runs with this status or conclusion."] = None,
    actor: Annotated[Login | None, "Return only runs that this user started."] = None,
    sha: Annotated[str | None, "Return only runs of the commit with this sha."] = None,
    limit: Limit = 30,
    page: Number = 1,
    all: All = False,
) -> WorkflowRunPage:
    """List the workflow runs of a repository, the newest first."""
    filters = {"branch": branch, "event": event, "status": status, "actor": actor, "head_sha": sha}
    part = Page(limit, page, all, items="workflow_runs")
    found, after = part.listed(hub.api, _RUNS, filters, **parts_of(repo))
    return {"runs": [_shaped(each) for each in found], "next_page": after}


@integration.reads
def get_workflow_run(hub: Hub, /, *, repo: RepoName, run_id: RunId) -> WorkflowRun:
    """Get one workflow run."""
    return _shaped(thing_of(hub.api.get(_RUN, **parts_of(repo), run_id=run_id)))


@integration.writes(undo="what was started cannot be taken back")
def rerun_workflow_run(
    hub: Hub,
    /,
    *,
    repo: RepoName,
    run_id: RunId,
    only: Annotated[Literal["all", "failed"], "Which jobs to run again: all of them, or only the failed ones."] = "all",
) -> AcceptedRun:
    """Run a workflow run again: all of its jobs, or only the failed jobs and the jobs that depend on them."""
    what = "/rerun" if only == "all" else "/rerun-failed-jobs"
    hub.api.post(_RUN + what, **parts_of(repo), run_id=run_id)
    return {"run_id": run_id, "accepted": True}


@integration.writes(undo="what was cancelled does not go on; it can only be started again")
def cancel_workflow_run(hub: Hub, /, *, repo: RepoName, run_id: RunId) -> AcceptedRun:
    """Cancel a workflow run. The call fails with status 409 if the run is already completed."""
    hub.api.post(_RUN + "/cancel", **parts_of(repo), run_id=run_id)
    return {"run_id": run_id, "accepted": True}


_shaped = shaper(
    WorkflowRun,
    number="run_number",
    attempt="run_attempt",
    workflow="name",
    title="display_title",
    branch="head_branch",
    sha="head_sha",
    actor="actor.login",
    url="html_url",
)
