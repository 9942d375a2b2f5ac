"""Operations of the simulator on jobs, and on runs of cron jobs."""

from __future__ import annotations

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, demanded, paged, routes, service_of
from ..demands import TEXT, record
from ..seeds.accounts import identifier
from ..world import World

_JOB = record({"startCommand": TEXT}, {"planId": TEXT})


@routes.on("GET", "/services/{service_id}/jobs")
def list_jobs(world: World, call: Call) -> Reply:
    return paged(world.jobs_of(service_of(world, call)), "job", call)


@routes.on("POST", "/services/{service_id}/jobs")
def create_job(world: World, call: Call) -> Reply:
    service = service_of(world, call)
    body = demanded(_JOB, call.body)
    if service["type"] == "static_site":
        raise Refusal(400, "a static_site runs no jobs")
    job = world.add_job(service, body["startCommand"], body.get("planId") or "plan-srv-004", call.ending)
    return Reply(201, job)


@routes.on("GET", "/services/{service_id}/jobs/{job_id}")
def get_job(world: World, call: Call) -> Reply:
    return Reply(200, _job(world, call))


@routes.on("POST", "/services/{service_id}/jobs/{job_id}/cancel")
def cancel_job(world: World, call: Call) -> Reply:
    job = _job(world, call)
    if job["status"] not in ("pending", "running"):
        raise Refusal(400, f"the job is {job['status']} and cannot be canceled")
    world.cancel_job(job)
    return Reply(200, job)


@routes.on("POST", "/cron-jobs/{service_id}/runs")
def run_cron_job(world: World, call: Call) -> Reply:
    service = service_of(world, call)
    if service["type"] != "cron_job":
        raise Refusal(404, f"not found: {service['id']}")
    run = {"id": identifier("run", service["id"], world.now), "status": "pending", "startedAt": world.now}
    return Reply(200, run | {"triggeredBy": world.user["id"]})


def _job(world: World, call: Call) -> Thing:
    jobs = {job["id"]: job for job in world.jobs_of(service_of(world, call))}
    return among(jobs, call.segments["job_id"])
