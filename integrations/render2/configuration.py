"""The functions that create a service and change its settings, and the parameters that they share."""

from typing import Annotated, Any, Literal, TypedDict

from kosmolua.plugin import BadArguments, CallError, Url, between, matching, non_empty, unless
from kosmolua.plugin import Schedule as Cron

from . import inverses
from .account import integration
from .bodies import body_of
from .misfits import Misfit, misfit
from .parameters import EnvironmentIdOfNew, OwnerId, Region, ServiceId
from .render import Render
from .runtimes import Runtime, runtime_of
from .services import OneService, Service, shaped
from .settings import (
    AllowedRange,
    Autoscaling,
    BuildFilter,
    Cache,
    Disk,
    Header,
    MaintenanceMode,
    Plan,
    Previews,
    Route,
    SecretFiles,
    ServiceType,
    Variables,
)
from .wire import Thing, inner, refuse_nothing, thing_of, without

Branch = Annotated[str | None, "The Git branch to deploy."]
BuildCommand = Annotated[
    str | None, "The shell command that builds the service; not for the runtimes docker and image."
]
StartCommand = Annotated[
    str | None, "The shell command that starts the service; for docker and images it replaces the image's command."
]
RootDir = Annotated[str | None, "The folder of the repository in which commands run."]
AutoDeploy = Annotated[bool | None, "Whether each push to the branch is deployed."]
AutoDeployTrigger = Annotated[
    Literal["commit", "checksPass", "off"] | None,
    'When a push is deployed: "commit" at once, "checksPass" once its checks pass, "off" never.',
]
BuildFilters = Annotated[
    BuildFilter | None, 'Which changed files start a build: { paths = { "api/**" }, ignored_paths = { "docs/**" } }.'
]
DockerfilePath = Annotated[str | None, "The path of a docker service's Dockerfile; ./Dockerfile if none is given."]
DockerContext = Annotated[str | None, "The folder that a docker service is built from."]
Image = Annotated[
    str | None, 'The image to run, instead of repo (e.g., "docker.io/library/nginx:latest").', non_empty()
]
Credential = Annotated[
    str | None,
    "The id of the registry credential for private images; for the runtimes docker and image.",
    matching(r"[A-Za-z0-9-]+", "rgc-abc123"),
]
Schedule = Annotated[str | None, 'When a cron job runs, as a cron expression in UTC (e.g., "0 3 * * *").', Cron()]
HealthCheckPath = Annotated[str | None, "The path that answers with 2xx or 3xx while a web service is healthy."]
PreDeployCommand = Annotated[str | None, "The shell command to run before each deploy, such as a migration."]
PublishPath = Annotated[str | None, "The folder of a static site to publish; Render's default is public."]
PreviewsOf = Annotated[
    Previews | None,
    'When pull requests get previews: { generation = "automatic" }, "manual" or "off"; not for cron jobs.',
]
PullRequestPreviews = Annotated[
    bool | None, "Whether pull requests get previews: an older setting of Render. Prefer the parameter previews."
]
MaintenanceModeOf = Annotated[
    MaintenanceMode | None, "The maintenance page of a web service on a paid plan: { enabled = true, uri = ... }."
]
MaxShutdownDelay = Annotated[
    int | None, "The seconds that an instance has after SIGTERM to exit; Render's default is 30.", between(1, 300)
]
IpAllowList = Annotated[
    list[AllowedRange] | None,
    'Addresses that can connect to a web service or static site: { { cidr_block = "10.0.0.0/8", description = ... } }.',
]
RenderSubdomainPolicy = Annotated[
    Literal["enabled", "disabled"] | None, "Whether a web service or static site also answers at onrender.com."
]


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
    plan: Annotated[
        Plan | None,
        "The plan (default: starter); free, custom and those with _plus after starter or standard are for web ones.",
    ] = None,
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
    secret_files: SecretFiles = None,
    environment_id: EnvironmentIdOfNew = None,
    owner_id: OwnerId = None,
) -> CreatedService:
    """Create a new service on Render, and start its first deploy.

    If no runtime is given, it is inferred: ``npm`` in a command means node, ``pip`` means python, and so on. With
    ``image`` the runtime is image; with ``dockerfile_path`` or ``docker_context``, or without a command, it is docker.
    The result shows the runtime.
    """
    settings = without(locals(), "type", "owner_id")
    if image and branch == "main":
        settings["branch"] = None
    if type != "static_site":
        settings |= {"plan": plan or "starter", "runtime": runtime or _inferred(settings)}
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
    render.services[deploy_id] = service["id"]
    return {"service": service, "deploy_id": deploy_id, "runtime": settings["runtime"] or "static"}


