"""Functions for jobs, which run a command once with the build of a service, and for runs of cron jobs."""

from typing import Annotated, Literal, TypedDict, cast

from kosmolua.plugin import matching, non_empty

from . import inverses
from .account import integration
from .paging import All, Cursor, Limit, listed
from .parameters import (
    CreatedAfter,
    CreatedBefore,
    FinishedAfter,
    FinishedBefore,
    JobId,
    ServiceId,
    StartedAfter,
    StartedBefore,
)
from .render import Render
from .wire import Thing, filled, thing_of

_JOBS = "/services/{service_id}/jobs"
_JOB = "/services/{service_id}/jobs/{job_id}"

JobStatus = Literal["pending", "running", "succeeded", "failed", "canceled"]


class Job(TypedDict):
    """A job, with every field that Render sends."""

    id: str
    serviceId: str
    startCommand: str
    planId: str
    status: str
    createdAt: str
    startedAt: str | None
    finishedAt: str | None


class JobPage(TypedDict):
    jobs: list[Job]
    cursor: str | None


class OneJob(TypedDict):
    job: Job


class Run(TypedDict):
    """A run of a cron job; its status is pending, successful, unsuccessful or canceled."""

    id: str
    status: str
    startedAt: str | None
    finishedAt: str | None
    triggeredBy: str | None
    canceledBy: str | None


class OneRun(TypedDict):
    run: Run


@integration.reads
def list_jobs(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    limit: Limit = 20,
    cursor: Cursor = None,
    status: Annotated[
        JobStatus | list[JobStatus] | None, "Return only jobs with these statuses: one status or a list.", non_empty()
    ] = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    started_before: StartedBefore = None,
    started_after: StartedAfter = None,
    finished_before: FinishedBefore = None,
    finished_after: FinishedAfter = None,
    all: All = False,
) -> JobPage:
    """List jobs for a specific Render service."""
    jobs, after = listed(_JOBS, "job", **locals())
    return {"jobs": [_shaped(job) for job in jobs], "cursor": after}


@integration.reads
def get_job(render: Render, /, *, service_id: ServiceId, job_id: JobId) -> OneJob:
    """Get details for a specific job."""
    return {"job": _shaped(thing_of(render.api.get(_JOB, service_id=service_id, job_id=job_id)))}


@integration.writes(undo=inverses.STARTED, assume={"job.status": "succeeded"})
def create_job(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    start_command: Annotated[str, "The shell command to run.", non_empty()],
    plan_id: Annotated[
        str | None,
        "The id of the plan to run the command on, instead of the service's plan.",
        matching(r"[A-Za-z0-9-]+", "plan-srv-004"),
    ] = None,
) -> OneJob:
    """Run a command once, with the latest build and the environment of a service."""
    body = {"startCommand": start_command} | ({"planId": plan_id} if plan_id else {})
    return {"job": _shaped(thing_of(render.api.post(_JOBS, json=body, service_id=service_id)))}


@integration.writes(undo=inverses.STOPPED, assume={"job.status": "canceled"})
def cancel_job(render: Render, /, *, service_id: ServiceId, job_id: JobId) -> OneJob:
    """Cancel a job that is pending or running."""
    return {"job": _shaped(thing_of(render.api.post(_JOB + "/cancel", service_id=service_id, job_id=job_id)))}


@integration.writes(undo=inverses.STARTED)
def run_cron_job(render: Render, /, *, service_id: ServiceId) -> OneRun:
    """Run a cron job now; a run that is still active is cancelled."""
    run = thing_of(render.api.post("/cron-jobs/{service_id}/runs", service_id=service_id))
    return {"run": cast(Run, filled(run, id="", status="pending"))}


def _shaped(job: Thing) -> Job:
    return cast(Job, filled(job, id="", status="pending", startCommand=""))
