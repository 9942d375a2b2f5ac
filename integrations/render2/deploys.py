"""Functions for deploys: listing, reading, triggering and cancelling them, and rolling back to an earlier deploy."""

from itertools import islice
from typing import Annotated, Literal, TypedDict, cast

from kosmolua.plugin import ApiError, BadArguments, CallError, by_cursor, non_empty

from . import inverses
from .account import integration
from .paging import All, Cursor, Limit, listed
from .parameters import (
    CreatedAfter,
    CreatedBefore,
    DeployId,
    FinishedAfter,
    FinishedBefore,
    OptionalServiceId,
    ServiceId,
    UpdatedAfter,
    UpdatedBefore,
)
from .render import Render
from .wire import Thing, filled, inner, thing_of

MOST_SERVICES_SEARCHED = 200
"""The largest number of services to search for a deploy. Each takes a request, and Render allows 400 GETs a minute."""

_DEPLOYS = "/services/{service_id}/deploys"
_DEPLOY = "/services/{service_id}/deploys/{deploy_id}"

DeployStatus = Literal[
    "created",
    "queued",
    "build_in_progress",
    "pre_deploy_in_progress",
    "update_in_progress",
    "live",
    "deactivated",
    "build_failed",
    "pre_deploy_failed",
    "update_failed",
    "canceled",
]


class Commit(TypedDict):
    """The commit that was deployed; id and message are empty if the service runs an image."""

    id: str
    message: str
    createdAt: str | None


class DeployedImage(TypedDict):
    """The image that was deployed, if the service runs an image."""

    ref: str
    sha: str | None


class Deploy(TypedDict):
    """A deploy, with every field that Render sends, plus ``service_id``."""

    id: str
    service_id: str
    status: str
    trigger: str | None
    commit: Commit
    image: DeployedImage | None
    createdAt: str | None
    updatedAt: str | None
    startedAt: str | None
    finishedAt: str | None


class DeployPage(TypedDict):
    deploys: list[Deploy]
    cursor: str | None


class OneDeploy(TypedDict):
    deploy: Deploy


@integration.reads
def list_deploys(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    limit: Limit = 20,
    cursor: Cursor = None,
    status: Annotated[
        DeployStatus | list[DeployStatus] | None,
        "Return only deploys with these statuses: one status or a list.",
        non_empty(),
    ] = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    updated_before: UpdatedBefore = None,
    updated_after: UpdatedAfter = None,
    finished_before: FinishedBefore = None,
    finished_after: FinishedAfter = None,
    all: All = False,
) -> DeployPage:
    """List deploys for a specific Render service, usually the newest first."""
    deploys, after = listed(_DEPLOYS, "deploy", repeats=True, **locals())
    return {"deploys": [_shaped(render, deploy, service_id) for deploy in deploys], "cursor": after}


@integration.reads
def get_deploy(render: Render, /, *, deploy_id: DeployId, service_id: OptionalServiceId = None) -> OneDeploy:
    """Get details for a specific deploy.

    Render finds a deploy only through its service. Without ``service_id``, the service is known if an earlier call of
    this run returned the deploy. Otherwise the services are searched with one request each, starting with the service
    that changed last.
    """
    service = service_id or render.services.get(deploy_id)
    if service is None:
        return {"deploy": _found(render, deploy_id)}
    deploy = thing_of(render.api.get(_DEPLOY, service_id=service, deploy_id=deploy_id))
    return {"deploy": _shaped(render, deploy, service)}


@integration.writes(undo=inverses.DEPLOYED, assume={"deploy.status": "live"})
def trigger_deploy(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    commit_id: Annotated[
        str | None, "The sha of the commit to deploy, instead of the branch's newest.", non_empty()
    ] = None,
    image_url: Annotated[
        str | None, "The image to deploy: another tag or digest of the service's own image.", non_empty()
    ] = None,
    clear_cache: Annotated[bool, "Whether to build without the build cache."] = False,
    deploy_only: Annotated[bool, "Whether to deploy the last build again, without a new build."] = False,
) -> OneDeploy:
    """Start a deploy of a service.

    For private services, and if another deploy is active, Render accepts the request without returning the deploy. The
    deploy is then looked up. If it is not there yet, the result has the status ``queued`` and an empty id.
    """
    body: dict[str, str] = {"clearCache": "clear"} if clear_cache else {}
    body |= {"commitId": commit_id} if commit_id else {}
    body |= {"imageUrl": image_url} if image_url else {}
    _refuse_misfit(body, deploy_only=deploy_only)
    body |= {"deployMode": "deploy_only"} if deploy_only else {}
    reply = render.api.post(_DEPLOYS, json=body, service_id=service_id) or _newest(render, service_id)
    return {"deploy": _shaped(render, thing_of(reply), service_id)}