@integration.writes(before=inverses.SERVICE, undo=inverses.SERVICE_BACK)
def update_service(
    render: Render,
    /,
    *,
    service_id: ServiceId,
    name: Annotated[str | None, "The new name.", non_empty()] = None,
    repo: Annotated[
        str | None, "The URL of the Git repository; if the service runs an image, give runtime too.", Url()
    ] = None,
    branch: Branch = None,
    plan: Annotated[
        Plan | None,
        "The new plan; free, custom and those with _plus after starter or standard are for web services only.",
    ] = None,
    runtime: Annotated[Runtime | None, "The new runtime; if image is given, the runtime becomes image."] = None,
    build_command: BuildCommand = None,
    start_command: StartCommand = None,
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
    max_shutdown_delay: MaxShutdownDelay = None,
    maintenance_mode: MaintenanceModeOf = None,
    previews: PreviewsOf = None,
    pull_request_previews: PullRequestPreviews = None,
    ip_allow_list: IpAllowList = None,
    render_subdomain_policy: RenderSubdomainPolicy = None,
    cache: Annotated[
        Cache | None, 'What Render caches for a web service: { profile = "no-cache" } or "origin-controlled".'
    ] = None,
) -> OneService:
    """Change settings of a service; settings that are not given stay as they are.

    Most changes take effect with the next deploy. The service is read first, since the form of the request depends on
    its type and runtime. Use ``scale_service`` for the number of instances, ``set_env_var`` for environment variables.
    """
    settings = without(locals(), "service_id")
    refuse_nothing(settings, "update_service", f"give at least one of {', '.join(settings)}")
    return {"service": shaped(_changed(render, service_id, settings))}


def _changed(render: Render, service_id: str, settings: Thing) -> Thing:
    service = thing_of(render.api.get("/services/{service_id}", service_id=service_id))
    details = inner(service, "serviceDetails")
    kind = str(service.get("type"))
    current = details.get("runtime") or details.get("env")
    runtime = _runtime_after(settings, current)
    if runtime != current:
        settings["runtime"] = runtime
    plan = settings["plan"] or details.get("plan")
    wrong = _source_misfit(settings, current, runtime) or misfit(settings, kind, runtime, plan)
    if wrong:
        raise CallError("bad_arguments", f"{wrong.message}; nothing was changed", param=wrong.param, hint=wrong.hint)
    if runtime == "image" and settings["registry_credential_id"]:
        settings["image"] = settings["image"] or service.get("imagePath")
    body = body_of(settings, kind, runtime, str(service.get("ownerId")))
    return thing_of(render.api.patch("/services/{service_id}", json=body, service_id=service_id))


def _runtime_after(settings: Thing, current: Any) -> str | None:
    """Return the given runtime, else the one that a new image or repository needs, else the current one."""
    if settings["runtime"]:
        return str(settings["runtime"])
    if current and settings["image"] and not settings["repo"]:
        return "image"
    commands = settings["build_command"], settings["start_command"]
    if current == "image" and settings["repo"] and any(commands):
        return runtime_of(*commands) or "image"
    return str(current) if current else None


def _source_misfit(settings: Thing, current: Any, runtime: str | None) -> Misfit | None:
    """Return what is wrong with switching between a repository and an image, or None."""
    if current is None:
        return None
    if runtime == "image" and settings["repo"]:
        return Misfit(
            "runtime",
            "repo cannot be combined with the runtime 'image'",
            "give the runtime to build with: runtime = 'docker', 'node', 'python', 'ruby', 'go', 'rust' or 'elixir'",
        )
    if runtime == "image" and current != "image" and not settings["image"]:
        return Misfit("image", "the runtime 'image' requires the parameter image", "give image too")
    if current == "image" and runtime != "image" and not settings["repo"]:
        wrong = f"the runtime '{runtime}' requires the parameter repo, since the service has no repository"
        return Misfit("repo", wrong, "give repo too")
    return None
