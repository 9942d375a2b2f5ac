"""Operations of the simulator on deploys: listing, reading, triggering, cancelling and rolling back."""

from __future__ import annotations

from hashlib import sha256

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, demanded, paged, routes, service_of
from ..demands import TEXT, a, record
from ..progress import UNDER_WAY
from ..world import World

_DEPLOY = record(
    {},
    {
        "clearCache": a(str, "clear", "do_not_clear"),
        "commitId": TEXT,
        "imageUrl": TEXT,
        "deployMode": a(str, "deploy_only", "build_and_deploy"),
    },
)
_ROLLBACK = record({"deployId": TEXT})


@routes.on("GET", "/services/{service_id}/deploys")
def list_deploys(world: World, call: Call) -> Reply:
    return paged(world.deploys_of(service_of(world, call)), "deploy", call)


@routes.on("POST", "/services/{service_id}/deploys")
def trigger_deploy(world: World, call: Call) -> Reply:
    """Start a deploy. The reply is empty if it has to wait for another one, or if the service is a private service."""
    service = service_of(world, call)
    body = demanded(_DEPLOY, call.body or {})
    if service["suspended"] == "suspended":
        raise Refusal(409, "the service is suspended")
    if "imageUrl" in body and "imagePath" not in service:
        raise Refusal(400, "imageUrl is for services that run an image")
    if "commitId" in body and "repo" not in service:
        raise Refusal(400, "commitId is for services with a repository")
    deploy, started = world.add_deploy(service, "api", _source(body, world.now), call.ending)
    return Reply(201, deploy) if started and service["type"] != "private_service" else Reply(202)


def _source(body: Thing, now: str) -> Thing | None:
    if "commitId" in body:
        return {"commit": {"id": body["commitId"], "message": "A commit of your choice", "createdAt": now}}
    if "imageUrl" in body:
        digest = sha256(body["imageUrl"].encode()).hexdigest()
        return {"commit": None, "image": {"ref": body["imageUrl"], "sha": f"sha256:{digest}"}}
    return None


@routes.on("GET", "/services/{service_id}/deploys/{deploy_id}")
def get_deploy(world: World, call: Call) -> Reply:
    return Reply(200, _deploy(world, call, call.segments["deploy_id"])[1])


@routes.on("POST", "/services/{service_id}/deploys/{deploy_id}/cancel")
def cancel_deploy(world: World, call: Call) -> Reply:
    service, deploy = _deploy(world, call, call.segments["deploy_id"])
    if deploy["status"] not in UNDER_WAY:
        raise Refusal(400, f"the deploy is {deploy['status']} and cannot be canceled")
    world.cancel_deploy(service, deploy)
    return Reply(200, deploy)


@routes.on("POST", "/services/{service_id}/rollback")
def rollback_deploy(world: World, call: Call) -> Reply:
    body = demanded(_ROLLBACK, call.body)
    service, earlier = _deploy(world, call, body["deployId"])
    if earlier["status"] not in ("live", "deactivated"):
        raise Refusal(400, f"the deploy is {earlier['status']}, and only one that was live can be rolled back to")
    source: Thing = {name: earlier[name] for name in ("commit", "image") if name in earlier}
    return Reply(201, world.add_deploy(service, "rollback", source, call.ending)[0])


def _deploy(world: World, call: Call, deploy_id: str) -> tuple[Thing, Thing]:
    service = service_of(world, call)
    return service, among({deploy["id"]: deploy for deploy in world.deploys_of(service)}, deploy_id)
