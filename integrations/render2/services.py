"""Functions that list and read services."""

from typing import Annotated, Any, Literal, TypedDict, cast

from kosmolua.plugin import non_empty

from .account import integration
from .paging import All, Cursor, Limit, listed
from .parameters import (
    SUSPENSION,
    CreatedAfter,
    CreatedBefore,
    Environments,
    Names,
    Region,
    Regions,
    ServiceId,
    Suspended,
    UpdatedAfter,
    UpdatedBefore,
    Workspaces,
)
from .render import Render
from .runtimes import Runtime
from .settings import ServiceType
from .wire import Thing, filled, inner, thing_of


class Filter(TypedDict):
    """Globs for the files whose changes start a build, and for those whose changes do not."""

    paths: list[str] | None
    ignoredPaths: list[str] | None


class RegistryCredential(TypedDict):
    """The registry credential for pulling a private image."""

    id: str
    name: str


class ServiceDetails(TypedDict, total=False):
    """Further fields of a service. Which of them are there depends on its type."""

    autoscaling: dict[str, Any]
    buildCommand: str
    buildPlan: str
    cache: dict[str, Any]
    disk: dict[str, Any]
    env: str
    envSpecificDetails: dict[str, Any]
    healthCheckPath: str
    ipAllowList: list[dict[str, Any]]
    lastSuccessfulRunAt: str
    maintenanceMode: dict[str, Any]
    maxShutdownDelaySeconds: int
    numInstances: int
    openPorts: list[dict[str, Any]]
    parentServer: dict[str, Any]
    plan: str
    previews: dict[str, Any]
    publishPath: str
    pullRequestPreviewsEnabled: Literal["yes", "no"]
    region: Region
    renderSubdomainPolicy: str
    runtime: str
    schedule: str
    sshAddress: str
    url: str


class Service(TypedDict):
    """A service, with every field that Render sends, plus ``status`` and ``url``."""

    id: str
    name: str
    type: str
    status: Literal["active", "suspended"]
    url: str
    slug: str
    suspended: Literal["suspended", "not_suspended"]
    suspenders: list[str]
    ownerId: str
    repo: str | None
    branch: str | None
    imagePath: str | None
    registryCredential: RegistryCredential | None
    rootDir: str
    buildFilter: Filter | None
    autoDeploy: Literal["yes", "no"]
    autoDeployTrigger: str | None
    notifyOnFail: str
    environmentId: str | None
    dashboardUrl: str
    createdAt: str
    updatedAt: str
    serviceDetails: ServiceDetails


class ServicePage(TypedDict):
    services: list[Service]
    cursor: str | None


class OneService(TypedDict):
    service: Service


@integration.reads
def list_services(
    render: Render,
    /,
    *,
    limit: Limit = 20,
    cursor: Cursor = None,
    name: Names = None,
    type: Annotated[
        ServiceType | list[ServiceType] | None, "Return only services of these types: one type or a list.", non_empty()
    ] = None,
    env: Annotated[
        Runtime | list[Runtime] | None, "Return only services with these runtimes: one runtime or a list.", non_empty()
    ] = None,
    region: Regions = None,
    suspended: Suspended = None,
    owner_id: Workspaces = None,
    environment_id: Environments = None,
    include_previews: Annotated[bool | None, "Whether to list previews too; Render's default is true."] = None,
    created_before: CreatedBefore = None,
    created_after: CreatedAfter = None,
    updated_before: UpdatedBefore = None,
    updated_after: UpdatedAfter = None,
    all: All = False,
) -> ServicePage:
    """List all services in the Render account.

    The ``status`` of a service is ``active`` or ``suspended``; its ``url`` is empty for workers and cron jobs. Use
    ``list_deploys`` to see whether the last deploy of a service succeeded.
    """
    services, after = listed("/services", "service", **{**locals(), "suspended": SUSPENSION[suspended]})
    return {"services": [shaped(service) for service in services], "cursor": after}


@integration.reads
def get_service(render: Render, /, *, service_id: ServiceId) -> OneService:
    """Get details for a specific Render service."""
    return {"service": shaped(thing_of(render.api.get("/services/{service_id}", service_id=service_id)))}


def shaped(service: Thing) -> Service:
    """Return a service with ``status`` and ``url``, and with defaults for missing fields that scripts usually print."""
    details = inner(service, "serviceDetails")
    texts = {"name": "", "type": "unknown", "suspended": "not_suspended", "slug": "", "notifyOnFail": "default"}
    whole = filled(service, **texts) | {
        "serviceDetails": details,
        "status": "suspended" if service.get("suspended") == "suspended" else "active",
        "url": details.get("url") or "",
    }
    return cast(Service, whole)
