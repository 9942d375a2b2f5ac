"""Services: listing, reading, creating, changing and deleting what runs on Render."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict, cast

from kosmolua.plugin import BadArguments, CallError, between, matching, non_empty, unless

from .account import integration
from .paging import All, Cursor, Limit, Page
from .parameters import Names, OwnerId, Regions, ServiceId, Workspaces
from .render import Render
from .settings import Runtime, ServiceType, Variables, body_of, misfit, runtime_of
from .wire import Thing, filled, inner, thing_of

Branch = Annotated[str | None, "Git branch to deploy."]
BuildCommand = Annotated[str | None, "Shell command to build; not for docker or an image."]
StartCommand = Annotated[str | None, "Shell command to start; for a cron job, what each run does."]
RootDir = Annotated[str | None, "Folder of the repository to work in."]
AutoDeploy = Annotated[bool | None, "Whether each push to the branch is deployed."]
Image = Annotated[str | None, 'Image to run, in place of repo (e.g., "docker.io/library/nginx:latest").', non_empty()]
Credential = Annotated[str | None, "Registry credential for a private image.", matching(r"[A-Za-z0-9-]+", "rgc-abc123")]
Schedule = Annotated[str | None, 'When a cron job runs, as a cron expression in UTC (e.g., "0 3 * * *").', non_empty()]
HealthCheckPath = Annotated[str | None, "Path that answers 2xx or 3xx when a web service is well."]
PreDeployCommand = Annotated[str | None, "Shell command to run before each deploy, such as a migration."]
PublishPath = Annotated[str | None, "Folder of a static site to publish; Render takes public if none is given."]


class Service(TypedDict):
    """A service, with every field that Render sends, plus ``status`` and ``url``."""

    id: str
    name: str
    type: str
    status: str
    url: str
    suspended: str
    suspenders: list[str] | None
    ownerId: str
    repo: str | None
    branch: str | None
    imagePath: str | None
    rootDir: str | None
    autoDeploy: str | None
    environmentId: str | None
    dashboardUrl: str
    createdAt: str
    updatedAt: str
    serviceDetails: dict[str, Any]


class ServicePage(TypedDict):
    """A page of services, and where the next one starts."""

    services: list[Service]
    cursor: str | None


class OneService(TypedDict):
    """A service."""

    service: Service


class CreatedService(TypedDict):
    """A new service, its first deploy, and the runtime that it was given."""

    service: Service
    deploy_id: str
    runtime: str


class DeletedService(TypedDict):
    """What was deleted."""

    service_id: str
    deleted: bool


@integration.reads
def list_services(
    render: Render,
    /,
    *,
    limit: Limit = 20,
    cursor: Cursor = None,
    name: Names = None,
    type: Annotated[ServiceType | list[ServiceType] | None, "Only these types: one, or a list.", non_empty()] = None,
    region: Regions = None,
    suspended: Annotated[bool | None, "Only suspended ones, or only those that are not."] = None,
    owner_id: Workspaces = None,
    all: All = False,
) -> ServicePage:
    """List all services in the Render account.

    Each service has ``status``, ``active`` or ``suspended``, and ``url``, empty for workers and cron jobs. Whether the
    last deploy went well is not part of a service: see ``list_deploys``.
    """
    filters = {
        "name": name,
        "type": type,
        "region": region,
        "suspended": None if suspended is None else "suspended" if suspended else "not_suspended",
        "ownerId": owner_id,
    }
    services, after = Page(limit, cursor, all).of(render.api, "/services", "service", filters)
    return {"services": [_shaped(service) for service in services], "cursor": after}


@integration.reads
def get_service(render: Render, /, *, service_id: ServiceId) -> OneService:
    """Get details for a specific Render service."""
    return {"service": _shaped(_fetched(render, service_id))}


@integration.writes
def create_service(
    render: Render,
    /,
    *,
    type: Annotated[ServiceType, "Service type."],
    name: Annotated[str, "Name for the service, unique in its workspace.", non_empty()],
    repo: Annotated[
        str | None,
        'Git repository URL (e.g., "https://github.com/user/repo"); left out with image.',
        non_empty(),
        unless("image"),
    ],
    branch: Branch = "main",
    region: Annotated[str | None, 'Region: "oregon", "ohio", "virginia", "frankfurt", "singapore".'] = None,
    plan: Annotated[
        str | None, 'Plan: "starter", if none is given, "standard", "pro", "pro_plus"; "free" for web services.'
    ] = None,
    runtime: Annotated[Runtime | None, "Runtime; read off the commands where none is given."] = None,
    build_command: BuildCommand = None,
    start_command: StartCommand = None,
    env_vars: Variables = None,
    image: Image = None,
    registry_credential_id: Credential = None,
    schedule: Schedule = None,
    publish_path: PublishPath = None,
    root_dir: RootDir = None,
    auto_deploy: AutoDeploy = None,
    health_check_path: HealthCheckPath = None,
    pre_deploy_command: PreDeployCommand = None,
    num_instances: Annotated[int | None, "How many instances to run.", between(1, 100)] = None,
    secret_files: Annotated[dict[str, str] | None, "Secret files: contents by file name."] = None,
    environment_id: Annotated[
        str | None, "Project environment to put it in.", matching(r"[A-Za-z0-9-]+", "evm-cabc12345678")
    ] = None,
    owner_id: OwnerId = None,
) -> CreatedService:
    """Create a new service on Render, and start its first deploy.

    Where no runtime is given, it is read off the commands: ``npm`` is node's, ``pip`` python's, and so on. An image
    has its own, and no command at all means a Dockerfile. The result says which one it was.
    """
    settings = {
        "name": name,
        "repo": repo,
        "branch": None if image and branch == "main" else branch,
        "region": region,
        "plan": plan or (None if type == "static_site" else "starter"),
        "build_command": build_command,
        "start_command": start_command,
        "env_vars": env_vars,
        "image": image,
        "registry_credential_id": registry_credential_id,
        "schedule": schedule,
        "publish_path": publish_path,
        "root_dir": root_dir,
        "auto_deploy": auto_deploy,
        "health_check_path": health_check_path,
        "pre_deploy_command": pre_deploy_command,
        "num_instances": num_instances,
        "secret_files": secret_files,
        "environment_id": environment_id,
    }
    settings["runtime"] = runtime if type == "static_site" else runtime or _inferred(settings)
    _refuse_misfit(settings, type)
    return _created(render, settings, type, render.workspace(owner_id))


@integration.writes
def update_service(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    name: Annotated[str | None, "New name.", non_empty()] = None,
    repo: Annotated[str | None, "Git repository URL.", non_empty()] = None,
    branch: Branch = None,
    plan: Annotated[str | None, "Plan to change to."] = None,
    build_command: BuildCommand = None,
    start_command: StartCommand = None,
    image: Image = None,
    registry_credential_id: Credential = None,
    schedule: Schedule = None,
    publish_path: PublishPath = None,
    root_dir: RootDir = None,
    auto_deploy: AutoDeploy = None,
    health_check_path: HealthCheckPath = None,
    pre_deploy_command: PreDeployCommand = None,
) -> OneService:
    """Change settings of a service; what is not given stays as it is.

    Most changes take effect with the next deploy. The service is read first, since where a setting goes depends on its
    type and runtime. The number of instances is changed by ``scale_service``, environment variables by ``set_env_var``.
    """
    settings = {
        "name": name,
        "repo": repo,
        "branch": branch,
        "plan": plan,
        "build_command": build_command,
        "start_command": start_command,
        "image": image,
        "registry_credential_id": registry_credential_id,
        "schedule": schedule,
        "publish_path": publish_path,
        "root_dir": root_dir,
        "auto_deploy": auto_deploy,
        "health_check_path": health_check_path,
        "pre_deploy_command": pre_deploy_command,
    }
    if all(value is None for value in settings.values()):
        raise BadArguments("There is nothing to change", hint=f"give one of {', '.join(settings)}")
    return {"service": _shaped(_changed(render, service_id, settings))}


@integration.writes
def delete_service(render: Render, /, *, service_id: ServiceId) -> DeletedService:
    """Delete a service for good, with its deploys, variables and disk."""
    render.api.delete("/services/{service_id}", service_id=service_id)
    return {"service_id": service_id, "deleted": True}


def _fetched(render: Render, service_id: str) -> Thing:
    return thing_of(render.api.get("/services/{service_id}", service_id=service_id))


def _shaped(service: Thing) -> Service:
    """Add what the wire lacks: it has no ``status``, and ``url`` only inside the details of some types."""
    details = inner(service, "serviceDetails")
    shaped = filled(service, name="", type="unknown", suspended="not_suspended") | {
        "serviceDetails": details,
        "status": "suspended" if service.get("suspended") == "suspended" else "active",
        "url": details.get("url") or "",
    }
    return cast(Service, shaped)


def _inferred(settings: Thing) -> str:
    if settings["image"]:
        return "image"
    found = runtime_of(settings["build_command"], settings["start_command"])
    if found is None:
        raise BadArguments(
            "The commands do not say which runtime they need",
            param="runtime",
            hint="say runtime = 'node', 'python', 'ruby', 'go', 'rust', 'elixir' or 'docker'",
        )
    return found


def _refuse_misfit(settings: Thing, kind: str) -> None:
    if kind == "cron_job" and settings["schedule"] is None:
        raise BadArguments("A cron_job needs a schedule", param="schedule", hint="such as schedule = '0 3 * * *'")
    if settings["runtime"] == "image" and settings["image"] is None:
        raise BadArguments("The runtime image needs an image", param="image", hint="give image in place of repo")
    wrong = misfit(settings, kind, settings["runtime"])
    if wrong:
        raise BadArguments(wrong.message, param=wrong.param, hint=wrong.hint)


def _created(render: Render, settings: Thing, kind: str, owner_id: str) -> CreatedService:
    native = kind != "static_site" and settings["runtime"] not in ("docker", "image")
    commands = {name: settings[name] or "" for name in ("build_command", "start_command")} if native else {}
    body = body_of(settings | commands, kind, settings["runtime"], owner_id)
    reply = thing_of(render.api.post("/services", json={"type": kind, "ownerId": owner_id} | body))
    service = _shaped(thing_of(reply.get("service")))
    deploy_id = reply.get("deployId") or ""
    render.remember(deploy_id, service["id"])
    return {"service": service, "deploy_id": deploy_id, "runtime": settings["runtime"] or "static"}


def _changed(render: Render, service_id: str, settings: Thing) -> Thing:
    service = _fetched(render, service_id)
    kind = str(service.get("type"))
    details = inner(service, "serviceDetails")
    runtime = details.get("runtime") or details.get("env")
    wrong = misfit(settings, kind, runtime)
    if wrong:
        raise CallError("bad_arguments", f"{wrong.message}; nothing was changed", param=wrong.param, hint=wrong.hint)
    body = body_of(settings, kind, runtime, str(service.get("ownerId")))
    return thing_of(render.api.patch("/services/{service_id}", json=body, service_id=service_id))
