"""Operations of the simulator on deploys: listing, reading, triggering, cancelling and rolling back."""

from __future__ import annotations

from hashlib import sha256

from ...wire import Thing
from ..call import Call, Refusal, Reply, among, demanded, paged, service_of
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


def list_deploys(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/deploys``."""
    deploys = world.deploys_of(service_of(world, call))
    wanted = [
        each for each in deploys if call.fits(each, ["status"]) and call.within(each, "created", "updated", "finished")
    ]
    return paged(wanted, "deploy", call)


def trigger_deploy(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/deploys``.

    The reply is empty if the deploy has to wait for another deploy, or if the service is a private service.
    """
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


def get_deploy(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``GET /services/{service_id}/deploys/{deploy_id}``."""
    return Reply(200, _deploy(world, call, call.segments["deploy_id"])[1])


def cancel_deploy(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/deploys/{deploy_id}/cancel``."""
    service, deploy = _deploy(world, call, call.segments["deploy_id"])
    if deploy["status"] not in UNDER_WAY:
        raise Refusal(400, f"the deploy is {deploy['status']} and cannot be canceled")
    world.cancel_deploy(service, deploy)
    return Reply(200, deploy)


def rollback_deploy(world: World, call: Call) -> Reply:
    """Simulate Render's endpoint ``POST /services/{service_id}/rollback``."""
    body = demanded(_ROLLBACK, call.body)
    service, earlier = _deploy(world, call, body["deployId"])
    if earlier["status"] not in ("live", "deactivated"):
        raise Refusal(400, f"the deploy is {earlier['status']}, and only one that was live can be rolled back to")
    source: Thing = {name: earlier[name] for name in ("commit", "image") if name in earlier}
    return Reply(201, world.add_deploy(service, "rollback", source, call.ending)[0])


def _deploy(world: World, call: Call, deploy_id: str) -> tuple[Thing, Thing]:
    service = service_of(world, call)
    return service, among({deploy["id"]: deploy for deploy in world.deploys_of(service)}, deploy_id)
