"""The function that creates a service."""

from typing import Annotated, TypedDict

from kosmolua.plugin import BadArguments, Url, between, non_empty, unless

from . import inverses
from .account import integration
from .bodies import body_of
from .misfits import misfit
from .parameters import EnvironmentIdOfNew, OwnerId, Region
from .render import Render
from .runtimes import Runtime, runtime_of
from .services import Service, shaped
from .settings import (
    AutoDeploy,
    AutoDeployTrigger,
    Autoscaling,
    Branch,
    BuildCommand,
    BuildFilters,
    Credential,
    Disk,
    DockerContext,
    DockerfilePath,
    Header,
    HealthCheckPath,
    Image,
    IpAllowList,
    MaintenanceModeOf,
    MaxShutdownDelay,
    Plan,
    PreDeployCommand,
    PreviewsOf,
    PublishPath,
    PullRequestPreviews,
    RenderSubdomainPolicy,
    RootDir,
    Route,
    Schedule,
    ServiceType,
    StartCommand,
    Variables,
)
from .wire import Thing, thing_of


class CreatedService(TypedDict):
    """A new service, the id of its first deploy, and its runtime."""

    service: Service
    deploy_id: str
    runtime: str


@integration.writes(undo=inverses.dropped("delete_service", "service_id", "service", "id"))
def create_service(
    render: Render,
    /,
    *,
    type: Annotated[ServiceType, "The type of the service."],
    name: Annotated[str, "The service's name, unique in its workspace.", non_empty()],
    repo: Annotated[
        str | None,
        'The URL of the Git repository (e.g., "https://github.com/user/repo"); not with image.',
        Url(),
        unless("image"),
    ],
    branch: Branch = "main",
    region: Annotated[Region | None, "The region."] = None,
    plan: Annotated[Plan | None, "The plan; starter is the default, and free is for web services only."] = None,
    runtime: Annotated[Runtime | None, "The runtime; inferred from the commands if none is given."] = None,
    build_command: BuildCommand = None,
    start_command: StartCommand = None,
    env_vars: Variables = None,
    image: Image = None,
    registry_credential_id: Credential = None,
    dockerfile_path: DockerfilePath = None,
    docker_context: DockerContext = None,
    schedule: Schedule = None,
    publish_path: PublishPath = None,
    root_dir: RootDir = None,
    build_filter: BuildFilters = None,
    auto_deploy: AutoDeploy = None,
    auto_deploy_trigger: AutoDeployTrigger = None,
    health_check_path: HealthCheckPath = None,
    pre_deploy_command: PreDeployCommand = None,
    num_instances: Annotated[int | None, "The number of instances to run.", between(1, 100)] = None,
    autoscaling: Annotated[
        Autoscaling | None,
        "How to scale by load: { min = 1, max = 3, criteria = { cpu = { percentage = 60 } } }, or by memory, or both.",
    ] = None,
    disk: Annotated[
        Disk | None,
        'A persistent disk, not for cron jobs or static sites: { name = "data", mount_path = "/data", size_gb = 10 }.',
    ] = None,
    max_shutdown_delay: MaxShutdownDelay = None,
    maintenance_mode: MaintenanceModeOf = None,
    previews: PreviewsOf = None,
    pull_request_previews: PullRequestPreviews = None,
    ip_allow_list: IpAllowList = None,
    render_subdomain_policy: RenderSubdomainPolicy = None,
    headers: Annotated[
        list[Header] | None, 'The response headers of a static site: { { path = "/*", name = ..., value = ... } }.'
    ] = None,
    routes: Annotated[
        list[Route] | None,
        'The redirects and rewrites of a static site: { { type = "redirect", source = "/a", destination = "/b" } }.',
    ] = None,
    secret_files: Annotated[
        dict[str, str] | None, "The secret files: a table with the content of each file by name."
    ] = None,
    environment_id: EnvironmentIdOfNew = None,
    owner_id: OwnerId = None,
) -> CreatedService:
    """Create a new service on Render, and start its first deploy.

    If no runtime is given, it is inferred: ``npm`` in a command means node, ``pip`` means python, and so on. With
    ``image`` the runtime is image; with ``dockerfile_path`` or ``docker_context``, or without a command, it is docker.
    The result shows the runtime.
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
        "dockerfile_path": dockerfile_path,
        "docker_context": docker_context,
        "schedule": schedule,
        "publish_path": publish_path,
        "root_dir": root_dir,
        "build_filter": build_filter,
        "auto_deploy": auto_deploy,
        "auto_deploy_trigger": auto_deploy_trigger,
        "health_check_path": health_check_path,
        "pre_deploy_command": pre_deploy_command,
        "num_instances": num_instances,
        "autoscaling": autoscaling,
        "disk": disk,
        "max_shutdown_delay": max_shutdown_delay,
        "maintenance_mode": maintenance_mode,
        "previews": previews,
        "pull_request_previews": pull_request_previews,
        "ip_allow_list": ip_allow_list,
        "render_subdomain_policy": render_subdomain_policy,
        "headers": headers,
        "routes": routes,
        "secret_files": secret_files,
        "environment_id": environment_id,
    }
    settings["runtime"] = runtime if type == "static_site" else runtime or _inferred(settings)
    _refuse_misfit(settings, type)
    return _created(render, settings, type, render.workspace(owner_id))


def _inferred(settings: Thing) -> str:
    if settings["image"]:
        return "image"
    if settings["dockerfile_path"] or settings["docker_context"]:
        return "docker"
    found = runtime_of(settings["build_command"], settings["start_command"])
    if found is None:
        raise BadArguments(
            "The runtime cannot be inferred from the commands",
            param="runtime",
            hint="give runtime = 'node', 'python', 'ruby', 'go', 'rust', 'elixir' or 'docker'",
        )
    return found


def _refuse_misfit(settings: Thing, kind: str) -> None:
    if kind == "cron_job" and settings["schedule"] is None:
        raise BadArguments(
            "The type 'cron_job' requires the parameter schedule",
            param="schedule",
            hint="give one, such as schedule = '0 3 * * *'",
        )
    if settings["runtime"] == "image" and settings["image"] is None:
        raise BadArguments(
            "The runtime 'image' requires the parameter image", param="image", hint="give image instead of repo"
        )
    wrong = misfit(settings, kind, settings["runtime"], settings["plan"])
    if wrong:
        raise BadArguments(wrong.message, param=wrong.param, hint=wrong.hint)


def _created(render: Render, settings: Thing, kind: str, owner_id: str) -> CreatedService:
    native = kind != "static_site" and settings["runtime"] not in ("docker", "image")
    commands = {name: settings[name] or "" for name in ("build_command", "start_command")} if native else {}
    body = body_of(settings | commands, kind, settings["runtime"], owner_id)
    reply = thing_of(render.api.post("/services", json={"type": kind, "ownerId": owner_id} | body))
    service = shaped(thing_of(reply.get("service")))
    deploy_id = reply.get("deployId") or ""
    render.remember(deploy_id, service["id"])
    return {"service": service, "deploy_id": deploy_id, "runtime": settings["runtime"] or "static"}