def _newest(render: Render, service_id: str) -> Thing:
    """Return the newest deploy of a service if it was requested and has not ended, else a deploy without an id."""
    try:
        deploys, _ = listed(_DEPLOYS, "deploy", render=render, limit=1, service_id=service_id)
    except CallError:  # the deploy is accepted, whatever becomes of this request
        deploys = []
    found = [each for each in deploys if each.get("trigger") == "api" and not each.get("finishedAt")]
    return next(iter(found), {"status": "queued"})


@integration.writes(undo=inverses.STOPPED, assume={"deploy.status": "canceled"})
def cancel_deploy(render: Render, /, *, deploy_id: DeployId, service_id: OptionalServiceId = None) -> OneDeploy:
    """Cancel an unfinished deploy. Without ``service_id``, the deploy is searched for as in ``get_deploy``."""
    service = _service_of(render, deploy_id, service_id)
    reply = render.api.post(_DEPLOY + "/cancel", service_id=service, deploy_id=deploy_id)
    return {"deploy": _shaped(render, thing_of(reply), service)}


@integration.writes(undo=inverses.DEPLOYED, assume={"deploy.status": "live"})
def rollback_deploy(render: Render, /, *, deploy_id: DeployId, service_id: OptionalServiceId = None) -> OneDeploy:
    """Deploy the commit or image of an earlier deploy again, and return the new deploy.

    Without ``service_id``, the earlier deploy is searched for as in ``get_deploy``.
    """
    service = _service_of(render, deploy_id, service_id)
    reply = render.api.post("/services/{service_id}/rollback", json={"deployId": deploy_id}, service_id=service)
    return {"deploy": _shaped(render, thing_of(reply), service)}


def _shaped(render: Render, deploy: Thing, service_id: str) -> Deploy:
    """Return a deploy for scripts, and remember its service, for later calls that name only the deploy."""
    shaped = filled(deploy, id="", status="unknown") | {
        "service_id": service_id,
        "commit": filled(inner(deploy, "commit"), id="", message=""),
    }
    if shaped["id"]:
        render.services[shaped["id"]] = service_id
    return cast(Deploy, shaped)


def _refuse_misfit(body: dict[str, str], *, deploy_only: bool) -> None:
    if {"commitId", "imageUrl"} <= body.keys():
        raise BadArguments(
            "commit_id and image_url cannot be given together", param="image_url", hint="give one of them"
        )
    if deploy_only and body:
        raise BadArguments(
            "deploy_only deploys the last build, so it cannot be combined with commit_id, image_url or clear_cache",
            param="deploy_only",
            hint="leave out commit_id, image_url and clear_cache",
        )


def _service_of(render: Render, deploy_id: str, service_id: str | None) -> str:
    return service_id or render.services.get(deploy_id) or _found(render, deploy_id)["service_id"]


def _found(render: Render, deploy_id: str) -> Deploy:
    """Search the services for a deploy, starting with the service that changed last."""
    pages = by_cursor(lambda cursor: listed("/services", "service", render=render, limit=100, cursor=cursor))
    services = list(islice(pages, MOST_SERVICES_SEARCHED))
    services.sort(key=lambda service: str(service.get("updatedAt")), reverse=True)
    for service in services:
        deploy = _deploy_of(render, str(service.get("id")), deploy_id)
        if deploy is not None:
            return deploy
    raise ApiError(
        f"None of the {len(services)} services searched has a deploy {deploy_id}",
        status=404,
        hint="check the id, or give service_id too",
    )


def _deploy_of(render: Render, service_id: str, deploy_id: str) -> Deploy | None:
    try:
        reply = render.api.get(_DEPLOY, service_id=service_id, deploy_id=deploy_id)
    except CallError as error:
        if error.code == "rate_limited":
            raise _too_many(deploy_id, error) from None
        if error.status in (403, 404, 410):
            return None
        raise
    return _shaped(render, thing_of(reply), service_id)


def _too_many(deploy_id: str, error: CallError) -> ApiError:
    return ApiError(
        f"The search for {deploy_id} in one service after the other reached Render's rate limit",
        status=429,
        retryable=True,
        retry_after=error.retry_after,
        request_id=error.request_id,
        hint="give service_id, so that no search is needed",
    )
